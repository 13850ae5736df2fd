"""`ConvTranspose`: the adjoint of `Conv` with a learned kernel."""

from collections.abc import Sequence

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F
from jaxcnn.geometry import Padding

from ._conv import cast, fan_in_normal, grouped, options, sizes, zeros

Ints = int | Sequence[int]


class ConvTranspose(nnx.Module):
    """`functional.conv_transpose` with a learned kernel `(*kernel_size, out_features // groups, in_features)` and bias.

    Words and options are those of `Conv`; padding is what the convolution that is transposed adds, so it crops the result.

    Raises: ValueError for sizes below 1, groups that do not divide the features, an unknown padding.

    >>> layer = ConvTranspose(8, 4, 2, stride=2, rngs=nnx.Rngs(0))
    >>> layer(jnp.ones((1, 5, 5, 8))).shape, layer.kernel.shape
    ((1, 10, 10, 4), (2, 2, 4, 8))
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Ints,
        *,
        stride: Ints = 1,
        padding: Padding = "same",
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
        name, size = "ConvTranspose", sizes("ConvTranspose", kernel_size, rank)
        in_features, out_features, groups = grouped(name, in_features, out_features, groups)
        self.options = options(name, size, stride, padding, "zeros", dilation, groups=groups)
        del self.options["padding_mode"]  # there is nothing to pad: padding crops
        shape = (*size, out_features // groups, in_features)
        self.kernel = nnx.Param(kernel_init(rngs.params(), shape, param_dtype))
        self.bias = nnx.Param(bias_init(rngs.params(), (out_features,), param_dtype)) if use_bias else None
        self.dtype = dtype

    def __call__(self, x: Float[Array, "n *space in_features"]) -> Float[Array, "n *outputs out_features"]:
        x, kernel, bias = cast(self.dtype, x, self.kernel, self.bias)
        return F.conv_transpose(x, kernel, bias, **self.options)
