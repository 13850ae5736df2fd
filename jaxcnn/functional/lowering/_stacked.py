"""Stacked problems: independent convolutions along an axis in front, as `vmap` over both operands makes them."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array, lax

from . import _choice, _conditions, patches
from ._case import Case


def _stacks(case: Case, name: str) -> bool:
    """Whether stacked problems are better written as one: products of what is there, and sums that XLA fuses with what follows.

    A map that is never written is one that is never read: of 8 models it lies outside the cache. Not narrow ones (LeNet-5's 6
    channels fill no vector), and not where an image is padded or spread first. What one model does in
    a small loop on one core, all do in the same loop on two.
    """
    if name == "tap_sum":
        return case.direction == "conv" and case.groups == 1 and case.c_out >= 16
    alike = {"phases", "border", "row_loop"} if _conditions.depthwise(case) else {"planes"}
    return name in alike or name == "patches" and patches.tiles(case)


def evaluate_stacked(a: Array, b: Array, case: Case, lowering: str = "auto") -> Array:
    """Independent problems along the first axis of both operands: one after the other on one CPU, else batched."""
    one = lambda a, b: _choice.evaluate(a, b, case, lowering)
    if case.platform == "cpu" and not case.partitioned and not _stacks(case, _choice.choose(case, lowering)):
        return _one_by_one(one, a, b)
    return jax.vmap(one)(a, b)


def _one_by_one(one: Callable[[Array, Array], Array], a: Array, b: Array) -> Array:
    """A loop that writes each result into its place.

    Not `lax.map`: the zeros that it writes into are one constant for all such loops of a program, kept until the last one and
    copied for each. An axis of length 1 goes before the loop, for its place in the layout costs a copy of the whole stack.
    """
    result = jax.eval_shape(one, a[0], b[0])
    stacks = [v.reshape(v.shape[0], *v.shape[2:]) if v.shape[1] == 1 else v for v in (a, b)]

    def step(i: Array, y: Array) -> Array:
        of = (lax.dynamic_index_in_dim(s, i, keepdims=False).reshape(v.shape[1:]) for s, v in zip(stacks, (a, b)))
        return lax.dynamic_update_index_in_dim(y, one(*of), i, 0)

    anything = a[(0,) * a.ndim].astype(result.dtype)
    return lax.fori_loop(0, a.shape[0], step, jnp.broadcast_to(anything, (a.shape[0], *result.shape)))
