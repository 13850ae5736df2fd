"""Weighted sums in which a weight of 0 sees nothing.

    y[i, a, k] = Σ_b w[i, a, b] · x[i, b, k],    0 · NaN = 0 · ∞ = 0

A matrix of weights that are mostly 0 is the quickest way to resample on every platform, forwards and back, but a product with a
matrix spreads what is not finite over all that it computes. Where x holds such a number the product is taken of the finite ones,
and three more products say which sums see ∞, −∞ or NaN. That costs four times as much, so it is done only if there is one.

A primitive, because the derivative must not see through zeros either: its transpose in x is itself, with the other operand
transposed. The derivative in w is an ordinary product, and is of use only where w may differ from 0.
"""

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jax.sharding import NamedSharding, PartitionSpec


def weighted(w: Array, x: Array) -> Array:
    """The sums `(n, a, k)` of weights `(n, a, b)` and x `(n, b, k)`, both in one dtype, float32 at least.

    >>> weighted(jnp.array([[[1.0, 0.0]]]), jnp.array([[[2.0], [jnp.nan]]])).item()
    2.0
    """
    return weighted_p.bind(*_vary_alike(w, x))


def _vary_alike(w: Array, x: Array) -> tuple[Array, Array]:
    """Inside `shard_map` both operands must vary over the same axes."""
    of_w, of_x = (frozenset(jax.typeof(v).mat.varying) for v in (w, x))
    cast = lambda v, axes: lax.pcast(v, tuple(sorted(axes)), to="varying") if axes else v
    return cast(w, of_x - of_w), cast(x, of_w - of_x)


def _compute(w: Array, x: Array) -> Array:
    return lax.cond(jnp.isfinite(x).all(), _product, _careful, w, x)


def _product(w: Array, x: Array) -> Array:
    return jnp.einsum("nab,nbk->nak", w, x, precision=lax.Precision.HIGHEST)


def _careful(w: Array, x: Array) -> Array:
    y = _product(w, jnp.where(jnp.isfinite(x), x, 0))
    sign = jnp.concatenate([w > 0, w < 0], 1).astype(w.dtype)  # (n, 2a, b)
    for infinity in (jnp.inf, -jnp.inf):
        count = _product(sign, ((x == infinity) | jnp.isnan(x)).astype(w.dtype))
        up, down = jnp.split(count > 0, 2, 1)
        y = y + jnp.where(up, infinity, 0) - jnp.where(down, infinity, 0)
    return y


def _abstract(w, x):
    place = NamedSharding(w.sharding.mesh, PartitionSpec(None, None, None))
    return w.update(shape=(*w.shape[:2], x.shape[2]), weak_type=False, sharding=place)


def _batched(operands, dims):
    """Over x alone into its last axis, over w alone into its sums, over both into the images."""
    w, x = (v if d is None else jnp.moveaxis(v, d, 0) for v, d in zip(operands, dims))
    if dims[0] is None:
        count, n, b, k = x.shape
        y = weighted(w, jnp.moveaxis(x, 0, 2).reshape(n, b, count * k))  # (n, a, count·k)
        return y.reshape(n, -1, count, k), 2
    if dims[1] is None:
        count, n, a, b = w.shape
        y = weighted(jnp.moveaxis(w, 0, 1).reshape(n, count * a, b), x)  # (n, count·a, k)
        return y.reshape(n, count, a, -1), 1
    y = weighted(*(v.reshape(-1, *v.shape[2:]) for v in (w, x)))
    return y.reshape(w.shape[0], -1, *y.shape[1:]), 0


weighted_p = Primitive("jaxcnn_weighted")
_run = jax.jit(_compute)
weighted_p.def_impl(lambda w, x: _run(w, x))
weighted_p.def_abstract_eval(_abstract)
batching.primitive_batchers[weighted_p] = _batched
mlir.register_lowering(weighted_p, mlir.lower_fun(_compute, multiple_results=False))
ad.defbilinear(
    weighted_p,
    lambda ct, w, x: jnp.einsum("nak,nbk->nab", ct, x, precision=lax.Precision.HIGHEST),
    lambda ct, w, x: weighted(jnp.swapaxes(w, 1, 2), ct),
)
