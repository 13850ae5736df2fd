"""Dense blocks: a grouped convolution as a few convolutions without groups.

Several groups are merged into one block whose kernel is block diagonal, the rest of it zero: `merged` times the arithmetic,
but products wide enough for the matrix unit; XLA:CPU's own grouped convolution runs one narrow product a group. Wide groups
are merely split. Each block is then an ordinary case and goes the way that such a case goes.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from . import direct, patches
from ._case import Case

WIDTH = 32  # channels a block, at least where the groups allow it
UNROLL = 8  # blocks written out, which run side by side; more are a loop over runs of them: 32 compile for 2 s


def supports(case: Case) -> str | None:
    """Groups, on one device or few enough blocks to be written out."""
    if case.groups == 1:
        return "there are no groups to block"
    if case.partitioned and case.groups // merged(case) > UNROLL:
        return "its loop over blocks is not for a program that is split over devices"
    return None


def merged(case: Case) -> int:
    """How many groups form one block: the smallest divisor of `groups` that makes both sides `WIDTH` wide."""
    narrow = min(case.c_in_of_group, case.c_out_of_group)
    return next((m for m in range(1, case.groups + 1) if case.groups % m == 0 and m * narrow >= WIDTH), case.groups)


def block_case(case: Case) -> Case:
    """The case of one block."""
    m = merged(case)
    return case.replace(groups=1, c_in=m * case.c_in_of_group, c_out=m * case.c_out_of_group)


def conv(x: Array, kernel: Array, case: Case) -> Array:
    """The blocks' convolutions, side by side in the channels."""
    return _each(x, _dense(kernel, case), case).reshape(case.y_shape)


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The blocks' input gradients, side by side in the channels."""
    return _each(g, _dense(kernel, case), case).reshape(case.x_shape)


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """The diagonal of the blocks' kernel gradients."""
    m, size = merged(case), case.window.size
    dk = _each(x, _split(g, case.groups // m), case)  # (*size, m·i, blocks, m·o)
    dk = dk.reshape(*size, m, case.c_in_of_group, -1, m, case.c_out_of_group)  # (*size, m, i, blocks, m, o)
    at = case.rank
    diagonal = [lax.index_in_dim(lax.index_in_dim(dk, a, -2, False), a, at, False) for a in range(m)]
    return jnp.stack(diagonal, -2).reshape(case.kernel_shape)  # (*size, i, blocks·m·o)


def _split(x: Array, count: int) -> Array:
    """`(count, …, c / count)`."""
    return jnp.moveaxis(x.reshape(*x.shape[:-1], count, x.shape[-1] // count), -2, 0)


def _dense(kernel: Array, case: Case) -> Array:
    """The block-diagonal kernels: `(blocks, *size, m·i, m·o)`."""
    m, size = merged(case), case.window.size
    i, o = case.c_in_of_group, case.c_out_of_group
    split = jnp.moveaxis(kernel.reshape(*size, i, case.groups // m, m, o), -3, 0)  # (blocks, *size, i, m, o)
    if m == 1:
        return split.reshape(-1, *size, i, o)
    eye = np.eye(m).reshape(*[1] * (1 + case.rank), m, 1, m, 1)  # beside (blocks, *size, m, i, m, o)
    dense = split[..., None, :, :, :] * jnp.asarray(eye, kernel.dtype)  # (blocks, *size, m, i, m, o)
    return dense.reshape(-1, *size, m * i, m * o)


def _each(x: Array, b: Array, case: Case) -> Array:
    """Every block evaluated, blocks in front of the last axis of the result: `(…, blocks, c)`."""
    count = b.shape[0]
    run = next(r for r in range(min(UNROLL, count), 0, -1) if count % r == 0)
    if run == count:
        return _written_out(x, b, case)
    xs = _split(x, count // run)  # (runs, …, c of a run)
    y = lax.map(
        lambda pair: _written_out(pair[0], pair[1], case), (xs, b.reshape(-1, run, *b.shape[1:]))
    )  # (runs, …, run, c)
    y = jnp.moveaxis(y, 0, -3)  # (…, runs, run, c)
    return y.reshape(*y.shape[:-3], count, y.shape[-1])


def _written_out(x: Array, b: Array, case: Case) -> Array:
    """Blocks that run side by side; a matrix product where the window tiles, else XLA's own: others compile too long."""
    part, count = block_case(case), b.shape[0]
    run = getattr(patches if patches.tiles(part) else direct, case.direction)
    width = x.shape[-1] // count
    blocks = [lax.slice_in_dim(x, a, a + width, axis=-1) for a in range(0, x.shape[-1], width)]
    return jnp.stack([run(block, b[i], part) for i, block in enumerate(blocks)], -2)
