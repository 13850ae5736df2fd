"""Activations: tiles in the layers' order, one scale a layer or one a map, signed or not, bars, names of classes."""

import jax.numpy as jnp
import numpy as np
import pytest
from matplotlib.collections import LineCollection

from jaxcnn.report import activations

from .drawn import assert_fits_a_page, pictures, places, scales, words

RNG = np.random.default_rng(0)
RELU = np.maximum(RNG.normal(size=(6, 5, 20)), 0)
SIGNED = RNG.normal(size=(4, 4, 3))


def bars(figure):
    """Ends of the bars of each vector, in inches: `(n, 2, 2)` arrays of (x, y)."""
    lines = [found for found in figure.axes[0].collections if isinstance(found, LineCollection)]
    return [np.array(found.get_segments()) for found in lines]


def test_maps_are_tiles_that_wrap():
    figure = activations({"relu": RELU, "signed": SIGNED}, columns=6)
    tiles, where = pictures(figure.axes[0]), places(figure.axes[0])
    assert len(tiles) == 16 + 3
    for i, tile in enumerate(tiles):
        np.testing.assert_array_equal(tile, RELU[..., i] if i < 16 else SIGNED[..., i - 16])
    assert [len(np.unique(where[part, 1].round(6))) for part in (slice(16), slice(16, 19))] == [3, 1]
    assert {"relu, 6×5×20, 16 of 20 maps", "signed, 4×4×3"} <= set(words(figure))
    assert_fits_a_page(figure)


@pytest.mark.parametrize(
    ("values", "low", "colours"),
    [(RELU[..., :4], 0, "viridis"), (SIGNED, -1, "RdBu_r"), (-RELU[..., :4], -1, "RdBu_r")],
)
def test_a_layer_has_one_scale(values, low, colours):
    axis = activations({"a": values}, percentile=90).axes[0]
    reach = np.percentile(np.abs(values)[values != 0], 90)
    assert scales(axis) == [(low * reach, reach)]
    assert {image.get_clim() for image in axis.images} == {(low * reach, reach)}
    assert {image.get_cmap().name for image in axis.images} == {colours}


def test_a_map_has_its_own_scale_on_request():
    figure = activations({"a": SIGNED * [1, 10, 0]}, own_scale=True, percentile=100)
    reach = [np.abs(SIGNED[..., 0]).max(), 10 * np.abs(SIGNED[..., 1]).max(), 1]
    np.testing.assert_allclose([image.get_clim()[1] for image in figure.axes[0].images], reach)
    np.testing.assert_allclose([image.get_clim()[0] for image in figure.axes[0].images], np.negative(reach))
    assert words(figure)[1:] == [f"0: ±{reach[0]:.3g}", f"1: ±{reach[1]:.3g}", "2: 0"]


def test_scale_says_that_it_ends_before_the_largest():
    assert "≥ 9" in words(activations({"a": np.arange(12.0).reshape(12, 1, 1)}, percentile=80))
    assert "10" in words(activations({"a": np.arange(11.0).reshape(11, 1, 1)}, percentile=100))
    assert words(activations({"a": np.zeros((3, 3, 1))}))[-1] == "all zero"


@pytest.mark.parametrize(("channels", "dtype"), [(1, np.uint8), (3, np.uint8), (3, jnp.bfloat16), (3, np.float16)])
def test_the_image_is_first(channels, dtype):
    image = RNG.random((8, 9, channels)) if dtype != np.uint8 else RNG.integers(0, 256, (8, 9, channels))
    first, *others = pictures(activations({"a": SIGNED}, image=image.astype(dtype)).axes[0])
    expected = image / 255 if dtype == np.uint8 else image
    np.testing.assert_allclose(first, expected.squeeze(), atol=0 if dtype == np.float64 else 1 / 256)
    assert len(others) == 3


def test_bars_of_a_vector_are_as_long_as_its_numbers():
    values = np.array([1.0, -2.0, 0.5, 0.0])
    (ends,) = bars(activations({"a": values}))
    heights = ends[:, 0, 1] - ends[:, 1, 1]  # y grows downwards
    np.testing.assert_allclose(heights / heights[0], values, atol=1e-12)
    assert (np.diff(ends[:, 0, 0]) > 0).all()


def test_classes_are_named_and_the_largest_of_many_shown():
    values = RNG.permutation(50) - 20.0
    names = [f"name {int(value)} $x" for value in values]
    figure = activations({"hidden": RNG.random(50), "logits": values}, class_names=names, top=7)
    shown = [text for text in words(figure) if text.startswith("name")]
    assert shown == [f"name {value} $x" for value in range(29, 22, -1)]
    assert "the 7 largest of 50" in words(figure)
    lengths = np.diff(bars(figure)[1][:, :, 0], axis=1)[:, 0]
    np.testing.assert_allclose(lengths / lengths[0], np.arange(29, 22, -1) / 29)
    assert_fits_a_page(figure)


def test_few_classes_keep_their_order():
    figure = activations({"logits": np.array([0.5, -3.0, 2.0])}, class_names=("x", "a long name " * 12, "z"))
    assert [text[:6] for text in words(figure)] == ["logits", "x", "0.5", "a long", "−3", "z", "2"]
    assert_fits_a_page(figure)


def test_a_line_is_one_tile_with_a_row_for_each_channel():
    values = RNG.normal(size=(100, 20))
    figure = activations({"sound": values}, most=5)
    (tile,) = pictures(figure.axes[0])
    np.testing.assert_array_equal(tile, values[:, :5].T)
    assert "sound, 100×20, 5 of 20 channels" in words(figure)


@pytest.mark.parametrize(
    ("maps", "options", "error", "message"),
    [
        ({}, {}, ValueError, "activations: maps holds no layer; give one at least"),
        ({"a": np.zeros((1, 4, 4, 2))}, {}, ValueError, r"activations: maps\['a'\] is float64\[1,4,4,2\]; give \(h, w, c\) or"),
        ({"a": np.zeros((0, 4, 2))}, {}, ValueError, r"is float64\[0,4,2\]; .* each axis at least 1"),
        ({"a": np.array([1.0, np.inf])}, {}, ValueError, r"maps\['a'\] has 1 of 2 numbers NaN or infinite"),
        ({"a": np.array(["x"])}, {}, TypeError, r"maps\['a'\] is <U1\[1\]; it must hold real numbers"),
        ({"a": np.zeros(3)}, {"class_names": "ab"}, ValueError, "activations: 2 class_names, vectors: a 3; one must have"),
        ({"a": np.zeros((2, 2, 1))}, {"class_names": "ab"}, ValueError, "2 class_names, vectors: none is given"),
        ({"a": np.zeros(3)}, {"most": 0}, ValueError, "activations: most=0 must be at least 1"),
        ({"a": np.zeros(3)}, {"percentile": 0}, ValueError, "activations: percentile=0 must be above 0"),
        ({"a": np.zeros(3)}, {"image": np.zeros((4, 4, 2))}, ValueError, r"activations: image is float64\[4,4,2\]; give"),
        ({"a": np.zeros(3)}, {"image": np.zeros((1, 4, 4, 3))}, ValueError, r"one of a batch: image\[0\]"),
        ({"a": np.zeros(3)}, {"image": np.full((4, 4), 2.5)}, ValueError, r"image lies in \[2.5, 2.5\]; give floats in \[0, 1\]"),
        ({"a": np.zeros(3)}, {"image": np.full((4, 4), np.nan)}, ValueError, r"image lies in \[nan, nan\]"),
        ({"a": np.zeros(3)}, {"image": np.zeros((4, 4), int)}, TypeError, r"image is int64\[4,4\]; give uint8"),
    ],
)  # fmt: skip
def test_activations_refuses(maps, options, error, message):
    with pytest.raises(error, match=message) as caught:
        activations(maps, **options)
    assert "\n" not in str(caught.value)
