"""Dense blocks: a grouped convolution as a few convolutions without groups.

Several groups are merged into one block whose kernel is block diagonal, the rest of it zero: `merged` times the arithmetic,
but products wide enough for the matrix unit; XLA:CPU's own grouped convolution runs one narrow product a group. Wide groups
are merely split. Each block is then an ordinary case and goes the way that such a case goes.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ._case import Case

WIDTH = 16  # channels a block, at least where the groups allow it
UNROLL = 8  # blocks written out; more are a loop, which compiles faster


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
    return _channels(_each(_split(x, case), _dense(kernel, case), case), case.y_shape)


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The blocks' input gradients, side by side in the channels."""
    return _channels(_each(_split(g, case), _dense(kernel, case), case), case.x_shape)


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """The diagonal of the blocks' kernel gradients."""
    m, size = merged(case), case.window.size
    dk = jnp.stack(_each(_split(x, case), _split(g, case), case))  # (blocks, *size, m·i, m·o)
    dk = dk.reshape(-1, *size, m, case.c_in_of_group, m, case.c_out_of_group)  # (blocks, *size, m, i, m, o)
    diagonal = jnp.stack([dk[..., a, :, a, :] for a in range(m)], -2)  # (blocks, *size, i, m, o)
    return jnp.moveaxis(diagonal, 0, -3).reshape(case.kernel_shape)  # (*size, i, blocks·m·o)


def _split(x: Array, case: Case) -> list[Array]:
    width = x.shape[-1] // (case.groups // merged(case))
    return [lax.slice_in_dim(x, a, a + width, axis=-1) for a in range(0, x.shape[-1], width)]


def _dense(kernel: Array, case: Case) -> list[Array]:
    m, size = merged(case), case.window.size
    i, o = case.c_in_of_group, case.c_out_of_group
    split = kernel.reshape(*size, i, -1, m, o)  # (*size, i, blocks, m, o)
    split = jnp.moveaxis(split, -3, 0)  # (blocks, *size, i, m, o)
    eye = jnp.asarray(np.eye(m), kernel.dtype)[:, None, :, None]  # (m, 1, m, 1)
    dense = split[..., None, :, :, :] * eye  # (blocks, *size, m, i, m, o)
    return list(dense.reshape(-1, *size, m * i, m * o))


def _each(a: list[Array], b: list[Array], case: Case) -> list[Array]:
    from ._choice import evaluate

    part = block_case(case)
    if len(a) <= UNROLL:
        return [evaluate(u, v, part) for u, v in zip(a, b)]
    return list(lax.map(lambda pair: evaluate(pair[0], pair[1], part), (jnp.stack(a), jnp.stack(b))))


def _channels(parts: list[Array], shape: tuple[int, ...]) -> Array:
    return jnp.concatenate(parts, -1).reshape(shape)
