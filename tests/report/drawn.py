"""What a figure shows: its pictures as arrays, its words, and whether any of them overlap or leave it."""

import itertools

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg


def pictures(axis):
    """Arrays of an axis's images, without the bars of scales."""
    return [np.ma.filled(image.get_array(), np.nan) for image in axis.images if image.get_array().shape != (1, 256)]


def scales(axis):
    """Numbers at the ends of the bars of scales."""
    return [image.get_clim() for image in axis.images if image.get_array().shape == (1, 256)]


def words(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def places(axis):
    """Left and top of every picture, in inches."""
    extents = [image.get_extent() for image in axis.images if image.get_array().shape != (1, 256)]
    return np.array([(left, top) for left, _, _, top in extents])


def assert_fits_a_page(figure):
    """Not wider than a page; every word is large enough, within the figure and clear of every other word."""
    wide, tall = figure.get_size_inches()
    assert wide <= 9.5
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for axis in figure.axes for text in axis.texts if text.get_text()]
    assert all(text.get_fontsize() >= 7 for text in texts)
    boxes = [text.get_window_extent() for text in texts]
    dots = figure.dpi
    for text, box in zip(texts, boxes):
        assert box.x0 >= -1, text
        assert box.x1 <= wide * dots + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= tall * dots + 1, text
    for (one, a), (other, b) in itertools.combinations(zip(texts, boxes), 2):
        apart = min(a.x1, b.x1) - max(a.x0, b.x0) < 1 or min(a.y1, b.y1) - max(a.y0, b.y0) < 2
        assert apart, (one, other)
    return canvas
