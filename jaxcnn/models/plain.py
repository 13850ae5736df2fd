"""A plain convolutional network for small images, whose kind of convolution and of down-sampling is an option.

Stages of `depth` blocks convolution → batch normalisation → ReLU at one width; the map is halved between stages, averaged at the
end. The experiments on kernel size, separable convolutions and pooling change one word of it (L0.4, L2.7, L2.8).
"""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from ._tap import Tap, identity

Convolution = Literal["standard", "spatially_separable", "separable"]
Downsample = Literal["none", "stride", "max", "average", "weighted", "blur"]
CONVOLUTIONS: dict[Convolution, Callable[..., nnx.Module]] = {
    "standard": nn.Conv,
    "spatially_separable": nn.SpatiallySeparableConv,
    "separable": nn.SeparableConv,
}


class PlainNetwork(nnx.Module):
    """`len(widths)` stages of `depth` convolutions, global average, one dense layer.

    Args:
        num_classes: outputs.
        in_features: channels of the images.
        image_size: is not used (any size works); the word is there so that every small model is built alike.
        widths: channels of each stage.
        depth: convolutions a stage.
        kernel_size: pixels of each kernel, an int, or one for each convolution of a stage.
        convolution: "standard", "spatially_separable" (a column, then a row) or "separable" (depthwise, then 1×1); the first
            of the network is always standard.
        downsample: between stages: "max", "average", "weighted" (a trained weight a pixel of the window) or "blur" pooling,
            "stride" (the last convolution of the stage skips every second pixel) or "none".
        dropout: share of features dropped before the dense layer.

    Raises: ValueError for an unknown word or kernel sizes that are not one a convolution.

    >>> import jax.numpy as jnp
    >>> PlainNetwork(widths=(4, 8), rngs=nnx.Rngs(0))(jnp.ones((2, 28, 28, 1)), train=False).shape
    (2, 10)
    """

    head_name = "logits"

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_features: int = 1,
        image_size: tuple[int, int] = (28, 28),
        widths: Sequence[int] = (32, 64, 128),
        depth: int = 2,
        kernel_size: int | Sequence[int] = 3,
        convolution: Convolution = "standard",
        downsample: Downsample = "max",
        dropout: float = 0.0,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        del image_size
        sizes = [kernel_size] * depth if isinstance(kernel_size, int) else list(kernel_size)
        _check(sizes, depth, convolution, downsample)
        blocks, pools, last = [], [], in_features
        for stage, width in enumerate(widths):
            inner = stage < len(widths) - 1
            for i, size in enumerate(sizes):
                stride = 2 if inner and downsample == "stride" and i == depth - 1 else 1
                kind = convolution if blocks else "standard"
                blocks.append(Block(last, width, size, stride=stride, convolution=kind, dtype=dtype, rngs=rngs))
                last = width
            pools.append(_pool(downsample, width, rngs) if inner else None)
        self.blocks, self.pools, self.depth = nnx.List(blocks), nnx.List(pools), depth
        self.dropout = nn.Dropout(dropout, rngs=rngs)
        self.logits = nn.Dense(last, num_classes, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        for i, block in enumerate(self.blocks):
            stage, place = divmod(i, self.depth)
            x = tap(f"conv{stage + 1}_{place + 1}", block(x, train=train))
            pool = self.pools[stage]
            if place == self.depth - 1 and pool is not None:
                x = tap(f"pool{stage + 1}", pool(x))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.logits(self.dropout(x.reshape(len(x), -1), train=train)))


class Block(nnx.Module):
    """Convolution without bias → batch normalisation → ReLU.

    >>> import jax.numpy as jnp
    >>> Block(3, 8, 3, rngs=nnx.Rngs(0))(jnp.ones((1, 4, 4, 3)), train=False).shape
    (1, 4, 4, 8)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int,
        *,
        stride: int = 1,
        convolution: Convolution = "standard",
        dtype=None,
        rngs: nnx.Rngs,
    ):
        make = CONVOLUTIONS[convolution]
        self.conv = make(in_features, out_features, kernel_size, stride=stride, use_bias=False, dtype=dtype, rngs=rngs)
        self.norm = nn.BatchNorm(out_features, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        return jax.nn.relu(self.norm(self.conv(x), train=train))


def _pool(downsample: str, width: int, rngs: nnx.Rngs) -> Callable | None:
    if downsample == "weighted":
        return nn.WeightedPool(width, 2, rngs=rngs)
    pools = {"max": nn.MaxPool(2), "average": nn.AvgPool(2), "blur": BlurPool()}
    return pools.get(downsample)


class BlurPool(nnx.Module):
    """`functional.blur_pool` with a window of 3.

    >>> import jax.numpy as jnp
    >>> BlurPool()(jnp.ones((1, 4, 4, 3))).shape
    (1, 2, 2, 3)
    """

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n oh ow c"]:
        return F.blur_pool(x, 3)


def _check(sizes: list[int], depth: int, convolution: str, downsample: str) -> None:
    for what, value, known in (
        ("convolution", convolution, get_args(Convolution)),
        ("downsample", downsample, get_args(Downsample)),
    ):
        if value not in known:
            raise ValueError(f"PlainNetwork: {what}={value!r} must be one of {', '.join(known)}")
    if len(sizes) != depth:
        raise ValueError(f"PlainNetwork: kernel_size={sizes} has {len(sizes)} entries; depth={depth} needs as many")
