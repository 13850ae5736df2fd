"""A network with one of every layer that has a layout of its own, and its arrays."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import nn


class Mixed(nnx.Module):
    """One of every layer that has a layout of its own; attribute names as in the PyTorch twin below."""

    def __init__(self, rngs):
        self.conv = nn.Conv(6, 10, (3, 2), groups=2, padding="valid", rngs=rngs)
        self.norm = nn.BatchNorm(10, rngs=rngs)
        self.depthwise = nn.DepthwiseConv(10, 3, multiplier=3, padding="valid", rngs=rngs)
        self.blocks = nnx.List([nn.Conv(30, 7, 1, use_bias=False, rngs=rngs), None, nn.Dense(7, 5, rngs=rngs)])
        self.layer_scale = nnx.Param(jnp.ones((1, 1, 5)))
        self.dropout = nn.Dropout(0.5, rngs=rngs)

    def __call__(self, x, *, train):
        x = self.norm(self.conv(x), train=train)
        x = self.blocks[2](self.blocks[0](self.depthwise(x)))
        return self.dropout(x * self.layer_scale[...], train=train)


def mixed(seed=0):
    return Mixed(nnx.Rngs(seed))


def arrays_of(model):
    return {".".join(map(str, path)): np.array(leaf) for path, leaf in leaves(model)}


def leaves(model):
    return [(path, v[...]) for path, v in nnx.to_flat_state(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))]
