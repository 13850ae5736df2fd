"""Every module of `jaxcnn.nn`, one row a way of building it, in the form of `tests/functional/operations.py`.

A row's function takes the images and then the parameters, in the order of `jax.tree.leaves`; all are differentiable.
"""

import jax
from flax import nnx

from jaxcnn import nn

MAP, VOLUME, LINE = "n h 3 2", "n 2 h 3 2", "n 7 2"
BUILDS = {  # name: (constructor of rngs, shape of x, words of the call)
    "Conv": (lambda r: nn.Conv(2, 4, (3, 2), stride=2, groups=2, rngs=r), MAP, {}),
    "Conv 1d": (lambda r: nn.Conv(2, 3, 3, rank=1, padding="causal", rngs=r), LINE, {}),
    "Conv 3d": (lambda r: nn.Conv(2, 3, (2, 3, 1), padding_mode="circular", rngs=r), VOLUME, {}),
    "DepthwiseConv": (lambda r: nn.DepthwiseConv(2, 3, multiplier=2, rngs=r), MAP, {}),
    "SeparableConv": (lambda r: nn.SeparableConv(2, 3, 3, padding_mode="reflect", rngs=r), MAP, {}),
    "SpatiallySeparableConv": (lambda r: nn.SpatiallySeparableConv(2, 3, (3, 2), rngs=r), MAP, {}),
    "ConvTranspose": (lambda r: nn.ConvTranspose(2, 3, 2, stride=2, rngs=r), MAP, {}),
    "Dense": (lambda r: nn.Dense(2, 3, rngs=r), MAP, {}),
    "Dense of vectors": (lambda r: nn.Dense(5, 3, rngs=r), "n 5", {}),
    "Dropout": (lambda r: nn.Dropout(0.4, rngs=r), MAP, {"train": True}),
    "StochasticDepth": (lambda r: nn.StochasticDepth(0.4, rngs=r), MAP, {"train": True}),
    "BatchNorm": (lambda r: nn.BatchNorm(2, rngs=r), MAP, {"train": True}),
    "BatchNorm evaluated": (lambda r: nn.BatchNorm(2, rngs=r), MAP, {"train": False}),
    "LayerNorm": (lambda r: nn.LayerNorm(2, rngs=r), MAP, {}),
    "MaxPool": (lambda r: nn.MaxPool(2, stride=1, padding=1), MAP, {}),
    "AvgPool": (lambda r: nn.AvgPool(2, stride=1), MAP, {}),
    "WeightedPool": (lambda r: nn.WeightedPool(2, 2, rngs=r), MAP, {}),
    "WeightedPool of each tap": (lambda r: nn.WeightedPool(2, 2, each_tap=True, rngs=r), MAP, {}),
    "MixedPool": (lambda r: nn.MixedPool(2, in_features=2, rngs=r), MAP, {}),
    "StochasticPool": (lambda r: nn.StochasticPool(2, stride=1, rngs=r), MAP, {"train": True}),
    "FractionalMaxPool": (lambda r: nn.FractionalMaxPool(2, ratio=0.7, rngs=r), MAP, {"train": True}),
}


def row(build, spec, call):
    """The module as a function of images and parameters, and the shapes of both."""
    definition, parameters, rest = nnx.split(build(nnx.Rngs(0)), nnx.Param, ...)
    leaves, tree = jax.tree.flatten(parameters)

    def function(x, *values):
        module = nnx.merge(
            definition, jax.tree.unflatten(tree, values), rest, copy=True
        )  # what it counts stays its own
        return module(x, **call)

    return function, spec, *(" ".join(map(str, v.shape)) for v in leaves)


MODULES = {name: row(*build) for name, build in BUILDS.items()}
