"""Which lowering runs a case: a literal table and a short static rule."""

import jax
from jax import Array, lax

from . import blocks, direct, patches, phases, row_loop, tap_sum
from ._case import Case

LOWERINGS = {
    "direct": direct,
    "patches": patches,
    "tap_sum": tap_sum,
    "row_loop": row_loop,
    "blocks": blocks,
    "phases": phases,
}
TABLE = LOWERINGS


def choose(case: Case, forced: str = "auto") -> str:
    """The name of the lowering that runs; a forced one where it can."""
    if forced != "auto" and LOWERINGS[forced].supports(case) is None:
        return forced
    return _auto(case)


def _auto(case):
    if case.platform != "cpu":
        return "direct"
    if case.groups > 1:
        if case.direction == "input_grad" and not case.unit_stride:
            return "phases"
        if case.c_in_of_group == 1 and case.c_out_of_group == 1:
            if case.direction == "kernel_grad":
                return "tap_sum" if case.partitioned else "row_loop"
            return "tap_sum"
        return "blocks"
    if patches.tiles(case):
        return "patches"
    if case.direction == "input_grad" and not case.unit_stride:
        return "phases"
    return "direct"


def evaluate(a: Array, b: Array, case: Case, lowering: str = "auto") -> Array:
    """The case by the lowering chosen for it."""
    return getattr(LOWERINGS[choose(case, lowering)], case.direction)(a, b, case)


def evaluate_stacked(a: Array, b: Array, case: Case, lowering: str = "auto") -> Array:
    """Independent problems along the first axis of both operands."""
    one = lambda a, b: evaluate(a, b, case, lowering)
    if case.platform == "cpu" and not case.partitioned:
        return lax.map(lambda pair: one(*pair), (a, b))
    return jax.vmap(one)(a, b)
