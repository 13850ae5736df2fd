"""MobileNetV3, large and small: inverted residuals found by search, with squeeze-excitation and hard-swish.

Reference: Howard et al., Searching for MobileNetV3 (2019), tables 1 and 2. A row of a table: window, expanded channels,
channels out, squeeze-excitation, hard-swish (else ReLU), stride. The authors' weights, which timm has as `tf_…`, pad as
TensorFlow does, "same": strided windows more behind than in front.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import ConvNorm, Sequential, SqueezeExcite, rounded, run
from ._tap import Tap, identity

NORM = {"epsilon": 1e-3, "momentum": 0.01}


class Row(NamedTuple):
    """One block, a row of the paper's table."""

    kernel_size: int
    expanded: int
    features: int
    squeeze: bool
    hard: bool
    stride: int


class InvertedResidual(nnx.Module):
    """1×1 to `expanded`, depthwise, squeeze-excitation, 1×1 to `features`; added to x where the shapes agree.

    >>> import jax.numpy as jnp
    >>> block = lambda x: InvertedResidual(8, Row(5, 24, 16, True, True, 2), rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(block, jnp.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 16)
    """

    def __init__(self, in_features: int, row: Row, *, padding=None, dtype=None, rngs: nnx.Rngs):
        size, hidden, features, squeeze, hard, stride = row
        layer = partial(ConvNorm, padding=padding, norm=NORM, dtype=dtype, rngs=rngs)
        activation = jax.nn.hard_swish if hard else jax.nn.relu
        layers: list[Any] = []
        if hidden != in_features:
            layers.append(layer(in_features, hidden, 1, activation=activation))
        layers.append(layer(hidden, hidden, size, stride=stride, groups=hidden, activation=activation))
        if squeeze:
            layers.append(SqueezeExcite(hidden, rounded(hidden // 4), gate=jax.nn.hard_sigmoid, dtype=dtype, rngs=rngs))
        self.block = Sequential([*layers, layer(hidden, features, 1, activation=None)])
        self.added = stride == 1 and in_features == features

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        y = self.block(x, train=train)
        return x + y if self.added else y


class MobileNetV3(nnx.Module):
    """MobileNetV3; 5,483,032 parameters as large, 2,542,856 as small.

    Taps: features.0 (the first convolution), the blocks, features.16 or features.12 (1×1), average, hidden, logits.

    Args:
        rows: the blocks.
        hidden_features: of the dense layer before the last.
        dropout: share of its features dropped in training.
        padding: of all windows; None means half of each on both sides, "same" TensorFlow's rule.
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax.numpy as jnp
    >>> model = lambda x: MobileNetV3(rows=SMALL[:2], hidden_features=16, num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "classifier.3"

    def __init__(
        self,
        *,
        rows: Sequence[Row],
        hidden_features: int,
        dropout: float = 0.2,
        padding: Literal["same"] | None = None,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options, last = {"dtype": dtype, "rngs": rngs}, 16
        layer = partial(ConvNorm, activation=jax.nn.hard_swish, padding=padding, norm=NORM, **options)
        layers: list[Any] = [layer(in_features, last, stride=2)]
        for row in rows:
            layers.append(InvertedResidual(last, row, padding=padding, **options))
            last = row.features
        self.features, self.padding = nnx.List([*layers, layer(last, 6 * last, 1)]), padding
        dense = partial(nn.Dense, kernel_init=_init.normal(0.01), **options)
        dropped = nn.Dropout(dropout, rngs=rngs)
        head = [dense(6 * last, hidden_features), jax.nn.hard_swish, dropped, dense(hidden_features, num_classes)]
        self.classifier = nnx.List(head)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        for i, layer in enumerate(self.features):
            x = tap(f"features.{i}", layer(x, train=train))
        x = tap("average", F.global_avg_pool(x))
        return run(self.classifier, (None, "hidden", None, "logits"), x, train=train, tap=tap)


LARGE = (
    Row(3, 16, 16, False, False, 1),
    Row(3, 64, 24, False, False, 2),
    Row(3, 72, 24, False, False, 1),
    Row(5, 72, 40, True, False, 2),
    Row(5, 120, 40, True, False, 1),
    Row(5, 120, 40, True, False, 1),
    Row(3, 240, 80, False, True, 2),
    Row(3, 200, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1),
    Row(3, 184, 80, False, True, 1),
    Row(3, 480, 112, True, True, 1),
    Row(3, 672, 112, True, True, 1),
    Row(5, 672, 160, True, True, 2),
    Row(5, 960, 160, True, True, 1),
    Row(5, 960, 160, True, True, 1),
)
SMALL = (
    Row(3, 16, 16, True, False, 2),
    Row(3, 72, 24, False, False, 2),
    Row(3, 88, 24, False, False, 1),
    Row(5, 96, 40, True, True, 2),
    Row(5, 240, 40, True, True, 1),
    Row(5, 240, 40, True, True, 1),
    Row(5, 120, 48, True, True, 1),
    Row(5, 144, 48, True, True, 1),
    Row(5, 288, 96, True, True, 2),
    Row(5, 576, 96, True, True, 1),
    Row(5, 576, 96, True, True, 1),
)
VARIANTS: dict[str, dict[str, Any]] = {
    "mobilenet_v3_large": {"rows": LARGE, "hidden_features": 1280},
    "mobilenet_v3_small": {"rows": SMALL, "hidden_features": 1024},
}
VARIANTS |= {f"tf_{name}": {**options, "padding": "same"} for name, options in VARIANTS.items()}
