"""Residual networks for ImageNet: ResNet-18 to 152, ResNeXt, Wide ResNet.

A 7×7 convolution and a pool, both of stride 2, then four stages of residual blocks, `x + f(x)`, at 1/4, 1/8, 1/16, 1/32 of
the image's size; a shortcut that changes shape is a 1×1 convolution ("option B"). A basic block is two 3×3 convolutions, a
bottleneck 1×1, 3×3, 1×1 with four times as many channels out. ResNeXt splits the 3×3 into groups, Wide ResNet doubles its
channels. As in torchvision the 3×3 of a bottleneck has the stride (in the paper the first 1×1), so ResNet-50 takes 4.1
billion multiply-adds, not 3.8.

References: He, Zhang, Ren & Sun, Deep residual learning for image recognition (2016); Xie et al., Aggregated residual
transformations for deep neural networks (2017); Zagoruyko & Komodakis, Wide residual networks (2016).
"""

from collections.abc import Sequence
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import ConvNorm
from ._tap import Tap, identity


class BasicBlock(nnx.Module):
    """Two 3×3 convolutions and the shortcut.

    >>> import jax.numpy as jnp
    >>> layer = lambda x: BasicBlock(4, 8, stride=2, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 8, 8, 4))).shape
    (1, 4, 4, 8)
    """

    expansion = 1

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        stride: int = 1,
        groups: int = 1,
        width_per_group: int = 64,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        if (groups, width_per_group) != (1, 64):
            raise ValueError(f"BasicBlock: groups={groups}, width_per_group={width_per_group}; a Bottleneck has groups")
        options = {"dtype": dtype, "rngs": rngs}
        self.conv1, self.bn1 = _conv(in_features, features, 3, stride=stride, **options), _norm(features, rngs)
        self.conv2, self.bn2 = _conv(features, features, 3, **options), _norm(features, rngs)
        self.downsample = _shortcut(in_features, features, stride, options)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        y = jax.nn.relu(self.bn1(self.conv1(x), train=train))
        y = self.bn2(self.conv2(y), train=train)
        return jax.nn.relu(y + (x if self.downsample is None else self.downsample(x, train=train)))


class Bottleneck(nnx.Module):
    """Convolutions of 1×1, 3×3 and 1×1 and the shortcut; `4 · features` channels out.

    >>> import jax.numpy as jnp
    >>> layer = lambda x: Bottleneck(16, 4, stride=2, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 8, 8, 16))).shape
    (1, 4, 4, 16)
    """

    expansion = 4

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        stride: int = 1,
        groups: int = 1,
        width_per_group: int = 64,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"dtype": dtype, "rngs": rngs}
        width, out_features = features * width_per_group // 64 * groups, features * self.expansion
        self.conv1, self.bn1 = _conv(in_features, width, 1, **options), _norm(width, rngs)
        self.conv2 = _conv(width, width, 3, stride=stride, groups=groups, **options)
        self.bn2 = _norm(width, rngs)
        self.conv3, self.bn3 = _conv(width, out_features, 1, **options), _norm(out_features, rngs)
        self.downsample = _shortcut(in_features, out_features, stride, options)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        y = jax.nn.relu(self.bn1(self.conv1(x), train=train))
        y = jax.nn.relu(self.bn2(self.conv2(y), train=train))
        y = self.bn3(self.conv3(y), train=train)
        return jax.nn.relu(y + (x if self.downsample is None else self.downsample(x, train=train)))


class ResNet(nnx.Module):
    """A residual network of four stages; 25,557,032 parameters as ResNet-50.

    Taps: conv1, pool1, layer1.0, …, layer4.2, average, logits.

    Args:
        block: `BasicBlock` or `Bottleneck`.
        depths: blocks of each stage.
        groups: of the 3×3 convolution of a bottleneck.
        width_per_group: its channels a group, where the stage has 64 features.
        zero_init_residual: starts every block as the identity (Goyal et al. 2017).
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax.numpy as jnp
    >>> model = lambda x: ResNet(block=BasicBlock, depths=(1, 1, 1, 1), num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "fc"

    def __init__(
        self,
        *,
        block: type[BasicBlock] | type[Bottleneck],
        depths: Sequence[int],
        groups: int = 1,
        width_per_group: int = 64,
        zero_init_residual: bool = False,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"dtype": dtype, "rngs": rngs}
        self.conv1, self.bn1 = _conv(in_features, 64, 7, stride=2, **options), _norm(64, rngs)
        last = 64
        for number, (depth, features) in enumerate(zip(depths, (64, 128, 256, 512)), 1):
            blocks = []
            for i in range(depth):
                stride = 2 if i == 0 and number > 1 else 1
                more = {"stride": stride, "groups": groups, "width_per_group": width_per_group}
                blocks.append(block(last, features, **more, **options))
                last = features * block.expansion
            setattr(self, f"layer{number}", nnx.List(blocks))
        self.fc = _init.dense(last, num_classes, **options)
        if zero_init_residual:
            self._start_as_identity()

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = tap("conv1", jax.nn.relu(self.bn1(self.conv1(x), train=train)))
        x = tap("pool1", F.max_pool(x, 3, stride=2, padding=1))
        for number in range(1, 5):
            for i, block in enumerate(getattr(self, f"layer{number}")):
                x = tap(f"layer{number}.{i}", block(x, train=train))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.fc(x))

    def _start_as_identity(self) -> None:
        for number in range(1, 5):
            for block in getattr(self, f"layer{number}"):
                last: Any = block.bn3 if isinstance(block, Bottleneck) else block.bn2
                last.scale[...] = 0 * last.scale[...]


VARIANTS: dict[str, dict[str, Any]] = {
    "resnet18": {"block": BasicBlock, "depths": (2, 2, 2, 2)},
    "resnet34": {"block": BasicBlock, "depths": (3, 4, 6, 3)},
    "resnet50": {"block": Bottleneck, "depths": (3, 4, 6, 3)},
    "resnet101": {"block": Bottleneck, "depths": (3, 4, 23, 3)},
    "resnet152": {"block": Bottleneck, "depths": (3, 8, 36, 3)},
    "resnext50_32x4d": {"block": Bottleneck, "depths": (3, 4, 6, 3), "groups": 32, "width_per_group": 4},
    "resnext101_32x8d": {"block": Bottleneck, "depths": (3, 4, 23, 3), "groups": 32, "width_per_group": 8},
    "resnext101_64x4d": {"block": Bottleneck, "depths": (3, 4, 23, 3), "groups": 64, "width_per_group": 4},
    "wide_resnet50_2": {"block": Bottleneck, "depths": (3, 4, 6, 3), "width_per_group": 128},
    "wide_resnet101_2": {"block": Bottleneck, "depths": (3, 4, 23, 3), "width_per_group": 128},
}


def _conv(in_features: int, out_features: int, size: int, **options) -> nn.Conv:
    init = _init.he_normal_fan_out
    return nn.Conv(in_features, out_features, size, padding=size // 2, use_bias=False, kernel_init=init, **options)


def _norm(features: int, rngs: nnx.Rngs) -> nn.BatchNorm:
    return nn.BatchNorm(features, rngs=rngs)


def _shortcut(in_features: int, out_features: int, stride: int, options: dict[str, Any]) -> ConvNorm | None:
    if stride == 1 and in_features == out_features:
        return None
    return ConvNorm(in_features, out_features, 1, stride=stride, activation=None, **options)
