"""Dataset examples against NumPy's sorting of the whole set; effective receptive fields against closed forms."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn.data import Split, Stream
from jaxcnn.interpret import effective_receptive_field, examples, summarise, two_sigma_area
from jaxcnn.models import create

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (23, 9, 7, 3), np.uint8)
KERNEL = jnp.asarray(RNG.normal(size=(3, 3, 3, 5)), jnp.float32)


def prepare(images):
    return images.astype(jnp.float32) / 255


def model(x, tap):
    convolve = lambda x: jax.lax.conv_general_dilated(
        x, KERNEL, (2, 2), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    return tap("map", convolve(x))


ACTIVATION = np.asarray(model(prepare(jnp.asarray(IMAGES)), lambda name, x: x))  # (23, 4, 3, 5)


def cuts(sizes):
    ends = np.cumsum(sizes)
    return [IMAGES[end - size : end] for size, end in zip(sizes, ends)]


@pytest.mark.parametrize("sizes", [(23,), (5, 5, 5, 5, 3), (1,) * 23, (3, 20), (10, 13)])
@pytest.mark.parametrize("which", ["most", "least"])
def test_examples_are_argsort_of_the_whole_set(sizes, which):
    found = examples(model, cuts(sizes), "map", k=4, which=which, prepare=prepare, keep=True)
    best = ACTIVATION.max((1, 2)).T  # (c, n)
    order = np.argsort(-best if which == "most" else best, axis=1, kind="stable")[:, :4]
    np.testing.assert_array_equal(found.indices, order)
    np.testing.assert_allclose(found.values, np.take_along_axis(best, order, 1), rtol=1e-5)
    np.testing.assert_array_equal(found.pixels, IMAGES[order])
    places = ACTIVATION.reshape(23, 12, 5).argmax(1).T
    wanted = np.stack(np.unravel_index(np.take_along_axis(places, order, 1), (4, 3)), -1)
    np.testing.assert_array_equal(found.positions, wanted)
    for channel, i in product(range(5), range(4)):
        y, x = wanted[channel, i]
        assert found.boxes[channel, i].tolist() == [2 * y, 2 * x, 2 * y + 3, 2 * x + 3]
        np.testing.assert_array_equal(
            found.crops(channel)[i], IMAGES[order[channel, i], 2 * y : 2 * y + 3, 2 * x : 2 * x + 3]
        )


def test_examples_of_equal_images_are_the_first_ones():
    found = examples(model, [np.repeat(IMAGES[:1], 4, 0)] * 3, None, k=3, prepare=prepare)
    np.testing.assert_array_equal(found.indices, [[0, 1, 2]] * 5)


def test_examples_at_random_do_not_depend_on_the_cut_and_are_uniform():
    draw = lambda sizes, seed: examples(
        model, cuts(sizes), "map", k=6, which="random", key=jax.random.key(seed), prepare=prepare
    )
    one, other = draw((23,), 0), draw((4, 4, 4, 4, 4, 3), 0)
    np.testing.assert_array_equal(one.indices, other.indices)
    assert all(len(set(row)) == 6 for row in one.indices.tolist())
    counts = np.bincount(np.concatenate([draw((23,), seed).indices.ravel() for seed in range(20)]), minlength=23)
    expected = 20 * 5 * 6 / 23
    assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)
    np.testing.assert_allclose(one.values[0], ACTIVATION.max((1, 2))[one.indices[0], 0], rtol=1e-5)


def test_examples_of_a_stream_and_of_pairs_have_labels():
    split = Split(IMAGES, np.arange(23, dtype=np.int32))
    found = examples(model, Stream(split, 6, epochs=1), None, k=2, channels=[3, 0], prepare=prepare)
    best = ACTIVATION.max((1, 2))
    assert found.size == 18
    np.testing.assert_allclose(found.values[0], best[found.labels[0], 3], rtol=1e-5)
    np.testing.assert_allclose(found.values[1], best[found.labels[1], 0], rtol=1e-5)


def test_boxes_are_the_fields_of_summarise_cut_at_the_image():
    network = create("cifar_resnet20", rngs=nnx.Rngs(0))
    x = np.random.default_rng(1).random((4, 32, 32, 3)).astype(np.float32)
    found = examples(network, x, "layer2.0", k=2)
    field = next(row.field for row in summarise(network, (1, 32, 32, 3)).rows if row.name == "layer2.0")
    for at, box in zip(found.positions.reshape(-1, 2).tolist(), found.boxes.reshape(-1, 4).tolist()):
        first, last = np.array(field.first(at)), np.array(field.last(at))
        assert box == [*np.maximum(first, 0), *(np.minimum(last, 31) + 1)]


def test_boxes_of_a_dense_unit_are_the_whole_image():
    found = examples(lambda x, tap: tap("logits", x.mean((1, 2))), IMAGES, "logits", k=1, prepare=prepare)
    assert found.positions.shape == (3, 1, 0)
    np.testing.assert_array_equal(found.boxes, np.broadcast_to([0, 0, 9, 7], (3, 1, 4)))


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        ({"k": 24}, ValueError, "k=24 of a data set of 23 images"),
        ({"images": []}, ValueError, "data set of 0 images"),
        ({"layer": "mop"}, ValueError, "nearest: map"),
        ({"channels": [5]}, ValueError, "use 0 to 4"),
        ({"which": "best"}, ValueError, "most, least or random"),
        ({"which": "random"}, ValueError, "key goes with"),
        ({"prepare": None}, TypeError, "give prepare"),
        ({"images": [IMAGES, IMAGES[:, :5]]}, ValueError, "must be alike"),
        ({"images": IMAGES[0]}, ValueError, r"give \(n, h, w, c\)"),
        ({"images": 3}, TypeError, "iterable of batches"),
        (
            {"prepare": lambda x: jnp.where((x == x[7]).all((1, 2, 3), keepdims=True), jnp.nan, x)},
            ValueError,
            "image 7",
        ),
    ],
)
def test_examples_refuse_in_one_line(wrong, error, says):
    given = {"images": IMAGES, "layer": "map", "prepare": prepare} | wrong
    with pytest.raises(error, match=says) as caught:
        examples(model, given.pop("images"), given.pop("layer"), **given)
    assert "\n" not in str(caught.value)


def stack(layers):
    """Convolutions with a kernel of nine ones, no padding lost, and a factor for each channel."""
    ones = jnp.ones((3, 3, 1, 1), jnp.float32)
    same = lambda x: jax.lax.conv_general_dilated(x, ones, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))

    def run(x, tap):
        for _ in range(layers):
            x = same(x)
        return tap("map", jnp.concatenate([x, 2 * x], -1))

    return run


@pytest.mark.parametrize("layers", [1, 3, 5])
@pytest.mark.parametrize(("channel", "factor"), [(0, 1), (1, 4), (None, 2.5)])
def test_effective_field_of_a_linear_stack_is_its_kernels_power_squared(layers, channel, factor):
    line = np.ones(1)
    for _ in range(layers):
        line = np.convolve(line, np.ones(3))
    wanted = np.zeros((15, 17))
    reach = slice(7 - layers, 8 + layers), slice(8 - layers, 9 + layers)
    wanted[reach] = factor * np.square(np.outer(line, line))
    x = RNG.random((3, 15, 17, 1)).astype(np.float32)
    found = effective_receptive_field(stack(layers), x, "map", channel=channel, batch_size=2)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    variance = np.average(np.arange(-layers, layers + 1) ** 2, weights=line**2)
    np.testing.assert_allclose(two_sigma_area(found).side, 4 * np.sqrt(variance), rtol=1e-5)


def test_two_sigma_area_of_a_turned_gaussian():
    y, x = np.mgrid[:81, :91] + 0.5 - np.array([40.0, 45.0])[:, None, None]
    angle = np.radians(30)
    along, across = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)  # y runs downwards
    found = two_sigma_area(jnp.asarray(np.exp(-((along / 8) ** 2) / 2 - (across / 4) ** 2 / 2)))
    np.testing.assert_allclose(found.centre, (40, 45), atol=1e-3)
    np.testing.assert_allclose(found.radii, (16, 8), rtol=1e-3)
    np.testing.assert_allclose(found.angle, 30, atol=0.1)
    np.testing.assert_allclose(found.area, np.pi * 128, rtol=1e-3)


@pytest.mark.parametrize("wrong", [np.zeros((3, 3)), -np.ones((3, 3)), np.ones(3), np.full((2, 2), np.nan)])
def test_two_sigma_area_refuses(wrong):
    with pytest.raises(ValueError, match="two_sigma_area"):
        two_sigma_area(jnp.asarray(wrong))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"at": (15, 0)}, "no place"),
        ({"channel": 2}, "use 0 to 1"),
        ({"layer": "mop"}, "nearest"),
        ({"at": (1,)}, "no place"),
    ],
)
def test_effective_field_refuses_in_one_line(wrong, says):
    with pytest.raises(ValueError, match=says):
        effective_receptive_field(stack(1), jnp.ones((1, 15, 17, 1)), **({"layer": "map"} | wrong))
