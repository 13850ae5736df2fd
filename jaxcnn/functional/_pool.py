"""Pooling: `max_pool`, `min_pool`, `avg_pool`, `sum_pool`, each also 1d, 2d and 3d, and the global ones.

Each output is the maximum, minimum, mean or sum over the pixels of its window, channel by channel; there are no parameters.
x is `(n, *space, c)`, the result `(n, *outputs, c)` of the same dtype; outputs as in `conv`, one more at a ragged edge with
`ceil_mode`. Sums and means of 16-bit floats are accumulated in float32.

Common arguments:
    window: pixels, an int or one an axis.
    stride: None (the default) means `window`, as in PyTorch.
    padding: as in `conv`, "valid" by default; negative numbers crop the image.
    padding_mode: "zeros" means zeros for sums and averages, and pixels that never win for max and min; the other modes of
        `pad` put real pixels there.
    dilation: distance of neighbouring pixels of the window.
    ceil_mode: keep the ragged edge: a last window that starts inside the image or its low padding and is cut off by its end.
"""

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Num, Shaped

from jaxcnn.geometry import Padding, Window

from . import _check, _numbers
from ._broadcast import of_rank
from ._pad import MODES, cropped, pad_pairs
from ._widened import widened
from .engine import extreme, through_formula, total, whole

Ints = int | Sequence[int]


def max_pool(
    x: Shaped[Array, "n *space c"],
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Shaped[Array, "n *outputs c"]:
    """Largest pixel of each window; NaN if there is one. The arguments are described in the module.

    The gradient goes to the first of equal pixels, row by row, and to the last of several NaN (PyTorch's rules).

    Raises: ValueError for shapes that do not fit, an unknown word, a window larger than the padded image, or one that sees
        padding alone.

    >>> x = jnp.array([[4.0, 3, 1, 5], [1, 3, 4, 8], [4, 5, 4, 3], [6, 5, 9, 4]])[None, :, :, None]
    >>> max_pool(x, 2)[0, :, :, 0].tolist()
    [[4.0, 8.0], [6.0, 9.0]]
    """
    x, full, _ = resolve("max_pool", x, window, stride, padding, padding_mode, dilation, ceil_mode)
    _check.ordered("max_pool", x)
    on_image("max_pool", full, x.shape[1:-1])
    return extreme(x, full, largest=True)


def min_pool(
    x: Shaped[Array, "n *space c"],
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Shaped[Array, "n *outputs c"]:
    """Smallest pixel of each window; everything else as `max_pool`.

    >>> min_pool(jnp.array([3.0, 1, 2, 5])[None, :, None], 2)[0, :, 0].tolist()
    [1.0, 2.0]
    """
    x, full, _ = resolve("min_pool", x, window, stride, padding, padding_mode, dilation, ceil_mode)
    _check.ordered("min_pool", x)
    on_image("min_pool", full, x.shape[1:-1])
    return extreme(x, full, largest=False)


def sum_pool(
    x: Num[Array, "n *space c"],
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Num[Array, "n *outputs c"]:
    """Sum of each window. Integers keep their dtype and wrap; cast those of 8 bits first, `x.astype(jnp.int32)`.

    Raises: ValueError as `max_pool`, but a window of padding alone gives 0; TypeError for bool.

    >>> sum_pool(jnp.array([3.0, 1, 2, 5])[None, :, None], 2)[0, :, 0].tolist()
    [4.0, 7.0]
    """
    x, full, _ = resolve("sum_pool", x, window, stride, padding, padding_mode, dilation, ceil_mode)
    _check.same_dtype("sum_pool", x)
    return total(widened(x), full).astype(x.dtype)


def avg_pool(
    x: Float[Array, "n *space c"],
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor: float | Float[Array, ""] | None = None,
) -> Float[Array, "n *outputs c"]:
    """Mean of each window.

    Args:
        count_include_pad: whether padded zeros count as pixels, so that a window of nothing else gives 0; where they do not,
            such a window has no mean and is refused. What a ragged edge (`ceil_mode`) lacks never counts.
        divisor: divide every sum by this instead, a number or an array of one, which may be traced.

    Raises: as `max_pool`; TypeError for integers, ValueError for a divisor of 0.

    >>> x = jnp.array([[4.0, 3, 1, 5], [1, 3, 4, 8], [4, 5, 4, 3], [6, 5, 9, 4]])[None, :, :, None]
    >>> avg_pool(x, 2)[0, :, :, 0].tolist()
    [[2.75, 4.5], [5.0, 5.0]]
    """
    x, full, border = resolve("avg_pool", x, window, stride, padding, padding_mode, dilation, ceil_mode)
    _check.floating("avg_pool", x)
    if divisor is not None:
        divisor = _numbers.scalar("avg_pool", "divisor", divisor)
        if _numbers.concrete(divisor) == 0:
            raise ValueError("avg_pool: divisor=0 divides by zero; use another number, or None for the window's size")
    counts: list[list[int]] = []
    if divisor is None:
        if not count_include_pad:
            on_image("avg_pool", full, x.shape[1:-1])
        zeros_count = count_include_pad and padding_mode == "zeros"
        counts = full.overlap(x.shape[1:-1], border if zeros_count else None)
    sums = total(widened(x), full)
    if divisor is None:
        return (sums / outer(counts, sums.dtype)).astype(x.dtype)
    divide_by: Any = divisor if isinstance(divisor, jax.Array) else np.asarray(divisor)
    return (sums / of_rank(divide_by.astype(sums.dtype), x.ndim)).astype(x.dtype)


def global_avg_pool(x: Float[Array, "n *space c"], *, keepdims: bool = False) -> Float[Array, "n ..."]:
    """Mean over all pixels: `(n, c)`, or `(n, 1, …, 1, c)` with `keepdims`. Accumulates as `avg_pool`.

    Raises: TypeError for integers.

    >>> global_avg_pool(jnp.arange(12.0).reshape(1, 2, 3, 2)).tolist()
    [[5.0, 6.0]]
    """
    x = _check.images("global_avg_pool", x)
    _check.floating("global_avg_pool", x)
    wide = widened(x)
    return jnp.mean(wide, range(1, x.ndim - 1), keepdims=keepdims).astype(x.dtype)


def global_max_pool(x: Shaped[Array, "n *space c"], *, keepdims: bool = False) -> Shaped[Array, "n ..."]:
    """Largest pixel of each channel, NaN if there is one: `(n, c)`, or `(n, 1, …, 1, c)` with `keepdims`.

    Equal pixels share the gradient; a channel with NaN passes none on.

    >>> global_max_pool(jnp.arange(6.0).reshape(1, 3, 2)).tolist()
    [[4.0, 5.0]]
    """
    x = whole(_check.images("global_max_pool", x))
    _check.ordered("global_max_pool", x)
    largest = _shared if jnp.issubdtype(x.dtype, jnp.floating) else _largest
    y = largest(x.reshape(x.shape[0], prod(x.shape[1:-1]), x.shape[-1]))  # (n, c)
    return y.reshape(y.shape[0], *(1 for _ in x.shape[1:-1]), y.shape[1]) if keepdims else y


def _largest(x: Array) -> Array:
    return extreme(x, Window.resolve(x.shape[1], x.shape[1:2]), largest=True)[:, 0]


_shared = jax.custom_jvp(_largest)


@_shared.defjvp
def _shared_jvp(primals, tangents):
    (x,), (t,) = primals, tangents
    y = _shared(x)
    won = x == y[:, None]
    count = jnp.maximum(won.sum(1, widened(x).dtype), 1)  # none equals NaN
    taken = jnp.where(won, widened(t), 0).sum(1)
    return y, (taken / count).astype(x.dtype)


_shared = through_formula(_shared)


max_pool1d, max_pool2d, max_pool3d = (_check.ranked(max_pool, rank) for rank in (1, 2, 3))
min_pool1d, min_pool2d, min_pool3d = (_check.ranked(min_pool, rank) for rank in (1, 2, 3))
sum_pool1d, sum_pool2d, sum_pool3d = (_check.ranked(sum_pool, rank) for rank in (1, 2, 3))
avg_pool1d, avg_pool2d, avg_pool3d = (_check.ranked(avg_pool, rank) for rank in (1, 2, 3))


def resolve(name, x, window, stride, padding, padding_mode, dilation, ceil_mode):
    """x (cropped, and padded where the mode puts real pixels there), its window, and the padding left, without a ragged edge."""
    x = whole(_check.images(name, x))
    _check.one_of(name, "padding_mode", padding_mode, MODES)
    options = {"stride": window if stride is None else stride, "dilation": dilation, "name": name}
    border = Window.resolve(window, x.shape[1:-1], padding=padding, **options).padding
    x, border = cropped(x, border)
    if padding_mode != "zeros":
        x = pad_pairs(name, x, border, padding_mode)
    left = border if padding_mode == "zeros" else "valid"
    return x, Window.resolve(window, x.shape[1:-1], padding=left, ceil_mode=ceil_mode, **options), border


def on_image(name: str, window: Window, space: Sequence[int]) -> None:
    """Refuse windows that see padding alone: they have no largest pixel and no mean."""
    if not any(low or high for low, high in window.padding):
        return
    for axis, (counts, n, pair) in enumerate(zip(window.overlap(space), space, window.padding)):
        if 0 in counts:
            raise ValueError(
                f"{name}: window {window.size} (dilation {window.dilation}) sees padding alone at output {counts.index(0)} "
                f"of spatial axis {axis}, which has {n} pixels and padding {pair}; pad by less"
            )


def outer(counts: Sequence[Sequence[int] | np.ndarray], dtype) -> Array | np.ndarray:
    """The product of one number for each output of each axis: `(1, *outputs, 1)`, or a single number where all agree.

    It is computed in the program: the numbers of a plane would be a constant as large as the plane.
    """
    rank, axes = len(counts), [np.asarray(axis) for axis in counts]
    if all((axis == axis[:1]).all() for axis in axes):
        return np.asarray(prod(int(axis[0]) for axis in axes if len(axis)), dtype)
    around = lambda axis: (1, *[1] * axis, -1, *[1] * (rank - axis))
    return reduce(jnp.multiply, [jnp.asarray(counts, dtype).reshape(around(a)) for a, counts in enumerate(axes)])
