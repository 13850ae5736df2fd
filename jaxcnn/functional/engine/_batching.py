"""`vmap` of the three primitives: fold the mapped axis into one that is there already, never fall back to a slow path.

    conv         over x into the batch              over the kernel into its output channels
    input_grad   over g into the batch              over the kernel into its input channels
    kernel_grad  over x into its input channels     over g into its output channels

Over both operands nothing is shared; the problems are `stacked` and the lowering decides how to run them.
"""

import jax.numpy as jnp
from jax import Array


def batch(primitive, direction: str, args, dims, *, stacked, sharding, **params):
    """The batching rule; `stacked` problems that are mapped again become one longer stack."""
    a, b = args
    count = next(v.shape[d] for v, d in zip(args, dims) if d is not None)
    if not stacked and None in dims:
        fold = {"kernel_grad": (_fold_channels, _fold_channels)}.get(direction, (_fold_batch, _fold_kernel))
        which = 0 if dims[1] is None else 1
        return fold[which](primitive, direction, a, b, dims[which], which, params), 0
    a, b = (_front(v, d, count) for v, d in zip((a, b), dims))
    if stacked:
        shape = a.shape[:2]
        a, b = (v.reshape(shape[0] * shape[1], *v.shape[2:]) for v in (a, b))  # (outer·inner, …)
        y = primitive.bind(a, b, stacked=True, sharding=None, **params)
        return y.reshape(*shape, *y.shape[1:]), 0
    return primitive.bind(a, b, stacked=True, sharding=None, **params), 0


def _front(v: Array, dim: int | None, count: int) -> Array:
    return jnp.broadcast_to(v, (count, *v.shape)) if dim is None else jnp.moveaxis(v, dim, 0)


def _fold_batch(primitive, direction, a, b, dim, which, params):
    """x or g is mapped: `(v, n, …)` is a batch of v · n."""
    a = jnp.moveaxis(a, dim, 0)
    shape = a.shape[:2]
    folded = a.reshape(shape[0] * shape[1], *a.shape[2:])  # (v·n, …)
    y = primitive.bind(folded, b, stacked=False, sharding=None, **params)  # (v·n, …)
    return y.reshape(*shape, *y.shape[1:])


def _fold_kernel(primitive, direction, a, b, dim, which, params):
    """The kernel is mapped: v times the output channels of a conv, the input channels of an input gradient."""
    groups = params["groups"]
    axis = -1 if direction == "conv" else -2
    groups_there = groups if direction == "conv" else 1
    count = b.shape[dim]
    b = _join(jnp.moveaxis(b, dim, 0), axis, groups_there)
    y = primitive.bind(a, b, stacked=False, sharding=None, **params)  # (n, …, g·v·c)
    return _part(y, -1, groups, count)


def _fold_channels(primitive, direction, a, b, dim, which, params):
    """x or g of a kernel gradient is mapped: v times the input or output channels of the kernel."""
    groups, operands = params["groups"], [a, b]
    count = operands[which].shape[dim]
    operands[which] = _join(jnp.moveaxis(operands[which], dim, 0), -1, groups)
    dk = primitive.bind(*operands, stacked=False, sharding=None, **params)  # (*size, i, g·o), i or o with v in front
    return _part(dk, -2, 1, count) if which == 0 else _part(dk, -1, groups, count)


def _join(v: Array, axis: int, groups: int) -> Array:
    """`(v, …, g·c, …)` to `(…, g·v·c, …)` at a negative axis."""
    at, count, size = v.ndim + axis, v.shape[0], v.shape[axis]
    split = v.reshape(*v.shape[:at], groups, size // groups, *v.shape[at + 1 :])  # (v, …, g, c, …)
    moved = jnp.moveaxis(split, 0, at)  # (…, g, v, c, …)
    return moved.reshape(*v.shape[1:at], count * size, *v.shape[at + 1 :])


def _part(y: Array, axis: int, groups: int, count: int) -> Array:
    """`(…, g·v·c, …)` to `(v, …, g·c, …)` at a negative axis."""
    at = y.ndim + axis
    size = y.shape[at] // count
    split = y.reshape(*y.shape[:at], groups, count, size // groups, *y.shape[at + 1 :])  # (…, g, v, c, …)
    moved = jnp.moveaxis(split, at + 1, 0)  # (v, …, g, c, …)
    return moved.reshape(count, *y.shape[:at], size, *y.shape[at + 1 :])
