"""MobileNetV2: inverted residuals with linear bottlenecks.

A block expands a thin map sixfold with a 1×1 convolution, filters it with a depthwise 3×3 and projects it back without an
activation; the shortcut joins the thin maps, where stride and channels allow. The authors' own network pads as TensorFlow
does, "same". A file of TensorFlow Lite has its batch normalisation folded into the convolutions, and tells 1,001 classes apart:
the first one is "background".

Reference: Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks (2018), table 2.
"""

from functools import partial
from typing import Any, Literal

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import ConvNorm, Sequential, rounded
from ._tap import Tap, identity

# expansion, channels out, blocks, stride of the first: t, c, n, s of the table
STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


class InvertedResidual(nnx.Module):
    """1×1 to `expansion` times the channels, depthwise 3×3, 1×1 to `features`; added to x where the shapes agree.

    Args:
        padding: of its windows, as in `MobileNetV2`.
        folded: as in `MobileNetV2`.

    >>> import jax.numpy as jnp
    >>> layer = lambda x: InvertedResidual(8, 4, stride=2, expansion=6, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 4)
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        stride: int,
        expansion: int,
        padding: Literal["same"] | None = None,
        folded: bool = False,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options, hidden = {"dtype": dtype, "rngs": rngs}, in_features * expansion
        layer = partial(ConvNorm, activation=jax.nn.relu6, padding=padding, folded=folded, **options)
        project = nn.Conv(hidden, features, 1, use_bias=folded, kernel_init=_init.he_normal_fan_out, **options)
        expand = [] if expansion == 1 else [layer(in_features, hidden, 1)]
        depthwise = layer(hidden, hidden, stride=stride, groups=hidden)
        normalise = None if folded else nn.BatchNorm(features, rngs=rngs)
        self.conv = Sequential([*expand, depthwise, project, normalise])
        self.added = stride == 1 and in_features == features

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        y = self.conv(x, train=train)
        return x + y if self.added else y


class MobileNetV2(nnx.Module):
    """MobileNetV2; 3,504,872 parameters at width 1.

    Taps: features.0 (the first convolution), …, features.17 (the last block), features.18 (1×1), average, logits.

    Args:
        width: factor of every layer's channels.
        stages: expansion, channels, blocks and first stride of each stage.
        dropout: share of the last features dropped in training.
        padding: of all windows; None means half of each on both sides, "same" TensorFlow's rule.
        folded: whether convolutions have a bias in place of batch normalisation, which was folded into them.
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax.numpy as jnp
    >>> model = lambda x: MobileNetV2(stages=((6, 16, 2, 2),), num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "classifier.1"

    def __init__(
        self,
        *,
        width: float = 1.0,
        stages: tuple[tuple[int, int, int, int], ...] = STAGES,
        dropout: float = 0.2,
        padding: Literal["same"] | None = None,
        folded: bool = False,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options, last, head = {"dtype": dtype, "rngs": rngs}, rounded(32 * width), rounded(1280 * max(1.0, width))
        windows = {"padding": padding, "folded": folded} | options
        layer = partial(ConvNorm, activation=jax.nn.relu6, **windows)
        layers: list[Any] = [layer(in_features, last, stride=2)]
        for expansion, channels, count, stride in stages:
            for i in range(count):
                features, first = rounded(channels * width), stride if i == 0 else 1
                layers.append(InvertedResidual(last, features, stride=first, expansion=expansion, **windows))
                last = features
        self.features = nnx.List([*layers, layer(last, head, 1)])
        linear = nn.Dense(head, num_classes, kernel_init=_init.normal(0.01), **options)
        self.classifier = Sequential([nn.Dropout(dropout, rngs=rngs), linear])

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        for i, layer in enumerate(self.features):
            x = tap(f"features.{i}", layer(x, train=train))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.classifier(x, train=train))


VARIANTS: dict[str, dict[str, Any]] = {
    "mobilenet_v2": {},
    "tflite_mobilenet_v2": {"padding": "same", "folded": True, "num_classes": 1001},
}
