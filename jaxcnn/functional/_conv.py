"""Convolution: `conv`, `conv1d/2d/3d`, `depthwise_conv`, and true convolution `convolve`.

With taps t and the window of `jaxcnn.geometry.Window`,

    y[n, o, c] = bias[c] + Σ_t Σ_i x[n, o · stride − low + t · dilation, i] · kernel[t, i, c]

which is cross-correlation, what every deep-learning library calls convolution; `convolve` flips the kernel first.
Arrays are channels last: x `(n, *space, c_in)`, kernel `(*size, c_in // groups, c_out)`, result `(n, *outputs, c_out)` with
`outputs = ⌊(n + low + high − span) / stride⌋ + 1`. All arrays of a call have one dtype, which the result keeps: sums of 16-bit
floats are taken in float32 and rounded, a bias is added after that. 8-bit integers are summed into int32.

Common arguments:
    stride, dilation: an int or one an axis, in pixels.
    padding: "same" (XLA's rule, `ceil(n / stride)` outputs; the default, as in Flax), "valid", "full", "causal", an int, or
        one int, `(low, high)` pair or name an axis. Negative numbers crop the image, before anything is padded.
    padding_mode: "zeros", "reflect", "replicate", "circular" or "symmetric".
    groups: the channels are cut into this many blocks, block g of the output sees block g of the input alone.
    (`jax.default_matmul_precision` around a call says what GPU and TPU multiply in, and its gradients keep it.)
    lowering: "auto", or the name of the one to force, in the gradients where it can run them; a mapping of the directions
        "conv", "input_grad" and "kernel_grad" forces what it names, `{"kernel_grad": "images"}`. What is forced runs or is an
        error, where the program is lowered at the latest. "auto" takes "winograd" and "fft" where they are faster. The error of
        "winograd" is bounded by the largest pixel in reach of an output: beside a pixel of 1e6 small ones lose digits, beside
        an infinite one the output is NaN. "fft" computes float32 in float64; numbers 1e8 times smaller than the largest of
        their image lose digits. In every lowering NaN and infinity change only the outputs whose windows see them.
"""

from collections.abc import Sequence
from dataclasses import replace

import jax.numpy as jnp
from jax import Array
from jaxtyping import Num

from jaxcnn.geometry import Padding, Window, per_axis

from . import _check, engine
from ._bias import add_bias
from ._lowering import Lowering, check_lowering, check_size
from ._pad import MODES, cropped, pad_pairs


def conv(
    x: Num[Array, "n *space c_in"],
    kernel: Num[Array, "*size c_in_of_group c_out"],
    bias: Num[Array, " c_out"] | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    padding_mode: str = "zeros",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    lowering: Lowering = "auto",
) -> Num[Array, "n *outputs c_out"]:
    """Convolution (cross-correlation) over 1 to 3 spatial axes; the arguments are described in the module.

    Raises: ValueError for shapes that do not fit, a word that is unknown or a window larger than the padded image;
        TypeError for mixed dtypes.

    >>> x, kernel = jnp.ones((1, 5, 5, 3)), jnp.ones((3, 3, 3, 10))
    >>> conv(x, kernel, padding="valid").shape
    (1, 3, 3, 10)
    >>> conv(x, jnp.ones((3, 3, 1, 6)), groups=3, stride=2)[0, ..., 0].tolist()  # taps that are on the image
    [[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]
    """
    x, kernel = _check.images("conv", x), _check.array("conv", "kernel", kernel)
    bias = None if bias is None else _check.array("conv", "bias", bias)
    groups = check_arrays(x, kernel, bias, groups)
    _check.one_of("conv", "padding_mode", padding_mode, MODES)
    options = {"stride": stride, "dilation": dilation, "name": "conv"}
    window = Window.resolve(kernel.shape[:-2], x.shape[1:-1], padding=padding, **options)
    x, pairs = cropped(x, window.padding)
    window = replace(window, padding=pairs)
    case = engine.case_of("conv", x, kernel, window=window, groups=groups, space=x.shape[1:-1])
    check_size("conv", case)
    if padding_mode != "zeros":
        x = pad_pairs("conv", x, window.padding, padding_mode)
        window = Window.resolve(kernel.shape[:-2], x.shape[1:-1], **options)
        case = case.replace(window=window, space=x.shape[1:-1])
    forced = check_lowering("conv", case, lowering)
    y = engine.conv(x, kernel, window, groups=groups, lowering=forced)
    return add_bias(y, bias)


conv1d = _check.ranked(conv, 1)
conv2d = _check.ranked(conv, 2)
conv3d = _check.ranked(conv, 3)


def convolve(
    x: Num[Array, "n *space c_in"],
    kernel: Num[Array, "*size c_in_of_group c_out"],
    bias: Num[Array, " c_out"] | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "full",
    padding_mode: str = "zeros",
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    lowering: Lowering = "auto",
) -> Num[Array, "n *outputs c_out"]:
    """True convolution `(f * g)[n] = Σ_m f[n − m] · g[m]`: `conv` with the kernel flipped on every spatial axis.

    `padding` is "full" by default, as in NumPy's and SciPy's functions of this name.

    >>> f = jnp.array([0.0, 0, 1, 1])[None, :, None]
    >>> convolve(f, jnp.array([-1.0, 1])[:, None, None])[0, :, 0].tolist()
    [0.0, 0.0, -1.0, 0.0, 1.0]
    """
    kernel = _check.array("convolve", "kernel", kernel)
    flipped = jnp.flip(kernel, range(kernel.ndim - 2))
    with _check.named("conv", "convolve"):
        return conv(
            x,
            flipped,
            bias,
            stride=stride,
            padding=padding,
            padding_mode=padding_mode,
            dilation=dilation,
            groups=groups,
            lowering=lowering,
        )


def depthwise_conv(
    x: Num[Array, "n *space c"],
    kernel: Num[Array, "*size c multiplier"],
    bias: Num[Array, " c_out"] | None = None,
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    padding_mode: str = "zeros",
    dilation: int | Sequence[int] = 1,
    lowering: Lowering = "auto",
) -> Num[Array, "n *outputs c_out"]:
    """Each channel is convolved with its own `multiplier` kernels; output channel `c · multiplier + m` sees channel c.

    Raises: as `conv`; ValueError if the kernel has another number of channels than x.

    >>> depthwise_conv(jnp.array([[[2.0, 3.0]]]), jnp.array([[[1.0, 10.0], [1.0, 10.0]]])).tolist()
    [[[2.0, 20.0, 3.0, 30.0]]]
    """
    x, kernel = _check.images("depthwise_conv", x), _check.array("depthwise_conv", "kernel", kernel)
    channels = x.shape[-1]
    if kernel.ndim != x.ndim or kernel.shape[-2] != channels:
        wanted = f"(*size, c={channels}, multiplier) with {x.ndim - 2} sizes"
        raise ValueError(
            f"depthwise_conv: kernel is {_check.describe(kernel)}; it must be {wanted} (x is {_check.describe(x)})"
        )
    shape = (*kernel.shape[:-2], min(channels, 1), channels * kernel.shape[-1])  # without channels one group has none
    kernel = engine.reshaped(kernel, shape, lambda axes: [*axes[:-2], None, axes[-2]])  # (*size, 1, c·multiplier)
    with _check.named("conv", "depthwise_conv"):
        return conv(
            x,
            kernel,
            bias,
            stride=stride,
            padding=padding,
            padding_mode=padding_mode,
            dilation=dilation,
            groups=max(channels, 1),
            lowering=lowering,
        )


def check_arrays(x: Array, kernel: Array, bias: Array | None, groups: int) -> int:
    """`groups` as a plain int, everything else refused where it does not fit."""
    of_x = f"(x is {_check.describe(x)})"
    if kernel.ndim != x.ndim:
        raise ValueError(
            f"conv: kernel is {_check.describe(kernel)}; it must have {x.ndim - 2} sizes, then c_in // groups and c_out {of_x}"
        )
    c_in, (c_of_group, c_out) = x.shape[-1], kernel.shape[-2:]
    (groups,) = per_axis(groups, 1, what="groups", name="conv", least=1)
    if c_in % groups:
        raise ValueError(f"conv: groups={groups} must divide c_in={c_in} {of_x}")
    if c_out % groups:
        raise ValueError(f"conv: groups={groups} must divide c_out={c_out} (kernel is {_check.describe(kernel)})")
    if c_of_group != c_in // groups:
        raise ValueError(
            f"conv: kernel is {_check.describe(kernel)} with c_in // groups = {c_of_group}; x has {c_in} channels in "
            f"{groups} groups, so it must be {c_in // groups} {of_x}"
        )
    if bias is not None and bias.shape != (c_out,):
        raise ValueError(f"conv: bias is {_check.describe(bias)}; it must have the shape ({c_out},)")
    _check.same_dtype("conv", x, kernel=kernel, bias=bias)
    return groups
