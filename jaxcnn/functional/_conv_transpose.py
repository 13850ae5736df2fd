"""Transposed convolution: the adjoint of `conv` with the same arguments.

    ⟨conv(y, kernel), x⟩ = ⟨y, conv_transpose(x, kernel)⟩   for every y,   both without bias

So the kernel is the one of the convolution that is transposed, `(*size, c_out // groups, c_in)` seen from here, and padding,
stride, dilation and groups mean what they mean there. Padding in numbers gives PyTorch's size, "same" gives `n · stride`.
"""

from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp
from jax import Array
from jaxtyping import Num

from jaxcnn.geometry import Padding, Window, adjoint_window, per_axis

from . import _check, engine
from ._bias import add_bias
from ._lowering import Lowering, check_lowering, check_size
from ._pad import pad_pairs


def conv_transpose(
    x: Num[Array, "n *space c_in"],
    kernel: Num[Array, "*size c_out_of_group c_in"],
    bias: Num[Array, " c_out"] | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    output_padding: int | Sequence[int] = 0,
    output_size: int | Sequence[int] | None = None,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    lowering: Lowering = "auto",
) -> Num[Array, "n *outputs c_out"]:
    """Transposed convolution over 1 to 3 spatial axes.

    Args:
        padding: as in `conv`: what the convolution that is transposed adds to its image, so it crops the result; where that
            convolution crops (a negative number), the result has a border of zeros.
        output_padding: pixels more on the high side, below stride or dilation; not with "same".
        output_size: the result's size outright, one that `conv` takes to the size of x.
        lowering: as in `conv`, by the directions of the convolution that is transposed: "input_grad" is this call.

    Returns: `(n, *outputs, c_out)`, `outputs = (n − 1) · stride − low − high + span + output_padding`, `n · stride` with "same".

    Raises: ValueError for shapes or sizes that do not fit, TypeError for mixed dtypes.

    >>> conv_transpose(jnp.ones((1, 4, 4, 3)), jnp.ones((4, 4, 5, 3)), stride=2, padding=1).shape
    (1, 8, 8, 5)
    >>> conv_transpose(jnp.array([[[1.0], [2.0]]]), jnp.array([[[1.0]], [[3.0]]]), stride=2).ravel().tolist()
    [1.0, 3.0, 2.0, 6.0]
    >>> conv_transpose(jnp.ones((1, 3, 3)), jnp.ones((2, 1, 3)), stride=2)[0, :, 0].tolist()
    [3.0, 3.0, 3.0, 3.0, 3.0, 3.0]
    """
    name = "conv_transpose"
    x, kernel = _check.images(name, x), _check.array(name, "kernel", kernel)
    bias = None if bias is None else _check.array(name, "bias", bias)
    _check_arrays(x, kernel, bias, groups)
    window, space = adjoint_window(
        kernel.shape[:-2],
        x.shape[1:-1],
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        dilation=dilation,
        name=name,
    )
    window, space, crops = _without_crops(window, space)
    case = engine.case_of("input_grad", x, kernel, window=window, groups=groups, space=space)
    check_size(name, case)
    forced = check_lowering(name, case, lowering)
    y = engine.conv_input_grad(x, kernel, window, space, groups=groups, lowering=forced)
    return add_bias(pad_pairs(name, y, crops), bias)  # what the convolution crops, nothing comes back to


conv_transpose1d = _check.ranked(conv_transpose, 1)
conv_transpose2d = _check.ranked(conv_transpose, 2)
conv_transpose3d = _check.ranked(conv_transpose, 3)


def _without_crops(window: Window, space: tuple[int, ...]) -> tuple[Window, tuple[int, ...], list[tuple[int, int]]]:
    """The window without its crops, the size of the cropped image, and how many pixels are cropped on each side.

    Pixels on the high side that no window reaches (`output_padding`) stay as they are, negative padding of less than a step.
    """
    steps = map(max, zip(window.stride, window.dilation))
    if all(low >= 0 and high > -step for (low, high), step in zip(window.padding, steps)):
        return window, space, [(0, 0)] * window.rank
    crops = [(max(-low, 0), max(-high, 0)) for low, high in window.padding]
    left = tuple((max(low, 0), max(high, 0)) for low, high in window.padding)
    return replace(window, padding=left), tuple(m - low - high for m, (low, high) in zip(space, crops)), crops


def _check_arrays(x: Array, kernel: Array, bias: Array | None, groups: int) -> None:
    of_x = f"(x is {_check.describe(x)})"
    shape = f"conv_transpose: kernel is {_check.describe(kernel)}; it must"
    if kernel.ndim != x.ndim or 0 in kernel.shape[:-2]:
        raise ValueError(f"{shape} have {x.ndim - 2} sizes of at least 1, then c_out // groups and c_in {of_x}")
    (groups,) = per_axis(groups, 1, what="groups", name="conv_transpose", least=1)
    if x.shape[-1] % groups:
        raise ValueError(f"conv_transpose: groups={groups} must divide c_in={x.shape[-1]} {of_x}")
    if kernel.shape[-1] != x.shape[-1]:
        raise ValueError(f"{shape} end with c_in={x.shape[-1]}, as the kernel of the convolution it transposes {of_x}")
    c_out = kernel.shape[-2] * groups
    if bias is not None and bias.shape != (c_out,):
        raise ValueError(f"conv_transpose: bias is {_check.describe(bias)}; it must have the shape ({c_out},)")
    _check.same_dtype("conv_transpose", x, kernel=kernel, bias=bias)
    if not jnp.issubdtype(x.dtype, jnp.inexact):
        _check.floating("conv_transpose", x)
