"""Operands that vary over the same axes of a mesh, as a primitive inside `jax.shard_map` needs them."""

import jax
from jax import Array, lax

from ._widened import widened


def vary_alike(a: Array, b: Array) -> tuple[Array, Array]:
    """Inside `shard_map` both operands must vary over the same axes; the cast's transpose is the sum that is due."""
    of_a, of_b = (frozenset(jax.typeof(v).mat.varying) for v in (a, b))
    return _varying(a, of_b - of_a), _varying(b, of_a - of_b)


def _varying(v: Array, axes: frozenset) -> Array:
    # widened first: going back, the devices' shares are added up
    return lax.pcast(widened(v), tuple(sorted(axes)), to="varying").astype(v.dtype) if axes else v
