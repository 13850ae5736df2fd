"""VGG-11, 13, 16, 19, with and without batch normalisation: 3×3 convolutions only, five stages, three dense layers.

Each stage ends in a 2×2 pool; the channels are 64, 128, 256, 512, 512. Reference: Simonyan & Zisserman, Very deep
convolutional networks for large-scale image recognition (2015), configurations A, B, D and E. Batch normalisation and the
pool to 7×7, for images of another size than 224, are torchvision's.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import flat, run
from ._tap import Tap, identity


class VGG(nnx.Module):
    """VGG; 138,357,544 parameters as VGG-16, 123,642,856 of them in the dense layers.

    Taps: conv1_1, …, pool1, conv2_1, …, pool5, fc6, fc7, logits.

    Args:
        depths: convolutions of each stage.
        batch_norm: normalises after each convolution, which keeps its bias.
        hidden_features: of the two dense layers before the last.
        dropout: share of their features dropped in training.
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax.numpy as jnp
    >>> model = lambda x: VGG(depths=(1, 1, 1, 1, 1), hidden_features=16, num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "classifier.6"

    def __init__(
        self,
        *,
        depths: Sequence[int],
        batch_norm: bool = False,
        hidden_features: int = 4096,
        dropout: float = 0.5,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options, widths = {"dtype": dtype, "rngs": rngs}, (64, 128, 256, 512, 512)
        layers, names, last = [], [], in_features
        for stage, (depth, width) in enumerate(zip(depths, widths), 1):
            for place in range(1, depth + 1):
                conv = nn.Conv(last, width, 3, padding=1, kernel_init=_init.he_normal_fan_out, **options)
                norm = [nn.BatchNorm(width, rngs=rngs)] if batch_norm else []
                layers += [conv, *norm, jax.nn.relu]
                names += [None] * (1 + batch_norm) + [f"conv{stage}_{place}"]
                last = width
            layers.append(nn.MaxPool(2))
            names.append(f"pool{stage}")
        self.features, self.names = nnx.List(layers), tuple(names)
        self.classifier = nnx.List(_head(7 * 7 * last, hidden_features, num_classes, dropout, options))

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = run(self.features, self.names, x, train=train, tap=tap)
        x = flat(F.adaptive_avg_pool(x, 7))
        return run(self.classifier, (None, "fc6", None, None, "fc7", None, "logits"), x, train=train, tap=tap)


def _head(features: int, hidden: int, classes: int, dropout: float, options: dict[str, Any]) -> Iterator:
    for a, b in ((features, hidden), (hidden, hidden)):
        yield nn.Dense(a, b, kernel_init=_init.normal(0.01), **options)
        yield jax.nn.relu
        yield nn.Dropout(dropout, rngs=options["rngs"])
    yield nn.Dense(hidden, classes, kernel_init=_init.normal(0.01), **options)


VARIANTS: dict[str, dict[str, Any]] = {
    "vgg11": {"depths": (1, 1, 2, 2, 2)},
    "vgg13": {"depths": (2, 2, 2, 2, 2)},
    "vgg16": {"depths": (2, 2, 3, 3, 3)},
    "vgg19": {"depths": (2, 2, 4, 4, 4)},
    "vgg11_bn": {"depths": (1, 1, 2, 2, 2), "batch_norm": True},
    "vgg13_bn": {"depths": (2, 2, 2, 2, 2), "batch_norm": True},
    "vgg16_bn": {"depths": (2, 2, 3, 3, 3), "batch_norm": True},
    "vgg19_bn": {"depths": (2, 2, 4, 4, 4), "batch_norm": True},
}
