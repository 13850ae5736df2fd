"""How the four programs of a maximum run: slices of the image, compared and selected, which XLA fuses into single loops.

The winner is found axis by axis, the last first: Σ sizes comparisons instead of Π sizes, and the same winner, because the
first of equal rows holds the first of equal pixels. Going back, pixel `stride · u + a` looks at the few outputs `u + δ`
whose windows can reach it and adds those whose stored tap is the one that points to it,

    stride · δ + tap · dilation = a + low

so that the result is written once, in order, without spreading anything apart.
"""

import itertools

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxcnn.geometry import Window

from ..lowering import Run, every, join, runs, view
from ._views import RUNS, padded, reduce_axis, reduce_window


def tap_dtype(window: Window) -> np.dtype:
    """The smallest unsigned integer with room for the taps, `window.taps` for none and one number for never."""
    return np.min_scalar_type(window.taps + 1)


def identity(dtype, largest: bool) -> np.ndarray:
    """What loses against every pixel."""
    if jnp.issubdtype(dtype, jnp.bool_):
        return np.array(not largest)
    if jnp.issubdtype(dtype, jnp.floating):
        least = np.array(-np.inf if largest else np.inf, dtype)
        if least == least:
            return least
        return np.array(jnp.finfo(dtype).min if largest else jnp.finfo(dtype).max, dtype)  # an 8-bit float without inf
    info = jnp.iinfo(dtype)
    return np.array(info.min if largest else info.max, dtype)


def reduced(x: Array, *, window: Window, space, largest: bool) -> list[Array]:
    """The value alone, as XLA's own window reduction."""
    return [reduce_window(x, window, lax.max if largest else lax.min, identity(x.dtype, largest))]


def chained(x: Array, *, window: Window, space, largest: bool) -> list[Array]:
    """The value alone on CPU: axis by axis over slices, where XLA's reduction goes pixel by pixel: up to 400 times as fast."""
    for axis in reversed(range(window.rank)):
        x = reduce_axis(x, window, axis, lax.max if largest else lax.min, identity(x.dtype, largest))
    return [x]


def won(x: Array, *, window: Window, space, largest: bool) -> list[Array]:
    """The value and the tap of the winner."""
    y, taps, weight, dtype = x, None, 1, tap_dtype(window)
    for axis in reversed(range(window.rank)):
        y, taps = _won_axis(y, taps, window, axis, weight, largest)
        weight *= window.size[axis]
    assert taps is not None
    void = ~_outer([first >= 0 for first in _first_taps(window, space)])
    return [y, jnp.where(void[..., None], dtype.type(window.taps), taps) if void.any() else taps]


def _won_axis(x: Array, taps: Array | None, window: Window, axis: int, weight: int, largest: bool):
    """One axis of `won`. XLA makes two loops for the two results, so the value has its own, shorter formula."""
    fill, begins = identity(x.dtype, largest), _first_taps(window, x.shape[1:-1])[axis]
    y = reduce_axis(x, window, axis, lax.max if largest else lax.min, fill)
    taps = jnp.zeros(x.shape, tap_dtype(window)) if taps is None else taps
    if len(runs(window, x.shape[1:-1], axis)) > RUNS:
        taps, _ = padded(taps, window, axis, np.zeros((), taps.dtype))
        x, window = padded(x, window, axis, fill)
    pieces = [
        _code(x, taps, window, axis, run, begins[run.first : run.end], weight, largest)
        for run in runs(window, x.shape[1:-1], axis)
    ]
    return y, join(pieces, axis)


def _code(x, taps, window: Window, axis: int, run: Run, begins: np.ndarray, weight: int, largest: bool) -> Array:
    """The winner's tap for the outputs of a run; padding gives way to the first pixel on the image even if no larger."""
    if not run.taps:
        return jnp.zeros((*x.shape[: axis + 1], run.end - run.first, *x.shape[axis + 2 :]), taps.dtype)
    sees = lambda v, tap: view(v, window, axis, run, tap)
    code = lambda tap: sees(taps, tap) + taps.dtype.type(tap * weight)
    best, found = sees(x, run.taps[0]), code(run.taps[0])
    for tap in run.taps[1:]:
        v = sees(x, tap)
        wins = (v > best) if largest else (v < best)
        if jnp.issubdtype(x.dtype, jnp.floating):
            wins |= v != v
        if (begins == tap).any():
            wins |= lax.broadcast_in_dim(begins == tap, v.shape, (axis + 1,))
        best, found = jnp.where(wins, v, best), jnp.where(wins, code(tap), found)
    return found


def taken(t: Array, taps: Array, *, window: Window, space) -> list[Array]:
    """The pixel of each winner; 0 where there was none."""
    y, dtype = jnp.zeros(taps.shape, t.dtype), tap_dtype(window)
    for number, at in enumerate(np.ndindex(*window.size)):
        v = t
        for axis, tap in enumerate(at):
            v = _shifted(v, window, space, axis, tap, np.zeros((), t.dtype))
        y = jnp.where(taps == dtype.type(number), v, y)
    return [y]


def given(g: Array, taps: Array, *, window: Window, space) -> list[Array]:
    """Each pixel's sum over the outputs that it won. 16-bit floats are added in float32 and rounded once."""
    n, c, result = g.shape[0], g.shape[-1], g.dtype
    wide = jnp.dtype(jnp.float32) if result.itemsize < 4 else result
    if 0 in g.shape:
        return [jnp.zeros((n, *space, c), result)]
    blocks = [-(-size // s) for size, s in zip(space, window.stride)]
    reach = [_reach(window, axis) for axis in range(window.rank)]
    g, low = _around(g, blocks, reach, np.zeros((), g.dtype))
    taps, _ = _around(taps, blocks, reach, np.array(window.taps, taps.dtype))
    total = jnp.zeros((), wide)
    for move in itertools.product(*reach):
        start = [a + d for a, d in zip(low, move)]
        stop = [a + b for a, b in zip(start, blocks)]
        near = (lax.slice(v, (0, *start, 0), (n, *stop, c)) for v in (g, taps))
        value, tap = (v.reshape(n, *itertools.chain(*((b, 1) for b in blocks)), c) for v in near)  # (n, u, 1, …, c)
        total += jnp.where(tap == _pointing(window, move), value, np.zeros((), g.dtype)).astype(wide)
    whole = total.reshape(n, *(b * s for b, s in zip(blocks, window.stride)), c)  # (n, stride·u + a, …, c)
    return [whole[:, *(slice(size) for size in space)].astype(result)]


def _reach(window: Window, axis: int) -> list[int]:
    """Which outputs, counted from its own block, can see some pixel of a block."""
    s, d, k, low = window.stride[axis], window.dilation[axis], window.size[axis], window.padding[axis][0]
    return sorted({(a + low - t * d) // s for a in range(s) for t in range(k) if (a + low - t * d) % s == 0})


def _around(v: Array, blocks, reach, fill: np.ndarray) -> tuple[Array, list[int]]:
    """`v` with room for every move, and how much of it lies in front."""
    low = [max(0, -moves[0]) if moves else 0 for moves in reach]
    high = [max(0, b + moves[-1] - o) if moves else 0 for b, moves, o in zip(blocks, reach, v.shape[1:-1])]
    if not any([*low, *high]):
        return v, low
    return lax.pad(v, fill, [(0, 0, 0), *((a, b, 0) for a, b in zip(low, high)), (0, 0, 0)]), low


def _pointing(window: Window, move) -> np.ndarray:
    """The tap by which the output at `move` sees pixel `a` of a block: `(1, stride, 1, stride, 1)`, or never."""
    dtype, number, seen = tap_dtype(window), np.zeros((), int), np.ones((), bool)
    for k, s, d, (low, _), delta in zip(window.size, window.stride, window.dilation, window.padding, move):
        tap, rest = np.divmod(np.arange(s) + low - s * delta, d)
        seen = seen[..., None] & (rest == 0) & (tap >= 0) & (tap < k)
        number = number[..., None] * k + tap
    codes = np.where(seen, number, window.taps + 1).astype(dtype)
    return codes.reshape(*itertools.chain(*((1, s) for s in window.stride)), 1)


def _first_taps(window: Window, space) -> list[np.ndarray]:
    """For each axis and output the first tap on the image, -1 if there is none."""
    firsts = []
    for axis, (n, outputs) in enumerate(zip(space, window.output_size(space))):
        inside = ([0 <= p < n for p in window.pixels(axis, o)] for o in range(outputs))
        firsts.append(np.array([seen.index(True) if any(seen) else -1 for seen in inside], int))
    return firsts


def _outer(axes: list[np.ndarray]) -> np.ndarray:
    result = axes[0]
    for axis in axes[1:]:
        result = result[..., None] & axis
    return result


def _shifted(x: Array, window: Window, space, axis: int, tap: int, fill: np.ndarray) -> Array:
    """The pixels that the outputs see through one tap of one axis; `fill` where that is padding, of which no copy is made."""
    stride, outputs = window.stride[axis], window.output_size(space)[axis]
    offset = tap * window.dilation[axis] - window.padding[axis][0]
    first, end = max(0, -(offset // stride)), min(outputs, (space[axis] - 1 - offset) // stride + 1)
    if first >= end:
        return jnp.full((*x.shape[: axis + 1], outputs, *x.shape[axis + 2 :]), fill)
    start = first * stride + offset
    inside = every(x, start, end - first, stride, axis + 1)
    around = [(first, outputs - end, 0) if i == axis + 1 else (0, 0, 0) for i in range(x.ndim)]
    return lax.pad(inside, fill, around) if end - first < outputs else inside
