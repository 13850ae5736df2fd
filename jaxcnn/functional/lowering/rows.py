"""Rows: the input gradient with rows of pixels as channels and the kernel as a banded matrix: wide products for narrow images.

    B[a, (w, i), (o, c)] = kernel[a, b, i, c]   where w = o · stride − low + b · dilation along the last axis, else 0

and what is left is a convolution of one axis less, `(n, h, w·c_in)` with B `(kh, w·c_in, ow·c_out)`, whose gradient `fold` takes.
It multiplies `w / kw` times as many numbers, most of them zero; but where a pixel has fewer channels than a vector has lanes,
and a row has few pixels, that costs less than pieces of `c_in` numbers shifted and added one by one.
"""

import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcnn.geometry import Window

from . import fold
from ._case import Case

MOST_BYTES = 16 << 20  # of B


def supports(case: Case) -> str | None:
    """Input gradients of one group, two axes or more, B of at most 16 MiB."""
    if case.direction != "input_grad":
        return "it computes input gradients alone"
    if case.groups != 1 or case.rank < 2:
        return f"it needs one group and two axes or more, here are {case.groups} and {case.rank}"
    line = _line(case)
    held = line.taps * line.c_in * line.c_out * max(jnp.dtype(case.dtype).itemsize, 4)
    if held > MOST_BYTES:
        return f"its banded matrix takes {held >> 20} MiB; at most {MOST_BYTES >> 20}"
    return fold.supports(line)


def spreads(case: Case) -> bool:
    """The zeros beside the band meet pixels that no window sees."""
    return True


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """Rows of the outputs times Bᵀ, shifted and added along the other axes."""
    line = _line(case)
    return fold.input_grad(g.reshape(line.y_shape), _banded(kernel, case), line).reshape(case.x_shape)


def _line(case: Case) -> Case:
    """The convolution of one axis less."""
    w = case.window
    window = Window(w.size[:-1], w.stride[:-1], w.padding[:-1], w.dilation[:-1])
    channels = {"c_in": case.space[-1] * case.c_in, "c_out": case.outputs[-1] * case.c_out}
    return case.replace(window=window, space=case.space[:-1], **channels)


def _banded(kernel: Array, case: Case) -> Array:
    """B, `(*size but the last, w·c_in, ow·c_out)`."""
    (*_, taps), (*_, stride), (*_, (low, _)), (*_, dilation) = (
        getattr(case.window, name) for name in ("size", "stride", "padding", "dilation")
    )
    pixels, outputs = np.ogrid[: case.space[-1], : case.outputs[-1]]
    tap, rest = np.divmod(pixels + low - outputs * stride, dilation)  # (w, ow)
    tap = np.where((rest == 0) & (tap >= 0) & (tap < taps), tap, taps)  # the last one is of zeros
    kernel = kernel.reshape(-1, *kernel.shape[-3:])  # (kh, kw, c_in, c_out)
    kernel = jnp.pad(kernel, [(0, 0), (0, 1), (0, 0), (0, 0)])
    band = kernel[:, tap].swapaxes(2, 3)  # (kh, w, ow, c_in, c_out) → (kh, w, c_in, ow, c_out)
    return band.reshape(_line(case).kernel_shape)
