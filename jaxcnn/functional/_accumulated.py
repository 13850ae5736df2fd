"""Long sums with one term in memory at a time."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax


def accumulated(term: Callable[[Any], Array], steps: Any) -> Array:
    """Σ term(step) over the rows of the arrays in `steps`, one after the other; derivatives compute each term again."""
    once = jax.checkpoint(term, prevent_cse=False)
    # of this term only the type is used, with the mesh axes it varies over: the compiler drops its value
    zero = jnp.zeros_like(term(jax.tree.map(lambda rows: rows[0], steps)))
    return lax.scan(lambda total, step: (total + once(step), None), zero, steps)[0]
