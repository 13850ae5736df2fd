"""Units: their pictures in their places, the box of a crop on its example, rows of different lengths."""

import numpy as np
import pytest
from matplotlib.patches import Rectangle

from jaxcnn.report import UnitRow, units

from .drawn import assert_fits_a_page, pictures, places, words

RNG = np.random.default_rng(0)


def images(count, shape=(8, 8, 3)):
    return [RNG.random(shape).astype(np.float32) for _ in range(count)]


def test_pictures_are_drawn_in_order():
    optimised, examples, crops = images(1)[0], images(5), images(5, (3, 4, 3))
    figure = units([UnitRow("a", optimised, examples, crops, captions="vwxyz")], columns=3, title="layer")
    expected = [optimised, *examples[:3], *crops[:3], *examples[3:], *crops[3:]]
    for found, image in zip(pictures(figure.axes[0]), expected, strict=True):
        np.testing.assert_array_equal(found, image)
    assert words(figure) == [
        "layer",
        "optimised",
        "examples, and below each the part that the unit sees",
        "a",
        *"vwxyz",
    ]
    lefts = places(figure.axes[0])[1:, 0].round(1)
    np.testing.assert_array_equal(lefts, lefts[[0, 1, 2, 0, 1, 2, 0, 1, 0, 1]])
    assert_fits_a_page(figure)


def test_the_box_of_a_crop_lies_on_its_example():
    example = images(1, (10, 20, 1))
    figure = units([UnitRow("a", None, example, boxes=[(2, 5, 7, 15)])])
    (patch,) = [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    left, right, bottom, top = figure.axes[0].images[0].get_extent()
    shares = ((patch.get_x() - left) / (right - left), (patch.get_y() - top) / (bottom - top))
    np.testing.assert_allclose(shares, (5 / 20, 2 / 10))
    np.testing.assert_allclose((patch.get_width() / (right - left), patch.get_height() / (bottom - top)), (0.5, 0.5))


def test_a_box_is_cut_at_the_picture():
    figure = units([UnitRow("a", None, images(1, (10, 10, 1)), boxes=[(-5, 4, 5, 99)])])
    (patch,) = figure.axes[0].patches
    left, right, bottom, top = figure.axes[0].images[0].get_extent()
    np.testing.assert_allclose((patch.get_x(), patch.get_y()), (left + 0.4 * (right - left), top))
    np.testing.assert_allclose((patch.get_width(), patch.get_height()), (0.6 * (right - left), 0.5 * (bottom - top)))


@pytest.mark.parametrize(
    "rows",
    [
        [UnitRow("only optimised", images(1)[0]), UnitRow("two of them", images(2))],
        [
            UnitRow(
                "a very long name of a unit in a layer " * 5, None, images(30), captions=["a long caption " * 3] * 30
            )
        ],
        [UnitRow("only crops", crops=images(3)), UnitRow("both", images(1)[0], np.stack(images(9)), images(9))],
        [UnitRow("grey", images(1, (8, 8))[0], images(2, (5, 9, 1)), captions=("$1 and $2", "100 %"))] * 3,
    ],
)
def test_rows_fit_a_page(rows):
    figure = units(rows)
    count = sum(
        len(row.examples)
        + len(row.crops)
        + (0 if row.optimised is None else 1 if isinstance(row.optimised, np.ndarray) else len(row.optimised))
        for row in rows
    )
    assert len(pictures(figure.axes[0])) == count
    assert_fits_a_page(figure)


def test_pictures_do_not_cover_each_other():
    rows = [UnitRow("a", images(1)[0], images(11), images(11), captions=["x"] * 11), UnitRow("b", images(2), images(2))]
    extents = [image.get_extent() for image in units(rows, columns=4).axes[0].images]
    for i, (a0, a1, a3, a2) in enumerate(extents):
        for b0, b1, b3, b2 in extents[:i]:
            assert min(a1, b1) <= max(a0, b0) or min(a3, b3) <= max(a2, b2)


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ([], ValueError, "units: no row is given; give a UnitRow at least"),
        ([UnitRow("a")], ValueError, r"units: rows\[0\], 'a', has no picture; give optimised, examples or crops"),
        ([UnitRow("a", None, images(2), images(1))], ValueError, r"units: rows\[0\], 'a', has 1 crops for 2 examples"),
        ([UnitRow("a", None, images(2), boxes=[(0, 0, 1, 1)])], ValueError, "has 1 boxes for 2 examples"),
        ([UnitRow("a", images(1)[0], captions="xy")], ValueError, "has 2 captions for 0 examples"),
        ([UnitRow("a", None, images(2), boxes=[(0, 0, 1)] * 2)], ValueError, r"boxes\[0\] is \(0, 0, 1\); give \(y0, x0"),
        ([UnitRow("a", None, images(2)), UnitRow("b", images(1)[0] + 3)], ValueError, r"units: rows\[1\].optimised lies in \[3"),
        ([UnitRow("a", None, [np.zeros((3, 8, 8))])], ValueError, r"units: rows\[0\].examples\[0\] is float64\[3,8,8\]"),
        ([UnitRow("a", np.zeros((8, 8), int))], TypeError, r"units: rows\[0\].optimised is int64\[8,8\]; give uint8"),
    ],
)  # fmt: skip
def test_units_refuses(rows, error, message):
    with pytest.raises(error, match=message):
        units(rows)


def test_units_refuses_no_column():
    with pytest.raises(ValueError, match="units: columns=0 must be at least 1"):
        units([UnitRow("a", images(1)[0])], columns=0)
