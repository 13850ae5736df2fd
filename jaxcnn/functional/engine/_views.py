"""The pixels that outputs see through one tap, as slices, in runs of outputs that see the image through the same taps.

Padding inside a fused loop is a branch for every pixel, which keeps XLA from vectorising on CPU (8×112×112×64, 3×3 /2 padded
by one: 3.6 ms with it, 1.2 ms without). So no pixel of padding is ever read: the few outputs at the border, which lack some
taps, are computed apart and joined to the others.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jax import Array, lax

from jaxcnn.geometry import Window

from ..lowering import every

RUNS = 5  # more of them take seconds to compile; then the padding is copied instead


@dataclass(frozen=True)
class Run:
    """Outputs `first` to `end` of an axis, and the taps through which all of them see the image."""

    first: int
    end: int
    taps: tuple[int, ...]


def runs(window: Window, space, axis: int) -> list[Run]:
    """The outputs of an axis from the first to the last."""
    found: list[Run] = []
    for output in range(window.output_size(space)[axis]):
        taps = tuple(t for t, p in enumerate(window.pixels(axis, output)) if 0 <= p < space[axis])
        if found and found[-1].taps == taps:
            found[-1] = Run(found[-1].first, output + 1, taps)
        else:
            found.append(Run(output, output + 1, taps))
    return found


def view(x: Array, window: Window, axis: int, run: Run, tap: int) -> Array:
    """What the outputs of a run see through one of its taps."""
    stride = window.stride[axis]
    start = run.first * stride + tap * window.dilation[axis] - window.padding[axis][0]
    return every(x, start, run.end - run.first, stride, axis + 1)


def join(pieces: list[Array], axis: int) -> Array:
    """The runs of an axis side by side."""
    return pieces[0] if len(pieces) == 1 else lax.concatenate(pieces, axis + 1)


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
