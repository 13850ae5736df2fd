"""EfficientNet B0 to B7 and EfficientNetV2 S, M, L.

B0 was found by search; B1 to B7 scale its depth, width and image together. The block (MBConv) is MobileNetV2's inverted
residual with squeeze-excitation and SiLU. V2 fuses expansion and depthwise into one full convolution in the first stages
(FusedMBConv), where depthwise ones are slow. The authors' weights, which timm has as `tf_…`, pad as TensorFlow does, "same":
strided windows more behind than in front. A branch is skipped for whole images at random, more often the deeper it lies.

References: Tan & Le, EfficientNet: rethinking model scaling for convolutional neural networks (2019), table 1; Tan & Le,
EfficientNetV2: smaller models and faster training (2021), table 4.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from math import ceil
from typing import Any, Literal, NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import ConvNorm, Sequential, SqueezeExcite, rounded
from ._tap import Tap, identity


class Stage(NamedTuple):
    """Blocks of one kind: expansion, window, stride of the first, channels in and out, how many."""

    kind: Literal["mb", "fused"]
    expansion: int
    kernel_size: int
    stride: int
    in_features: int
    features: int
    count: int

    def scaled(self, width: float, depth: float) -> "Stage":
        """The stage of a wider and deeper network."""
        ends = {"in_features": rounded(self.in_features * width), "features": rounded(self.features * width)}
        return self._replace(**ends, count=ceil(self.count * depth))

    def blocks(self) -> Iterator["Stage"]:
        """Each block as a stage of its own."""
        yield self._replace(count=1)
        yield from [self._replace(count=1, stride=1, in_features=self.features)] * (self.count - 1)


class MBConv(nnx.Module):
    """Inverted residual with squeeze-excitation, or its fused form; added to x where the shapes agree.

    Args:
        stage: of one block.
        stochastic_depth: share of images that skip the branch in training.
        padding: of its windows; None means half of each on both sides.
        norm: options of `nn.BatchNorm`.

    >>> import jax.numpy as jnp
    >>> block = lambda x: MBConv(Stage("mb", 4, 3, 2, 8, 16, 1), stochastic_depth=0.0, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(block, jnp.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 16)
    """

    def __init__(self, stage: Stage, *, stochastic_depth: float, padding=None, norm=None, dtype=None, rngs: nnx.Rngs):
        kind, expansion, size, stride, last, features, _ = stage
        hidden = rounded(last * expansion)
        layer = partial(ConvNorm, activation=jax.nn.silu, padding=padding, norm=norm, dtype=dtype, rngs=rngs)
        project = layer(hidden, features, 1, activation=None)
        if kind == "mb":
            expand = [layer(last, hidden, 1)] if hidden != last else []
            depthwise = layer(hidden, hidden, size, stride=stride, groups=hidden)
            squeezed = max(1, last // 4)
            squeeze = SqueezeExcite(hidden, squeezed, activation=jax.nn.silu, dtype=dtype, rngs=rngs)
            layers = [*expand, depthwise, squeeze, project]
        elif hidden != last:
            layers = [layer(last, hidden, size, stride=stride), project]
        else:
            layers = [layer(last, features, size, stride=stride)]
        self.block = Sequential(layers)
        self.stochastic_depth = nn.StochasticDepth(stochastic_depth, rngs=rngs)
        self.added = stride == 1 and last == features

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        y = self.block(x, train=train)
        return x + self.stochastic_depth(y, train=train) if self.added else y


class EfficientNet(nnx.Module):
    """EfficientNet; 5,288,548 parameters as B0, 21,458,488 as V2-S.

    Taps: features.0 (the first convolution), features.1.0, … (stage, block), the last 1×1 convolution, average, logits.

    Args:
        stages: before scaling.
        width: factor of the channels.
        depth: factor of the blocks of each stage.
        head_features: of the last 1×1 convolution, four times the last stage's by default.
        dropout: share of them dropped in training.
        stochastic_depth: share of images that skip the last branch in training; it rises linearly from 0 at the first.
        padding: of all windows; None means half of each on both sides, "same" TensorFlow's rule.
        norm: options of `nn.BatchNorm`.
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax.numpy as jnp
    >>> model = lambda x: EfficientNet(stages=B0[:2], num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "classifier.1"

    def __init__(
        self,
        *,
        stages: Sequence[Stage],
        width: float = 1.0,
        depth: float = 1.0,
        head_features: int | None = None,
        dropout: float = 0.2,
        stochastic_depth: float = 0.2,
        padding: Literal["same"] | None = None,
        norm: dict[str, float] | None = None,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"padding": padding, "norm": norm, "dtype": dtype, "rngs": rngs}
        layer = partial(ConvNorm, activation=jax.nn.silu, **options)
        scaled = [stage.scaled(width, depth) for stage in stages]
        total, number = sum(stage.count for stage in scaled), 0
        layers: list[Any] = [layer(in_features, scaled[0].in_features, stride=2)]
        for stage in scaled:
            blocks = []
            for block in stage.blocks():
                blocks.append(MBConv(block, stochastic_depth=stochastic_depth * number / total, **options))
                number += 1
            layers.append(nnx.List(blocks))
        last = scaled[-1].features
        head = head_features or 4 * last
        self.features, self.padding = nnx.List([*layers, layer(last, head, 1)]), padding
        init = _init.uniform(num_classes**-0.5)
        linear = nn.Dense(head, num_classes, kernel_init=init, dtype=dtype, rngs=rngs)
        self.classifier = Sequential([nn.Dropout(dropout, rngs=rngs), linear])

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        last = len(self.features) - 1
        x = tap("features.0", self.features[0](x, train=train))
        for number in range(1, last):
            for i, block in enumerate(self.features[number]):
                x = tap(f"features.{number}.{i}", block(x, train=train))
        x = tap(f"features.{last}", self.features[last](x, train=train))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.classifier(x, train=train))


B0 = (
    Stage("mb", 1, 3, 1, 32, 16, 1),
    Stage("mb", 6, 3, 2, 16, 24, 2),
    Stage("mb", 6, 5, 2, 24, 40, 2),
    Stage("mb", 6, 3, 2, 40, 80, 3),
    Stage("mb", 6, 5, 1, 80, 112, 3),
    Stage("mb", 6, 5, 2, 112, 192, 4),
    Stage("mb", 6, 3, 1, 192, 320, 1),
)
V2_S = (
    Stage("fused", 1, 3, 1, 24, 24, 2),
    Stage("fused", 4, 3, 2, 24, 48, 4),
    Stage("fused", 4, 3, 2, 48, 64, 4),
    Stage("mb", 4, 3, 2, 64, 128, 6),
    Stage("mb", 6, 3, 1, 128, 160, 9),
    Stage("mb", 6, 3, 2, 160, 256, 15),
)
V2_M = (
    Stage("fused", 1, 3, 1, 24, 24, 3),
    Stage("fused", 4, 3, 2, 24, 48, 5),
    Stage("fused", 4, 3, 2, 48, 80, 5),
    Stage("mb", 4, 3, 2, 80, 160, 7),
    Stage("mb", 6, 3, 1, 160, 176, 14),
    Stage("mb", 6, 3, 2, 176, 304, 18),
    Stage("mb", 6, 3, 1, 304, 512, 5),
)
V2_L = (
    Stage("fused", 1, 3, 1, 32, 32, 4),
    Stage("fused", 4, 3, 2, 32, 64, 7),
    Stage("fused", 4, 3, 2, 64, 96, 7),
    Stage("mb", 4, 3, 2, 96, 192, 10),
    Stage("mb", 6, 3, 1, 192, 224, 19),
    Stage("mb", 6, 3, 2, 224, 384, 25),
    Stage("mb", 6, 3, 1, 384, 640, 7),
)
SLOW_NORM = {"epsilon": 1e-3, "momentum": 0.01}
V2 = {"head_features": 1280, "norm": {"epsilon": 1e-3}}
VARIANTS: dict[str, dict[str, Any]] = {
    "efficientnet_b0": {"stages": B0, "width": 1.0, "depth": 1.0, "dropout": 0.2},
    "efficientnet_b1": {"stages": B0, "width": 1.0, "depth": 1.1, "dropout": 0.2},
    "efficientnet_b2": {"stages": B0, "width": 1.1, "depth": 1.2, "dropout": 0.3},
    "efficientnet_b3": {"stages": B0, "width": 1.2, "depth": 1.4, "dropout": 0.3},
    "efficientnet_b4": {"stages": B0, "width": 1.4, "depth": 1.8, "dropout": 0.4},
    "efficientnet_b5": {"stages": B0, "width": 1.6, "depth": 2.2, "dropout": 0.4, "norm": SLOW_NORM},
    "efficientnet_b6": {"stages": B0, "width": 1.8, "depth": 2.6, "dropout": 0.5, "norm": SLOW_NORM},
    "efficientnet_b7": {"stages": B0, "width": 2.0, "depth": 3.1, "dropout": 0.5, "norm": SLOW_NORM},
    "efficientnet_v2_s": {"stages": V2_S, "dropout": 0.2, **V2},
    "efficientnet_v2_m": {"stages": V2_M, "dropout": 0.3, **V2},
    "efficientnet_v2_l": {"stages": V2_L, "dropout": 0.4, **V2},
}
SIDES = {  # pixels of the images that each was made for
    **dict(zip(VARIANTS, (224, 240, 260, 300, 380, 456, 528, 600))),
    **{"efficientnet_v2_s": 384, "efficientnet_v2_m": 480, "efficientnet_v2_l": 480},
}
SAME = {"padding": "same", "norm": SLOW_NORM}
VARIANTS |= {f"tf_{name}": options | SAME for name, options in VARIANTS.items()}
SIDES |= {f"tf_{name}": side for name, side in SIDES.items()}
