"""Where the maxima came from, and back: `max_pool_with_indices` and `max_unpool`, each also 1d, 2d and 3d.

An index is the number of a pixel of the image without its padding, counted row by row over the spatial axes, one for
each channel (PyTorch's).
"""

from collections.abc import Sequence
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jaxtyping import Int, Shaped

from jaxcnn.geometry import Padding, Window, per_axis

from . import _check
from ._pad import _NUMPY, kept
from ._pool import on_image, resolve
from ._widened import widened
from .engine import extreme_winner, placed

Ints = int | Sequence[int]


def max_pool_with_indices(
    x: Shaped[Array, "n *space c"],
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> tuple[Shaped[Array, "n *outputs c"], Int[Array, "n *outputs c"]]:
    """`max_pool` and the pixel that each output was taken from, differentiable in the values.

    The first of equal pixels wins, row by row, and the last of several NaN. With a `padding_mode` that puts real pixels
    around the image, the index is that of the pixel they copy.

    Returns: the values, as `max_pool`, and int32 indices of the same shape.

    Raises: as `max_pool`; ValueError for an image of more than 2³¹ − 1 pixels.

    >>> x = jnp.array([[4.0, 3, 1, 5], [1, 3, 4, 8], [4, 5, 4, 3], [6, 5, 9, 4]])[None, :, :, None]
    >>> values, indices = max_pool_with_indices(x, 2)
    >>> indices[0, :, :, 0].tolist()
    [[0, 7], [12, 14]]
    """
    name, pixels = "max_pool_with_indices", x
    x, full, border = resolve(name, pixels, window, stride, padding, padding_mode, dilation, ceil_mode)
    _check.ordered(name, x)
    on_image(name, full, x.shape[1:-1])
    space = _check.images(name, pixels).shape[1:-1]
    if np.prod(space, dtype=float) > np.iinfo(np.int32).max:
        raise ValueError(
            f"{name}: x is {_check.describe(x)}, more pixels an image than int32 can count; cut it in tiles"
        )
    options = {"stride": window if stride is None else stride, "padding": padding, "dilation": dilation, "name": name}
    asked = Window.resolve(window, space, **options).padding
    sources = [np.arange(n)[kept(n, pair)] for n, pair in zip(space, asked)]
    if padding_mode != "zeros":
        sources = [np.pad(s, pair, mode=_NUMPY[padding_mode]) for s, pair in zip(sources, border)]
    values, taps = extreme_winner(x, full, largest=True)
    return values, _pixels(taps, full, space, sources)


def max_unpool(
    y: Shaped[Array, "n *outputs c"], indices: Int[Array, "n *outputs c"], *, output_size: Ints
) -> Shaped[Array, "n *output_size c"]:
    """Puts each value back on the pixel that its index names; all other pixels are 0.

    Index -1 names no pixel and its value is left out. Where several outputs name one pixel, one of them stays there
    (which one is not said; after `max_pool_with_indices` they are equal).

    Args:
        indices: integers, as from `max_pool_with_indices`.
        output_size: spatial size of the result.

    Raises: ValueError for shapes that differ and, outside `jit`, for an index outside the image; inside `jit` such a
        value is left out. TypeError for indices that are not integers.

    >>> values, indices = max_pool_with_indices(jnp.array([3.0, 1, 2, 5])[None, :, None], 2)
    >>> max_unpool(values, indices, output_size=4)[0, :, 0].tolist()
    [3.0, 0.0, 0.0, 5.0]
    """
    y, indices = _check.images("max_unpool", y, what="y"), _check.array("max_unpool", "indices", indices)
    space = per_axis(output_size, y.ndim - 2, what="output_size", name="max_unpool", least=1)
    _check_indices(y, indices, space)
    return placed(_put, widened(y), indices, space=space).astype(y.dtype)


def _put(y: Array, indices: Array, space: tuple[int, ...]) -> Array:
    n, *outputs, c = y.shape
    named, count = prod(outputs), prod(space)
    where = jnp.where(indices < 0, count, indices.astype(jnp.int32)).reshape(n, named, c)  # (n, outputs, c)
    put = lambda at, values: jnp.zeros((count, c), y.dtype).at[at, jnp.arange(c)].set(values, mode="drop")
    flat = jax.vmap(put)(where, y.reshape(n, named, c))  # (n, pixels, c); mapped, so that a split batch is not gathered
    return flat.reshape(n, *space, c)


max_pool1d_with_indices, max_pool2d_with_indices, max_pool3d_with_indices = (
    _check.ranked(max_pool_with_indices, rank, suffix="_with_indices") for rank in (1, 2, 3)
)
max_unpool1d, max_unpool2d, max_unpool3d = (_check.ranked(max_unpool, rank, what="y") for rank in (1, 2, 3))


def _pixels(taps: Array, window: Window, space: Sequence[int], sources: list[np.ndarray]) -> Array:
    """Flat pixel numbers, from the taps that won; `sources` says which pixel of the image each one of x is."""
    rest, flat, weight = taps.astype(jnp.int32), jnp.zeros(taps.shape, jnp.int32), 1
    for axis in reversed(range(window.rank)):
        k, s, d = window.size[axis], window.stride[axis], window.dilation[axis]
        around = (*[1] * (axis + 1), -1, *[1] * (window.rank - axis))
        first = jnp.arange(taps.shape[axis + 1], dtype=jnp.int32).reshape(around) * s - window.padding[axis][0]
        pixel = first + rest % k * d
        if not np.array_equal(sources[axis], np.arange(space[axis])):
            pixel = jnp.asarray(sources[axis], jnp.int32).at[pixel].get(mode="clip")
        flat, rest, weight = flat + pixel * weight, rest // k, weight * space[axis]
    return flat


def _check_indices(y: Array, indices: Array, space: Sequence[int]) -> None:
    if not jnp.issubdtype(indices.dtype, jnp.integer):
        raise TypeError(f"max_unpool: indices is {_check.describe(indices)}; it must hold integers")
    if indices.shape != y.shape:
        raise ValueError(
            f"max_unpool: y is {_check.describe(y)} but indices is {_check.describe(indices)}; both need one shape"
        )
    if isinstance(indices, Tracer) or indices.size == 0:
        return
    known = np.asarray(indices)  # concrete also where a function under jit closes over them
    low, high, count = int(known.min()), int(known.max()), int(np.prod(space))
    if low < -1 or high >= count:
        raise ValueError(
            f"max_unpool: indices reach from {low} to {high} but output_size={tuple(space)} has {count} pixels; "
            f"use 0 to {count - 1}, or -1 for none"
        )
