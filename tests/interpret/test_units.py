"""Optimised inputs, inversion and caricatures against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import nn
from jaxcnn.interpret import Channel, Direction, Layer, Logit, Robust, Unit, caricature, invert, visualise
from jaxcnn.interpret.units import _optimise
from jaxcnn.interpret.units._image import COLOURS, image, spectrum_scale

KEY = jax.random.key(0)
SIZE = (8, 6)
PLAIN = {"image_size": SIZE, "transforms": None, "steps": 40}
KERNEL = np.random.default_rng(0).normal(size=(*SIZE, 2, 4)).astype(np.float32)  # (h, w, c, units)


def linear(x, tap):
    """Units that are products with the whole image, as a map of one position and as a vector."""
    return tap("logits", tap("map", jnp.einsum("nhwc,hwcu->nu", x - 0.5, KERNEL)[:, None, None])[:, 0, 0])


class Small(nnx.Module):
    def __init__(self, rngs):
        self.first, self.second = nn.Conv(3, 5, 3, rngs=rngs), nn.Conv(5, 7, 3, stride=2, rngs=rngs)

    def __call__(self, x, *, train, tap):
        x = tap("first", jax.nn.relu(self.first(x)))
        return tap("logits", tap("second", jax.nn.relu(self.second(x))).mean((1, 2)))


@pytest.fixture(scope="module")
def small():
    return Small(nnx.Rngs(0))


@pytest.mark.parametrize("parametrisation", ["fourier", "pixels"])
@pytest.mark.parametrize("negative", [False, True])
def test_visualise_a_linear_unit_follows_its_kernels_sign(parametrisation, negative):
    found = visualise(KEY, linear, Logit(1), channels=2, parametrisation=parametrisation, negative=negative, **PLAIN)
    wanted = np.sign(KERNEL[..., 1]) * (-1 if negative else 1)
    seen = np.asarray(found.images[0, 0]) - 0.5
    assert np.corrcoef(seen.ravel(), wanted.ravel())[0, 1] > 0.7
    assert (found.values[0, 0] < 0) == negative


def test_visualise_values_are_those_of_the_images():
    objectives = [Channel("map", 2), Unit("map", 3), Direction("map", [1.0, -2.0, 0.0, 0.5]), Logit(0), Layer("map")]
    found = visualise(KEY, linear, objectives, channels=2, count=2, **PLAIN)
    a = np.einsum("onhwc,hwcu->onu", np.asarray(found.images, np.float64) - 0.5, KERNEL)
    direction = a[2] @ np.array([1.0, -2.0, 0.0, 0.5])
    wanted = np.stack([a[0][:, 2], a[1][:, 3], direction, a[3][:, 0], np.square(a[4]).mean(-1)])
    np.testing.assert_allclose(found.values, wanted, rtol=1e-4)


def test_visualise_reaches_more_with_more_steps(small):
    values = [
        visualise(KEY, small, [Layer("second"), Layer("first")], image_size=12, steps=steps).values for steps in (1, 30)
    ]
    assert (values[1] > 1.2 * values[0]).all()


def test_visualise_of_a_unit_sees_its_receptive_field_alone(small):
    """Pixels have no gradient elsewhere, and stay as they began."""
    made = lambda steps: np.asarray(
        visualise(
            KEY, small, Unit("first", 0, (2, 9)), image_size=12, parametrisation="pixels", transforms=None, steps=steps
        ).images[0, 0]
    )
    changed = np.abs(made(5) - made(1)).max(-1) > 0
    inside = np.zeros((12, 12), bool)
    inside[1:4, 8:11] = True
    np.testing.assert_array_equal(changed, inside)


def test_visualise_many_objectives_is_one_at_a_time(small):
    objectives = [Channel("second", 4), Channel("second", 0), Unit("first", 2, (3, 4)), Channel("second", 2), Logit(6)]
    options = {"image_size": SIZE, "steps": 6, "count": 2, "diversity": 0.0}
    together = visualise(KEY, small, objectives, at_once=4, **options)
    for number, one in enumerate(objectives):
        alone = visualise(KEY, small, one, **options)
        np.testing.assert_allclose(together.images[number], alone.images[0], atol=2e-4)
        np.testing.assert_allclose(together.values[number], alone.values[0], rtol=1e-3)


def test_visualise_compiles_once_for_many_channels_and_reports(small, monkeypatch):
    traced, told = [], []
    score = _optimise._scores
    monkeypatch.setattr(_optimise, "_scores", lambda *a: traced.append(1) or score(*a))
    objectives = [Channel("second", i) for i in range(7)]
    visualise(KEY, small, objectives, image_size=10, steps=9, at_once=3, progress=lambda *p: told.append(p))
    count = len(traced)
    visualise(KEY, small, objectives[::-1], image_size=10, steps=8, at_once=3)
    assert 0 < count == len(traced)
    assert told[-1] == (27, 27)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_visualise_diversity_makes_images_differ(small):
    def likeness(diversity):
        found = visualise(
            KEY, small, Channel("second", 1), image_size=12, count=3, steps=30, diversity=diversity, transforms=None
        )
        a = jax.nn.relu(small.second(jax.nn.relu(small.first(found.images[0])))).reshape(3, -1, 7)
        gram = np.asarray(jnp.einsum("npi,npj->nij", a, a)).reshape(3, -1)
        unit = gram / np.linalg.norm(gram, axis=1, keepdims=True)
        return (unit @ unit.T)[np.triu_indices(3, 1)].mean()

    assert likeness(10.0) < likeness(0.0) - 0.02


@pytest.mark.parametrize(("option", "measure"), [
    ("total_variation", lambda x: np.abs(np.diff(x, axis=0)).mean() + np.abs(np.diff(x, axis=1)).mean()),
    ("l2", lambda x: np.square(x - 0.5).mean()),
])  # fmt: skip
def test_visualise_penalties_make_small_what_they_measure(option, measure):
    plain, smooth = (
        measure(np.asarray(visualise(KEY, linear, Logit(1), channels=2, **PLAIN, **{option: w}).images[0, 0]))
        for w in (0.0, 100.0)
    )
    assert smooth < 0.7 * plain


def test_visualise_moves_a_dead_unit():
    dead = lambda x, tap: tap("dead", jax.nn.relu(x - 0.9))
    found = visualise(KEY, dead, Channel("dead", 0), channels=1, image_size=6, transforms=None, steps=200)
    assert found.values[0, 0] > 0.01


def test_redirected_relu_has_the_gradient_of_a_relu_once_it_lives():
    x, g = jnp.array([[1.0, -1.0], [-1.0, -2.0]]), jnp.array([[1.0, -1.0], [1.0, -1.0]])
    (found,) = jax.vjp(_optimise._redirected, x)[1](g)
    assert found.tolist() == [[1.0, 0.0], [0.0, -1.0]]


def test_image_of_a_spectrum_is_numpys():
    rng = np.random.default_rng(1)
    spectrum = rng.normal(size=(2, 7, 4, 3))
    frequency = np.hypot(np.fft.fftfreq(7)[:, None], np.fft.rfftfreq(6)[None])
    scale = 1 / np.maximum(frequency, 1 / 7)
    np.testing.assert_allclose(spectrum_scale((7, 6)), scale, rtol=1e-6)
    values = np.fft.irfft2((spectrum[0] + 1j * spectrum[1]) * scale[..., None], (7, 6), (0, 1), norm="ortho") / 4
    wanted = 1 / (1 + np.exp(-values @ COLOURS.T))
    found = image(jnp.asarray(spectrum), (7, 6), "fourier", decorrelate=True)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_invert_comes_nearer_than_it_begins(small):
    x = jax.random.uniform(jax.random.key(3), (2, 10, 10, 3))
    begin, end = (invert(KEY, small, x, "first", steps=steps, total_variation=0.0) for steps in (1, 80))
    assert (end.values < 0.3 * begin.values).all()
    a, b = (np.asarray(jax.nn.relu(small.first(one)), np.float64) for one in (end.images[:, 0], x))
    wanted = np.square(a - b).sum((1, 2, 3)) / np.square(b).sum((1, 2, 3))
    np.testing.assert_allclose(end.values[:, 0], wanted, rtol=1e-3)


def test_caricature_exaggerates(small):
    x = jax.random.uniform(jax.random.key(3), (1, 10, 10, 3))
    a = lambda x: np.asarray(jax.nn.relu(small.second(jax.nn.relu(small.first(x)))), np.float64).reshape(-1, 7)
    found = caricature(KEY, small, x, "second", steps=40, transforms=None)
    made, own = a(found.images[:, 0]), a(x)
    dot = (made * own).sum(-1)
    cosine = dot / np.sqrt(np.square(made).sum(-1) * np.square(own).sum(-1) + 1e-12)
    np.testing.assert_allclose(found.values[0, 0], (dot * np.maximum(cosine, 0.1)).mean(), rtol=1e-3)
    assert found.values[0, 0] > 1.2 * np.square(own).sum(-1).mean()


def test_robust_pads_with_grey_and_keeps_the_middle():
    still = Robust(pad=3, jitter=0, scale=0, degrees=0)(KEY, jnp.ones((1, 4, 4, 1)))
    assert still.shape == (1, 10, 10, 1)
    assert (still[0, 3:7, 3:7] == 1).all()
    assert still[0, 0, 0, 0] == 0.5
    moved = Robust()(KEY, jnp.ones((2, 20, 20, 3)))
    assert moved.shape == (2, 20, 20, 3)
    assert (np.abs(moved[:, 8:12, 8:12] - 1) < 1e-5).all()
    assert not np.array_equal(moved[0], moved[1])


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"objectives": Channel("secnd", 0)}, ValueError, "nearest: second"),
        ({"objectives": Channel("second", 7)}, ValueError, "use 0 to 6"),
        ({"objectives": Channel("second", -1)}, ValueError, "use 0 to 6"),
        ({"objectives": Logit(7)}, ValueError, "use 0 to 6"),
        ({"objectives": Unit("second", 0, (4, 9))}, ValueError, "no place"),
        ({"objectives": Direction("second", [1.0, 2.0])}, ValueError, "7 finite numbers"),
        ({"objectives": []}, ValueError, "no objective"),
        ({"objectives": [3]}, TypeError, "is no objective"),
        ({"channels": 1}, ValueError, "does not take images of 8×6×1"),
        ({"prepare": lambda x: x.reshape(3)}, ValueError, "prepare does not take"),
        ({"steps": 0}, ValueError, "steps=0"),
        ({"diversity": 1.0}, ValueError, "count=2"),
        ({"objectives": Logit(0), "diversity": 1.0, "count": 2}, ValueError, "no space"),
        ({"l2": -1.0}, ValueError, "must not be negative"),
        ({"parametrisation": "wavelets"}, ValueError, "fourier, pixels"),
        ({"prepare": lambda x: x / 0}, ValueError, "not finite"),
    ],
)
def test_visualise_refuses_in_one_line(small, wrong, error, says):
    given = {"objectives": Channel("second", 0), "image_size": SIZE, "steps": 2} | wrong
    with pytest.raises(error, match=says) as caught:
        visualise(KEY, small, given.pop("objectives"), **given)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("x", [np.full((1, 8, 8, 3), 2.0, np.float32), np.zeros((8, 8, 3), np.float32)])
def test_invert_refuses_other_images(small, x):
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        invert(KEY, small, x, "first")
