"""MobileNet of 2017: depthwise separable convolutions in place of full ones.

A 3×3 convolution of stride 2, then 13 pairs of a depthwise 3×3 and a 1×1 convolution, each with batch normalisation and
ReLU: eight to nine times less arithmetic than full 3×3 convolutions of the same channels. torchvision does not have it. The
authors' own network has ReLU6, and pads as TensorFlow does, "same". A file of TensorFlow Lite has its batch normalisation
folded into the convolutions, and tells 1,001 classes apart: the first one is "background".

Reference: Howard et al., MobileNets: efficient convolutional neural networks for mobile vision applications (2017), table
1.
"""

from functools import partial
from typing import Any, Literal

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import Activation, ConvNorm, Sequential
from ._tap import Tap, identity

# channels out and stride of each pair
PAIRS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


class MobileNetV1(nnx.Module):
    """MobileNet; 4,231,976 parameters at width 1.

    Taps: features.0 (the first convolution), …, features.13, average, logits.

    Args:
        width: factor of every layer's channels, the paper's α.
        dropout: share of the last features dropped in training.
        activation: behind every convolution.
        padding: of all windows; None means half of each on both sides, "same" TensorFlow's rule.
        folded: whether convolutions have a bias in place of batch normalisation, which was folded into them.
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> model = lambda x: MobileNetV1(width=0.25, num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "classifier"

    def __init__(
        self,
        *,
        width: float = 1.0,
        dropout: float = 0.001,
        activation: Activation = jax.nn.relu,
        padding: Literal["same"] | None = None,
        folded: bool = False,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options, last = {"dtype": dtype, "rngs": rngs}, int(32 * width)
        layer = partial(ConvNorm, activation=activation, padding=padding, folded=folded, **options)
        layers: list[Any] = [layer(in_features, last, stride=2)]
        for channels, stride in PAIRS:
            features = int(channels * width)
            depthwise = layer(last, last, stride=stride, groups=last)
            layers.append(Sequential([depthwise, layer(last, features, 1)]))
            last = features
        self.features = nnx.List(layers)
        self.dropout = nn.Dropout(dropout, rngs=rngs)
        self.classifier = nn.Dense(last, num_classes, kernel_init=_init.normal(0.01), **options)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        for i, layer in enumerate(self.features):
            x = tap(f"features.{i}", layer(x, train=train))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.classifier(self.dropout(x, train=train)))


VARIANTS: dict[str, dict[str, Any]] = {
    "mobilenet_v1": {},
    "tflite_mobilenet_v1_025": {
        "width": 0.25, "activation": jax.nn.relu6, "padding": "same", "folded": True, "num_classes": 1001,
    },
}  # fmt: skip
SIDES = {"mobilenet_v1": 224, "tflite_mobilenet_v1_025": 128}  # pixels of the images that each was made for
