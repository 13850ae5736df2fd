"""Judges of attributions: closed forms for linear models, loops, SciPy's ranks, the published outcome of the sanity check."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import interpret as I
from jaxcnn import models, weights
from jaxcnn.interpret.judging._sanity import in_order, spearman, structural

from .test_attributions import Net
from .twins import images

KEY = jax.random.key(0)
SLOPES = np.random.default_rng(7).normal(size=(9, 7, 3))
TARGET = np.array([1, 0])


def linear(x):
    """Two scores: a weighted sum of the pixels and its negative."""
    total = (x * jnp.asarray(SLOPES, x.dtype)).sum((1, 2, 3)) + 0.5
    return jnp.stack([total, -total], -1)


@pytest.fixture
def x():
    return jnp.asarray(images(), jnp.float32)


@pytest.fixture
def exact(x):
    """What each pixel adds to the linear score."""
    return (x * jnp.asarray(SLOPES, x.dtype)).sum(-1) * jnp.array([-1.0, 1.0])[:, None, None]


@pytest.mark.parametrize("baseline", ["number", "images"])
def test_completeness_of_a_linear_model_is_exact(baseline, x, exact):
    baseline = {"number": 0.25, "images": x[::-1]}[baseline]
    shares = (x - baseline) * jnp.asarray(SLOPES, x.dtype) * jnp.array([-1.0, 1.0])[:, None, None, None]
    np.testing.assert_allclose(I.completeness_error(linear, x, shares, TARGET, baseline=baseline), 0, atol=1e-5)
    np.testing.assert_allclose(I.completeness_error(linear, x, 1.3 * shares, TARGET, baseline=baseline), 0.3, rtol=1e-4)


def test_completeness_of_integrated_gradients_and_of_nothing_to_share(x):
    model = Net()
    found = I.integrated_gradients(model, x, TARGET, steps=64)
    assert np.asarray(I.completeness_error(model, x, found, TARGET)).max() < 0.01
    assert I.completeness_error(model, x, found, TARGET, baseline=x).tolist() == [np.inf, np.inf]
    assert I.completeness_error(model, x, 0 * found, TARGET, baseline=x).tolist() == [0, 0]


def test_sensitivity_of_a_linear_model_is_one(x, exact):
    sizes = (1, 5, 40)
    found = I.sensitivity_n(KEY, linear, x, exact, TARGET, sizes=sizes, subsets=13, batch=10)
    np.testing.assert_allclose(found, np.ones((2, 3)), rtol=1e-4)
    np.testing.assert_allclose(I.sensitivity_n(KEY, linear, x, -exact, TARGET, sizes=sizes), -found, rtol=1e-4)
    noise = jax.random.normal(KEY, exact.shape)
    chance = np.abs(I.sensitivity_n(KEY, linear, x, noise, TARGET, sizes=sizes, subsets=300))
    assert chance.max() < 0.5  # 63 pixels of noise correlate by 1 / √63 with the right map


def test_sensitivity_of_a_map_without_variation_is_zero(x):
    assert I.sensitivity_n(KEY, linear, x, jnp.ones((2, 9, 7)), TARGET, sizes=(4,)).tolist() == [[0], [0]]


@pytest.mark.parametrize("way", ["deletion", "insertion"])
@pytest.mark.parametrize("steps", [5, 63, 200])
def test_curve_of_a_linear_model_is_a_sum_in_order(way, steps, x, exact):
    found = getattr(I, way)(linear, x, exact, TARGET, steps=steps, baseline=0, probability=False, batch=7)
    sums = np.concatenate([np.zeros((2, 1)), np.cumsum(-np.sort(-np.asarray(exact, np.float64).reshape(2, -1)), 1)], 1)
    taken = sums[:, np.round(np.arange(steps + 1) * 63 / steps).astype(int)]
    start = np.array([-0.5, 0.5])[:, None]
    expected = start + (taken if way == "insertion" else sums[:, -1:] - taken)
    np.testing.assert_allclose(found.values, expected, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(found.area, np.trapezoid(expected, axis=1) / steps, rtol=1e-3, atol=1e-4)


def test_curves_are_probabilities_from_a_blurred_image(x, exact):
    model = Net()
    blurred = jnp.asarray(I.blurred(x))
    last = lambda x: np.asarray(jax.nn.softmax(model(x, train=False)))[np.arange(2), TARGET]
    values = I.insertion(model, x, exact, TARGET, steps=4).values
    np.testing.assert_allclose(values[:, 0], last(blurred), rtol=1e-4)
    np.testing.assert_allclose(values[:, -1], last(x), rtol=1e-4)
    gone = I.deletion(model, x, exact, TARGET, steps=4, baseline="blur").values
    np.testing.assert_allclose(gone[:, -1], last(blurred), rtol=1e-4)
    assert float(jnp.abs(blurred - x).mean()) > 0.3


def test_judges_are_the_same_under_jit_and_for_several_targets_at_once(x, exact):
    model, targets = Net(), jnp.array([[0, 1], [3, 2]])
    judges = {
        "deletion": lambda target: I.deletion(model, x, exact, target, steps=4).values,
        "insertion": lambda target: I.insertion(model, x, exact, target, steps=4).area,
        "completeness": lambda target: I.completeness_error(model, x, exact, target),
        "sensitivity": lambda target: I.sensitivity_n(KEY, model, x, exact, target, sizes=(3, 9), subsets=5),
    }
    inside = jax.jit(lambda targets: {name: jax.vmap(judge)(targets) for name, judge in judges.items()})(targets)
    for name, judge in judges.items():
        np.testing.assert_allclose(inside[name], jnp.stack([judge(t) for t in targets]), rtol=1e-3, atol=1e-5)


def test_pointing_game_measures_the_distance_to_the_object():
    values = jnp.zeros((3, 40, 50)).at[0, 3, 4].set(1).at[1, 30, 49].set(2).at[2, 10, 10].set(3)
    boxes = jnp.array([[10.0, 10, 20, 20], [0, 0, 40, 30], [10, 10, 11, 11]])
    away = np.hypot([10 - 3.5, 0, 0], [10 - 4.5, 49.5 - 30, 0])
    for tolerance in (0, 5, 8.5, 8.6, 15, 19.4, 19.5):
        expected = (away <= tolerance).tolist()
        assert I.pointing_game(values, boxes, tolerance=tolerance).tolist() == expected
    both = jnp.stack([boxes, boxes[::-1]], 1)
    assert I.pointing_game(values, both, tolerance=0).tolist() == [False, False, True]
    masks = jnp.zeros((3, 40, 50), bool).at[0, 6, 8].set(True).at[1, 30, 49].set(True)
    assert I.pointing_game(values, masks, tolerance=5).tolist() == [True, True, False]  # 3, 4, 5
    assert I.pointing_game(values, masks, tolerance=4.9).tolist() == [False, True, False]


def test_energy_is_the_positive_share_inside():
    values = jnp.array([[[4.0, 2.0, -9.0], [1.0, 1.0, 2.0]], [[-1.0, -2.0, 0.0], [0.0, 0.0, -3.0]]])
    assert I.energy_in_box(values, (0, 0, 1, 2)).tolist() == [pytest.approx(0.6), 0]
    assert I.energy_in_box(values, (0, 0, 1, 0.5)).tolist() == [pytest.approx(0.2), 0]
    two = jnp.array([[[0, 0, 1, 2], [0, 1, 2, 2]]] * 2)
    assert I.energy_in_box(values, two).tolist() == [pytest.approx(0.7), 0]  # the pixel of both counts once
    masks = jnp.zeros((2, 2, 3), bool).at[:, 1].set(True)
    assert I.energy_in_box(values[..., None] * jnp.array([0.25, 0.75]), masks).tolist() == [pytest.approx(0.4), 0]
    assert jax.jit(I.energy_in_box)(values, two).tolist() == [pytest.approx(0.7), 0]


@pytest.mark.parametrize(("call", "message"), [
    (lambda x, m: I.pointing_game(m, (0, 0, 10, 3)), r"box \[0.0, 0.0, 10.0, 3.0\] does not lie in the image of 9×7"),
    (lambda x, m: I.energy_in_box(m, (3, 2, 3, 4)), "does not lie in the image"),
    (lambda x, m: I.energy_in_box(m, np.ones((3, 4))), r"the regions are float\d+\[3, 4\]; give boxes \[4\], \[2, 4\]"),
    (lambda x, m: I.pointing_game(m.at[0, 0, 0].set(jnp.nan), (0, 0, 1, 1)), "the attribution has NaN"),
    (lambda x, m: I.pointing_game(m, (0, 0, 1, 1), tolerance=-1), "tolerance=-1 must be 0"),
    (lambda x, m: I.deletion(linear, x, m[:, :5], 0), r"shape \[2, 5, 7\]; give \[2, 9, 7\]"),
    (lambda x, m: I.insertion(linear, x, m, 2), "target=2 is no class of a model with 2"),
    (lambda x, m: I.insertion(linear, x, m, 0, steps=0), "steps=0 must be a whole number from 1"),
    (lambda x, m: I.insertion(lambda x: x, x[0], m[0], 0), "is for images"),
    (lambda x, m: I.completeness_error(linear, x, m * jnp.inf, 0), "NaN or infinity"),
    (lambda x, m: I.sensitivity_n(KEY, linear, x, m, 0, sizes=(64,)), r"sizes=\(64,\) must be numbers from 1 to 63"),
    (lambda x, m: I.sanity_check(I.gradient, Net(), x, key=KEY, mode="all"), "mode='all' must be one of cascading"),
])  # fmt: skip
def test_judge_names_what_is_wrong(call, message, x, exact):
    with pytest.raises(ValueError, match=message) as error:
        call(x, exact)
    assert "\n" not in str(error.value)


def test_sanity_check_needs_parameters(x):
    with pytest.raises(TypeError, match="the model is a function; give an NNX module"):
        I.sanity_check(I.gradient, linear, x, key=KEY)


def test_spearman_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 5, 60).astype(float), rng.normal(size=60)  # with equal numbers
    np.testing.assert_allclose(spearman(a, b), stats.spearmanr(a, b)[0], rtol=1e-12)
    assert spearman(a, 0 * a) == 0


def test_structural_similarity_is_the_formula():
    a, b = np.abs(np.random.default_rng(0).normal(size=(2, 2, 11, 9)))
    a, b = (v / v.max((1, 2), keepdims=True) for v in (a, b))
    expected = np.zeros(2)
    for y, left in np.ndindex(5, 3):
        p, q = (v[:, y : y + 7, left : left + 7] for v in (a, b))
        m, k, both = p.mean((1, 2)), q.mean((1, 2)), (p * q).mean((1, 2))
        top = (2 * m * k + 1e-4) * (2 * (both - m * k) + 9e-4)
        expected += top / ((m**2 + k**2 + 1e-4) * (p.var((1, 2)) + q.var((1, 2)) + 9e-4)) / 15
    np.testing.assert_allclose(structural(jnp.asarray(a), jnp.asarray(3 * b)), expected, rtol=1e-3)


def test_layers_are_in_the_order_of_their_use(x):
    order = list(dict.fromkeys(path[0] for path in in_order(Net(), x)))
    assert order == ["conv1", "bn", "conv2", "gate", "head"]


@pytest.mark.parametrize("mode", ["cascading", "independent"])
@pytest.mark.parametrize("draw", ["permute", "normal"])
def test_sanity_check_randomises_what_it_says(mode, draw, x):
    seen = []

    def method(model, x):
        seen.append({name: np.asarray(getattr(model, name).kernel[...]) for name in ("conv1", "conv2", "gate", "head")})
        return x.sum(-1) * (1 + len(seen) % 2)

    model = Net()
    found = I.sanity_check(method, model, x, key=KEY, mode=mode, draw=draw)
    assert found.layers == ("head", "gate", "conv2", "bn", "conv1")
    changed = [{name for name in first if not np.array_equal(first[name], seen[0][name])} for first in seen[1:]]
    most = {"head", "gate", "conv2"}
    cascade = [{"head"}, {"head", "gate"}, most, most, {*most, "conv1"}]
    alone = [{"head"}, {"gate"}, {"conv2"}, set(), {"conv1"}]
    assert changed == (cascade if mode == "cascading" else alone)
    after, before = np.sort(seen[1]["head"].ravel()), np.sort(seen[0]["head"].ravel())
    assert np.array_equal(after, before) == (draw == "permute")
    np.testing.assert_allclose(after.std(), before.std(), rtol=0.6)
    np.testing.assert_allclose(found.signed, 1, rtol=1e-12)  # a map twice as large ranks alike
    np.testing.assert_allclose(found.ssim, 1, rtol=1e-5)
    np.testing.assert_array_equal(model.head.kernel[...], seen[0]["head"])


def test_sanity_check_of_trained_weights_has_the_published_outcome(shared):
    """The gradient and Grad-CAM change with the weights; guided backprop and deconvnet show the image's edges all the same."""
    from PIL import Image

    file = shared / "data/weights/squeezenet_v1.1/squeezenet_v1.1_fp16.npz"
    card = weights.card("squeezenet1_1.iandola")
    model = weights.load(models.create(card.model, rngs=nnx.Rngs(0)), file, names=card.names)
    photo = Image.open(shared / "data/photos/grad_cam__cat_dog.png").convert("RGB").resize((131, 131))
    x = jnp.asarray(np.asarray(photo, np.float32)[None, ..., ::-1] - np.array([104.0, 117.0, 123.0], np.float32))
    methods = {
        "gradient": lambda model, x: I.gradient(model, x, 243),
        "grad_cam": lambda model, x: I.grad_cam(model, x, 243, layer="fire9"),
        "guided_backprop": lambda model, x: I.guided_backprop(model, x, 243),
        "deconvnet": lambda model, x: I.deconvnet(model, x, 243),
    }
    found = {
        name: I.sanity_check(method, model, x, key=KEY, layers=4, draw="normal") for name, method in methods.items()
    }
    assert found["gradient"].layers[:2] == ("classifier.1", "features.12.expand3x3")
    kept = {name: one.absolute.mean() for name, one in found.items()}
    assert max(kept["gradient"], kept["grad_cam"]) < 0.6  # here 0.44 and 0.30
    assert min(kept["guided_backprop"], kept["deconvnet"]) > 0.9  # 0.98 both
    alike = {name: one.ssim.mean() for name, one in found.items()}
    assert max(alike["gradient"], alike["grad_cam"]) < 0.6 < 0.85 < min(alike["guided_backprop"], alike["deconvnet"])
