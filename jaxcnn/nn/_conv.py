"""Convolution modules: parameters and one call into `jaxcnn.functional`.

Constructor words are Flax's (`in_features`, `out_features`, `kernel_size`, `use_bias`, `dtype`, `param_dtype`, `kernel_init`,
`rngs`); the options of the operation keep the words of `functional` (`stride`, `padding`, `padding_mode`, `dilation`, `groups`).
`kernel_size` is one int an axis, or one int for `rank` axes (2 by default; Flax takes an int for one axis).
`dtype` is what is computed in: by default what the input and the parameters promote to.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F
from jaxcnn.functional import _check
from jaxcnn.functional._pad import MODES
from jaxcnn.geometry import Padding, Window, per_axis

Ints = int | Sequence[int]
fan_in_normal = jax.nn.initializers.lecun_normal()
zeros = jax.nn.initializers.zeros


def cast(dtype, x: Array, *parameters: nnx.Param | None) -> tuple[Any, ...]:
    """`x` and the parameters (None stays) in `dtype`, or in what they promote to where it is None."""
    arrays = [None if p is None else p[...] for p in parameters]
    dtype = dtype or jnp.result_type(x, *(a for a in arrays if a is not None))
    return (x.astype(dtype), *(None if a is None else a.astype(dtype) for a in arrays))


class Conv(nnx.Module):
    """`functional.conv` with a learned kernel `(*kernel_size, in_features // groups, out_features)` and bias.

    >>> layer = Conv(3, 10, 3, rngs=nnx.Rngs(0))
    >>> layer(jnp.ones((1, 8, 8, 3))).shape, layer.kernel.shape
    ((1, 8, 8, 10), (3, 3, 3, 10))
    >>> Conv(1, 1, 3, kernel_init=nnx.initializers.ones, rngs=nnx.Rngs(0))(jnp.ones((1, 2, 3, 1))).ravel().tolist()
    [4.0, 6.0, 4.0, 4.0, 6.0, 4.0]
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Ints,
        *,
        stride: Ints = 1,
        padding: Padding = "same",
        padding_mode: str = "zeros",
        dilation: Ints = 1,
        groups: int = 1,
        rank: int = 2,
        use_bias: bool = True,
        dtype=None,
        param_dtype=jnp.float32,
        kernel_init=fan_in_normal,
        bias_init=zeros,
        rngs: nnx.Rngs,
    ):
        size = sizes("Conv", kernel_size, rank)
        in_features, out_features, groups = grouped("Conv", in_features, out_features, groups)
        shape = (*size, in_features // groups, out_features)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, param_dtype))
        self.bias = nnx.Param(bias_init(rngs.params(), (out_features,), param_dtype)) if use_bias else None
        self.options = options("Conv", size, stride, padding, padding_mode, dilation, groups=groups)
        self.dtype = dtype

    def __call__(self, x: Float[Array, "n *space in_features"]) -> Float[Array, "n *outputs out_features"]:
        x, kernel, bias = cast(self.dtype, x, self.kernel, self.bias)
        return F.conv(x, kernel, bias, **self.options)


class DepthwiseConv(nnx.Module):
    """`functional.depthwise_conv` with a learned kernel `(*kernel_size, in_features, multiplier)` and bias.

    >>> DepthwiseConv(4, 3, multiplier=2, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 4))).shape
    (1, 8, 8, 8)
    """

    def __init__(
        self,
        in_features: int,
        kernel_size: Ints,
        *,
        multiplier: int = 1,
        stride: Ints = 1,
        padding: Padding = "same",
        padding_mode: str = "zeros",
        dilation: Ints = 1,
        rank: int = 2,
        use_bias: bool = True,
        dtype=None,
        param_dtype=jnp.float32,
        kernel_init=None,
        bias_init=zeros,
        rngs: nnx.Rngs,
    ):
        size = sizes("DepthwiseConv", kernel_size, rank)
        in_features, multiplier = counts("DepthwiseConv", in_features=in_features, multiplier=multiplier)
        kernel_init = kernel_init or depthwise_normal
        self.kernel = nnx.Param(kernel_init(rngs.params(), (*size, in_features, multiplier), param_dtype))
        out_features = in_features * multiplier
        self.bias = nnx.Param(bias_init(rngs.params(), (out_features,), param_dtype)) if use_bias else None
        self.options = options("DepthwiseConv", size, stride, padding, padding_mode, dilation)
        self.dtype = dtype

    def __call__(self, x: Float[Array, "n *space in_features"]) -> Float[Array, "n *outputs out_features"]:
        x, kernel, bias = cast(self.dtype, x, self.kernel, self.bias)
        return F.depthwise_conv(x, kernel, bias, **self.options)


class SeparableConv(nnx.Module):
    """`functional.separable_conv`: a learned depthwise kernel, then a learned 1×1 with the bias.

    >>> SeparableConv(3, 16, 5, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 3))).shape
    (1, 8, 8, 16)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Ints,
        *,
        multiplier: int = 1,
        stride: Ints = 1,
        padding: Padding = "same",
        padding_mode: str = "zeros",
        dilation: Ints = 1,
        rank: int = 2,
        use_bias: bool = True,
        dtype=None,
        param_dtype=jnp.float32,
        kernel_init=None,
        bias_init=zeros,
        rngs: nnx.Rngs,
    ):
        size = sizes("SeparableConv", kernel_size, rank)
        in_features, out_features, multiplier = counts(
            "SeparableConv", in_features=in_features, out_features=out_features, multiplier=multiplier
        )
        middle = in_features * multiplier
        depthwise_init, pointwise_init = kernel_init or depthwise_normal, kernel_init or fan_in_normal
        self.depthwise_kernel = nnx.Param(depthwise_init(rngs.params(), (*size, in_features, multiplier), param_dtype))
        self.pointwise_kernel = nnx.Param(pointwise_init(rngs.params(), (middle, out_features), param_dtype))
        self.bias = nnx.Param(bias_init(rngs.params(), (out_features,), param_dtype)) if use_bias else None
        self.options = options("SeparableConv", size, stride, padding, padding_mode, dilation)
        self.dtype = dtype

    def __call__(self, x: Float[Array, "n *space in_features"]) -> Float[Array, "n *outputs out_features"]:
        x, depthwise, pointwise, bias = cast(self.dtype, x, self.depthwise_kernel, self.pointwise_kernel, self.bias)
        return F.separable_conv(x, depthwise, pointwise, bias, **self.options)


class SpatiallySeparableConv(nnx.Module):
    """`functional.spatially_separable_conv`: a learned column `(kh, in, middle)`, then a learned row `(kw, middle, out)`.

    `middle_features` is `out_features` by default.

    >>> SpatiallySeparableConv(3, 16, 5, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 3))).shape
    (1, 8, 8, 16)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Ints,
        *,
        middle_features: int | None = None,
        stride: Ints = 1,
        padding: Padding = "same",
        padding_mode: str = "zeros",
        dilation: Ints = 1,
        use_bias: bool = True,
        dtype=None,
        param_dtype=jnp.float32,
        kernel_init=fan_in_normal,
        bias_init=zeros,
        rngs: nnx.Rngs,
    ):
        size = sizes("SpatiallySeparableConv", kernel_size, 2)
        if len(size) != 2:
            raise ValueError(
                f"SpatiallySeparableConv: kernel_size={kernel_size!r} must have 2 axes, a column and a row"
            )
        in_features, out_features, middle = counts(
            "SpatiallySeparableConv",
            in_features=in_features,
            out_features=out_features,
            middle_features=out_features if middle_features is None else middle_features,
        )
        kh, kw = size
        self.column = nnx.Param(kernel_init(rngs.params(), (kh, in_features, middle), param_dtype))
        self.row = nnx.Param(kernel_init(rngs.params(), (kw, middle, out_features), param_dtype))
        self.bias = nnx.Param(bias_init(rngs.params(), (out_features,), param_dtype)) if use_bias else None
        self.options = options("SpatiallySeparableConv", size, stride, padding, padding_mode, dilation)
        self.dtype = dtype

    def __call__(self, x: Float[Array, "n h w in_features"]) -> Float[Array, "n oh ow out_features"]:
        x, column, row, bias = cast(self.dtype, x, self.column, self.row, self.bias)
        return F.spatially_separable_conv(x, column, row, bias, **self.options)


def depthwise_normal(key: Array, shape: Sequence[int], dtype=jnp.float32) -> Array:
    """Normal weights for a depthwise kernel, whose every output sees `prod(size)` inputs: variance 1 / that.

    >>> depthwise_normal(jax.random.key(0), (3, 3, 4, 1)).shape
    (3, 3, 4, 1)
    """
    return jax.random.normal(key, shape, dtype) / jnp.sqrt(jnp.asarray(prod(shape[:-2]), dtype))


def counts(name: str, **values: int) -> tuple[int, ...]:
    """Each value as an int of at least 1.

    Raises: TypeError or ValueError, one line that begins with `name`.

    >>> counts("Dense", in_features=3)
    (3,)
    """
    return tuple(per_axis(value, 1, what=what, name=name, least=1)[0] for what, value in values.items())


def grouped(name: str, in_features: int, out_features: int, groups: int) -> tuple[int, ...]:
    """The three as ints of at least 1.

    Raises: as `counts`; ValueError for groups that do not divide both.

    >>> grouped("Conv", 4, 6, 2)
    (4, 6, 2)
    """
    in_features, out_features, groups = counts(name, in_features=in_features, out_features=out_features, groups=groups)
    if in_features % groups or out_features % groups:
        raise ValueError(
            f"{name}: groups={groups} must divide in_features={in_features} and out_features={out_features}"
        )
    return in_features, out_features, groups


def sizes(name: str, kernel_size: Ints, rank: int) -> tuple[int, ...]:
    """The size of a kernel, one int for each of its 1 to 3 axes.

    Raises: TypeError or ValueError, one line that begins with `name`.

    >>> sizes("Conv", 3, 2)
    (3, 3)
    """
    axes = np.size(kernel_size) if np.ndim(kernel_size) else rank
    if not 1 <= axes <= 3:
        raise ValueError(f"{name}: kernel_size={kernel_size!r} has {axes} axes; there can be 1, 2 or 3")
    return per_axis(kernel_size, axes, what="kernel_size", name=name, least=1)


def options(
    name: str, size: tuple[int, ...], stride: Ints, padding: Padding, padding_mode: str, dilation: Ints, **more: int
) -> dict[str, Any]:
    """The options, checked on an image that is large enough, and hashable."""
    large = (1 << 20,) * len(size)
    window = Window.resolve(size, large, stride=stride, padding=padding, dilation=dilation, name=name)
    _check.one_of(name, "padding_mode", padding_mode, MODES)
    plain = lambda v: v.tolist() if hasattr(v, "tolist") else v
    freeze = lambda v: tuple(map(freeze, v)) if isinstance(v, (list, tuple)) else plain(v)
    padding = plain(padding)
    fixed: dict[str, Any] = {"stride": window.stride, "padding": freeze(padding), "padding_mode": padding_mode}
    return fixed | {"dilation": window.dilation} | more
