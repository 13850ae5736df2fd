"""Inception v3: large windows taken apart into 1×7 and 7×1, five kinds of module, one auxiliary classifier for training.

Images of 299×299, at least 75×75; in training with the auxiliary classifier, which needs a 17×17 map, at least 299×299. The
tap "aux" gets the auxiliary logits in training; torchvision's recipe adds their loss with weight 0.4. Attribute names are
those of the published weights.

Reference: Szegedy et al., Rethinking the Inception architecture for computer vision (2016), table 1 and figures 5 to 7, 10.
"""

from functools import partial

from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from . import _init
from ._inception import BasicConv, chain, half_range, join
from ._tap import Tap, identity

STDDEV = 0.1


class InceptionA(nnx.Module):
    """1×1; 5×5; two 3×3; an average: windows of 5 pixels at 35×35."""

    def __init__(self, c: int, pool_features: int, **options):
        conv = partial(BasicConv, stddev=STDDEV, **options)
        self.branch1x1 = conv(c, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = conv(c, 48, 1), conv(48, 64, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = conv(c, 64, 1), conv(64, 96, 3)
        self.branch3x3dbl_3 = conv(96, 96, 3)
        self.branch_pool = conv(c, pool_features, 1)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n h w f"]:
        follow = partial(chain, train=train)
        one, five = follow(x, self.branch1x1), follow(x, self.branch5x5_1, self.branch5x5_2)
        three = follow(x, self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3)
        return join([one, five, three, follow(_average(x), self.branch_pool)])


class InceptionB(nnx.Module):
    """From 35×35 to 17×17: 3×3 of stride 2; the same after a 3×3; a pool."""

    def __init__(self, c: int, **options):
        conv = partial(BasicConv, stddev=STDDEV, **options)
        halve = {"stride": 2, "padding": "valid"}
        self.branch3x3 = conv(c, 384, 3, **halve)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = conv(c, 64, 1), conv(64, 96, 3)
        self.branch3x3dbl_3 = conv(96, 96, 3, **halve)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        follow = partial(chain, train=train)
        three = follow(x, self.branch3x3dbl_1, self.branch3x3dbl_2, self.branch3x3dbl_3)
        return join([follow(x, self.branch3x3), three, F.max_pool(x, 3, stride=2)])


class InceptionC(nnx.Module):
    """1×1; 7×7 and twice 7×7, taken apart into rows and columns; an average: at 17×17."""

    def __init__(self, c: int, narrow: int, **options):
        conv = partial(BasicConv, stddev=STDDEV, **options)
        row, column = (1, 7), (7, 1)
        self.branch1x1 = conv(c, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = conv(c, narrow, 1), conv(narrow, narrow, row)
        self.branch7x7_3 = conv(narrow, 192, column)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = conv(c, narrow, 1), conv(narrow, narrow, column)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = conv(narrow, narrow, row), conv(narrow, narrow, column)
        self.branch7x7dbl_5 = conv(narrow, 192, row)
        self.branch_pool = conv(c, 192, 1)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n h w f"]:
        follow = partial(chain, train=train)
        seven = follow(x, self.branch7x7_1, self.branch7x7_2, self.branch7x7_3)
        twice = follow(x, self.branch7x7dbl_1, self.branch7x7dbl_2, self.branch7x7dbl_3, self.branch7x7dbl_4)
        branches = [follow(x, self.branch1x1), seven, follow(twice, self.branch7x7dbl_5)]
        return join([*branches, follow(_average(x), self.branch_pool)])


class InceptionD(nnx.Module):
    """From 17×17 to 8×8: 3×3 of stride 2, also after a 7×7 taken apart; a pool."""

    def __init__(self, c: int, **options):
        conv = partial(BasicConv, stddev=STDDEV, **options)
        halve = {"stride": 2, "padding": "valid"}
        self.branch3x3_1, self.branch3x3_2 = conv(c, 192, 1), conv(192, 320, 3, **halve)
        self.branch7x7x3_1, self.branch7x7x3_2 = conv(c, 192, 1), conv(192, 192, (1, 7))
        self.branch7x7x3_3, self.branch7x7x3_4 = conv(192, 192, (7, 1)), conv(192, 192, 3, **halve)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        follow = partial(chain, train=train)
        three = follow(x, self.branch3x3_1, self.branch3x3_2)
        seven = follow(x, self.branch7x7x3_1, self.branch7x7x3_2, self.branch7x7x3_3, self.branch7x7x3_4)
        return join([three, seven, F.max_pool(x, 3, stride=2)])


class InceptionE(nnx.Module):
    """At 8×8 the rows and columns of a 3×3 lie side by side: the widest module."""

    def __init__(self, c: int, **options):
        conv = partial(BasicConv, stddev=STDDEV, **options)
        self.branch1x1 = conv(c, 320, 1)
        self.branch3x3_1 = conv(c, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = conv(384, 384, (1, 3)), conv(384, 384, (3, 1))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = conv(c, 448, 1), conv(448, 384, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = conv(384, 384, (1, 3)), conv(384, 384, (3, 1))
        self.branch_pool = conv(c, 192, 1)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n h w f"]:
        follow = partial(chain, train=train)
        three, twice = follow(x, self.branch3x3_1), follow(x, self.branch3x3dbl_1, self.branch3x3dbl_2)
        sides = [follow(three, self.branch3x3_2a), follow(three, self.branch3x3_2b)]
        sides += [follow(twice, self.branch3x3dbl_3a), follow(twice, self.branch3x3dbl_3b)]
        return join([follow(x, self.branch1x1), *sides, follow(_average(x), self.branch_pool)])


class Auxiliary(nnx.Module):
    """A classifier on the 17×17 map: 5×5 averages of stride 3, 1×1 and 5×5 convolutions, the average, a dense layer."""

    def __init__(self, c: int, num_classes: int, **options):
        self.conv0 = BasicConv(c, 128, 1, stddev=STDDEV, **options)
        self.conv1 = BasicConv(128, 768, 5, stddev=STDDEV, padding="valid", **options)
        self.fc = _dense(768, num_classes, 0.001, **options)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n classes"]:
        x = chain(F.avg_pool(x, 5, stride=3), self.conv0, self.conv1, train=train)
        return self.fc(F.global_avg_pool(x))


MIXED = {  # module, channels in, what else it is told
    "5b": (InceptionA, 192, 32),
    "5c": (InceptionA, 256, 64),
    "5d": (InceptionA, 288, 64),
    "6a": (InceptionB, 288),
    "6b": (InceptionC, 768, 128),
    "6c": (InceptionC, 768, 160),
    "6d": (InceptionC, 768, 160),
    "6e": (InceptionC, 768, 192),
    "7a": (InceptionD, 768),
    "7b": (InceptionE, 1280),
    "7c": (InceptionE, 2048),
}
STEM = {  # channels in and out, size, stride and padding
    "Conv2d_1a_3x3": (3, 32, 3, 2, "valid"),
    "Conv2d_2a_3x3": (32, 32, 3, 1, "valid"),
    "Conv2d_2b_3x3": (32, 64, 3, 1, None),
    "Conv2d_3b_1x1": (64, 80, 1, 1, None),
    "Conv2d_4a_3x3": (80, 192, 3, 1, "valid"),
}


class InceptionV3(nnx.Module):
    """Inception v3; 27,161,264 parameters, 3,326,696 of them in the auxiliary classifier.

    Taps: Conv2d_1a_3x3, …, Conv2d_4a_3x3 with pool1, pool2, Mixed_5b, …, Mixed_7c, average, logits; in training also aux.

    Args:
        aux_logits: whether there is an auxiliary classifier.
        transform_input: takes images normalised by ImageNet's mean and deviation to `(colour − 0.5) / 0.5`, as torchvision's
            published weights need.
        dropout: share of the last features dropped in training.
        dtype: what is computed in, by default that of x and the parameters.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> model = lambda x: InceptionV3(num_classes=10, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(model, jnp.ones((1, 75, 75, 3))).shape
    (1, 10)
    """

    head_name = "fc"
    auxiliary_heads = ("AuxLogits.fc",)

    def __init__(
        self,
        *,
        aux_logits: bool = True,
        transform_input: bool = False,
        dropout: float = 0.5,
        num_classes: int = 1000,
        in_features: int = 3,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"dtype": dtype, "rngs": rngs}
        for name, (c, features, size, stride, padding) in STEM.items():
            c = in_features if name == "Conv2d_1a_3x3" else c
            more = {"stddev": STDDEV, "stride": stride, "padding": padding}
            setattr(self, name, BasicConv(c, features, size, **more, **options))
        for name, (kind, *channels) in MIXED.items():
            setattr(self, f"Mixed_{name}", kind(*channels, **options))
        self.AuxLogits = Auxiliary(768, num_classes, **options) if aux_logits else None
        self.dropout = nn.Dropout(dropout, rngs=rngs)
        self.fc = _dense(2048, num_classes, STDDEV, **options)
        self.transform_input = transform_input

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = half_range(x) if self.transform_input else x
        for name in STEM:
            x = tap(name, getattr(self, name)(x, train=train))
            pool = {"Conv2d_2b_3x3": "pool1", "Conv2d_4a_3x3": "pool2"}.get(name)
            x = tap(pool, F.max_pool(x, 3, stride=2)) if pool else x
        for name in MIXED:
            x = tap(f"Mixed_{name}", getattr(self, f"Mixed_{name}")(x, train=train))
            if name == "6e" and train and self.AuxLogits is not None:
                tap("aux", self.AuxLogits(x, train=train))
        x = tap("average", F.global_avg_pool(x))
        return tap("logits", self.fc(self.dropout(x, train=train)))


def _average(x: Array) -> Array:
    return F.avg_pool(x, 3, stride=1, padding=1)


def _dense(in_features: int, out_features: int, stddev: float, **options) -> nn.Dense:
    bias = _init.uniform(in_features**-0.5)
    return nn.Dense(in_features, out_features, kernel_init=_init.normal(stddev), bias_init=bias, **options)
