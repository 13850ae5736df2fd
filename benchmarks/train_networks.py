"""The networks of `benchmarks.train`, ours and in plain Flax, under the same names, so that weights go from one to the other.

LeNet-5 is `jaxcnn.models.LeNet5` and the same again as a Flax user writes it. The ResNet-18-shaped network for CIFAR-10 (He et
al. 2016; a 3×3 first layer and no pooling, so that 32×32 pixels become 4×4; 11,173,962 parameters) is one class over a `Kit`
of layers.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import models, nn

WIDTHS, DEPTH = (64, 128, 256, 512), 2


@dataclass(frozen=True)
class Kit:
    """Layers of one library: a convolution `(c_in, c_out, size, stride, padding, rngs)` without bias, and a batch norm."""

    conv: Callable[..., Any]
    norm: Callable[..., Any]


class FlaxLeNet5(nnx.Module):
    """LeNet-5 of Flax's own layers; the names are those of `models.LeNet5`."""

    def __init__(self, *, rngs: nnx.Rngs):
        self.conv1 = nnx.Conv(1, 6, (5, 5), rngs=rngs)
        self.conv2 = nnx.Conv(6, 16, (5, 5), padding="VALID", rngs=rngs)
        self.dense1 = nnx.Linear(400, 120, rngs=rngs)
        self.dense2 = nnx.Linear(120, 84, rngs=rngs)
        self.logits = nnx.Linear(84, 10, rngs=rngs)

    def __call__(self, x: Float[Array, "n 28 28 1"], *, train: bool) -> Float[Array, "n 10"]:
        x = nnx.max_pool(nnx.relu(self.conv1(x)), (2, 2), (2, 2))
        x = nnx.max_pool(nnx.relu(self.conv2(x)), (2, 2), (2, 2))
        x = nnx.relu(self.dense1(x.reshape(len(x), -1)))  # (n, h·w·16)
        return self.logits(nnx.relu(self.dense2(x)))


class FlaxNorm(nnx.BatchNorm):
    """Flax's batch norm, called as ours; its momentum is 1 minus ours."""

    def __init__(self, num_features: int, *, momentum: float = 0.1, epsilon: float = 1e-5, rngs: nnx.Rngs):
        super().__init__(num_features, momentum=1 - momentum, epsilon=epsilon, rngs=rngs)

    def __call__(self, x: Float[Array, "... c"], *, train: bool) -> Float[Array, "... c"]:  # pyright: ignore
        return super().__call__(x, use_running_average=not train)


def _flax_conv(c_in: int, c_out: int, size: int, stride: int, padding: int, rngs: nnx.Rngs) -> nnx.Conv:
    pads = ((padding, padding), (padding, padding))
    return nnx.Conv(c_in, c_out, (size, size), stride, padding=pads, use_bias=False, rngs=rngs)


def _our_conv(c_in: int, c_out: int, size: int, stride: int, padding: int, rngs: nnx.Rngs) -> nn.Conv:
    return nn.Conv(c_in, c_out, size, stride=stride, padding=padding, use_bias=False, rngs=rngs)


OURS, FLAX = Kit(_our_conv, nn.BatchNorm), Kit(_flax_conv, FlaxNorm)


class Block(nnx.Module):
    """Two convolutions of 3×3, and a shortcut that is a 1×1 where the shape changes."""

    def __init__(self, kit: Kit, c_in: int, c_out: int, stride: int, *, rngs: nnx.Rngs):
        self.conv1, self.norm1 = kit.conv(c_in, c_out, 3, stride, 1, rngs), kit.norm(c_out, rngs=rngs)
        self.conv2, self.norm2 = kit.conv(c_out, c_out, 3, 1, 1, rngs), kit.norm(c_out, rngs=rngs)
        changes = stride > 1 or c_in != c_out
        self.conv3 = kit.conv(c_in, c_out, 1, stride, 0, rngs) if changes else None
        self.norm3 = kit.norm(c_out, rngs=rngs) if changes else None

    def __call__(self, x: Float[Array, "n h w c_in"], *, train: bool) -> Float[Array, "n oh ow c_out"]:
        y = jax.nn.relu(self.norm1(self.conv1(x), train=train))
        y = self.norm2(self.conv2(y), train=train)
        short = x if self.conv3 is None or self.norm3 is None else self.norm3(self.conv3(x), train=train)
        return jax.nn.relu(y + short)


class ResNet18(nnx.Module):
    """Eight blocks in four stages; the maps halve where the channels double."""

    def __init__(self, kit: Kit, *, widths: tuple[int, ...] = WIDTHS, rngs: nnx.Rngs):
        self.conv1, self.norm1 = kit.conv(3, widths[0], 3, 1, 1, rngs), kit.norm(widths[0], rngs=rngs)
        blocks, c_in = [], widths[0]
        for number, width in enumerate(widths):
            for place in range(DEPTH):
                blocks.append(Block(kit, c_in, width, 2 if number and not place else 1, rngs=rngs))
                c_in = width
        self.blocks = nnx.List(blocks)
        self.logits = nnx.Linear(c_in, 10, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w 3"], *, train: bool) -> Float[Array, "n 10"]:
        x = jax.nn.relu(self.norm1(self.conv1(x), train=train))
        for block in self.blocks:
            x = block(x, train=train)
        return self.logits(jnp.mean(x, (1, 2)))


@dataclass(frozen=True)
class Task:
    """What is trained: the network of both libraries, the set, how many times the rivals' images/s ours should reach.

    The losses of the first `checked` steps must agree; deep networks with batch norm amplify rounding some hundred times a step.
    """

    name: str
    dataset: str
    image_shape: tuple[int, int, int]
    batch: int
    images: int
    ours: Callable[..., nnx.Module]
    flax: Callable[..., nnx.Module]
    floors: dict[str, float]
    checked: int


LENET = Task(
    "lenet5", "mnist", (28, 28, 1), 128, 60_000, models.LeNet5, FlaxLeNet5, {"flax": 4.0, "torch": 1.0}, 10
)  # fmt: skip
RESNET = Task(
    "resnet18", "cifar10", (32, 32, 3), 64, 256, partial(ResNet18, OURS), partial(ResNet18, FLAX), {"flax": 2.0, "torch": 0.9}, 2
)  # fmt: skip
