"""ConvNeXt T, S, B, L: a convolutional network with the proportions and habits of a vision transformer.

Patches of 4×4 as the first layer; a block is a depthwise 7×7, layer normalisation and two dense layers over the channels
with one GELU between, its branch scaled by a learned number a channel that starts at 10⁻⁶. Stages are halved by a 2×2
convolution.

Reference: Liu et al., A ConvNet for the 2020s (2022).
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

EPSILON = 1e-6  # of every layer normalisation
INIT = _init.normal(0.02)
gelu = partial(jax.nn.gelu, approximate=False)


class Block(nnx.Module):
    """`x + scale · dense(gelu(dense(norm(depthwise 7×7))))`.

    >>> layer = lambda x: Block(8, stochastic_depth=0.0, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 9, 9, 8))).shape
    (1, 9, 9, 8)
    """

    def __init__(self, features: int, *, stochastic_depth: float, scale: float = 1e-6, dtype=None, rngs: nnx.Rngs):
        options = {"kernel_init": INIT, "dtype": dtype, "rngs": rngs}
        depthwise = nn.Conv(features, features, 7, padding=3, groups=features, **options)
        norm = nn.LayerNorm(features, epsilon=EPSILON, rngs=rngs)
        wide, narrow = nn.Dense(features, 4 * features, **options), nn.Dense(4 * features, features, **options)
        self.block = Sequential([depthwise, None, norm, wide, gelu, narrow])  # None: torchvision's permutation
        self.layer_scale = nnx.Param(jnp.full((1, 1, features), scale))
        self.stochastic_depth = nn.StochasticDepth(stochastic_depth, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n h w c"]:
        y = self.block(x, train=train)
        return x + self.stochastic_depth(y * self.layer_scale[...].astype(y.dtype)[None], train=train)


class ConvNeXt(nnx.Module):
    """ConvNeXt; 28,589,128 parameters as tiny.

    Taps: features.0 (the patches), features.1.0, … (stage, block), features.2 (halving), …, features.7.2, average, logits.

    Args:
        depths: blocks of each stage.
        widths: channels of each stage.
        stochastic_depth: share of images that skip the last branch in training; it rises linearly from 0 at the first.
        dtype: what is computed in, by default that of x and the parameters.

    >>> model = lambda x: ConvNeXt(depths=(1, 1), widths=(8, 16), num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "classifier.2"

    def __init__(
        self,
        *,
        depths: Sequence[int],
        widths: Sequence[int],
        stochastic_depth: float = 0.0,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"kernel_init": INIT, "dtype": dtype, "rngs": rngs}
        norm = partial(nn.LayerNorm, epsilon=EPSILON, rngs=rngs)
        conv = partial(nn.Conv, padding="valid", **options)
        layers: list[Any] = [Sequential([conv(in_features, widths[0], 4, stride=4), norm(widths[0])])]
        steps, number = max(sum(depths) - 1, 1), 0
        for stage, (depth, width) in enumerate(zip(depths, widths)):
            if stage:
                before = widths[stage - 1]
                layers.append(Sequential([norm(before), conv(before, width, 2, stride=2)]))
            shares = [stochastic_depth * (number + i) / steps for i in range(depth)]
            layers.append(nnx.List([Block(width, stochastic_depth=s, dtype=dtype, rngs=rngs) for s in shares]))
            number += depth
        self.features = nnx.List(layers)
        head: list[Any] = [norm(widths[-1]), None, nn.Dense(widths[-1], num_classes, **options)]
        self.classifier = nnx.List(head)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        for number, layer in enumerate(self.features):
            if number % 2 == 0:
                x = tap(f"features.{number}", layer(x, train=train))
                continue
            for i, block in enumerate(layer):
                x = tap(f"features.{number}.{i}", block(x, train=train))
        x = tap("average", F.global_avg_pool(x))
        norm, _, linear = self.classifier
        return tap("logits", linear(norm(x)))


VARIANTS: dict[str, dict[str, Any]] = {
    "convnext_tiny": {"depths": (3, 3, 9, 3), "widths": (96, 192, 384, 768), "stochastic_depth": 0.1},
    "convnext_small": {"depths": (3, 3, 27, 3), "widths": (96, 192, 384, 768), "stochastic_depth": 0.4},
    "convnext_base": {"depths": (3, 3, 27, 3), "widths": (128, 256, 512, 1024), "stochastic_depth": 0.5},
    "convnext_large": {"depths": (3, 3, 27, 3), "widths": (192, 384, 768, 1536), "stochastic_depth": 0.5},
}
