"""How the four programs of a maximum run: rows of tables taken, compared and selected, which XLA fuses into single loops.

Going back, pixel `stride · u + a` looks at the few outputs `u + δ` whose windows can reach it and adds those whose stored tap is
the one that points to it,

    stride · δ + tap · dilation = a + low

so that the result is written once, in order, without spreading anything apart.
"""

import itertools
from collections.abc import Callable
from functools import partial
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxcnn.geometry import Bins, Window

from ..lowering import Run, join, on_image, runs, view
from ._doubling import is_long
from ._long import MOVES, first_taps, given_by_number, taken_by_number, won_axis
from ._views import (
    NONE,
    RUNS,
    combine_rows,
    nearest,
    padded,
    reduce_axis,
    reduce_run,
    reduce_window,
    seen,
    seers,
    seers_most,
    take_row,
)

PARTS = 32  # that a whole image is cut in
FEW = 4  # taps, which are compared anew as fast as their winner is stored and read


def tap_dtype(window: Window | Bins) -> np.dtype:
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


def reduced(x: Array, *, window: Window | Bins, space, largest: bool) -> list[Array]:
    """The value alone, as XLA's own window reduction."""
    if isinstance(window, Bins):
        return [_by_rows(x, window, largest)]
    return [reduce_window(x, window, lax.max if largest else lax.min, identity(x.dtype, largest))]


def chained(x: Array, *, window: Window | Bins, space, largest: bool) -> list[Array]:
    """The value alone on CPU: axis by axis over rows, where XLA's reduction goes pixel by pixel: up to 400 times as fast."""
    if x.size and window.output_size(space) == (1,) * window.rank and _covers(window, space):
        return [apart(partial(_whole, largest=largest), x)]
    return [_by_rows(x, window, largest)]


def _by_rows(x: Array, window: Window | Bins, largest: bool) -> Array:
    for axis in reversed(range(window.rank)):
        x = reduce_axis(x, window, axis, lax.max if largest else lax.min, identity(x.dtype, largest))
    return x


def _covers(window: Window | Bins, space) -> bool:
    """Whether the first output sees every pixel of the image; as many taps as pixels do not say so."""
    every = lambda n, pixels: len(pixels) >= n and (n == 1 or pixels.step == 1) and {0, n - 1}.issubset(pixels)
    return all(every(n, window.pixels(axis, 0)) for axis, n in enumerate(space))


def _whole(x: Array, largest: bool) -> Array:
    """One window, which is the image: cut in parts, these compared in pairs. XLA:CPU's own maximum loses NaN (0.10.2, 0.12)."""
    n, *space, c = x.shape
    x = x.reshape(n, prod(space), c)
    while (pixels := x.shape[1]) > 1:
        length = -(-pixels // PARTS)
        # the last part shares pixels with the one before it, which changes no extreme
        starts = [min(start, pixels - length) for start in range(0, pixels, length)]
        parts = [lax.slice_in_dim(x, start, start + length, axis=1) for start in starts]
        while len(parts) > 1:
            pairs = [(lax.max if largest else lax.min)(a, b) for a, b in zip(parts[::2], parts[1::2])]
            parts = pairs + parts[2 * len(pairs) :]
        x = parts[0]
    return x.reshape(n, *(1 for _ in space), c)


def apart(function: Callable, *arrays: Array):
    """`function(*arrays)` as a program of its own, on CPU: the branch that is always taken, into which XLA merges nothing.

    XLA computes what is cheap anew for every pixel of what comes after: a winner's comparisons for each pixel that looks at
    it. It cannot see that this branch is always taken; `optimization_barrier` alone it removes before it merges loops.
    """
    never = lambda *arrays: jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), jax.eval_shape(function, *arrays))
    return lax.cond(lax.optimization_barrier(np.True_), function, never, *arrays)


def plain(function: Callable, *arrays):
    """`function(*arrays)`."""
    return function(*arrays)


def won(x: Array, *, window: Window | Bins, space, largest: bool, keep: Callable = plain) -> list[Array]:
    """The value and the tap of the winner. `keep` calls what doubling joins runs by; on CPU it is `apart`.

    It is found axis by axis, the last first: Σ sizes comparisons instead of Π sizes, and the same winner, because the first of
    equal rows holds the first of equal pixels. Beside taps of 8 bits XLA:CPU does not vectorise what is taken by numbers, so that
    these loops look at slices alone, the border's outputs apart; the value that is returned is not theirs.
    """
    if any(is_long(window, axis) for axis in range(window.rank)):
        return _won_by_doubling(x, window, space, largest, keep)
    if isinstance(window, Bins):
        return _won_by_tables(x, window, largest)
    y, taps, weight, dtype = _by_rows(x, window, largest), None, 1, tap_dtype(window)
    for axis in reversed(range(window.rank)):
        x, taps = _won_axis(x, taps, window, axis, weight, largest)
        weight *= window.size[axis]
    assert taps is not None
    void = first_taps(window, space)[1]
    return [y, jnp.where(void, dtype.type(window.taps), taps) if void.any() else taps]


def _won_by_doubling(x: Array, window: Window | Bins, space, largest: bool, keep: Callable) -> list[Array]:
    """The same where a window has many taps on some axis."""
    fill, taps, weight = identity(x.dtype, largest), jnp.zeros(x.shape, tap_dtype(window)), 1
    for axis in reversed(range(window.rank)):
        if is_long(window, axis):
            x, taps = won_axis(x, taps, window, axis, weight, largest, fill, keep)
        elif isinstance(window, Bins):
            x, taps = _won_axis_by_tables(x, taps, window, axis, weight, largest)
        else:
            x, taps = _won_axis(x, taps, window, axis, weight, largest)
        weight *= window.size[axis]
    first, void = first_taps(window, space)
    if first.any():
        taps = jnp.where(x == fill, first.astype(taps.dtype), taps)
    return [x, jnp.where(void, taps.dtype.type(window.taps), taps) if void.any() else taps]


def won_once(x: Array, *, window: Window | Bins, space, largest: bool) -> list[Array]:
    """`won` on CPU: the search is done once and its result kept, but for few taps, which are compared anew as fast."""
    search = partial(won, window=window, space=space, largest=largest)
    if window.taps <= FEW:
        return search(x)
    if any(is_long(window, axis) for axis in range(window.rank)):
        return search(x, keep=apart)
    return [*chained(x, window=window, space=space, largest=largest), apart(lambda x: search(x)[1], x)]


def _won_axis(x: Array, taps: Array | None, window: Window, axis: int, weight: int, largest: bool):
    """One axis of `won`. XLA makes two loops for the two results, so the value has its own, shorter formula."""
    fill, begins = identity(x.dtype, largest), on_image(window, x.shape[1:-1], axis)[0]
    taps = jnp.zeros(x.shape, tap_dtype(window)) if taps is None else taps
    if len(runs(window, x.shape[1:-1], axis)) > RUNS:
        taps, _ = padded(taps, window, axis, np.zeros((), taps.dtype))
        x, window = padded(x, window, axis, fill)
    found = runs(window, x.shape[1:-1], axis)
    values = [reduce_run(x, window, axis, run, lax.max if largest else lax.min, fill) for run in found]
    codes = [_code(x, taps, window, axis, run, begins[run.first : run.end], weight, largest) for run in found]
    return join(values, axis), join(codes, axis)


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


def _won_by_tables(x: Array, window: Bins, largest: bool) -> list[Array]:
    """The same where outputs are not evenly spaced."""
    taps, weight = jnp.zeros(x.shape, tap_dtype(window)), 1
    for axis in reversed(range(window.rank)):
        x, taps = _won_axis_by_tables(x, taps, window, axis, weight, largest)
        weight *= window.size[axis]
    return [x, taps]


def _won_axis_by_tables(x: Array, taps: Array, window: Bins, axis: int, weight: int, largest: bool):
    fill, dtype = identity(x.dtype, largest), taps.dtype
    numbers, pixels = nearest(seen(window, x.shape[1:-1], axis))
    numbers = (numbers * weight).astype(dtype).reshape(len(pixels), *[1] * (axis + 1), -1, *[1] * (x.ndim - axis - 2))
    code = lambda tap: take_row(taps, pixels[tap], axis, np.zeros((), dtype)) + numbers[tap]
    best, found = take_row(x, pixels[0], axis, fill), code(0)
    for tap, row in enumerate(pixels[1:], start=1):
        v = take_row(x, row, axis, fill)
        wins = (v > best) if largest else (v < best)
        if jnp.issubdtype(x.dtype, jnp.floating):
            wins |= v != v
        best, found = jnp.where(wins, v, best), jnp.where(wins, code(tap), found)
    return combine_rows(x, pixels, axis, lax.max if largest else lax.min, fill), found


def _along(numbers: np.ndarray, axis: int, rank: int) -> np.ndarray | Array:
    """Numbers of a spatial axis as `(1, …, o, …, 1)`; one where all are equal."""
    if (numbers == numbers[0]).all():
        return np.full((), numbers[0], np.int32)
    return jnp.asarray(numbers, np.int32).reshape(*[1] * (axis + 1), -1, *[1] * (rank - axis))


def taken(t: Array, taps: Array, *, window: Window | Bins, space) -> list[Array]:
    """The pixel of each winner; 0 where there was none."""
    zero, dtype = np.zeros((), t.dtype), tap_dtype(window)
    if window.taps > MOVES:
        return [taken_by_number(t, taps, window, space)]
    pixels = [nearest(seen(window, space, axis))[1] for axis in range(window.rank)]
    y = jnp.zeros(taps.shape, t.dtype)
    for number, at in enumerate(np.ndindex(*window.size)):
        v = t
        for axis, tap in enumerate(at):
            v = take_row(v, pixels[axis][tap], axis, zero)
        y = jnp.where(taps == dtype.type(number), v, y)
    return [y]


def given(g: Array, taps: Array, *, window: Window | Bins, space, split: bool = True) -> list[Array]:
    """Each pixel's sum over the outputs that it won. 16-bit floats are added in float32 and rounded once."""
    if g.size and prod(map(partial(seers_most, window, space), range(window.rank))) > MOVES:
        return [given_by_number(g, taps, window, space, split=split)]
    if isinstance(window, Bins):
        return _given_by_tables(g, taps, window, space)
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


def _given_by_tables(g: Array, taps: Array, window: Bins, space) -> list[Array]:
    """The same where the outputs that see a pixel are not evenly spaced."""
    wide, zero = jnp.dtype(jnp.float32) if g.dtype.itemsize < 4 else g.dtype, np.zeros((), g.dtype)
    tables = [seers(window, space, axis) for axis in range(window.rank)]
    total = jnp.zeros((g.shape[0], *space, g.shape[-1]), wide)
    for places in itertools.product(*(range(len(outputs)) for outputs, _ in tables)):
        value, tap, pointing = g, taps.astype(jnp.int32), np.zeros((), np.int32)
        for axis, (place, (outputs, through)) in enumerate(zip(places, tables)):
            row = np.maximum(outputs[place], 0)
            value, tap = take_row(value, row, axis, zero), take_row(tap, row, axis, np.zeros((), np.int32))
            code = np.where(through[place] == NONE, -2 * window.taps, through[place] * prod(window.size[axis + 1 :]))
            pointing = pointing + _along(code, axis, window.rank)
        total += jnp.where(tap == pointing, value, zero).astype(wide)
    return [total.astype(g.dtype)]


def _reach(window: Window, axis: int) -> list[int]:
    """Which outputs, counted from its own block, can see some pixel of a block."""
    s, d, k, low = window.stride[axis], window.dilation[axis], window.size[axis], window.padding[axis][0]
    return sorted({-((t * d - low) // s) for t in range(k)})


def _around(v: Array, blocks, reach, fill: np.ndarray) -> tuple[Array, list[int]]:
    """`v` with room for every move, and how much of it lies in front."""
    low = [max(0, -moves[0]) if moves else 0 for moves in reach]
    high = [max(0, b + moves[-1] - o) if moves else 0 for b, moves, o in zip(blocks, reach, v.shape[1:-1])]
    if not any([*low, *high]):
        return v, low
    return lax.pad(v, fill, [(0, 0, 0), *((a, b, 0) for a, b in zip(low, high)), (0, 0, 0)]), low


def _pointing(window: Window, move) -> np.ndarray:
    """The tap by which the output at `move` sees pixel `a` of a block: `(1, 1, stride, 1, stride, 1)`, or never."""
    dtype, number, seen = tap_dtype(window), np.zeros((), int), np.ones((), bool)
    for k, s, d, (low, _), delta in zip(window.size, window.stride, window.dilation, window.padding, move):
        tap, rest = np.divmod(np.arange(s) + low - s * delta, d)
        seen = seen[..., None] & (rest == 0) & (tap >= 0) & (tap < k)
        number = number[..., None] * k + tap
    codes = np.where(seen, number, window.taps + 1).astype(dtype)
    return codes.reshape(1, *itertools.chain(*((1, s) for s in window.stride)), 1)
