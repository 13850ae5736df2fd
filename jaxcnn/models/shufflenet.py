"""ShuffleNet v2: half of the channels pass by, the other half are filtered, then both are shuffled together.

Designed by four rules for speed that counts of arithmetic do not show. A unit of stride 2 filters both halves from all
channels.

Reference: Ma et al., ShuffleNet V2: practical guidelines for efficient CNN architecture design (2018), table 5.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import Sequential
from ._tap import Tap, identity

DEPTHS = (4, 8, 4)


class Unit(nnx.Module):
    """Two branches of `features / 2` channels, joined and shuffled; at stride 1 the first is half of x as it is.

    >>> layer = lambda x: Unit(8, 16, stride=2, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 16)
    """

    def __init__(self, in_features: int, features: int, *, stride: int, dtype=None, rngs: nnx.Rngs):
        half, relu = features // 2, jax.nn.relu
        layer = partial(_layer, dtype=dtype, rngs=rngs)
        depthwise = lambda c: layer(c, c, 3, stride=stride, groups=c)
        first = [] if stride == 1 else [*depthwise(in_features), *layer(in_features, half, 1), relu]
        before = half if stride == 1 else in_features
        self.branch1 = Sequential(first)
        self.branch2 = Sequential([*layer(before, half, 1), relu, *depthwise(half), *layer(half, half, 1), relu])
        self.stride = stride

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        if self.stride == 1:
            kept, x = jnp.split(x, 2, -1)
        else:
            kept = self.branch1(x, train=train)
        x = self.branch2(x, train=train)
        return F.channel_shuffle(jnp.concatenate([kept.astype(x.dtype), x], -1), 2)


class ShuffleNetV2(nnx.Module):
    """ShuffleNet v2; 2,278,604 parameters at 1.0.

    Taps: conv1, pool1, stage2.0, …, stage4.3, conv5, average, logits.

    Args:
        widths: channels of the first convolution, the three stages and the last convolution.
        depths: units of each stage.
        dtype: what is computed in, by default that of x and the parameters.

    >>> model = lambda x: ShuffleNetV2(widths=(8, 16, 32, 64, 64), num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "fc"

    def __init__(
        self,
        *,
        widths: Sequence[int],
        depths: Sequence[int] = DEPTHS,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options, last = {"dtype": dtype, "rngs": rngs}, widths[0]
        self.conv1 = Sequential([*_layer(in_features, last, 3, stride=2, **options), jax.nn.relu])
        for number, (width, depth) in enumerate(zip(widths[1:-1], depths), 2):
            units = []
            for i in range(depth):
                units.append(Unit(last, width, stride=2 if i == 0 else 1, **options))
                last = width
            setattr(self, f"stage{number}", nnx.List(units))
        self.conv5 = Sequential([*_layer(last, widths[-1], 1, **options), jax.nn.relu])
        self.fc, self.stages = _init.dense(widths[-1], num_classes, **options), len(depths)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = tap("conv1", self.conv1(x, train=train))
        x = tap("pool1", F.max_pool(x, 3, stride=2, padding=1))
        for number in range(2, 2 + self.stages):
            for i, unit in enumerate(getattr(self, f"stage{number}")):
                x = tap(f"stage{number}.{i}", unit(x, train=train))
        x = tap("conv5", self.conv5(x, train=train))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.fc(x))


def _layer(in_features: int, out_features: int, size: int, **options) -> list[nnx.Module]:
    """Convolution and batch normalisation."""
    conv = _init.conv(in_features, out_features, size, padding=size // 2, use_bias=False, **options)
    return [conv, nn.BatchNorm(out_features, rngs=options["rngs"])]


VARIANTS: dict[str, dict[str, Any]] = {
    "shufflenet_v2_x0_5": {"widths": (24, 48, 96, 192, 1024)},
    "shufflenet_v2_x1_0": {"widths": (24, 116, 232, 464, 1024)},
    "shufflenet_v2_x1_5": {"widths": (24, 176, 352, 704, 1024)},
    "shufflenet_v2_x2_0": {"widths": (24, 244, 488, 976, 2048)},
}
