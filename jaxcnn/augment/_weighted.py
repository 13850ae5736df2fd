"""Weighted sums in which a weight of 0 sees nothing.

    y[n, p, a, c] = Σ_b w[n, a, b] · x[n, p, b, c],    0 · NaN = 0 · ∞ = 0

A matrix of weights that are mostly 0 is the quickest way to resample on every platform, forwards and back, but a product with a
matrix spreads what is not finite over all that it computes. Where a sum is not finite the product is taken again, of the finite
numbers, and two more say which sums see ∞, −∞ or NaN. That costs five times as much, so it is done only then.

A primitive, because the derivative must not see through zeros either: its transpose in x is itself, with the other operand
transposed. The derivative in w is an ordinary product, and is of use only where w may differ from 0.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.sharding import NamedSharding, PartitionSpec

from jaxcnn.functional._finite import again_unless_finite
from jaxcnn.functional._vary import vary_alike
from jaxcnn.functional.engine import _taylor as taylor

CHUNKS = 16


def weighted(w: Array, x: Array) -> Array:
    """The sums `(n, p, a, c)` of weights `(n, a, b)` and x `(n, p, b, c)`, both in one dtype, float32 at least.

    >>> weighted(jnp.array([[[1.0, 0.0]]]), jnp.array([[[[2.0], [jnp.nan]]]])).item()
    2.0
    """
    return weighted_p.bind(*vary_alike(w, x))


def _compute(w: Array, x: Array) -> Array:
    """The product, and once more where it is not finite, as it is wherever x is not."""
    return again_unless_finite(_product(w, x), _corrected, w, x)


def _corrected(w: Array, x: Array) -> Array:
    """The sums anew, some at a time, so that a loop that seldom runs asks for little memory."""
    axis = 1 if x.shape[1] > x.shape[3] else 3
    count = min(CHUNKS, x.shape[axis])
    size = -(-x.shape[axis] // max(count, 1))

    def some(i: Array, y: Array) -> Array:
        start = jnp.minimum(i * size, x.shape[axis] - size)
        part = _careful(w, lax.dynamic_slice_in_dim(x, start, size, axis))
        return lax.dynamic_update_slice_in_dim(y, part, start, axis)

    y = jnp.zeros((*x.shape[:2], w.shape[1], x.shape[3]), x.dtype)
    return lax.fori_loop(0, count, some, y)


def _product(w: Array, x: Array) -> Array:
    if x.shape[1] == 1:  # half as long on CPU as with an axis of one in the middle
        return jnp.einsum("nab,nbc->nac", w, x[:, 0], precision=lax.Precision.HIGHEST)[:, None]
    return jnp.einsum("nab,npbc->npac", w, x, precision=lax.Precision.HIGHEST)


def _careful(w: Array, x: Array) -> Array:
    y = _product(w, jnp.where(jnp.isfinite(x), x, 0))
    sign = jnp.concatenate([w > 0, w < 0], 1).astype(w.dtype)  # (n, 2a, b)
    for infinity in (jnp.inf, -jnp.inf):
        count = _product(sign, ((x == infinity) | jnp.isnan(x)).astype(w.dtype))  # (n, p, 2a, c)
        up, down = jnp.split(count > 0, 2, 2)
        y = y + jnp.where(up, infinity, 0) - jnp.where(down, infinity, 0)
    return y


def _abstract(w, x):
    place = NamedSharding(x.sharding.mesh, PartitionSpec(None, None, None, None))
    return x.update(shape=(*x.shape[:2], w.shape[1], x.shape[3]), weak_type=False, sharding=place)


def _batched(operands, dims):
    """Over x alone into its second axis, over w alone into its sums, over both into the images."""
    w, x = (v if d is None else jnp.moveaxis(v, d, 0) for v, d in zip(operands, dims))
    if dims[0] is None:
        count, n, p, *rest = x.shape
        y = weighted(w, jnp.moveaxis(x, 0, 1).reshape(n, count * p, *rest))
        return y.reshape(n, count, p, *y.shape[2:]), 1
    if dims[1] is None:
        count, n, a, b = w.shape
        y = weighted(jnp.moveaxis(w, 0, 1).reshape(n, count * a, b), x)  # (n, p, count·a, c)
        return y.reshape(*y.shape[:2], count, a, -1), 2
    y = weighted(*(v.reshape(-1, *v.shape[2:]) for v in (w, x)))
    return y.reshape(w.shape[0], w.shape[1], *y.shape[1:]), 0


weighted_p = Primitive("jaxcnn_weighted")
_run = jax.jit(_compute)
weighted_p.def_impl(lambda w, x: _run(w, x))
weighted_p.def_abstract_eval(_abstract)
batching.primitive_batchers[weighted_p] = _batched
mlir.register_lowering(weighted_p, mlir.lower_fun(_compute, multiple_results=False))
ad.defbilinear(
    weighted_p,
    lambda ct, w, x: jnp.einsum("npac,npbc->nab", ct, x, precision=lax.Precision.HIGHEST),
    lambda ct, w, x: weighted(jnp.swapaxes(w, 1, 2), ct),
)
taylor.bilinear(weighted_p)
