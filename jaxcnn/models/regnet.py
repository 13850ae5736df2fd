"""RegNet X and Y: widths and depths of four stages follow a line that is quantised; Y adds squeeze-excitation.

Block j would be `w0 + wa · j` channels wide; that is rounded to the nearest `w0 · wm^k` and to a multiple of 8, and blocks
of one width are a stage. A block is ResNet's bottleneck without narrowing, its 3×3 in groups of `group_width` channels.

Reference: Radosavovic et al., Designing network design spaces (2020), section 3.3 and tables 8 and 9.
"""

from functools import partial
from itertools import groupby
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import ConvNorm, SqueezeExcite, apply, rounded
from ._tap import Tap, identity


class Block(nnx.Module):
    """1×1, 3×3 in groups, squeeze-excitation (Y), 1×1, and the shortcut.

    Args:
        group_width: channels a group; the map's own where it has fewer.
        squeeze: channels between the two layers of squeeze-excitation, 0 for none.

    >>> import jax.numpy as jnp
    >>> block = lambda x: Block(8, 16, stride=2, group_width=8, squeeze=2, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(block, jnp.ones((1, 8, 8, 8))).shape
    (1, 4, 4, 16)
    """

    def __init__(
        self,
        in_features: int,
        features: int,
        *,
        stride: int,
        group_width: int,
        squeeze: int,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"dtype": dtype, "rngs": rngs}
        layer = partial(ConvNorm, **options)
        parts: dict[str, Any] = {
            "a": layer(in_features, features, 1),
            "b": layer(features, features, stride=stride, groups=features // min(group_width, features)),
            "c": layer(features, features, 1, activation=None),
        }
        if squeeze:
            parts["se"] = SqueezeExcite(
                features, squeeze, bias_init=lambda fan_in: _init.uniform(fan_in**-0.5), **options
            )
        self.f, self.order = nnx.Dict(parts), ("a", "b", *(["se"] if squeeze else []), "c")
        changed = stride != 1 or in_features != features
        self.proj = layer(in_features, features, 1, stride=stride, activation=None) if changed else None

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        y = x
        for name in self.order:
            y = apply(self.f[name], y, train=train)
        return jax.nn.relu(y + (x if self.proj is None else self.proj(x, train=train)))


class RegNet(nnx.Module):
    """RegNet; 5,495,976 parameters as X-400MF, 4,344,144 as Y-400MF.

    Taps: stem, block1.0, …, block4.11 (stage, block), average, logits.

    Args:
        depth: blocks in all.
        width: w0, channels of the first stage.
        slope: wa, channels that each block adds before rounding.
        multiplier: wm, factor from one stage's width to the next before rounding.
        group_width: channels a group of the 3×3 convolutions.
        squeeze: channels of squeeze-excitation as a share of those that come into the block; 0 for X.
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax.numpy as jnp
    >>> options = {"depth": 2, "width": 8, "slope": 8.0, "multiplier": 2.0, "group_width": 8}
    >>> model = lambda x: RegNet(**options, num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "fc"

    def __init__(
        self,
        *,
        depth: int,
        width: int,
        slope: float,
        multiplier: float,
        group_width: int,
        squeeze: float = 0.0,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options, last = {"dtype": dtype, "rngs": rngs}, 32
        self.stem = ConvNorm(in_features, last, stride=2, **options)
        self.stages = stages(depth, width, slope, multiplier, group_width)
        trunk: dict[str, Any] = {}
        for number, (count, features) in enumerate(self.stages, 1):
            blocks = {}
            for i in range(count):
                more = {"stride": 2 if i == 0 else 1, "group_width": group_width, "squeeze": round(squeeze * last)}
                blocks[f"block{number}-{i}"] = Block(last, features, **more, **options)
                last = features
            trunk[f"block{number}"] = nnx.Dict(blocks)
        self.trunk_output = nnx.Dict(trunk)
        self.fc = nn.Dense(last, num_classes, kernel_init=_init.normal(0.01), **options)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = tap("stem", self.stem(x, train=train))
        for number, (count, _) in enumerate(self.stages, 1):
            for i in range(count):
                block = self.trunk_output[f"block{number}"][f"block{number}-{i}"]
                x = tap(f"block{number}.{i}", block(x, train=train))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.fc(x))


def stages(depth: int, width: int, slope: float, multiplier: float, group_width: int) -> tuple[tuple[int, int], ...]:
    """Blocks and channels of each stage.

    >>> stages(22, 24, 24.48, 2.54, 16)  # X-400MF
    ((1, 32), (2, 64), (7, 160), (12, 400))
    """
    line = width + slope * np.arange(depth)
    steps = np.round(np.log(line / width) / np.log(multiplier))
    widths = (np.round(width * multiplier**steps / 8) * 8).astype(int).tolist()
    runs = [(len([*same]), w) for w, same in groupby(widths)]
    return tuple((count, rounded(w, min(group_width, w))) for count, w in runs)  # whole groups


def _variant(depth: int, width: int, slope: float, multiplier: float, group_width: int) -> dict[str, Any]:
    return {"depth": depth, "width": width, "slope": slope, "multiplier": multiplier, "group_width": group_width}


VARIANTS: dict[str, dict[str, Any]] = {
    "regnet_x_400mf": _variant(22, 24, 24.48, 2.54, 16),
    "regnet_x_800mf": _variant(16, 56, 35.73, 2.28, 16),
    "regnet_x_1_6gf": _variant(18, 80, 34.01, 2.25, 24),
    "regnet_x_3_2gf": _variant(25, 88, 26.31, 2.25, 48),
    "regnet_x_8gf": _variant(23, 80, 49.56, 2.88, 120),
    "regnet_x_16gf": _variant(22, 216, 55.59, 2.1, 128),
    "regnet_x_32gf": _variant(23, 320, 69.86, 2.0, 168),
    "regnet_y_400mf": _variant(16, 48, 27.89, 2.09, 8) | {"squeeze": 0.25},
    "regnet_y_800mf": _variant(14, 56, 38.84, 2.4, 16) | {"squeeze": 0.25},
    "regnet_y_1_6gf": _variant(27, 48, 20.71, 2.65, 24) | {"squeeze": 0.25},
    "regnet_y_3_2gf": _variant(21, 80, 42.63, 2.66, 24) | {"squeeze": 0.25},
    "regnet_y_8gf": _variant(17, 192, 76.82, 2.19, 56) | {"squeeze": 0.25},
    "regnet_y_16gf": _variant(18, 200, 106.23, 2.48, 112) | {"squeeze": 0.25},
    "regnet_y_32gf": _variant(20, 232, 115.89, 2.53, 232) | {"squeeze": 0.25},
    "regnet_y_128gf": _variant(27, 456, 160.83, 2.52, 264) | {"squeeze": 0.25},
}
