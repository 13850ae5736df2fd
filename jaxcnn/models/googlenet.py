"""GoogLeNet (Inception v1): nine modules that look with several windows at once, and two auxiliary classifiers for training.

As torchvision has it: batch normalisation after every convolution, and 3×3 where the paper has 5×5 in the third branch. In
training the taps "aux1" and "aux2" get the auxiliary logits, whose losses the paper adds with weight 0.3.

Reference: Szegedy et al., Going deeper with convolutions (2015), table 1.
"""

from functools import partial
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._blocks import flat
from ._inception import BasicConv, chain, half_range, join
from ._tap import Tap, identity

STDDEV = 0.01
MODULES = {  # channels in; of 1×1; before and of 3×3; before and of the second 3×3; of the pool's 1×1
    "3a": (192, 64, 96, 128, 16, 32, 32),
    "3b": (256, 128, 128, 192, 32, 96, 64),
    "4a": (480, 192, 96, 208, 16, 48, 64),
    "4b": (512, 160, 112, 224, 24, 64, 64),
    "4c": (512, 128, 128, 256, 24, 64, 64),
    "4d": (512, 112, 144, 288, 32, 64, 64),
    "4e": (528, 256, 160, 320, 32, 128, 128),
    "5a": (832, 256, 160, 320, 32, 128, 128),
    "5b": (832, 384, 192, 384, 48, 128, 128),
}


class Inception(nnx.Module):
    """Four branches side by side: 1×1; 1×1 and 3×3, twice; a 3×3 pool and 1×1.

    >>> import jax.numpy as jnp
    >>> layer = lambda x: Inception(8, 1, 2, 3, 4, 5, 6, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 9, 9, 8))).shape
    (1, 9, 9, 15)
    """

    def __init__(self, c: int, one: int, before3: int, three: int, before5: int, five: int, pool: int, **options):
        conv = partial(BasicConv, stddev=STDDEV, **options)
        self.branch1 = conv(c, one, 1)
        self.branch2 = nnx.List([conv(c, before3, 1), conv(before3, three, 3)])
        self.branch3 = nnx.List([conv(c, before5, 1), conv(before5, five, 3)])
        self.branch4 = nnx.List([nn.MaxPool(3, stride=1, padding=1), conv(c, pool, 1)])

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n h w f"]:
        four: Any = self.branch4
        branches = (chain(x, *layers, train=train) for layers in ([self.branch1], self.branch2, self.branch3))
        return join([*branches, four[1](four[0](x), train=train)])


class Auxiliary(nnx.Module):
    """A classifier on the middle of the network: 4×4 averages, 1×1 convolution, two dense layers.

    >>> import jax.numpy as jnp
    >>> layer = lambda x: Auxiliary(8, 10, dropout=0.7, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 9, 9, 8))).shape
    (1, 10)
    """

    def __init__(self, in_features: int, num_classes: int, *, dropout: float, dtype=None, rngs: nnx.Rngs):
        options = {"dtype": dtype, "rngs": rngs}
        self.conv = BasicConv(in_features, 128, 1, stddev=STDDEV, **options)
        self.fc1, self.fc2 = _dense(2048, 1024, **options), _dense(1024, num_classes, **options)
        self.dropout = nn.Dropout(dropout, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n classes"]:
        x = self.conv(F.adaptive_avg_pool(x, 4), train=train)
        x = jax.nn.relu(self.fc1(flat(x)))
        return self.fc2(self.dropout(x, train=train))


class GoogLeNet(nnx.Module):
    """GoogLeNet; 13,004,888 parameters, 6,379,984 of them in the two auxiliary classifiers.

    Taps: conv1, pool1, conv2, conv3, pool2, inception3a, …, inception5b with pool3 and pool4, average, logits; in training also
    aux1 and aux2.

    Args:
        aux_logits: whether there are auxiliary classifiers.
        transform_input: takes images normalised by ImageNet's mean and deviation to `(colour − 0.5) / 0.5`, as torchvision's
            published weights need.
        dropout: share of the last features dropped in training.
        aux_dropout: the same in the auxiliary classifiers.
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax.numpy as jnp
    >>> model = lambda x: GoogLeNet(num_classes=10, aux_logits=False, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 32, 32, 3))).shape
    (1, 10)
    """

    head_name = "fc"
    auxiliary_heads = ("aux1.fc2", "aux2.fc2")

    def __init__(
        self,
        *,
        aux_logits: bool = True,
        transform_input: bool = False,
        dropout: float = 0.2,
        aux_dropout: float = 0.7,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"dtype": dtype, "rngs": rngs}
        conv = partial(BasicConv, stddev=STDDEV, **options)
        self.conv1, self.conv2, self.conv3 = conv(in_features, 64, 7, stride=2), conv(64, 64, 1), conv(64, 192, 3)
        for name, channels in MODULES.items():
            setattr(self, f"inception{name}", Inception(*channels, **options))
        aux = partial(Auxiliary, num_classes=num_classes, dropout=aux_dropout, **options)
        self.aux1, self.aux2 = (aux(512), aux(528)) if aux_logits else (None, None)
        self.dropout = nn.Dropout(dropout, rngs=rngs)
        self.fc = _dense(1024, num_classes, **options)
        self.transform_input = transform_input

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = half_range(x) if self.transform_input else x
        pool = partial(F.max_pool, stride=2, ceil_mode=True)
        x = tap("pool1", pool(tap("conv1", self.conv1(x, train=train)), 3))
        x = tap("conv2", self.conv2(x, train=train))
        x = tap("pool2", pool(tap("conv3", self.conv3(x, train=train)), 3))
        for name in MODULES:
            if name in ("4a", "5a"):
                x = tap("pool3", pool(x, 3)) if name == "4a" else tap("pool4", pool(x, 2))
            x = tap(f"inception{name}", getattr(self, f"inception{name}")(x, train=train))
            aux = {"4a": "aux1", "4d": "aux2"}.get(name)
            if train and aux and getattr(self, aux) is not None:
                tap(aux, getattr(self, aux)(x, train=train))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.fc(self.dropout(x, train=train)))


def _dense(in_features: int, out_features: int, **options) -> nn.Dense:
    bias = _init.uniform(in_features**-0.5)
    return nn.Dense(in_features, out_features, kernel_init=_init.normal(STDDEV), bias_init=bias, **options)
