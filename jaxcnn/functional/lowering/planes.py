"""Planes: the kernel gradient of a first layer as one matrix product of patches that lie channel by channel.

    dk = Σ_n P_n · g_n,      P_n[(t, i), o] = x[n, window.pixels(o)[t], i]

Patches that lie pixel by pixel (`patches`) are put together from pieces of `c_in` numbers, and the product then has its larger
operand transposed. Here x is first laid out channel by channel, so that the pieces are rows of pixels, and P is the left
operand as it lies; one product an image, because one product of few rows runs on one core. One axis after the other: Σ sizes
slices to compile, where all taps at once are Π sizes.
"""

import jax.numpy as jnp
from jax import Array, lax

from . import patches
from ._case import Case, every, padded

CHANNELS = 4
BLOCK = 8 << 20  # of patches, or two images: one for each core


def supports(case: Case) -> str | None:
    """Kernel gradients of a few input channels, one group, on one device."""
    if case.direction != "kernel_grad":
        return "it computes kernel gradients alone"
    if case.groups != 1 or case.c_in > CHANNELS:
        return f"it needs one group and at most {CHANNELS} input channels, here are {case.groups} and {case.c_in}"
    if case.partitioned:
        return "its product has pixels and images as one axis: a batch on several devices would be gathered"
    return patches.too_large(case)


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """`P · g`, in runs of images whose patches fit into the cache."""
    return patches.over_blocks(_product, x, g, case, patches.blocks(case, BLOCK, 2))


def _product(x: Array, g: Array, case: Case) -> Array:
    window = case.window
    x = jnp.moveaxis(padded(x, window), -1, 1)  # (n, c_in, *space)
    for axis in reversed(range(case.rank)):
        at = x.ndim - case.rank + axis
        steps = (window.dilation[axis], case.outputs[axis], window.stride[axis])
        taps = [every(x, t * steps[0], *steps[1:], at) for t in range(window.size[axis])]
        x = jnp.stack(taps, 1)  # (n, *size from this axis on, c_in, *space before it, *outputs from it on)
    columns = x.reshape(case.n, case.taps * case.c_in, -1)  # (n, taps·c_in, outputs)
    rows = g.reshape(case.n, -1, case.c_out)  # (n, outputs, c_out)
    products = lax.dot_general(columns, rows, (((2,), (1,)), ((0,), (0,))))  # (n, taps·c_in, c_out)
    return products.sum(0).reshape(case.kernel_shape)
