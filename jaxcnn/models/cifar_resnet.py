"""Residual networks for CIFAR-10: ResNet-20, 32, 44, 56, 110.

6n + 2 layers: a convolution, three stages of n blocks with 16, 32, 64 channels at 32², 16², 8² pixels, the global average, one
dense layer. A shortcut that halves the map takes every second pixel and fills the new channels with zeros, half of them before
and half behind ("option A"), so it has no parameters.

Reference: He, Zhang, Ren & Sun, Deep residual learning for image recognition (2016), section 4.2.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from ._tap import Tap, identity

DEPTHS = (20, 32, 44, 56, 110)


class CifarResNet(nnx.Module):
    """ResNet of `depth` = 6n + 2 layers for small images; depth 20 has 269,722 parameters for ten classes of RGB.

    Args:
        dtype: what is computed in, by default that of x and the parameters.

    Raises: ValueError for another depth.

    >>> CifarResNet(depth=8, rngs=nnx.Rngs(0))(jnp.ones((1, 32, 32, 3)), train=False).shape
    (1, 10)
    """

    head_name = "linear"

    def __init__(
        self,
        *,
        depth: int = 20,
        num_classes: int = 10,
        in_features: int = 3,
        image_size: tuple[int, int] = (32, 32),
        dtype=None,
        rngs: nnx.Rngs,
    ):
        del image_size  # any size works; the word is there so that every small model is built alike
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"CifarResNet: depth={depth} must be 6n + 2, such as {', '.join(map(str, DEPTHS))}")
        count = (depth - 2) // 6
        self.conv1 = _conv3(in_features, 16, dtype=dtype, rngs=rngs)
        self.bn1 = nn.BatchNorm(16, rngs=rngs)
        stage = lambda c_in, c_out, stride: nnx.List(
            [
                BasicBlock(c_in if i == 0 else c_out, c_out, stride=stride if i == 0 else 1, dtype=dtype, rngs=rngs)
                for i in range(count)
            ]
        )
        self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
        self.linear = nn.Dense(64, num_classes, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = tap("conv1", jax.nn.relu(self.bn1(self.conv1(x), train=train)))
        for number, stage in enumerate((self.layer1, self.layer2, self.layer3), start=1):
            for i, block in enumerate(stage):
                x = tap(f"layer{number}.{i}", block(x, train=train))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.linear(x.reshape(len(x), -1)))


class BasicBlock(nnx.Module):
    """Two convolutions of 3×3 and the shortcut.

    >>> BasicBlock(4, 8, stride=2, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 4)), train=False).shape
    (1, 4, 4, 8)
    """

    def __init__(self, in_features: int, out_features: int, *, stride: int = 1, dtype=None, rngs: nnx.Rngs):
        self.conv1 = _conv3(in_features, out_features, stride=stride, dtype=dtype, rngs=rngs)
        self.bn1 = nn.BatchNorm(out_features, rngs=rngs)
        self.conv2 = _conv3(out_features, out_features, dtype=dtype, rngs=rngs)
        self.bn2 = nn.BatchNorm(out_features, rngs=rngs)
        self.stride, self.added = stride, out_features - in_features

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        y = jax.nn.relu(self.bn1(self.conv1(x), train=train))
        y = self.bn2(self.conv2(y), train=train)
        return jax.nn.relu(y + self._shortcut(x))

    def _shortcut(self, x: Array) -> Array:
        before = self.added // 2
        channels = (before, self.added - before)
        return jnp.pad(x[:, :: self.stride, :: self.stride], ((0, 0), (0, 0), (0, 0), channels))


def of_depth(depth: int) -> Callable[..., CifarResNet]:
    """The constructor of one depth.

    >>> of_depth(20).keywords
    {'depth': 20}
    """
    return partial(CifarResNet, depth=depth)


def _conv3(in_features: int, out_features: int, *, stride: int = 1, dtype=None, rngs: nnx.Rngs) -> nn.Conv:
    init = nnx.initializers.variance_scaling(2.0, "fan_out", "normal")
    options = {"kernel_init": init, "dtype": dtype, "rngs": rngs}
    return nn.Conv(in_features, out_features, 3, stride=stride, padding=1, use_bias=False, **options)
