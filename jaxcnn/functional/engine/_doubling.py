"""Windows of many taps by doubling: runs of 1, 2, 4, … taps, each made of two of the run before it.

That takes about log₂ k operations a pixel. A running sum would need fewer, but it loses digits (what it subtracts has grown over
the whole line) and it carries one NaN on to the end of the line. Here nothing is combined that the window does not see. Runs are
computed only where a later one looks: windows that do not overlap halve the image each time.
"""

from collections.abc import Callable
from math import gcd

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxcnn.geometry import Bins, Window

from ..lowering import bounds, every

LONG = 32  # taps of an axis, above which it goes by doubling
Parts = list[Array]
Combine = Callable[
    [Parts, Parts, int], Parts
]  # of two neighbouring runs, and how many taps the second begins after the first


def doubled(parts: Parts, axis: int, k: int, s: int, d: int, outputs: int, combine: Combine) -> Parts:
    """`outputs` windows of k taps d apart, s apart, along an axis of arrays, combined from left to right.

    Of a number between two powers of two the shorter runs stand behind the longer ones, so that each is used as soon as it is
    there: no more than one run and the result are kept.
    """
    n = (outputs - 1) * s + (k - 1) * d + 1  # pixels that the windows see
    steps = steps_of(
        k, s if outputs > 1 else d << k.bit_length(), d
    )  # a single window: runs that do not overlap suffice
    run, result = _views(parts, axis, 0, steps[0], (n - 1) // steps[0] + 1), None
    for j, step in enumerate(steps):
        if k >> j & 1:
            start = (k >> (j + 1) << (j + 1)) * d
            seen = _views(run, axis, start // step, max(s // step, 1), outputs)
            result = seen if result is None else combine(seen, result, 1 << j)
        if j + 1 < len(steps):
            each, shift = steps[j + 1] // step, (d << j) // step
            count = (n - 1 - ((2 << j) - 1) * d) // steps[j + 1] + 1
            run = combine(_views(run, axis, 0, each, count), _views(run, axis, shift, each, count), 1 << j)
    assert result is not None
    return result


def doubled_in_turn(
    parts: Parts, axis: int, k: int, s: int, d: int, outputs: int, combine: Combine, fills: list[np.ndarray]
) -> Parts:
    """The same as a loop over the lengths of runs, for what costs more to combine than a maximum; `fills` change nothing.

    XLA:CPU merges the levels of `doubled` and computes powers of one level again for each that reads them: 1,000 taps of
    `soft_pool` on 48,000 pixels compiled for 7 s forward and 19 s back. A loop's levels are kept and compiled once.
    """
    if 0 in (outputs, *parts[0].shape):
        return [every(part, 0, outputs, 1, axis) for part in parts]
    span, bits = (outputs - 1) * s + 1, range(k.bit_length())
    room = lambda part: [(0, d << bits[-1], 0) if a == axis else (0, 0, 0) for a in range(part.ndim)]
    cut = lambda v, start, size: lax.dynamic_slice_in_dim(v, start, size, axis)

    def level(carry, step):
        (run, result), (shift, start, taken) = carry, step
        joined = combine([cut(v, start, span) for v in run], result, 0)
        result = [jnp.where(taken, new, old) for new, old in zip(joined, result)]
        wide = [lax.pad(v, fill, room(v)) for v, fill in zip(run, fills)]
        return (combine(run, [cut(v, shift, v.shape[axis] - (d << bits[-1])) for v in wide], 0), result), None

    steps = ([d << j for j in bits], [(k >> (j + 1) << (j + 1)) * d for j in bits], [bool(k >> j & 1) for j in bits])
    none = [jnp.full_like(lax.slice_in_dim(v, 0, span, axis=axis), fill) for v, fill in zip(parts, fills)]
    (_, result), _ = lax.scan(level, (parts, none), tuple(map(np.array, steps)))
    return [every(v, 0, outputs, s, axis) for v in result]


def steps_of(k: int, s: int, d: int) -> list[int]:
    """For the runs of 1, 2, 4, … ≤ k taps: how far apart they are needed."""
    steps = [s]
    for j in reversed(range(k.bit_length() - 1)):
        steps.insert(0, gcd(steps[0], d << j))
    return steps


def _views(parts: Parts, axis: int, start: int, step: int, count: int) -> Parts:
    """`count` pixels of one axis, `step` apart."""
    return [every(part, start, count, step, axis) for part in parts]


def is_long(window: Window | Bins, axis: int) -> bool:
    """Whether an axis goes by doubling."""
    return window.size[axis] > LONG


def doubled_axis(parts: Parts, window: Window | Bins, axis: int, combine: Combine, fills: list[np.ndarray]) -> Parts:
    """One spatial axis of a window; `fills` are what padding holds, one for each array."""
    at = axis + 1
    if isinstance(window, Bins):
        return _binned(parts, window, axis, combine, fills)
    outputs = window.output_size(parts[0].shape[1:-1])[axis]
    if not outputs:
        return [every(part, 0, 0, 1, at) for part in parts]
    parts = [padded_axis(part, window, axis, fill) for part, fill in zip(parts, fills)]
    return doubled(parts, at, window.size[axis], window.stride[axis], window.dilation[axis], outputs, combine)


def padded_axis(x: Array, window: Window, axis: int, fill: np.ndarray) -> Array:
    """x with the padding of one spatial axis."""
    pair = window.padding[axis]
    return lax.pad(x, fill, [(*pair, 0) if a == axis + 1 else (0, 0, 0) for a in range(x.ndim)]) if any(pair) else x


def runs_of(window: Window | Bins, axis: int, n: int, outputs: int) -> tuple[Callable, list[int]]:
    """A function that gives the runs of 1, 2, 4, … taps of a padded axis of n pixels reduced, and how far apart they lie."""
    k, s, d = (window.size[axis], 1, 1) if isinstance(window, Bins) else _shape(window, axis)
    steps = steps_of(k, s if outputs > 1 else d << k.bit_length(), d)

    def runs(x: Array, op: Callable[[Array, Array], Array]) -> Parts:
        levels = [every(x, 0, (n - 1) // steps[0] + 1, steps[0], axis + 1)]
        for j, (step, next_step) in enumerate(zip(steps, steps[1:])):
            each, shift, count = next_step // step, (d << j) // step, (n - 1 - ((2 << j) - 1) * d) // next_step + 1
            levels.append(op(*(every(levels[j], start, count, each, axis + 1) for start in (0, shift))))
        return levels

    return runs, steps


def _shape(window: Window, axis: int) -> tuple[int, int, int]:
    return window.size[axis], window.stride[axis], window.dilation[axis]


def _binned(parts: Parts, window: Bins, axis: int, combine: Combine, fills: list[np.ndarray]) -> Parts:
    """Bins are `least` pixels long or one longer: runs of `least` where they begin, and behind them a pixel or the fill."""
    first, past = bounds(window, parts[0].shape[axis + 1], axis)
    least, at = int((past - first).min()), axis + 1
    runs = doubled(parts, at, least, 1, 1, parts[0].shape[at] - least + 1, combine)
    runs = [jnp.take(run, first, at, mode="clip") for run in runs]
    longer = (past - first > least).reshape(-1, *[1] * (parts[0].ndim - at - 1))
    if not longer.any():
        return runs
    behind = [jnp.where(longer, jnp.take(part, past - 1, at, mode="clip"), fill) for part, fill in zip(parts, fills)]
    return combine(runs, behind, least)
