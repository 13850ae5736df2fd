"""Heat maps: the attribution as it was given, its colours, its size, the photograph beside and below it."""

import numpy as np
import pytest

from jaxcnn.report import heatmap, heatmaps

from .drawn import assert_fits_a_page, scales, words

RNG = np.random.default_rng(0)
PHOTO = RNG.random((12, 16, 3)).astype(np.float32)
SIGNED = RNG.normal(size=(12, 16, 3))


def test_channels_are_summed_and_zero_is_in_the_middle():
    figure = heatmap(PHOTO, SIGNED, title="gradient", percentile=80)
    sheet, photograph, drawn = figure.axes
    np.testing.assert_array_equal(photograph.images[0].get_array(), PHOTO)
    (image,) = drawn.images
    np.testing.assert_allclose(image.get_array(), SIGNED.sum(-1))
    reach = np.percentile(np.abs(SIGNED.sum(-1)), 80)
    assert image.get_clim() == (-reach, reach)
    assert image.get_cmap().name == "RdBu_r"
    assert scales(sheet) == [(-reach, reach)]
    assert "gradient" in words(figure)
    assert_fits_a_page(figure)


def test_an_outlier_does_not_hide_the_rest():
    values = SIGNED.copy()
    values[0, 0] = 1e6
    low, high = heatmap(PHOTO, values).axes[2].images[0].get_clim()
    assert high < 10
    assert low == -high


def test_unsigned_numbers_lie_over_the_photograph_in_grey():
    values = RNG.random((12, 16))
    below, above = heatmap(PHOTO, values, percentile=100).axes[2].images
    np.testing.assert_allclose(below.get_array(), PHOTO @ np.array([0.299, 0.587, 0.114]), atol=1e-6)
    np.testing.assert_array_equal(above.get_array(), values)
    assert 0 < above.get_alpha() < 1
    assert above.get_clim() == (0, values.max())
    assert above.get_cmap().name == "viridis"


@pytest.mark.parametrize("shape", [(3, 4), (7, 7), (12, 5), (24, 32), (1, 1)])
def test_maps_of_another_size_cover_the_photograph(shape):
    figure = heatmap(PHOTO, RNG.random(shape))
    below, above = figure.axes[2].images
    assert above.get_array().shape == shape
    assert list(above.get_extent()) == [-0.5, 15.5, 11.5, -0.5] == list(below.get_extent())
    assert (above.get_interpolation() == "bilinear") == (shape != (24, 32))
    assert_fits_a_page(figure)


@pytest.mark.parametrize(
    ("options", "low", "layers", "alpha"),
    [
        ({"signed": True}, -1, 1, 1),
        ({"signed": True, "opacity": 0.3}, -1, 2, 0.3),
        ({"opacity": 1.0}, 0, 1, 1),
        ({}, 0, 2, 0.6),
    ],
)
def test_colours_and_opacity_can_be_chosen(options, low, layers, alpha):
    images = heatmap(PHOTO, np.ones((12, 16)), **options).axes[2].images
    assert len(images) == layers
    assert images[-1].get_clim() == (low, 1)
    assert images[-1].get_alpha() == alpha


@pytest.mark.parametrize("values", [np.zeros((12, 16)), np.zeros((4, 4, 3)), np.zeros((12, 16), bool)])
def test_a_map_of_zeros_says_so(values):
    figure = heatmap(PHOTO, values)
    assert "all zero" in words(figure)
    assert scales(figure.axes[0]) == []
    assert_fits_a_page(figure)


def test_heatmaps_wrap_and_each_has_its_scale():
    maps = {
        "one": RNG.random((12, 16)),
        "two": SIGNED,
        "three": 5 * SIGNED,
        "a name that is long " * 9: RNG.random((3, 4)),
    }
    figure = heatmaps(PHOTO, maps, columns=3, titles=["cat.jpg"], percentile=100)
    assert [text for text in words(figure) if text in (*maps, "cat.jpg")] == ["cat.jpg", "one", "two", "three"]
    lefts = np.array([axis.get_position().x0 for axis in figure.axes[1:]]).round(6)
    tops = np.array([axis.get_position().y1 for axis in figure.axes[1:]]).round(6)
    assert len(np.unique(lefts)) == 3
    np.testing.assert_array_equal(np.unique(tops, return_counts=True)[1], [2, 3])
    ends = [high for _, high in scales(figure.axes[0])]
    np.testing.assert_allclose(
        ends, [maps["one"].max(), *(k * np.abs(SIGNED.sum(-1)).max() for k in (1, 5)), maps[list(maps)[3]].max()]
    )
    assert_fits_a_page(figure)


@pytest.mark.parametrize("as_list", [False, True])
def test_several_photographs_begin_a_row_each(as_list):
    photos = [PHOTO, RNG.random((9, 9, 1)), PHOTO[::-1]] if as_list else np.stack([PHOTO, PHOTO[::-1]])
    count = len(photos)
    maps = {"one": RNG.random((count, 3, 4)), "two": [SIGNED * (i + 1) for i in range(count)]}
    figure = heatmaps(photos, maps, titles=[f"{i}.jpg" for i in range(count)])
    assert len(figure.axes) == 1 + 3 * count
    for i in range(count):
        first, one, two = figure.axes[1 + 3 * i : 4 + 3 * i]
        np.testing.assert_allclose(first.images[0].get_array(), photos[i].squeeze(), atol=1e-6)
        np.testing.assert_array_equal(one.images[-1].get_array(), maps["one"][i])
        np.testing.assert_allclose(two.images[-1].get_array(), maps["two"][i].sum(-1))
    assert len({axis.get_position().y1 for axis in figure.axes[1::3]}) == count
    assert_fits_a_page(figure)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: heatmap(PHOTO, np.full((12, 16), np.nan)), ValueError, "heatmap: values has 192 of 192 numbers NaN"),
        (lambda: heatmap(PHOTO, np.zeros((1, 12, 16, 3))), ValueError, r"heatmap: values is float64\[1,12,16,3\]; give"),
        (lambda: heatmap(PHOTO, np.zeros(3)), ValueError, r"heatmap: values is float64\[3\]"),
        (lambda: heatmap(PHOTO, np.zeros((2, 2), complex)), TypeError, "it must hold real numbers"),
        (lambda: heatmap(PHOTO[None], SIGNED), ValueError, r"heatmap: image is float32\[1,12,16,3\].*image\[0\]"),
        (lambda: heatmap(PHOTO * 255, SIGNED), ValueError, r"heatmap: image lies in \[.*\]; give floats in \[0, 1\], or uint8"),
        (lambda: heatmap(PHOTO, SIGNED, opacity=0), ValueError, "heatmap: opacity=0 must be above 0, and 1 at most"),
        (lambda: heatmap(PHOTO, SIGNED, percentile=101), ValueError, "heatmap: percentile=101 must be above 0, and 100"),
        (lambda: heatmap(PHOTO, [[1.0], [1.0, 2.0]]), ValueError, "heatmap: values is a list of rows of several lengths"),
        (lambda: heatmaps(PHOTO, {}), ValueError, "heatmaps: maps holds no map"),
        (lambda: heatmaps([], {"a": []}), ValueError, "heatmaps: image holds no image"),
        (lambda: heatmaps([PHOTO] * 2, {"a": SIGNED[None]}), ValueError, r"maps\['a'\] has 1 maps for 2 images"),
        (lambda: heatmaps([PHOTO] * 2, {"a": 1.0}), ValueError, r"maps\['a'\] has 1 maps for 2 images"),
        (lambda: heatmaps(PHOTO, {"a": SIGNED}, titles=["x", "y"]), ValueError, "heatmaps: 2 titles for 1 images"),
        (lambda: heatmaps(PHOTO, {"a": SIGNED}, titles="x"), ValueError, "heatmaps: one text 'x' for 1 images"),
        (lambda: heatmaps(PHOTO, {"a": SIGNED}, columns=0), ValueError, "heatmaps: columns=0 must be at least 1"),
        (lambda: heatmaps([PHOTO], {"a": [SIGNED * np.nan]}), ValueError, r"heatmaps: maps\['a'\]\[0\] has 192"),
    ],
)  # fmt: skip
def test_heatmaps_refuse(call, error, message):
    with pytest.raises(error, match=message.replace("192", "(192|576)")) as caught:
        call()
    assert "\n" not in str(caught.value)
