"""DenseNet-121, 161, 169, 201: every layer sees the maps of all layers before it in its block.

A layer is batch normalisation, ReLU, 1×1 to `4 · growth` channels, the same again, 3×3 to `growth` channels, which are
joined to its input. Between the blocks a 1×1 convolution halves the channels and a 2×2 average the size.

Reference: Huang et al., Densely connected convolutional networks (2017), table 1.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._tap import Tap, identity

BOTTLENECK = 4  # growths of channels between the two convolutions of a layer


class DenseLayer(nnx.Module):
    """Joins `growth` new channels to x.

    >>> layer = lambda x: DenseLayer(8, 4, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 5, 5, 8))).shape
    (1, 5, 5, 12)
    """

    def __init__(self, in_features: int, growth: int, *, dropout: float = 0.0, dtype=None, rngs: nnx.Rngs):
        options = {"dtype": dtype, "rngs": rngs}
        self.norm1 = nn.BatchNorm(in_features, rngs=rngs)
        self.conv1 = _conv(in_features, BOTTLENECK * growth, 1, **options)
        self.norm2 = nn.BatchNorm(BOTTLENECK * growth, rngs=rngs)
        self.conv2 = _conv(BOTTLENECK * growth, growth, 3, padding=1, **options)
        self.dropout = nn.Dropout(dropout, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n h w f"]:
        y = self.conv1(jax.nn.relu(self.norm1(x, train=train)))
        y = self.conv2(jax.nn.relu(self.norm2(y, train=train)))
        return jnp.concatenate([x, self.dropout(y, train=train).astype(x.dtype)], -1)


class Transition(nnx.Module):
    """Batch normalisation, ReLU, 1×1 convolution, 2×2 average.

    >>> layer = lambda x: Transition(8, 4, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 6, 6, 8))).shape
    (1, 3, 3, 4)
    """

    def __init__(self, in_features: int, features: int, *, dtype=None, rngs: nnx.Rngs):
        self.norm = nn.BatchNorm(in_features, rngs=rngs)
        self.conv = _conv(in_features, features, 1, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        return F.avg_pool(self.conv(jax.nn.relu(self.norm(x, train=train))), 2)


class DenseNet(nnx.Module):
    """DenseNet; 7,978,856 parameters as DenseNet-121.

    Taps: conv0, pool0, denseblock1.denselayer1, …, transition1, …, denseblock4.denselayer16, norm5, average, logits.

    Args:
        growth: channels that each layer adds.
        depths: layers of each block.
        stem_features: channels of the first convolution.
        dropout: share of what a layer adds that is dropped in training.
        dtype: what is computed in, by default that of x and the parameters.

    >>> model = lambda x: DenseNet(growth=4, depths=(2, 1), stem_features=8, num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "classifier"

    def __init__(
        self,
        *,
        growth: int,
        depths: Sequence[int],
        stem_features: int,
        dropout: float = 0.0,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options, last = {"dtype": dtype, "rngs": rngs}, stem_features
        features: dict[str, Any] = {
            "conv0": _conv(in_features, last, 7, stride=2, padding=3, **options),
            "norm0": nn.BatchNorm(last, rngs=rngs),
        }
        for block, depth in enumerate(depths, 1):
            layers = {}
            for i in range(1, depth + 1):
                layers[f"denselayer{i}"] = DenseLayer(last, growth, dropout=dropout, **options)
                last += growth
            features[f"denseblock{block}"] = nnx.Dict(layers)
            if block < len(depths):
                features[f"transition{block}"] = Transition(last, last // 2, **options)
                last //= 2
        self.features = nnx.Dict({**features, "norm5": nn.BatchNorm(last, rngs=rngs)})
        bound = last**-0.5
        self.classifier = nn.Dense(last, num_classes, kernel_init=_init.uniform(bound), **options)
        self.depths = tuple(depths)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        parts: Any = self.features
        x = tap("conv0", jax.nn.relu(parts["norm0"](parts["conv0"](x), train=train)))
        x = tap("pool0", F.max_pool(x, 3, stride=2, padding=1))
        for block, depth in enumerate(self.depths, 1):
            for i in range(1, depth + 1):
                layer = parts[f"denseblock{block}"][f"denselayer{i}"]
                x = tap(f"denseblock{block}.denselayer{i}", layer(x, train=train))
            if block < len(self.depths):
                x = tap(f"transition{block}", parts[f"transition{block}"](x, train=train))
        x = tap("norm5", jax.nn.relu(parts["norm5"](x, train=train)))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.classifier(x))


def _conv(in_features: int, out_features: int, size: int, *, padding: int = 0, **options) -> nn.Conv:
    init = _init.he_normal_fan_in
    return nn.Conv(in_features, out_features, size, padding=padding, use_bias=False, kernel_init=init, **options)


VARIANTS: dict[str, dict[str, Any]] = {
    "densenet121": {"growth": 32, "depths": (6, 12, 24, 16), "stem_features": 64},
    "densenet161": {"growth": 48, "depths": (6, 12, 36, 24), "stem_features": 96},
    "densenet169": {"growth": 32, "depths": (6, 12, 32, 32), "stem_features": 64},
    "densenet201": {"growth": 32, "depths": (6, 12, 48, 32), "stem_features": 64},
}
