"""AlexNet in one column, as torchvision has it: five convolutions, three dense layers, dropout.

64, 192, 384, 256, 256 channels, windows of 11×11 /4, 5×5 and 3×3, three overlapping 3×3 pools of stride 2, no
normalisation. The original of 2012 (Krizhevsky, Sutskever & Hinton, ImageNet classification with deep convolutional neural
networks) has 96, 256, 384, 384, 256 channels over two GPUs and local response normalisation:
`functional.local_response_norm`.

Reference: Krizhevsky, One weird trick for parallelizing convolutional neural networks (2014).
"""

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import flat, run
from ._tap import Tap, identity

NAMES = (None, "conv1", "pool1", None, "conv2", "pool2", None, "conv3", None, "conv4", None, "conv5", "pool5")


class AlexNet(nnx.Module):
    """AlexNet; 61,100,840 parameters for 1,000 classes. Images of at least 63×63 pixels.

    Taps: conv1, pool1, conv2, pool2, conv3, conv4, conv5, pool5, fc6, fc7, logits.

    Args:
        hidden_features: of the two dense layers before the last.
        dropout: share of what goes into them that is dropped in training.
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax.numpy as jnp
    >>> model = lambda x: AlexNet(hidden_features=16, num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 63, 63, 3))).shape
    (1, 10)
    """

    head_name = "classifier.6"

    def __init__(
        self,
        *,
        hidden_features: int = 4096,
        dropout: float = 0.5,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"dtype": dtype, "rngs": rngs}
        pool = lambda: nn.MaxPool(3, stride=2)
        features = [_init.conv(in_features, 64, 11, stride=4, padding=2, **options), jax.nn.relu, pool()]
        features += [_init.conv(64, 192, 5, padding=2, **options), jax.nn.relu, pool()]
        for a, b in ((192, 384), (384, 256), (256, 256)):
            features += [_init.conv(a, b, 3, padding=1, **options), jax.nn.relu]
        self.features = nnx.List([*features, pool()])
        classifier = []
        for a, b in ((6 * 6 * 256, hidden_features), (hidden_features, hidden_features)):
            classifier += [nn.Dropout(dropout, rngs=rngs), _init.dense(a, b, **options), jax.nn.relu]
        self.classifier = nnx.List([*classifier, _init.dense(hidden_features, num_classes, **options)])

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = run(self.features, NAMES, x, train=train, tap=tap)
        x = flat(F.adaptive_avg_pool(x, 6))
        return run(self.classifier, (None, None, "fc6", None, None, "fc7", "logits"), x, train=train, tap=tap)
