"""MNASNet 0.5, 0.75, 1.0, 1.3: inverted residuals found by a search that measured the time on a phone.

As torchvision has it, MNASNet-B1: no squeeze-excitation; batch statistics move slowly, by 0.0003 a step. Reference: Tan et
al., MnasNet: platform-aware neural architecture search for mobile (2019).
"""

from functools import partial
from typing import Any

from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import ConvNorm, Sequential, apply, rounded
from ._tap import Tap, identity

NORM = {"momentum": 0.0003}
STAGES = (  # window, stride of the first, expansion, blocks, channels
    (3, 2, 3, 3, 24),
    (5, 2, 3, 3, 40),
    (5, 2, 6, 3, 80),
    (3, 1, 6, 2, 96),
    (5, 2, 6, 4, 192),
    (3, 1, 6, 1, 320),
)


class InvertedResidual(nnx.Module):
    """1×1 to `expansion` times the channels, depthwise, 1×1 to `features`; added to x where the shapes agree.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> block = lambda x: InvertedResidual(8, 4, 5, stride=2, expansion=3, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(block, jnp.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 4)
    """

    def __init__(
        self, in_features: int, features: int, size: int, *, stride: int, expansion: int, dtype=None, rngs: nnx.Rngs
    ):
        hidden, layer = in_features * expansion, partial(ConvNorm, norm=NORM, dtype=dtype, rngs=rngs)
        expand = layer(in_features, hidden, 1)
        depthwise = layer(hidden, hidden, size, stride=stride, groups=hidden)
        self.layers = Sequential([*expand, *depthwise, *layer(hidden, features, 1, activation=None)])
        self.added = stride == 1 and in_features == features

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        y = self.layers(x, train=train)
        return x + y if self.added else y


class MNASNet(nnx.Module):
    """MNASNet; 4,383,312 parameters at width 1.

    Taps: stem (3×3, depthwise 3×3, 1×1), layers.8.0, … (stage, block), head (1×1), average, logits.

    Args:
        width: factor of every layer's channels but the last's.
        stages: window, first stride, expansion, blocks and channels of each stage.
        dropout: share of the last features dropped in training.
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> model = lambda x: MNASNet(width=0.5, stages=STAGES[:1], num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "classifier.1"

    def __init__(
        self,
        *,
        width: float = 1.0,
        stages: tuple[tuple[int, int, int, int, int], ...] = STAGES,
        dropout: float = 0.2,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"dtype": dtype, "rngs": rngs}
        layer = partial(ConvNorm, norm=NORM, **options)
        first, last = rounded(32 * width), rounded(16 * width)
        layers: list[Any] = [*layer(in_features, first, stride=2), *layer(first, first, groups=first)]
        layers += [*layer(first, last, 1, activation=None)][:2]
        for size, stride, expansion, count, channels in stages:
            features, blocks = rounded(channels * width), []
            for i in range(count):
                more = {"stride": stride if i == 0 else 1, "expansion": expansion}
                blocks.append(InvertedResidual(last, features, size, **more, **options))
                last = features
            layers.append(nnx.List(blocks))
        self.layers = nnx.List([*layers, *layer(last, 1280, 1)])
        init = _init.variance_scaling(1.0, "fan_out", "uniform")
        linear = nn.Dense(1280, num_classes, kernel_init=init, **options)
        self.classifier = Sequential([nn.Dropout(dropout, rngs=rngs), linear])

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        names = {7: "stem", len(self.layers) - 1: "head"}
        for number, layer in enumerate(self.layers):
            if isinstance(layer, nnx.List):
                for i, block in enumerate(layer):
                    x = tap(f"layers.{number}.{i}", block(x, train=train))
            else:
                x = apply(layer, x, train=train)
                x = tap(names[number], x) if number in names else x
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.classifier(x, train=train))


VARIANTS: dict[str, dict[str, Any]] = {
    "mnasnet0_5": {"width": 0.5},
    "mnasnet0_75": {"width": 0.75},
    "mnasnet1_0": {"width": 1.0},
    "mnasnet1_3": {"width": 1.3},
}
