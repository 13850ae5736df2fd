"""Resizing of images: `resize`, one spatial axis after the other.

    y[i] = Σ_j w(s_i − j) · x[j] / norm_i,     s_i = (i + ½) · n / m − ½,  or i · (n − 1) / (m − 1) with align_corners

for n pixels made m. w is a scalar function of a few lines below; its matrix (m, n) is made in float64 when the function is
traced, and one contraction an axis applies it in float32 at least. Antialiasing stretches w by n / m where the image shrinks,
so that every pixel counts. References: Keys, Cubic convolution interpolation (1981); `jax/_src/image/scale.py`; PyTorch's
`interpolate`, whose numbers these are except "cubic_keys", which is Pillow's and jax.image's.
"""

from collections.abc import Callable, Sequence
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Shaped

from jaxcnn.geometry import per_axis

from . import _check
from ._widened import widened
from .engine import placed
from .lowering import every

METHODS = ("nearest", "nearest_exact", "linear", "cubic", "cubic_keys", "area")


def resize(
    x: Shaped[Array, "n *space c"],
    output_size: int | Sequence[int],
    *,
    method: str = "linear",
    antialias: bool = False,
    align_corners: bool = False,
) -> Shaped[Array, "n *output_size c"]:
    """Images of another size, in the dtype of x; the same size is the identity.

    Floating point, or uint8, which is rounded (halves to even) and clipped to 0 … 255; the nearest methods take every dtype.
    Where w is zero an infinite or NaN pixel still spreads over its row and column, but not with the nearest methods.

    Args:
        output_size: pixels of each spatial axis; an int means every axis.
        method: "nearest" takes pixel ⌊i · n / m⌋ (PyTorch's, shifted by up to half a pixel), "nearest_exact" the one whose
            centre is nearest, ⌊(i + ½) · n / m⌋ (jax.image's "nearest"); "linear"; "cubic" with a = -0.75 and the border
            pixel going on (PyTorch's; antialiased it has a = -0.5, as there), "cubic_keys" with a = -0.5 and the weights
            inside the image made to sum to 1; "area" the mean over PyTorch's adaptive windows ⌊i · n / m⌋ … ⌈(i + 1) · n / m⌉.
        antialias: only with the linear and cubic methods; off unless asked for (jax.image has it on).
        align_corners: the first and last pixel centres stay where they are; only "linear" and the cubics.

    Raises: ValueError for an unknown method, an output size below 1 or options that do not go together. TypeError for
        integers other than uint8 with a method that computes fractions.

    >>> resize(jnp.array([0.0, 4.0])[None, :, None], 4)[0, :, 0].tolist()
    [0.0, 1.0, 3.0, 4.0]
    """
    x = _check.images("resize", x)
    sizes = per_axis(output_size, x.ndim - 2, what="output_size", name="resize", least=1)
    _check_options(x, method, antialias, align_corners)
    # the axes that shrink most come first: the others then have less to do; an axis that keeps its size is left alone
    axes = sorted(
        (a for a in range(1, x.ndim - 1) if x.shape[a] != sizes[a - 1]), key=lambda a: sizes[a - 1] / x.shape[a]
    )
    if method.startswith("nearest"):
        for axis in axes:
            x = placed(_taken, x, axis=axis, m=sizes[axis - 1], exact=method == "nearest_exact")
        return x
    y = x.astype(jnp.float32) if x.dtype == jnp.uint8 else widened(x)
    for axis in axes:
        weights = resampling_weights(x.shape[axis], sizes[axis - 1], method, antialias, align_corners)
        y = _contract(y, jnp.asarray(weights, y.dtype), axis)
    return (jnp.clip(jnp.round(y), 0, 255) if x.dtype == jnp.uint8 else y).astype(x.dtype)


def _linear(t: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - np.abs(t))


def _cubic(t: np.ndarray, a: float) -> np.ndarray:
    d = np.abs(t)
    far = np.where(d < 2, (((d - 5) * d + 8) * d - 4) * a, 0)
    return np.where(d <= 1, ((a + 2) * d - (a + 3)) * d * d + 1, far)


KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {  # and how far each reaches
    "linear": (_linear, 1),
    "cubic": (partial(_cubic, a=-0.75), 2),
    "cubic_keys": (partial(_cubic, a=-0.5), 2),
}


def resampling_weights(
    n: int, m: int, method: str, antialias: bool, align_corners: bool, rows: np.ndarray | None = None
) -> np.ndarray:
    """The matrix (m, n) in float64, or some of its rows; each sums to 1."""
    i = np.arange(m) if rows is None else rows
    if method == "area":
        j = np.arange(n)
        weights = ((j >= i[:, None] * n // m) & (j < -(-(i[:, None] + 1) * n // m))).astype(float)
        return weights / weights.sum(1, keepdims=True)
    kernel, reach = KERNELS["cubic_keys" if antialias and method == "cubic" else method]
    at = i * ((n - 1) / max(m - 1, 1)) if align_corners else (i + 0.5) * n / m - 0.5
    if antialias or method == "cubic_keys":
        weights = kernel((at[:, None] - np.arange(n)) / (max(n / m, 1) if antialias else 1))
        return weights / weights.sum(1, keepdims=True)
    weights, first = np.zeros((len(i), n)), np.floor(at).astype(int)
    for tap in range(1 - reach, 1 + reach):  # beyond the image the border pixel goes on
        np.add.at(weights, (np.arange(len(i)), np.clip(first + tap, 0, n - 1)), kernel(at - first - tap))
    return weights


def _taken(x: Array, axis: int, m: int, exact: bool) -> Array:
    """The nearest pixels of one axis; by whole factors without indices, whose gradient would be a scatter."""
    n = x.shape[axis]
    if m % n == 0:
        shape = (*x.shape[: axis + 1], m // n, *x.shape[axis + 1 :])  # (n, …, n, m / n, …, c)
        copies = lax.broadcast_in_dim(x, shape, [a for a in range(x.ndim + 1) if a != axis + 1])
        return copies.reshape(*x.shape[:axis], m, *x.shape[axis + 1 :])
    if n % m == 0:
        return every(x, n // m // 2 if exact else 0, m, n // m, axis)
    return jnp.take(x, _nearest(n, m, exact), axis)


def _nearest(n: int, m: int, exact: bool) -> np.ndarray:
    """Numbers of the pixels, in integers: no rounding moves one."""
    i = np.arange(m, dtype=np.int64)
    return ((2 * i + 1) * n // (2 * m) if exact else i * n // m).astype(np.int32)


def _contract(x: Array, weights: Array, axis: int) -> Array:
    letters = "abcde"[: x.ndim]
    formula = f"{letters},z{letters[axis]}->{letters.replace(letters[axis], 'z')}"
    return jnp.einsum(formula, x, weights, precision=lax.Precision.HIGHEST)


def _check_options(x: Array, method: str, antialias: bool, align_corners: bool) -> None:
    _check.one_of("resize", "method", method, METHODS)
    for what, asked in (("antialias", antialias), ("align_corners", align_corners)):
        if asked and method not in KERNELS:
            words = ", ".join(f'"{word}"' for word in KERNELS)
            raise ValueError(f'resize: method="{method}" has no {what}=True; use {words}')
    if antialias and align_corners:
        raise ValueError("resize: antialias=True and align_corners=True do not go together; leave one of them out")
    if x.dtype != jnp.uint8 and not method.startswith("nearest") and not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f'resize: x is {_check.describe(x)}; "{method}" takes floating point or uint8, x.astype(jnp.float32)'
        )
