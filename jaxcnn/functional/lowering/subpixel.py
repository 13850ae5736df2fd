"""Sub-pixel: the input gradient of a strided convolution as one stride-1 gradient to `stride²` times the channels.

With t = stride · j + r the pixels of a padded image that have one residue r are one more channel of an image `stride` times
smaller, and r of the taps one more input channel of a kernel `stride` times smaller:

    dx[stride · u + r] = Σ_j  g[u − j] · kernel[stride · j + r]

Beside `phases` this multiplies the zeros that complete the kernel to a multiple of the stride, but in one convolution: better
where there are few channels. Reference: Shi et al., Is the deconvolution layer the same as a convolutional layer? (2016).
"""

from math import prod

import jax.numpy as jnp
from jax import Array, lax

from jaxcnn.geometry import Window

from . import direct
from ._case import Case


def supports(case: Case) -> str | None:
    """Strided input gradients, one group, no dilation."""
    if case.direction != "input_grad":
        return "it computes input gradients alone"
    if case.unit_stride:
        return "at stride 1 there is one phase"
    if case.groups != 1 or set(case.window.dilation) != {1}:
        return f"it needs one group without dilation, here are {case.groups} and {case.window.dilation}"
    return None


def spreads(case: Case) -> bool:
    """The zeros that complete the kernel meet outputs that did not see the pixel."""
    return True


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The gradient of the smaller image, its channels laid out as pixels again."""
    window, rank, stride = case.window, case.rank, case.window.stride
    size = tuple(-(-k // s) for k, s in zip(window.size, stride))
    small = tuple(o + k - 1 for o, k in zip(case.outputs, size))
    dense = Window(size, (1,) * rank, ((0, 0),) * rank, (1,) * rank)
    part = case.replace(window=dense, space=small, c_in=prod(stride) * case.c_in)
    dx = direct.input_grad(g, _small_kernel(kernel, case, size), part)  # (n, *small, stride²·c_in)
    order = [axis for i in range(rank) for axis in (1 + i, 1 + rank + i)]
    dx = dx.reshape(case.n, *small, *stride, case.c_in).transpose(0, *order, 1 + 2 * rank)  # (n, uh, sh, uw, sw, c_in)
    dx = dx.reshape(case.n, *(u * s for u, s in zip(small, stride)), case.c_in)
    edges = [(-low, low + n - u * s, 0) for (low, _), n, u, s in zip(window.padding, case.space, small, stride)]
    return lax.pad(dx, jnp.zeros((), dx.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


def _small_kernel(kernel: Array, case: Case, size: tuple[int, ...]) -> Array:
    """`(*size, stride²·c_in, c_out)`, zeros where the kernel ends."""
    rank, stride = case.rank, case.window.stride
    more = [(0, j * s - k, 0) for j, s, k in zip(size, stride, case.window.size)]
    kernel = lax.pad(kernel, jnp.zeros((), kernel.dtype), [*more, (0, 0, 0), (0, 0, 0)])
    split = kernel.reshape(
        *(v for pair in zip(size, stride) for v in pair), *kernel.shape[-2:]
    )  # (jh, rh, jw, rw, i, o)
    order = (*range(0, 2 * rank, 2), *range(1, 2 * rank, 2), 2 * rank, 2 * rank + 1)
    return split.transpose(order).reshape(*size, -1, case.c_out)
