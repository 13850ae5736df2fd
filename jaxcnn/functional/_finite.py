"""A quick result that is computed again, carefully, if it holds NaN or infinity.

A lowering that multiplies more than an output sees is exact for finite numbers, because what is too much is multiplied by 0 or
cancels. 0 · NaN is NaN, so NaN and infinity would spread. The result is read once, and computed again only if something in it
is not finite.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import Array, lax


def again_unless_finite(y: Array, compute: Callable[..., Array], *operands: Array) -> Array:
    """y, or `compute(*operands)` in the dtype of y where something in y is not finite.

    A while loop of no pass or one, because XLA copies the operands and the result of a conditional.
    """

    def step(state: tuple[Array, Array]) -> tuple[Array, Array]:
        # the operands depend on the loop's state here, or XLA would move the computation out of the loop and always do it
        wanted, *held = lax.optimization_barrier((state[0], *operands))
        return jnp.zeros_like(wanted), compute(*held).astype(y.dtype)

    return lax.while_loop(lambda state: state[0], step, (_is_not_finite(y), y))[1]


def _is_not_finite(y: Array) -> Array:
    """A sum of zeros is NaN if one of them was made of NaN or infinity. Axis by axis: XLA:CPU then uses both cores."""
    return jnp.isnan((y * 0).sum(tuple(range(1, y.ndim - 1))).sum())
