"""Separable convolution: depthwise then pointwise, or a column then a row.

A depthwise separable convolution replaces K · c_in · c_out multiplications a pixel by K · c_in + c_in · c_out (Chollet, 2017;
Howard et al., 2017). A spatially separable one replaces kh · kw by kh + kw, exactly where the kernel is an outer product
(rank 1), approximately elsewhere: `separate` says how well (Jaderberg et al., Speeding up CNNs with low rank expansions, 2014).

All arrays of a call have one dtype. 8-bit integers give int32: the first stage is summed into int32, and the second takes its
sums, with its kernel and the bias widened; exact while no sum leaves 32 bits.
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Num

from jaxcnn.geometry import Padding, Window, per_axis

from . import _check
from ._conv import conv, depthwise_conv
from ._lowering import Lowering
from ._widened import widened


def separable_conv(
    x: Num[Array, "n *space c_in"],
    depthwise_kernel: Num[Array, "*size c_in multiplier"],
    pointwise_kernel: Num[Array, "c_middle c_out"],
    bias: Num[Array, " c_out"] | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    padding_mode: str = "zeros",
    dilation: int | Sequence[int] = 1,
    lowering: Lowering = "auto",
) -> Num[Array, "n *outputs c_out"]:
    """Depthwise convolution, then a 1×1 that mixes the `c_middle = c_in · multiplier` channels; no activation between.

    Args:
        lowering: of the depthwise one; the 1×1 chooses by itself.

    Raises: as `depthwise_conv`; ValueError if `pointwise_kernel` is not `(c_in · multiplier, c_out)`.

    >>> x = jnp.ones((1, 12, 12, 3))
    >>> y = separable_conv(x, jnp.ones((5, 5, 3, 1)), jnp.ones((3, 256)), padding="valid")
    >>> y.shape, y[0, 0, 0, 0].item()  # 5 · 5 · 3 ones
    ((1, 8, 8, 256), 75.0)
    """
    pointwise_kernel = _check.array("separable_conv", "pointwise_kernel", pointwise_kernel)
    bias = None if bias is None else _check.array("separable_conv", "bias", bias)
    options = {"padding": padding, "padding_mode": padding_mode, "dilation": dilation, "lowering": lowering}
    with _check.named("depthwise_conv", "separable_conv", kernel="depthwise_kernel"):
        middle = depthwise_conv(x, depthwise_kernel, stride=stride, **options)
    if pointwise_kernel.ndim != 2 or pointwise_kernel.shape[0] != middle.shape[-1]:
        raise ValueError(
            f"separable_conv: pointwise_kernel is {_check.describe(pointwise_kernel)}; it must be "
            f"(c_in · multiplier, c_out) = ({middle.shape[-1]}, c_out)"
        )
    kernel = pointwise_kernel.reshape((1,) * (x.ndim - 2) + pointwise_kernel.shape)  # (1, 1, c_middle, c_out)
    _check.same_dtype("separable_conv", x, pointwise_kernel=pointwise_kernel, bias=bias)
    with _check.named("conv", "separable_conv"):
        return conv(middle, *_as_wide(middle, kernel, bias))


def spatially_separable_conv(
    x: Num[Array, "n h w c_in"],
    column: Num[Array, "kh c_in_of_group c_middle"],
    row: Num[Array, "kw c_middle_of_group c_out"],
    bias: Num[Array, " c_out"] | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    padding_mode: str = "zeros",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    lowering: Lowering = "auto",
) -> Num[Array, "n oh ow c_out"]:
    """A kh×1 convolution, then a 1×kw one: the kernel `Σ_m column[i, c, m] · row[j, m, d]`, never formed.

    Args:
        column: `(kh, c_in // groups, c_middle)`.
        row: `(kw, c_middle // groups, c_out)`.

    Raises: as `conv`.

    >>> x, sobel = jnp.arange(12.0).reshape(1, 3, 4, 1), (jnp.array([1.0, 2, 1]), jnp.array([-1.0, 0, 1]))
    >>> spatially_separable_conv(x, *(v[:, None, None] for v in sobel), padding="valid").ravel().tolist()
    [8.0, 8.0]
    """
    x = _check.images("spatially_separable_conv", x, 2)
    bias = None if bias is None else _check.array("spatially_separable_conv", "bias", bias)
    for what, part in (("column", column), ("row", row)):
        if _check.array("spatially_separable_conv", what, part).ndim != 3:
            raise ValueError(f"spatially_separable_conv: {what} is {_check.describe(part)}; it must be (k, c, c_next)")
    _check.same_dtype("spatially_separable_conv", x, column=column, row=row, bias=bias)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    window = Window.resolve((len(column), len(row)), x.shape[1:3], name="spatially_separable_conv", **options)
    (sy, sx), (py, px), (dy, dx) = window.stride, window.padding, window.dilation
    shared = {"padding_mode": padding_mode, "groups": groups, "lowering": lowering}
    with _check.named("conv", "spatially_separable_conv", kernel="column"):
        x = conv(
            x,
            column.reshape(len(column), 1, *column.shape[1:]),
            stride=(sy, 1),
            padding=(py, 0),
            dilation=(dy, 1),
            **shared,
        )
    with _check.named("conv", "spatially_separable_conv", kernel="row"):
        return conv(
            x,
            *_as_wide(x, row.reshape(1, *row.shape), bias),
            stride=(1, sx),
            padding=(0, px),
            dilation=(1, dx),
            **shared,
        )


def _as_wide(x: Array, kernel: Array, bias: Array | None) -> tuple[Array, Array | None]:
    """Kernel and bias in the dtype of x, which is that of sums."""
    return kernel.astype(x.dtype), None if bias is None else bias.astype(x.dtype)


def separate(
    kernel: Float[Array, "kh kw *channels"], *, rank: int = 1
) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, ""]]:
    """The best column and row for a kernel: least squares, by singular values.

    Args:
        kernel: `(kh, kw)`, or `(kh, kw, c_in, c_out)`.
        rank: channels between column and row (`c_middle`); a `(kh, kw)` kernel has rank 1.

    Returns: `column, row, residual`: `(kh,)` and `(kw,)` for a 2-D kernel, else `(kh, c_in, rank)` and `(kw, rank, c_out)`;
        `residual` is the relative Frobenius norm of what they leave out, 0 for a separable kernel.

    Raises: ValueError for another number of axes or a rank that is too large.

    >>> column, row, residual = separate(jnp.outer(jnp.array([3.0, 4, 5]), jnp.array([1.0, 2, 3])))
    >>> jnp.outer(column, row).round(4).tolist(), bool(residual < 1e-6)
    ([[3.0, 6.0, 9.0], [4.0, 8.0, 12.0], [5.0, 10.0, 15.0]], True)
    """
    kernel = _check.array("separate", "kernel", kernel)
    _check.floating("separate", kernel, "kernel")
    (rank,) = per_axis(rank, 1, what="rank", name="separate", least=1)
    if kernel.ndim not in (2, 4) or not kernel.size:
        raise ValueError(f"separate: kernel is {_check.describe(kernel)}; it must be (kh, kw) or (kh, kw, c_in, c_out)")
    kh, kw, c_in, c_out = kernel.shape if kernel.ndim == 4 else (*kernel.shape, 1, 1)
    most = min(kh * c_in, kw * c_out) if kernel.ndim == 4 else 1
    if rank > most:
        raise ValueError(f"separate: rank={rank} must be from 1 to {most} (kernel is {_check.describe(kernel)})")
    wide = widened(kernel)  # LAPACK has no 16-bit floats
    matrix = wide.reshape(kh, kw, c_in, c_out).transpose(0, 2, 1, 3).reshape(kh * c_in, kw * c_out)
    u, s, v = jnp.linalg.svd(matrix, full_matrices=False)  # (kh·c_in, m), (m,), (m, kw·c_out)
    scale = jnp.sqrt(s[:rank])
    column = (u[:, :rank] * scale[None]).reshape(kh, c_in, rank)
    row = (v[:rank] * scale[:, None]).reshape(rank, kw, c_out).swapaxes(0, 1)  # (kw, rank, c_out)
    norm = jnp.linalg.norm(matrix)
    residual = jnp.linalg.norm(s[rank:]) / jnp.where(norm > 0, norm, 1)
    column, row, residual = (a.astype(kernel.dtype) for a in (column, row, residual))
    return (column, row, residual) if kernel.ndim == 4 else (column[:, 0, 0], row[:, 0, 0], residual)
