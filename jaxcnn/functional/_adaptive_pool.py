"""Pooling to a given size: `adaptive_avg_pool`, `adaptive_max_pool`, `adaptive_max_pool_with_indices`, each also 1d, 2d and 3d.

On an axis of n pixels with o outputs, output i sees the pixels (PyTorch's rule)

    ⌊i n / o⌋ … ⌈(i + 1) n / o⌉ − 1

so 10 → 4 starts at 0, 2, 5, 7 and neighbours may share a pixel (`geometry.Bins`). Where o divides n on every axis it is
`avg_pool` or `max_pool` with a window of n / o.

Common arguments:
    output_size: outputs, an int or one entry an axis; None keeps the size of the axis.
"""

from collections.abc import Sequence
from math import prod

import jax.numpy as jnp  # noqa: F401 (the examples)
import numpy as np
from jax import Array
from jaxtyping import Float, Int, Shaped

from jaxcnn.geometry import Bins, Window, per_axis

from . import _check
from ._pool import outer
from ._widened import widened
from .engine import extreme, extreme_winner, pixel_numbers, placed, total
from .lowering import bounds

Size = int | None | Sequence[int | None]


def adaptive_avg_pool(x: Float[Array, "n *space c"], output_size: Size) -> Float[Array, "n *output_size c"]:
    """Mean of each window. Sums of 16-bit floats are accumulated in float32.

    Raises: ValueError for sizes that do not fit, TypeError for integers.

    >>> adaptive_avg_pool(jnp.arange(10.0)[None, :, None], 4)[0, :, 0].tolist()
    [1.0, 3.0, 6.0, 8.0]
    """
    x, sizes = _resolve("adaptive_avg_pool", x, output_size)
    _check.floating("adaptive_avg_pool", x)
    return placed(_mean, widened(x), sizes=sizes).astype(x.dtype)


def _mean(x: Array, sizes: Sequence[int]) -> Array:
    space, window = x.shape[1:-1], _window(x.shape[1:-1], sizes)
    limits = [bounds(Bins(((n, o),)), n, 0) for n, o in zip(space, sizes)]
    return total(x, window) / outer([past - first for first, past in limits], x.dtype)


def adaptive_max_pool(x: Shaped[Array, "n *space c"], output_size: Size) -> Shaped[Array, "n *output_size c"]:
    """Largest pixel of each window; NaN if there is one. Gradients go where `max_pool` sends them.

    Raises: ValueError for sizes that do not fit, TypeError for complex numbers.

    >>> adaptive_max_pool(jnp.arange(10.0)[None, :, None], 4)[0, :, 0].tolist()
    [2.0, 4.0, 7.0, 9.0]
    """
    x, sizes = _resolve("adaptive_max_pool", x, output_size)
    _check.ordered("adaptive_max_pool", x)
    return placed(_largest, x, sizes=sizes)


def _largest(x: Array, sizes: Sequence[int]) -> Array:
    return extreme(x, _window(x.shape[1:-1], sizes), largest=True)


def adaptive_max_pool_with_indices(
    x: Shaped[Array, "n *space c"], output_size: Size
) -> tuple[Shaped[Array, "n *output_size c"], Int[Array, "n *output_size c"]]:
    """`adaptive_max_pool` and the pixel that each output was taken from, as `max_pool_with_indices` counts them.

    The first of equal pixels wins, row by row, and the last of several NaN.

    Raises: as `adaptive_max_pool`; ValueError for an image of more than 2³¹ − 1 pixels.

    >>> adaptive_max_pool_with_indices(jnp.arange(10.0)[None, :, None], 4)[1][0, :, 0].tolist()
    [2, 4, 7, 9]
    """
    name = "adaptive_max_pool_with_indices"
    x, sizes = _resolve(name, x, output_size)
    _check.ordered(name, x)
    if prod(x.shape[1:-1]) > np.iinfo(np.int32).max:
        raise ValueError(
            f"{name}: x is {_check.describe(x)}, more pixels an image than int32 can count; cut it in tiles"
        )
    return placed(_winners, x, sizes=sizes)


def _winners(x: Array, sizes: Sequence[int]) -> tuple[Array, Array]:
    space, window = x.shape[1:-1], _window(x.shape[1:-1], sizes)
    values, taps = extreme_winner(x, window, largest=True)
    return values, pixel_numbers(taps, window, space)


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d = (
    _check.ranked(adaptive_avg_pool, rank) for rank in (1, 2, 3)
)
adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d = (
    _check.ranked(adaptive_max_pool, rank) for rank in (1, 2, 3)
)
adaptive_max_pool1d_with_indices, adaptive_max_pool2d_with_indices, adaptive_max_pool3d_with_indices = (
    _check.ranked(adaptive_max_pool_with_indices, rank, suffix="_with_indices") for rank in (1, 2, 3)
)


def _resolve(name: str, x, output_size) -> tuple[Array, tuple[int, ...]]:
    x = _check.images(name, x)
    space = x.shape[1:-1]
    if output_size is None:
        return x, space
    if isinstance(output_size, tuple | list) and len(output_size) == len(space):
        output_size = tuple(n if o is None else o for o, n in zip(output_size, space))
    return x, per_axis(output_size, len(space), what="output_size", name=name, least=1)


def _window(space: tuple[int, ...], sizes: Sequence[int]) -> Window | Bins:
    if any(n % o for n, o in zip(space, sizes)):
        return Bins(tuple(zip(space, sizes)))
    size = tuple(n // o for n, o in zip(space, sizes))
    return Window.resolve(size, space, stride=size)
