"""SqueezeNet 1.0 and 1.1: AlexNet's accuracy with 1.2 million parameters.

A fire module squeezes with a 1×1 convolution, then expands with 1×1 and 3×3 side by side. No dense layer: the classifier is
a 1×1 convolution, averaged over the map. 1.1 starts with 3×3 instead of 7×7 and pools earlier, at 2.4 times less
arithmetic.

Reference: Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size (2016).
"""

from typing import Any, Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import run
from ._tap import Tap, identity

FIRES = (
    (16, 64),
    (16, 64),
    (32, 128),
    (32, 128),
    (48, 192),
    (48, 192),
    (64, 256),
    (64, 256),
)  # squeezed, each expanded
POOLS = {"1.0": (1, 4, 8), "1.1": (1, 3, 5)}  # pools come before fire2, fire5, fire9; fire2, fire4, fire6
STEM = {"1.0": (96, 7), "1.1": (64, 3)}  # channels and window of the first convolution


class Fire(nnx.Module):
    """Squeezes to few channels, then expands by 1×1 and by 3×3, each to `expanded` channels, concatenated.

    >>> layer = lambda x: Fire(8, 2, 4, rngs=nnx.Rngs(0))(x)
    >>> jax.eval_shape(layer, jnp.ones((1, 5, 5, 8))).shape
    (1, 5, 5, 8)
    """

    def __init__(self, in_features: int, squeezed: int, expanded: int, *, dtype=None, rngs: nnx.Rngs):
        options = {"kernel_init": _init.he_uniform_fan_in, "dtype": dtype, "rngs": rngs}
        self.squeeze = nn.Conv(in_features, squeezed, 1, **options)
        self.expand1x1 = nn.Conv(squeezed, expanded, 1, **options)
        self.expand3x3 = nn.Conv(squeezed, expanded, 3, padding=1, **options)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w f"]:
        x = jax.nn.relu(self.squeeze(x))
        return jax.nn.relu(jnp.concatenate([self.expand1x1(x), self.expand3x3(x)], -1))


class SqueezeNet(nnx.Module):
    """SqueezeNet; 1,248,424 parameters as 1.0, 1,235,496 as 1.1.

    Taps: conv1, pool1, fire2, …, fire9 with the pools between, conv10, logits.

    Args:
        version: "1.0" or "1.1".
        dropout: share of the last fire module's features dropped in training.
        dtype: what is computed in, by default that of x and the parameters.

    Raises: ValueError for another version.

    >>> model = lambda x: SqueezeNet(version="1.1", num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 33, 33, 3))).shape
    (1, 10)
    """

    head_name = "classifier.1"
    score_maps = ("conv10",)

    def __init__(
        self,
        *,
        version: Literal["1.0", "1.1"],
        dropout: float = 0.5,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        if version not in STEM:
            raise ValueError(f"SqueezeNet: version={version!r} must be one of {', '.join(STEM)}")
        options, (last, size) = {"dtype": dtype, "rngs": rngs}, STEM[version]
        init = _init.he_uniform_fan_in
        layers = [nn.Conv(in_features, last, size, stride=2, padding="valid", kernel_init=init, **options), jax.nn.relu]
        names = [None, "conv1"]
        for number, (squeezed, expanded) in enumerate(FIRES, 2):
            if number - 1 in POOLS[version]:
                layers.append(nn.MaxPool(3, stride=2, ceil_mode=True))
                names.append(f"pool{number - 1}")
            layers.append(Fire(last, squeezed, expanded, **options))
            names.append(f"fire{number}")
            last = 2 * expanded
        self.features, self.names = nnx.List(layers), tuple(names)
        head = nn.Conv(last, num_classes, 1, kernel_init=_init.normal(0.01), **options)
        self.classifier = nnx.List([nn.Dropout(dropout, rngs=rngs), head, jax.nn.relu])

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = run(self.features, self.names, x, train=train, tap=tap)
        x = run(self.classifier, (None, None, "conv10"), x, train=train, tap=tap)
        return tap("logits", F.global_avg_pool(x))


VARIANTS: dict[str, dict[str, Any]] = {"squeezenet1_0": {"version": "1.0"}, "squeezenet1_1": {"version": "1.1"}}
