"""Receptive fields on the picture: the box's sides, what is cut, the ellipse of a normal distribution, what is said."""

import numpy as np
import pytest
from matplotlib.patches import Ellipse

from jaxcnn.geometry import Window, chain
from jaxcnn.report import receptive_field

from .drawn import assert_fits_a_page, words

RNG = np.random.default_rng(0)
PHOTO = RNG.random((40, 60, 3))


def sides(axis):
    """(x, y) of both ends of the four sides, and which are dashed."""
    return [(np.ravel(line.get_xydata()).tolist(), line.is_dashed()) for line in axis.lines]


def normal(middle, sigmas, degrees, shape=(40, 60)):
    """A normal distribution sampled at the pixels; the first sigma along an axis turned from x towards larger y."""
    y, x = np.indices(shape)
    turn = np.deg2rad(degrees)
    along = (x - middle[1]) * np.cos(turn) + (y - middle[0]) * np.sin(turn)
    across = -(x - middle[1]) * np.sin(turn) + (y - middle[0]) * np.cos(turn)
    return np.exp(-(along**2) / (2 * sigmas[0] ** 2) - across**2 / (2 * sigmas[1] ** 2))


@pytest.mark.parametrize(
    ("field", "corners", "dashed", "said"),
    [
        (((10, 20), (14, 30)), (9.5, 19.5, 14.5, 30.5), (), "5×11 pixels, rows 10 to 14, columns 20 to 30"),
        (((-3, 20), (14, 30)), (-0.5, 19.5, 14.5, 30.5), (0,), "rows −3 to 14, columns 20 to 30; cut by 3 rows above"),
        (((10, -1), (14, 30)), (9.5, -0.5, 14.5, 30.5), (1,), "columns −1 to 30; cut by 1 column left"),
        (((10, 20), (39, 70)), (9.5, 19.5, 39.5, 59.5), (3,), "rows 10 to 39, columns 20 to 70; cut by 11 columns right"),
        (((-9, -9), (99, 99)), (-0.5, -0.5, 39.5, 59.5), (0, 1, 2, 3), "60 rows below, 9 columns left, 40 columns right"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("effective", [None, np.ones((40, 60))])
def test_the_box_is_drawn_and_cut(field, corners, dashed, said, effective):
    figure = receptive_field(PHOTO, field=field, effective=effective, title="conv3")
    top, left, bottom, right = corners
    expected = [
        [left, top, right, top],
        [left, top, left, bottom],
        [left, bottom, right, bottom],
        [right, top, right, bottom],
    ]
    for axis in figure.axes[1:]:
        assert sides(axis) == [(side, number in dashed) for number, side in enumerate(expected)]
        assert axis.get_xlim() == (-0.5, 59.5)
        assert axis.get_ylim() == (39.5, -0.5)
    assert any(text.startswith("box: ") and text.endswith(said) for text in words(figure))
    assert len(figure.axes) == (2 if effective is None else 3)
    assert_fits_a_page(figure)


def test_a_box_outside_the_image_is_said_and_not_drawn():
    figure = receptive_field(PHOTO, field=((-9, 0), (-1, 4)))
    assert sides(figure.axes[1]) == []
    assert "all of it outside the image" in words(figure)[-1]


def test_the_box_is_that_of_geometry():
    field = chain([Window.resolve(5, (40, 60), padding="same")] * 2)
    figure = receptive_field(PHOTO, field=(field.first((7, 9)), field.last((7, 9))))
    assert words(figure) == ["box: 9×9 pixels, rows 3 to 11, columns 5 to 13"]


@pytest.mark.parametrize("degrees", [0, 30, 90, 135])
def test_the_ellipse_is_two_sigmas_of_a_normal_distribution(degrees):
    figure = receptive_field(PHOTO, effective=7 * normal((19, 28.5), (4, 2), degrees))
    for axis in figure.axes[1:]:
        (ellipse,) = [patch for patch in axis.patches if isinstance(patch, Ellipse)]
        np.testing.assert_allclose(ellipse.center, (28.5, 19), atol=1e-2)
        np.testing.assert_allclose((ellipse.width, ellipse.height), (4 * 4, 4 * 2), rtol=1e-2)
        np.testing.assert_allclose((ellipse.angle - degrees + 90) % 180 - 90, 0, atol=0.5)
    assert words(figure)[-1].startswith("ellipse: 2σ of the effective field, 16.0 × 8.0 pixels")
    assert words(figure)[-1].endswith("middle at row 19.0, column 28.5")


def test_the_effective_field_lies_over_the_picture():
    values = normal((19, 28), (4, 2), 0)
    photograph, over = receptive_field(PHOTO, effective=values, percentile=100).axes[1:]
    np.testing.assert_allclose(photograph.images[0].get_array(), PHOTO, atol=1e-6)
    np.testing.assert_array_equal(over.images[1].get_array(), values)
    assert over.images[1].get_clim() == (0, values.max())


def test_no_ellipse_without_gradient_and_a_point_of_one_pixel():
    figure = receptive_field(PHOTO, effective=np.zeros((40, 60)))
    assert not figure.axes[1].patches
    assert words(figure) == ["all zero"]
    one = np.zeros((40, 60))
    one[3, 5] = 2
    (ellipse,) = receptive_field(PHOTO, effective=one).axes[1].patches
    assert (ellipse.center, ellipse.width, ellipse.height) == ((5.0, 3.0), 0, 0)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, "receptive_field: neither field nor effective is given; give one at least"),
        ({"field": ((1, 2), (3,))}, ValueError, r"receptive_field: field=\(\(1, 2\), \(3,\)\); give the first and last pixel"),
        ({"field": (1, 2, 3, 4)}, ValueError, r"field=\(1, 2, 3, 4\); give the first and last pixel"),
        ({"field": ((0.5, 2), (3, 4))}, ValueError, "integers"),
        ({"field": ((4, 2), (3, 4))}, ValueError, "ends before it begins; give the first pixel, then the last"),
        ({"effective": np.ones((60, 40))}, ValueError, "effective is 60 × 40, the image 40 × 60 pixels; give a map of its size"),
        ({"effective": -np.ones((40, 60))}, ValueError, "effective falls to -1; give squares or magnitudes, at least 0"),
        ({"effective": np.full((40, 60), np.nan)}, ValueError, "effective has 2400 of 2400 numbers NaN"),
        ({"effective": np.ones((40, 60, 3))}, ValueError, r"effective is float64\[40,60,3\]; give \(h, w\)"),
        ({"effective": np.ones((40, 60)), "percentile": 0}, ValueError, "receptive_field: percentile=0 must be above 0"),
    ],
)  # fmt: skip
def test_receptive_field_refuses(options, error, message):
    with pytest.raises(error, match=message) as caught:
        receptive_field(PHOTO, **options)
    assert "\n" not in str(caught.value)
