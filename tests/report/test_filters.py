"""The grid of filters: what each tile holds, its number, where rows end, the scale around zero."""

import numpy as np
import pytest

from jaxcnn.report import filters

from .drawn import assert_fits_a_page, pictures, places, scales, words

RNG = np.random.default_rng(0)
LONG = "a title of very many words " * 20


@pytest.mark.parametrize(
    ("shape", "options", "shown", "rows"),
    [
        ((7, 7, 3, 64), {}, 64, 4),
        ((3, 3, 1, 20), {"columns": 8}, 20, 3),
        ((11, 11, 1, 96), {"most": 40}, 40, 3),
        ((5, 5, 6, 16), {}, 16, 1),
        ((1, 1, 64, 12), {"columns": 5}, 12, 3),
        ((31, 1, 1, 2), {}, 2, 1),
        ((3, 3, 300, 70), {"title": LONG}, 64, 8),
        ((40, 40, 7, 3), {"columns": 100}, 3, 1),
    ],
)
def test_filters_wrap_and_are_numbered(shape, options, shown, rows):
    figure = filters(RNG.normal(size=shape), **options)
    axis = figure.axes[0]
    assert len(pictures(axis)) == shown
    assert len(np.unique(places(axis)[:, 1].round(6))) == rows
    assert set(map(str, range(shown))) <= set(words(figure))
    assert any(f"{shown} of {shape[-1]} filters" in text for text in words(figure)) == (shown < shape[-1])
    assert any(f"64 of {shape[2]} input channels" in text for text in words(figure)) == (shape[2] > 64)
    assert_fits_a_page(figure)


def test_tiles_of_colour_have_zero_in_mid_grey():
    kernel = RNG.normal(size=(5, 4, 3, 7)).astype(np.float32)
    tiles = pictures(filters(kernel).axes[0])
    for i, tile in enumerate(tiles):
        np.testing.assert_allclose(tile, 0.5 + kernel[..., i] / (2 * np.abs(kernel).max()), atol=1e-6)
    assert words(filters(np.zeros((3, 3, 3, 2))))[-1] == "all zero"


def test_tiles_of_one_channel_are_on_one_signed_scale():
    kernel = RNG.normal(size=(5, 4, 1, 7))
    axis = filters(kernel).axes[0]
    reach = np.abs(kernel).max()
    for i, image in enumerate(axis.images[:7]):
        np.testing.assert_array_equal(image.get_array(), kernel[:, :, 0, i])
        assert image.get_clim() == (-reach, reach)
    assert scales(axis) == [(-reach, reach)]


def test_positive_kernels_keep_zero_in_the_middle():
    assert scales(filters(np.full((3, 3, 1, 1), 2.0)).axes[0]) == [(-2.0, 2.0)]


def test_channels_of_a_filter_lie_side_by_side():
    kernel = RNG.normal(size=(2, 3, 5, 1))
    (tile,) = pictures(filters(kernel).axes[0])
    # five channels of 2 × 3 weights of 4 pixels in 3 rows of 2, one pixel between them
    assert tile.shape == (3 * 9 - 1, 2 * 13 - 1)
    for i in range(5):
        top, left = 9 * (i // 2), 13 * (i % 2)
        np.testing.assert_array_equal(tile[top : top + 8 : 4, left : left + 12 : 4], kernel[:, :, i, 0])
    assert np.isnan(tile[8]).all()
    assert np.isnan(tile[18:, 13:]).all()


@pytest.mark.parametrize(
    ("kernel", "options", "error", "message"),
    [
        (np.zeros((3, 1, 8)), {}, ValueError, r"filters: kernel is float64\[3,1,8\]; give .*kernel\[None\]"),
        (
            np.zeros((3, 3, 3, 1, 8)),
            {},
            ValueError,
            r"give \(kh, kw, c_in, c_out\); of a volume's depth d: kernel\[d\]",
        ),
        (np.zeros((3, 3, 1, 0)), {}, ValueError, r"filters: kernel is float64\[3,3,1,0\]; .*each axis at least 1"),
        (np.full((1, 1, 1, 2), np.nan), {}, ValueError, "filters: kernel has 2 of 2 numbers NaN"),
        (np.zeros((1, 1, 1, 2), complex), {}, TypeError, "must hold real numbers"),
        (np.zeros((1, 1, 1, 2)), {"columns": 0}, ValueError, "filters: columns=0 must be at least 1"),
        (np.zeros((1, 1, 1, 2)), {"most": 1.5}, TypeError, "filters: most=1.5 must be an integer"),
    ],
)
def test_filters_refuses(kernel, options, error, message):
    with pytest.raises(error, match=message):
        filters(kernel, **options)
