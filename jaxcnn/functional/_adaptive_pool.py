"""Pooling to a given size: `adaptive_avg_pool`, `adaptive_max_pool`, `adaptive_max_pool_with_indices`, each also 1d, 2d and 3d.

On an axis of n pixels with o outputs, output i sees the pixels (PyTorch's rule)

    ⌊i n / o⌋ … ⌈(i + 1) n / o⌉ − 1

so 10 → 4 starts at 0, 2, 5, 7 and neighbours may share a pixel. With g = gcd(n, o) the windows repeat after o / g of them,
n / g pixels on: on each axis the outputs are o / g families of equal windows with stride n / g, each an ordinary pooling.
Where o divides n that is one family, `avg_pool` or `max_pool` with a window of n / o.

Common arguments:
    output_size: outputs, an int or one entry an axis; None keeps the size of the axis.
"""

from collections.abc import Sequence
from math import gcd, prod

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int, Shaped

from jaxcnn.geometry import Window, per_axis

from . import _check
from ._widened import widened
from .engine import extreme, extreme_winner, placed, total
from .lowering import every

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
    space = x.shape[1:-1]
    if all(n % o == 0 for n, o in zip(space, sizes)):
        window = tuple(n // o for n, o in zip(space, sizes))
        return total(x, Window.resolve(window, space, stride=window)) / np.asarray(prod(window), x.dtype)
    counts = np.ones(())
    for axis, o in enumerate(sizes, start=1):
        counts = counts[..., None] * [stop - start for start, stop in _windows(x.shape[axis], o)]
        x = _interleaved([total(*family) for family in _families(x, axis, o)], axis)
    return x / counts[..., None].astype(x.dtype)


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
    for axis in reversed(range(1, x.ndim - 1)):
        families = [extreme(*family, largest=True) for family in _families(x, axis, sizes[axis - 1])]
        x = _interleaved(families, axis)
    return x


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
    space = x.shape[1:-1]
    at = jnp.arange(prod(space), dtype=jnp.int32).reshape(1, *space, 1)
    for axis in reversed(range(1, x.ndim - 1)):
        values, places = [], []
        for (part, window), (where, _) in zip(
            _families(x, axis, sizes[axis - 1]), _families(at, axis, sizes[axis - 1])
        ):
            value, tap = extreme_winner(part, window, largest=True)
            values.append(value)
            places.append(_chosen(where, tap, window, axis))
        x, at = _interleaved(values, axis), _interleaved(places, axis)
    return x, at


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


def _windows(n: int, o: int) -> list[tuple[int, int]]:
    """First pixel and end of each window of an axis."""
    return [(i * n // o, -(-(i + 1) * n // o)) for i in range(o)]


def _families(x: Array, axis: int, o: int):
    """For each family of equal windows: the pixels it covers, and the window over them."""
    n, g = x.shape[axis], gcd(x.shape[axis], o)
    for start, stop in _windows(n, o)[: o // g]:
        part = lax.slice_in_dim(x, start, start + (g - 1) * (n // g) + stop - start, axis=axis)
        one = lambda value: tuple(value if a == axis else 1 for a in range(1, x.ndim - 1))
        yield part, Window(one(stop - start), one(n // g), ((0, 0),) * (x.ndim - 2), one(1))


def _interleaved(families: list[Array], axis: int) -> Array:
    """Output i of family j becomes output i · families + j."""
    if len(families) == 1:
        return families[0]
    y = jnp.stack(families, axis + 1)  # (n, …, g, o / g, …, c)
    return y.reshape(*y.shape[:axis], y.shape[axis] * len(families), *y.shape[axis + 2 :])  # (n, …, o, …, c)


def _chosen(at: Array, tap: Array, window: Window, axis: int) -> Array:
    """The entry of `at` under the tap that won, where `at` is one image or as many as `tap`."""
    k, s, o = window.size[axis - 1], window.stride[axis - 1], tap.shape[axis]
    chosen = jnp.zeros(tap.shape, at.dtype)
    for t in range(k):
        here = every(at, t, o, s, axis)
        chosen = jnp.where(tap == tap.dtype.type(t), here, chosen)
    return chosen
