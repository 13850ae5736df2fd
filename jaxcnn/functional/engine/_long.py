"""Winners of windows of many taps: found by doubling, and taken and given by their pixels' numbers, not tap by tap.

With the extremes of all runs at hand the winner is found from the longest run down: what does not hold the window's extreme is
passed over. The last of several NaN is the largest number of a pixel that is one. Where nothing on the image is better than the
padding, the first pixel on the image wins, which is put in at the end.
"""

from collections.abc import Callable
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxcnn.geometry import Bins, Window

from ..lowering import bounds, on_image
from ._doubling import doubled_axis, padded_axis, runs_of

MOVES = 64  # outputs that look at a pixel, or taps of a window, above which pixels go by number


def won_axis(x: Array, taps: Array, window: Window | Bins, axis: int, weight: int, largest: bool, fill, keep: Callable):
    """One axis: the value, and the winner's tap of this axis (times `weight`) and the axes behind it.

    `keep(function, array)` calls a function so that XLA does not compute its results again where they are read.
    """
    at, best, begins, lengths = axis + 1, lax.max if largest else lax.min, *_lines(window, axis, x.ndim, x.shape[1:-1])
    over = lambda v, fill, op: doubled_axis([v], window, axis, lambda a, b, _: [op(a[0], b[0])], [fill])[0]
    y, nan, low, d = over(x, fill, best), x != x, 0, 1
    if isinstance(window, Window):
        (low, _), d = window.padding[axis], window.dilation[axis]
        x, taps = padded_axis(x, window, axis, fill), padded_axis(taps, window, axis, np.zeros((), taps.dtype))
    found, steps = runs_of(window, axis, x.shape[at], y.shape[at])
    levels, tap = keep(lambda x: found(x, best), x), jnp.zeros(y.shape, jnp.int32)
    sees = lambda v, tap, step: jnp.take_along_axis(v, (begins + tap * d) // step, at, mode="clip")
    for j in reversed(range(len(steps))):  # the most taps of the window in front of which there is no winner
        passed = (tap + (1 << j) < lengths) & (sees(levels[j], tap, steps[j]) != y)
        tap = jnp.where(passed, tap + (1 << j), tap)
    if jnp.issubdtype(x.dtype, jnp.floating):
        last = over(jnp.where(nan, lax.broadcasted_iota(jnp.int32, nan.shape, at), -1), np.int32(-1), lax.max)
        tap = jnp.where(last < 0, tap, (last + low - begins) // d)
    return y, sees(taps, tap, 1) + tap.astype(taps.dtype) * taps.dtype.type(weight)


def _lines(window: Window | Bins, axis: int, ndim: int, space) -> tuple[np.ndarray, np.ndarray]:
    """Where the windows of an axis begin, its padding counted, and how many taps they have: `(outputs, 1, …)`."""
    outputs, shape = window.output_size(space)[axis], (-1, *[1] * (ndim - axis - 2))
    if isinstance(window, Bins):
        first, past = bounds(window, space[axis], axis)
    else:
        first = np.arange(outputs) * window.stride[axis]
        past = first + window.size[axis]
    return first.astype(np.int32).reshape(shape), (past - first).astype(np.int32).reshape(shape)


def first_taps(window: Window | Bins, space) -> tuple[np.ndarray, np.ndarray]:
    """For each output, without channels, the number of its first tap on the image, and whether it has none."""
    first, void = np.zeros((), int), np.zeros((), bool)
    for axis in range(window.rank):
        if isinstance(window, Bins):
            begins = past = np.ones(window.output_size(space)[axis], int)
            begins = begins * 0
        else:
            begins, past = on_image(window, space, axis)
        first = first[..., None] * window.size[axis] + begins
        void = void[..., None] | (past == 0)
    return first[..., None], void[..., None]


def pixel_numbers(taps: Array, window: Window | Bins, space) -> Array:
    """The flat number of the pixel under each tap; what lies beyond the image is brought to its border."""
    rest, flat, weight = taps.astype(jnp.int32), jnp.zeros(taps.shape, jnp.int32), 1
    for axis in reversed(range(window.rank)):
        k, n, around = window.size[axis], space[axis], (-1, *[1] * (window.rank - axis))
        if isinstance(window, Bins):
            first, d = bounds(window, n, axis)[0], 1
        else:
            first = np.arange(taps.shape[axis + 1]) * window.stride[axis] - window.padding[axis][0]
            d = window.dilation[axis]
        pixel = first.astype(np.int32).reshape(around) + rest % k * d
        flat, rest, weight = flat + jnp.clip(pixel, 0, n - 1) * weight, rest // k, weight * n
    return flat


def taken_by_number(t: Array, taps: Array, window: Window | Bins, space) -> Array:
    """The pixel of each winner; 0 where there was none."""
    n, c = t.shape[0], t.shape[-1]
    numbers = pixel_numbers(taps, window, space).reshape(n, -1, c)
    y = jnp.take_along_axis(t.reshape(n, prod(space), c), numbers, 1, mode="promise_in_bounds")
    return jnp.where(taps < _none(window, taps), y.reshape(taps.shape), np.zeros((), t.dtype))


def given_by_number(g: Array, taps: Array, window: Window | Bins, space, *, split: bool) -> Array:
    """Each pixel's sum over the outputs that it won; image by image where the compiler may have split the batch."""
    n, c, pixels = g.shape[0], g.shape[-1], prod(space)
    wide = g.astype(jnp.float32) if g.dtype.itemsize < 4 else g
    wide = jnp.where(taps < _none(window, taps), wide, np.zeros((), wide.dtype)).reshape(n, -1, c)
    numbers = pixel_numbers(taps, window, space).reshape(n, -1, c)
    put = lambda at, values: jnp.zeros(pixels * c, wide.dtype).at[at].add(values, mode="promise_in_bounds")
    numbers = numbers * c + jnp.arange(c, dtype=jnp.int32)
    if split:
        dx = jax.vmap(put)(numbers.reshape(n, -1), wide.reshape(n, -1))
    else:  # one row of numbers: XLA:CPU adds to it seven times as fast
        rows = jnp.arange(n, dtype=jnp.int32)[:, None, None] * (pixels * c)
        dx = jnp.zeros(n * pixels * c, wide.dtype)
        dx = dx.at[(numbers + rows).reshape(-1)].add(wide.reshape(-1), mode="promise_in_bounds")
    return dx.reshape(n, *space, c).astype(g.dtype)


def _none(window: Window | Bins, taps: Array) -> np.ndarray:
    return np.array(window.taps, taps.dtype)
