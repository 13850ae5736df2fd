"""Convolution whose taps move: `deform_conv2d`.

    y[n, o, c] = bias[c] + Σ_t Σ_i mask[n, o, t] · x(n, o · stride − low + t · dilation + offset[n, o, t], i) · kernel[t, i, c]

where x(n, p, i) between the pixels is `grid_sample`'s "linear" with "zeros" outside. Without a mask it is the first version, with
one the second (modulated). The taps are sampled and multiplied one after the other, in the backward pass again, so that the
memory is that of a few images whatever the kernel. The numbers are torchvision's.
References: Dai et al., Deformable convolutional networks (2017); Zhu et al., Deformable ConvNets v2 (2019).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.geometry import Padding, Window, per_axis

from . import _check, engine
from ._accumulated import accumulated
from ._bias import add_bias
from ._conv import check_arrays
from ._grid_sample import sample
from ._pad import cropped
from ._widened import widened

NAME = "deform_conv2d"
POINT = Window((1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1))


def deform_conv2d(
    x: Float[Array, "n h w c_in"],
    kernel: Float[Array, "kh kw c_in_of_group c_out"],
    offset: Float[Array, "n h_out w_out 2·taps·offset_groups"],
    mask: Float[Array, "n h_out w_out taps·offset_groups"] | None = None,
    bias: Float[Array, " c_out"] | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    offset_groups: int = 1,
) -> Float[Array, "n h_out w_out c_out"]:
    """Deformable convolution; stride, padding, dilation and groups are described in `conv`'s module.

    Differentiable in everything; where a point lies on a pixel, the derivative in the offset is that of the side beyond it.

    Args:
        offset: pixels by which each tap moves, (y, x) after (y, x): group of channels by group, in a group the taps row by
            row (torchvision's order, channels last). Any floating dtype, best float32 also for 16-bit images.
        mask: what each tap counts, in the same order; None counts every tap 1.
        offset_groups: groups of input channels that move together, each with its own offsets; must divide c_in.

    Raises: as `conv`; ValueError for an offset or mask of another shape, TypeError for what is not floating point.

    >>> x, kernel = jnp.arange(5.0).reshape(1, 1, 5, 1), jnp.ones((1, 1, 1, 1))
    >>> offset = jnp.broadcast_to(jnp.array([0.0, 0.5]), (1, 1, 5, 2))
    >>> deform_conv2d(x, kernel, offset)[0, 0, :, 0].tolist()
    [0.5, 1.5, 2.5, 3.5, 2.0]
    """
    x, kernel = _check.images(NAME, x, 2), _check.array(NAME, "kernel", kernel)
    bias = None if bias is None else _check.array(NAME, "bias", bias)
    with _check.named("conv", NAME):
        groups = check_arrays(x, kernel, bias, groups)
    _check.floating(NAME, x)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "name": NAME}
    window = Window.resolve(kernel.shape[:2], x.shape[1:3], **options)
    x, pairs = cropped(x, window.padding)
    window = replace(window, padding=pairs)
    (offset_groups,) = per_axis(offset_groups, 1, what="offset_groups", name=NAME, least=1)
    if x.shape[-1] % offset_groups:
        raise ValueError(
            f"{NAME}: offset_groups={offset_groups} must divide c_in={x.shape[-1]} (x is {_check.describe(x)})"
        )
    offset = _moves("offset", offset, x, window, offset_groups, 2)
    mask = None if mask is None else _moves("mask", mask, x, window, offset_groups, 1)
    y = _deformed(x, kernel, offset, mask, window, groups, offset_groups)
    return add_bias(y, bias).astype(x.dtype)


def _moves(what: str, v, x: Array, window: Window, offset_groups: int, numbers: int) -> Array:
    v = _check.array(NAME, what, v)
    _check.floating(NAME, v, what)
    outputs = window.output_size(x.shape[1:3])
    wanted = (x.shape[0], *outputs, offset_groups * window.taps * numbers)
    if v.shape != wanted:
        each = "2 · taps" if numbers == 2 else "taps"
        raise ValueError(
            f"{NAME}: {what} is {_check.describe(v)}; it must have the shape {wanted}: n, outputs, {each} · offset_groups"
        )
    return v


@partial(jax.jit, static_argnums=(4, 5, 6))
def _deformed(x: Array, kernel: Array, offset: Array, mask: Array | None, window: Window, groups: int, parts: int):
    (n, h, w, c), taps, wide = x.shape, window.taps, widened(x)
    outputs = window.output_size((h, w))
    images = jnp.moveaxis(wide.reshape(n, h, w, parts, c // parts), 3, 1)  # (n, parts, h, w, c / parts)
    images = images.reshape(n * parts, h, w, c // parts)
    corner = [np.arange(o) * s - low for o, s, (low, _) in zip(outputs, window.stride, window.padding)]
    grid = np.stack(np.meshgrid(*corner, indexing="ij"), -1)  # (h_out, w_out, 2)
    steps = np.stack(list(np.ndindex(*window.size))) * window.dilation  # (taps, 2)
    by_tap = lambda v, *last: jnp.moveaxis(v.reshape(n, *outputs, parts, taps, *last), (4, 3), (0, 2)).reshape(
        taps, n * parts, *outputs, *last
    )
    at = jnp.asarray(grid + steps[:, None, None, None], widened(offset).dtype) + by_tap(widened(offset), 2)
    weights = () if mask is None else (by_tap(widened(mask).astype(wide.dtype)),)

    def term(step) -> Array:
        at, kernel, *weight = step
        seen = sample(images, at, method="linear", padding_mode="zeros")  # (n · parts, h_out, w_out, c / parts)
        seen = seen * weight[0][..., None] if weight else seen
        seen = jnp.moveaxis(seen.reshape(n, parts, *outputs, c // parts), 1, 3).reshape(n, *outputs, c)
        return engine.conv(seen, kernel[None, None], POINT, groups=groups)

    return accumulated(term, (at, widened(kernel).reshape(taps, *kernel.shape[2:]), *weights))
