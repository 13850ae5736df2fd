"""U-Net: what is where in an image, a class for each pixel.

Down: two 3×3 convolutions and a pool, five times, the channels doubling from 64; up: a transposed convolution of 2×2, the
map of the same size from the way down beside it, two 3×3 convolutions. No convolution is padded, so 572×572 pixels give
388×388 classes, and each sees only what was in the image; with `padding="same"` sizes that 16 divides stay as they are.

Reference: Ronneberger, Fischer & Brox, U-Net: convolutional networks for biomedical image segmentation (2015), figure 1.
"""

from collections.abc import Sequence
from typing import Literal

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._tap import Tap, identity


class DoubleConv(nnx.Module):
    """Two 3×3 convolutions with ReLU.

    >>> layer = lambda x: DoubleConv(1, 8, padding="valid", rngs=nnx.Rngs(0))(x)
    >>> jax.eval_shape(layer, jnp.ones((1, 8, 8, 1))).shape
    (1, 4, 4, 8)
    """

    def __init__(self, in_features: int, features: int, **options):
        self.conv1 = nn.Conv(in_features, features, 3, kernel_init=_init.he_normal_fan_in, **options)
        self.conv2 = nn.Conv(features, features, 3, kernel_init=_init.he_normal_fan_in, **options)

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n oh ow f"]:
        return jax.nn.relu(self.conv2(jax.nn.relu(self.conv1(x))))


class UNet(nnx.Module):
    """U-Net; 31,030,658 parameters for grey images and two classes.

    Taps: down1, …, down5, up1, …, up4, logits.

    Args:
        widths: channels of each size on the way down, one more than there are pools.
        padding: "valid" or "same", of the 3×3 convolutions.
        dropout: share of the features dropped in training at the end of the way down.
        dtype: what is computed in, by default that of x and the parameters.

    Raises: ValueError in the call for images that are too small.

    >>> model = lambda x: UNet(widths=(4, 8), rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 20, 24, 1))).shape
    (1, 4, 8, 2)
    """

    head_name = "logits"
    score_maps = ("logits",)

    def __init__(
        self,
        *,
        num_classes: int = 2,
        in_features: int = 1,
        widths: Sequence[int] = (64, 128, 256, 512, 1024),
        padding: Literal["valid", "same"] = "valid",
        dropout: float = 0.5,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"kernel_init": _init.he_normal_fan_in, "dtype": dtype, "rngs": rngs}
        double = lambda a, b: DoubleConv(a, b, padding=padding, dtype=dtype, rngs=rngs)
        self.down = nnx.List([double(a, b) for a, b in zip((in_features, *widths), widths)])
        pairs = [*zip(widths[::-1], widths[-2::-1])]  # (1024, 512), …, (128, 64)
        self.enlarge = nnx.List([nn.ConvTranspose(a, b, 2, stride=2, padding="valid", **options) for a, b in pairs])
        self.up = nnx.List([double(a, b) for a, b in pairs])
        self.dropout = nn.Dropout(dropout, rngs=rngs)
        self.logits = nn.Conv(widths[0], num_classes, 1, **options)

    def __call__(
        self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity
    ) -> Float[Array, "n oh ow classes"]:
        skipped = []
        for i, layer in enumerate(self.down, 1):
            x = tap(f"down{i}", layer(x if i == 1 else F.max_pool(x, 2)))
            skipped.append(x)
        x = self.dropout(skipped.pop(), train=train)
        for i, (enlarge, layer) in enumerate(zip(self.enlarge, self.up), 1):
            x = enlarge(x)
            x = tap(f"up{i}", layer(jnp.concatenate([_centre(skipped.pop(), x.shape[1:3]), x], -1)))
        return tap("logits", self.logits(x))


def _centre(x: Array, space: Sequence[int]) -> Array:
    top, left = ((have - want) // 2 for have, want in zip(x.shape[1:3], space))
    return x[:, top : top + space[0], left : left + space[1]]
