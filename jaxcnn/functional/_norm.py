"""Batch normalisation as functions: `moments`, then `batch_norm`.

    y = (x − mean) / √(variance + epsilon) · scale + bias

The variance is the mean of (x − mean)², never E[x²] − E[x]², which loses every digit where the mean is large. Reference:
Ioffe & Szegedy, Batch normalization (2015).
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jaxtyping import Float

from . import _check, _numbers
from ._broadcast import of_rank
from ._numbers import Number
from ._widened import widened
from .engine import through_formula, unmerged


def moments(x: Float[Array, "... c"]) -> tuple[Float[Array, " c"], Float[Array, " c"]]:
    """Mean and biased variance of each channel over every other axis, in float32 at least.

    >>> mean, variance = moments(jnp.array([[9999.0], [10001.0]]))
    >>> mean.tolist(), variance.tolist()
    ([10000.0], [1.0])
    """
    x = _check.array("moments", "x", x)
    _check.floating("moments", x)
    return _moments(widened(x))


@jax.custom_jvp
def _moments(x: Array) -> tuple[Array, Array]:
    axes = tuple(range(x.ndim - 1))
    x = unmerged(x)  # the mean of a map in pieces, as some convolutions leave it, would be a sum of each
    mean = jnp.mean(x, axes)
    return mean, jnp.mean(jnp.square(x - of_rank(unmerged(mean), x.ndim)), axes)


@_moments.defjvp
def _moments_jvp(primals, tangents):
    """A variance is least around its mean, so that no sum over x − mean goes back through that."""
    (x,), (t,) = primals, tangents
    mean, variance = _moments(x)
    axes = tuple(range(x.ndim - 1))
    return (mean, variance), (jnp.mean(t, axes), 2 * jnp.mean((x - of_rank(mean, x.ndim)) * t, axes))


_moments = through_formula(_moments)


def batch_norm(
    x: Float[Array, "... c"],
    mean: Float[Array, " c"],
    variance: Float[Array, " c"],
    scale: Float[Array, " c"] | None = None,
    bias: Float[Array, " c"] | None = None,
    *,
    epsilon: Number = 1e-5,
) -> Float[Array, "... c"]:
    """Normalises each channel with the given moments; computed in float32 at least, returned in the dtype of x.

    Raises: ValueError if a moment, scale or bias is not one number a channel.

    >>> batch_norm(jnp.array([[1.0], [3.0]]), jnp.array([2.0]), jnp.array([1.0]), epsilon=0).tolist()
    [[-1.0], [1.0]]
    """
    x = _check.array("batch_norm", "x", x)
    _check.floating("batch_norm", x)
    for what, v in (("mean", mean), ("variance", variance), ("scale", scale), ("bias", bias)):
        if v is not None and _check.array("batch_norm", what, v).shape != x.shape[-1:]:
            raise ValueError(f"batch_norm: {what} is {_check.describe(v)}; it must have the shape {x.shape[-1:]}")
    epsilon = _numbers.of_dtype("batch_norm", "epsilon", epsilon, widened(x).dtype, low=0)
    wide, mean, variance = widened(x), mean.astype(widened(x).dtype), variance.astype(widened(x).dtype)
    factor = lax.rsqrt(variance + epsilon)
    factor = factor if scale is None else factor * scale.astype(wide.dtype)
    bias = jnp.zeros_like(mean) if bias is None else bias.astype(wide.dtype)
    return _affine(wide, mean, factor, bias).astype(x.dtype)


@jax.custom_jvp
def _affine(x: Array, mean: Array, factor: Array, bias: Array) -> Array:
    mean, factor, bias = (of_rank(v, x.ndim) for v in (mean, factor, bias))
    return (x - mean) * factor + bias


@_affine.defjvp
def _affine_jvp(primals, tangents):
    """Bias and mean together move y by one vector, so that one sum over the map goes back to both.

    The sum that goes back to the factor has an x − mean of its own, which it computes as it reads x.
    """
    (x, mean, factor, bias), (tx, tmean, tfactor, tbias) = primals, tangents
    wide = lambda v: of_rank(v, x.ndim)
    centred = x - wide(unmerged(mean, 1))
    t = tx * wide(factor) + centred * wide(tfactor) + wide(tbias - tmean * factor)
    return _affine(x, mean, factor, bias), t


_affine = through_formula(_affine)
