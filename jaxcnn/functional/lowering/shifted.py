"""Shifted products: a grouped convolution as one batched matrix product of every pixel with every tap, shifted and added up.

    P_g = X_g · K_g   with K_g (c_in, taps · c_out) of group g,      y[o] = Σ_t P[o − low + t · dilation, t]

A group a batch entry, so that all groups are one product and not one small convolution each. P is `taps` times larger than y: for
small maps with many channels, whose kernel is larger than their images.
"""

from math import prod

import jax.numpy as jnp
from jax import Array, lax

from ._case import Case, adjoint, adjoint_kernel, every_tap, padded, tap

MOST_BYTES = 64 << 20


def supports(case: Case) -> str | None:
    """Groups at stride 1, forward and back, on one device, where P is small."""
    if case.direction == "kernel_grad":
        return "it shifts pixels, a kernel gradient has none"
    if case.groups == 1:
        return "it is one product a group, here is one group"
    if not case.unit_stride:
        return f"it needs stride 1, here it is {case.window.stride}"
    if case.partitioned:
        return "its product has pixels and images as one axis: a batch on several devices would be gathered"
    whole = adjoint(case) if case.direction == "input_grad" else case
    held = whole.n * prod(whole.space) * whole.taps * whole.c_out * max(jnp.dtype(case.dtype).itemsize, 4)
    return f"its product takes {held >> 20} MiB; at most {MOST_BYTES >> 20}" if held > MOST_BYTES else None


def conv(x: Array, kernel: Array, case: Case) -> Array:
    """The product, and the sum of its shifted columns."""
    groups, rank, taps = case.groups, case.rank, every_tap(case.window)
    x = x.reshape(*x.shape[:-1], groups, case.c_in_of_group)  # (n, *space, g, i)
    kernel = kernel.reshape(case.taps, case.c_in_of_group, groups, case.c_out_of_group)  # (taps, i, g, o)
    columns = lax.dot_general(x, kernel, (((rank + 2,), (1,)), ((rank + 1,), (2,))))  # (g, n, *space, taps, o)
    total = jnp.zeros((), columns.dtype)
    for index, at in enumerate(taps):
        part = lax.index_in_dim(columns, index, -2, keepdims=False)  # (g, n, *space, o)
        part = padded(part.reshape(-1, *part.shape[2:]), case.window)
        total = total + tap(part, case.window, at, case.outputs)  # (g·n, *outputs, o)
    y = total.reshape(groups, case.n, *total.shape[1:])  # (g, n, *outputs, o)
    return jnp.moveaxis(y, 0, -2).reshape(case.y_shape)


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The same over the adjoint window."""
    return conv(g, adjoint_kernel(kernel, case), adjoint(case))
