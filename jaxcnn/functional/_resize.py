"""Resizing of images: `resize`, one spatial axis after the other.

    y[i] = Σ_j w(s_i − j) · x[j] / norm_i,     s_i = (i + ½) · n / m − ½,  or i · (n − 1) / (m − 1) with align_corners

for n pixels made m. w is a scalar function of a few lines (`engine/_sampling.py`). Where it is not 0 its values are made in
float64 when the function is traced, and each output adds up the few pixels that count, in float32 at least. Antialiasing
stretches w by n / m where the image shrinks, so that every pixel counts. The numbers are PyTorch's `interpolate`'s; those of
"cubic_keys" are Pillow's and jax.image's. Reference: Keys, Cubic convolution interpolation (1981).
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Shaped

from jaxcnn.geometry import per_axis

from . import _check
from ._widened import widened
from .engine import KERNELS, Sampling, resample, sampled, whole

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
    An infinite or NaN pixel reaches the outputs in which it has a weight, and no others; so do gradients the other way.

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
    # the axes that shrink most come first: the others then have less to do; an axis that keeps its size is left alone. Of two
    # axes that grow alike the last comes first: the longer rows of the result are then whole lines of the image
    ratio = lambda a: sizes[a - 1] / x.shape[a]
    grown = (a for a in range(1, x.ndim - 1) if x.shape[a] != sizes[a - 1])
    axes = sorted(grown, key=lambda a: (ratio(a), a if ratio(a) < 1 else -a))
    nearest = method.startswith("nearest")
    y = x if nearest else x.astype(jnp.float32) if x.dtype == jnp.uint8 else widened(x)
    y = whole(y) if axes else y
    for axis in axes:
        y = resample(y, Sampling(axis - 1, sizes[axis - 1], method, antialias, align_corners))
    return (jnp.clip(jnp.round(y), 0, 255) if x.dtype == jnp.uint8 and not nearest else y).astype(x.dtype)


def resampling_weights(
    n: int, m: int, method: str, antialias: bool, align_corners: bool, rows: np.ndarray | None = None
) -> np.ndarray:
    """The matrix (m, n) in float64, or some of its rows; each sums to 1."""
    i = np.arange(m) if rows is None else rows
    pixels, weights = sampled(n, m, method, antialias, align_corners, i)
    matrix = np.zeros((len(i), n))
    for row, weight in zip(pixels, weights):
        matrix[np.arange(len(i)), row] += weight
    return matrix


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
