"""The pixels that outputs see and the outputs that see a pixel, as tables of numbers, and how their rows are taken.

A row of a table is one tap of an axis: the pixel under that tap for each output. Evenly spaced rows are slices; others are taken
by constant numbers, which XLA fuses and vectorises over the channels on CPU. Padding inside a fused loop is a branch for every
pixel, which it does not vectorise (8×112×112×64, max 3×3 /2 padded by one: 3.1 ms, with tables 0.75). No padding is read.
"""

from collections.abc import Callable
from functools import lru_cache, reduce
from math import gcd

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxcnn.geometry import Bins, Window

from ..lowering import Run, bounds, every, view
from ._doubling import doubled_axis, is_long

NONE = -1
RUNS = 5  # more of them take seconds to compile; then the padding is copied instead
MOST = 5  # taps of an axis that are taken by numbers; with more of them the padding is copied


@lru_cache(256)
def seen(window: Window | Bins, space: tuple[int, ...], axis: int) -> np.ndarray:
    """`(taps, outputs)`: the pixel of an axis that each output sees through each tap, NONE beyond the image."""
    if isinstance(window, Bins):
        first, past = bounds(window, space[axis], axis)
        pixels = first + np.arange(window.size[axis])[:, None]
        return np.where(pixels < past, pixels, NONE).astype(np.int32)
    first = np.arange(window.output_size(space)[axis]) * window.stride[axis] - window.padding[axis][0]
    pixels = first + np.arange(window.size[axis])[:, None] * window.dilation[axis]
    return np.where((pixels >= 0) & (pixels < space[axis]), pixels, NONE).astype(np.int32)


def nearest(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Taps and pixels where NONE gives way to the first or last tap on the image, which changes no extreme and no winner.

    An output without a pixel keeps NONE.
    """
    found, last = table != NONE, len(table) - 1
    taps = np.clip(np.arange(len(table))[:, None], found.argmax(0), last - found[::-1].argmax(0))
    return taps, np.take_along_axis(table, taps, 0)


@lru_cache(256)
def seers(window: Window | Bins, space: tuple[int, ...], axis: int) -> tuple[np.ndarray, np.ndarray]:
    """`(most, pixels)` twice: the outputs that see each pixel of an axis and through which tap, NONE where there are no more."""
    table = seen(window, space, axis)
    output, tap = np.nonzero(table.T != NONE)
    pixel = table[tap, output]
    order = np.argsort(pixel, kind="stable")
    pixel = pixel[order]
    place = np.arange(len(pixel)) - np.searchsorted(pixel, pixel)  # among those that see the same pixel
    shape = (max(place, default=-1) + 1, space[axis])
    outputs, taps = np.full(shape, NONE, np.int32), np.full(shape, NONE, np.int32)
    outputs[place, pixel], taps[place, pixel] = output[order], tap[order]
    return outputs, taps


def seers_most(window: Window | Bins, space: tuple[int, ...], axis: int) -> int:
    """How many outputs see a pixel of an axis at most, counted in small tables and bounded for long windows."""
    outputs, k = window.output_size(space)[axis], window.size[axis]
    if isinstance(window, Bins):
        return window.transposed().size[axis]
    if is_long(window, axis):  # taps that the same pixel can lie under are stride / gcd apart
        return min(-(-k // (window.stride[axis] // gcd(window.stride[axis], window.dilation[axis]))), outputs)
    return len(seers(window, space, axis)[0])


def take_row(x: Array, row: np.ndarray, axis: int, fill: np.ndarray) -> Array:
    """The entries of a spatial axis that a row of a table names, `fill` for NONE."""
    steps = set(np.diff(row))
    if row[0] != NONE and len(steps) <= 1 and min(steps, default=1) > 0:
        return every(x, int(row[0]), len(row), int(min(steps, default=1)), axis + 1)
    inside = row != NONE
    if not inside.any():
        return lax.full((*x.shape[: axis + 1], len(row), *x.shape[axis + 2 :]), fill, x.dtype)
    at = (*[slice(None)] * (axis + 1), np.where(inside, row, row[inside][0]))
    v = x.at[at].get(mode="promise_in_bounds")
    return v if inside.all() else jnp.where(lax.broadcast_in_dim(inside, v.shape, (axis + 1,)), v, fill)


def reduce_run(x: Array, window: Window, axis: int, run: Run, combine: Callable, fill: np.ndarray) -> Array:
    """The outputs of a run."""
    if not run.taps:
        return lax.full((*x.shape[: axis + 1], run.end - run.first, *x.shape[axis + 2 :]), fill, x.dtype)
    return reduce(combine, [view(x, window, axis, run, tap) for tap in run.taps])


def padded(x: Array, window: Window, axis: int, fill: np.ndarray) -> tuple[Array, Window]:
    """A copy of x with the padding of one axis, and the window without it."""
    low, high = window.padding[axis]
    x = lax.pad(x, fill, [(low, high, 0) if a == axis + 1 else (0, 0, 0) for a in range(x.ndim)])
    return x, window.unpadded(axis)


def reduce_axis(x: Array, window: Window | Bins, axis: int, combine: Callable, fill: np.ndarray) -> Array:
    """One axis of a window reduced by an associative operation; `fill` is its identity."""
    if is_long(window, axis):
        return doubled_axis([x], window, axis, lambda a, b, _: [combine(a[0], b[0])], [fill])[0]
    if isinstance(window, Window) and window.size[axis] > MOST and any(window.padding[axis]):
        x, window = padded(x, window, axis, fill)
    table = seen(window, x.shape[1:-1], axis)
    return combine_rows(x, table if combine is lax.add else nearest(table)[1], axis, combine, fill)


def combine_rows(x: Array, table: np.ndarray, axis: int, combine: Callable, fill: np.ndarray) -> Array:
    """The rows of a table taken and combined by an associative operation whose identity is `fill`."""
    if not len(table):
        return lax.full((*x.shape[: axis + 1], table.shape[1], *x.shape[axis + 2 :]), fill, x.dtype)
    first, *others = (take_row(x, row, axis, fill) for row in table)
    for other in others:
        first = combine(first, other)
    return first


def reduce_window(x: Array, window: Window, combine: Callable, fill: np.ndarray) -> Array:
    """The windows reduced by XLA's own operation."""
    around = lambda entries, rest: (rest, *entries, rest)
    options = (around(window.size, 1), around(window.stride, 1), around(window.padding, (0, 0)))
    return lax.reduce_window(x, fill, combine, *options, window_dilation=around(window.dilation, 1))
