"""`vmap` of the three primitives: fold the mapped axis into one that is there already, never fall back to a slow path.

    conv         over x into the batch              over the kernel into its output channels
    input_grad   over g into the batch              over the kernel into its input channels
    kernel_grad  over x into its input channels     over g into its output channels

Over both operands nothing is shared; the problems are `stacked` and the lowering decides how to run them. What a forced lowering
cannot run folded is stacked, too, and what a fold would move between the devices of explicit mesh axes.
"""

from collections.abc import Callable
from math import prod

import jax
import jax.numpy as jnp
from jax import Array

from ._lower import case_of
from ._sharding import ahead, entries, reshaped, spread

FOLDS = {  # what grows in the case, the axis of the mapped operand, the axis of the result
    ("conv", 0): ("n", 0, 0),
    ("conv", 1): ("c_out", -1, -1),
    ("input_grad", 0): ("n", 0, 0),
    ("input_grad", 1): ("c_in", -2, -1),
    ("kernel_grad", 0): ("c_in", -1, -2),
    ("kernel_grad", 1): ("c_out", -1, -1),
}


def batch(primitive, direction: str, args, dims, *, stacked: bool, sharding, **params):
    """The batching rule; `stacked` problems that are mapped again in both operands become one longer stack."""
    operands = [v if d is None else jnp.moveaxis(v, d, 0) for v, d in zip(args, dims)]
    mapped = operands[which := 0 if dims[1] is None else 1]
    run = lambda operands, **where: primitive.bind(*operands, **params, **where)
    if None in dims and _folds(direction, operands, which, stacked=stacked, sharding=sharding, **params):
        return _fold(run, direction, operands, which, stacked, sharding, params["groups"]), 0
    operands = [spread(v, mapped) if d is None else v for v, d in zip(operands, dims)]
    if stacked:
        return _lengthen(run, operands, sharding), 0
    return run(operands, stacked=True, sharding=ahead(sharding, entries(mapped)[0])), 0


def _lengthen(run: Callable, operands: list[Array], sharding) -> Array:
    """A stack of stacks as one stack."""
    shape, (outer, inner) = operands[0].shape[:2], entries(operands[0])[:2]
    joined = [reshaped(v, (prod(shape), *v.shape[2:]), lambda e: [outer or inner, *e[2:]]) for v in operands]
    y = run(joined, stacked=True, sharding=ahead(sharding, outer or inner, 0))  # (outer·inner, …)
    return reshaped(y, (*shape, *y.shape[1:]), lambda e: [outer, inner, *e[1:]])


def _folds(direction: str, operands: list[Array], which: int, *, lowering, sharding, **params) -> bool:
    """Whether all stays on its device, and what is forced runs the folded problem as it runs one."""
    grown, axis, out = FOLDS[direction, which]
    count, (place, *split) = operands[which].shape[0], entries(operands[which])
    first, groups = int(params["stacked"]), params["groups"]
    if split[axis or first] or place and axis and groups > 1 or sharding and sharding.spec[out or first]:
        return False
    shapes = [v.shape[1:] if i == which else v.shape for i, v in enumerate(operands)]
    case = case_of(direction, *(jax.ShapeDtypeStruct(s, v.dtype) for s, v in zip(shapes, operands)), **params)
    return lowering.runs_too(case, case.replace(**{grown: count * getattr(case, grown)}))


def _fold(
    run: Callable, direction: str, operands: list[Array], which: int, stacked: bool, sharding, groups: int
) -> Array:
    """The mapped axis, in front of one operand, made part of another axis of it, and taken out of the result."""
    _, axis, out = FOLDS[direction, which]
    count, place, first = operands[which].shape[0], entries(operands[which])[0], int(stacked)
    operands[which] = _join(operands[which], axis, groups if axis == -1 else 1, first)
    y = run(operands, stacked=stacked, sharding=ahead(sharding, place, out or first))
    return _part(y, out or first, groups if out == -1 else 1, count, place)


def _join(v: Array, axis: int, groups: int, first: int) -> Array:
    """`(v, …, g·c, …)` to `(…, g·v·c, …)`: at a negative axis, or at the `first` one of the result."""
    v = jnp.moveaxis(v, 0, first)  # the axis of a stack stays in front
    at = v.ndim + axis if axis else first + 1
    parts = (*v.shape[:at], groups, v.shape[at] // groups, *v.shape[at + 1 :])
    v = reshaped(v, parts, lambda e: [*e[:at], None, *e[at:]])  # (v, …, g, c, …)
    v = jnp.moveaxis(v, first, at)  # (…, g, v, c, …)
    whole = (*v.shape[: at - 1], prod(v.shape[at - 1 : at + 2]), *v.shape[at + 2 :])
    return reshaped(v, whole, lambda e: [*e[: at - 1], e[at], *e[at + 2 :]])


def _part(y: Array, axis: int, groups: int, count: int, place) -> Array:
    """`(…, g·v·c, …)` to `(v, …, g·c, …)`."""
    at = axis % y.ndim
    parts = (*y.shape[:at], groups, count, y.shape[at] // (groups * count), *y.shape[at + 1 :])
    y = reshaped(y, parts, lambda e: [*e[:at], None, place, None, *e[at + 1 :]])  # (…, g, v, c, …)
    y = jnp.moveaxis(y, at + 1, 0)  # (v, …, g, c, …)
    whole = (*y.shape[: at + 1], y.shape[at + 1] * y.shape[at + 2], *y.shape[at + 3 :])
    return reshaped(y, whole, lambda e: [*e[: at + 1], None, *e[at + 3 :]])
