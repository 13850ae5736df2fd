"""Accumulation is never below float32: what sums, means and norms are computed in."""

import jax.numpy as jnp
from jax import Array


def widened(x: Array) -> Array:
    """x in float32 where it is a 16-bit (or narrower) float, as it is otherwise."""
    narrow = jnp.issubdtype(x.dtype, jnp.floating) and x.dtype.itemsize < 4
    return x.astype(jnp.float32) if narrow else x
