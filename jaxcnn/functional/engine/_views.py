"""Windows reduced: by XLA's own operation, or axis by axis over the slices of `lowering/_runs.py`."""

from collections.abc import Callable

import numpy as np
from jax import Array, lax

from jaxcnn.geometry import Window

from ..lowering import Run, join, runs, view

RUNS = 5  # more of them take seconds to compile; then the padding is copied instead


def reduce_window(x: Array, window: Window, combine: Callable, fill: np.ndarray) -> Array:
    """The windows reduced by XLA's own operation."""
    around = lambda entries, rest: (rest, *entries, rest)
    options = (around(window.size, 1), around(window.stride, 1), around(window.padding, (0, 0)))
    return lax.reduce_window(x, fill, combine, *options, window_dilation=around(window.dilation, 1))


def reduce_axis(x: Array, window: Window, axis: int, combine: Callable, fill: np.ndarray) -> Array:
    """One axis of a window reduced by an associative operation; `fill` is its identity."""
    space = x.shape[1:-1]
    pieces = runs(window, space, axis)
    if len(pieces) > RUNS:
        x, window = padded(x, window, axis, fill)
        pieces = runs(window, x.shape[1:-1], axis)
    return join([_reduced(x, window, axis, run, combine, fill) for run in pieces], axis)


def padded(x: Array, window: Window, axis: int, fill: np.ndarray) -> tuple[Array, Window]:
    """A copy of x with the padding of one axis, and the window without it."""
    low, high = window.padding[axis]
    x = lax.pad(x, fill, [(low, high, 0) if a == axis + 1 else (0, 0, 0) for a in range(x.ndim)])
    return x, window.unpadded(axis)


def _reduced(x: Array, window: Window, axis: int, run: Run, combine: Callable, fill: np.ndarray) -> Array:
    if not run.taps:
        shape = (*x.shape[: axis + 1], run.end - run.first, *x.shape[axis + 2 :])
        return lax.full(shape, fill, x.dtype)
    first, *others = (view(x, window, axis, run, tap) for tap in run.taps)
    for other in others:
        first = combine(first, other)
    return first
