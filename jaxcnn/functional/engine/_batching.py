"""`vmap` of the three primitives: fold the mapped axis into one that is there already, never fall back to a slow path.

    conv         over x into the batch              over the kernel into its output channels
    input_grad   over g into the batch              over the kernel into its input channels
    kernel_grad  over x into its input channels     over g into its output channels

Over both operands nothing is shared; the problems are `stacked` and the lowering decides how to run them. What a forced lowering
cannot run folded is stacked, too.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax import Array

from ._lower import case_of

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
    count = next(v.shape[d] for v, d in zip(args, dims) if d is not None)
    run = lambda stacked, *operands: primitive.bind(*operands, stacked=stacked, sharding=None, **params)
    if None in dims:
        which = 0 if dims[1] is None else 1
        operands = [v if d is None else jnp.moveaxis(v, d, 0) for v, d in zip(args, dims)]
        if _folds(direction, operands, which, count, stacked=stacked, **params):
            return _fold(partial(run, stacked), direction, operands, which, stacked, params["groups"]), 0
    a, b = (_front(v, d, count) for v, d in zip(args, dims))
    if not stacked:
        return run(True, a, b), 0
    shape = a.shape[:2]
    y = run(True, *(v.reshape(shape[0] * shape[1], *v.shape[2:]) for v in (a, b)))  # (outer·inner, …)
    return y.reshape(*shape, *y.shape[1:]), 0


def _front(v: Array, dim: int | None, count: int) -> Array:
    return jnp.broadcast_to(v, (count, *v.shape)) if dim is None else jnp.moveaxis(v, dim, 0)


def _folds(direction: str, operands, which: int, count: int, *, lowering, **params) -> bool:
    """Whether what is forced runs the folded problem as it runs one."""
    shapes = [v.shape[1:] if i == which else v.shape for i, v in enumerate(operands)]
    case = case_of(direction, *(jax.ShapeDtypeStruct(s, v.dtype) for s, v in zip(shapes, operands)), **params)
    grown = FOLDS[direction, which][0]
    return lowering.runs_too(case, case.replace(**{grown: count * getattr(case, grown)}))


def _fold(run: Callable, direction: str, operands, which: int, stacked: bool, groups: int) -> Array:
    """The mapped axis, in front of one operand, made part of another axis of it, and taken out of the result."""
    _, axis, out = FOLDS[direction, which]
    count = operands[which].shape[0]
    join = lambda v: _join(v, axis, groups if axis == -1 else 1)
    part = lambda y: _part(y, out, groups if out == -1 else 1, count)
    if stacked:
        join, part = jax.vmap(join, 1), jax.vmap(part, 0, 1)
    operands[which] = join(operands[which])
    return part(run(*operands))


def _join(v: Array, axis: int, groups: int) -> Array:
    """`(v, …, g·c, …)` to `(…, g·v·c, …)` at an axis of the result."""
    at = axis % (v.ndim - 1) + 1
    count, size = v.shape[0], v.shape[at]
    split = v.reshape(*v.shape[:at], groups, size // groups, *v.shape[at + 1 :])  # (v, …, g, c, …)
    moved = jnp.moveaxis(split, 0, at)  # (…, g, v, c, …)
    return moved.reshape(*v.shape[1:at], count * size, *v.shape[at + 1 :])


def _part(y: Array, axis: int, groups: int, count: int) -> Array:
    """`(…, g·v·c, …)` to `(v, …, g·c, …)`."""
    at = axis % y.ndim
    size = y.shape[at] // count
    split = y.reshape(*y.shape[:at], groups, count, size // groups, *y.shape[at + 1 :])  # (…, g, v, c, …)
    moved = jnp.moveaxis(split, at + 1, 0)  # (v, …, g, c, …)
    return moved.reshape(count, *y.shape[:at], size, *y.shape[at + 1 :])
