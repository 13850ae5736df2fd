"""Models with numbers of NumPy's, so that nothing is compiled before the first measurement or test."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn.weights._layout import entries


def blank(build: Callable[..., nnx.Module]) -> nnx.Module:
    """What `build` makes, all zeros.

    >>> from jaxcnn import nn
    >>> blank(lambda rngs: nn.Dense(2, 3, rngs=rngs)).kernel.shape
    (2, 3)
    """
    graphdef, state = nnx.split(nnx.eval_shape(lambda: build(rngs=nnx.Rngs(0))))
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    zeros = lambda leaf: jax.random.key(0) if is_key(leaf) else jnp.asarray(np.zeros(leaf.shape, leaf.dtype))
    return nnx.merge(graphdef, jax.tree.map(zeros, state))


def drawn(build: Callable[..., nnx.Module], seed: int = 0) -> nnx.Module:
    """What `build` makes with He's kernels, factors and variances near 1, and random biases, so that none is passed over.

    >>> from jaxcnn import nn
    >>> bool((drawn(lambda rngs: nn.BatchNorm(64, rngs=rngs)).var[...] > 0.5).all())
    True
    """
    model, random = blank(build), np.random.default_rng(seed)
    for entry in entries(model):
        shape, leaf = entry.variable.shape, entry.ours.rpartition(".")[2]
        noise = random.standard_normal(shape, np.float32)
        if leaf == "kernel":
            noise *= np.sqrt(2 / np.prod(shape[:-1]))
        else:
            noise = np.clip(0.1 * noise, -0.4, 0.4) + (leaf in ("scale", "var", "layer_scale"))
        entry.variable[...] = jnp.asarray(noise, jnp.float32)
    return model
