"""The members of an ensemble in one program: side by side under `jax.vmap`, or one after the other in a loop.

On GPU and TPU they run side by side. On CPU a network of dense convolutions runs faster alone: the maps of all members leave the
cache, and a convolution copies its member's slice out of the stack. Grouped convolutions, small batches and networks without a
convolution gain from longer loops. On a mesh the members run one after the other: `vmap` would have every operation fold the
members into the batch that the devices share, and a batch split behind its first axis has to be gathered for that.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import jax

from jaxcnn.functional.engine import convolutions

PIXELS = 1 << 14  # of the largest batch of maps, from which on a member is worth a turn of its own


def over_members(function: Callable, *, one_by_one: bool = False) -> Callable:
    """`(state, *arrays)` of one member to that of all, whose arrays have the member in front.

    Args:
        function: of one member's state and of arrays that all share.
        one_by_one: in turns, whatever is faster: on a mesh.

    >>> import jax.numpy as jnp
    >>> over_members(lambda state, x: state * x.sum())(jnp.arange(3.0), jnp.ones(2)).tolist()
    [0.0, 2.0, 4.0]
    """

    def every(states: Any, *arrays: Any) -> Any:
        if len(jax.tree.leaves(states)[0]) == 1 and not one_by_one:
            return jax.tree.map(lambda a: a[None], function(jax.tree.map(lambda a: a[0], states), *arrays))
        inner = jax.jit(function, inline=True)  # traced once, whether looked at or not
        if one_by_one or (jax.default_backend() == "cpu" and _worth_a_turn(inner, states, arrays)):
            return jax.lax.map(lambda one: inner(one, *arrays), states)
        return jax.vmap(lambda one: inner(one, *arrays))(states)

    return every


def _worth_a_turn(inner: Any, states: Any, arrays: tuple) -> bool:
    """Whether a member has convolutions, all of them dense, and one of a large batch of maps."""
    one = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape[1:], a.dtype), states)
    shared = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), arrays)
    cases = [case for case, _ in convolutions(inner.trace(one, *shared).jaxpr.jaxpr)]
    return all(case.groups == 1 for case in cases) and any(prod(case.x_shape[:-1]) >= PIXELS for case in cases)
