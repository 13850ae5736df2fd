"""Broadcasting in words: JAX can be told to refuse arrays of different ranks side by side (`jax_numpy_rank_promotion`)."""

from typing import TypeVar

import numpy as np
from jax import Array, lax

V = TypeVar("V", Array, np.ndarray)


def of_rank(v: V, rank: int) -> V:
    """v with axes of one entry in front, `rank` axes in all: one number a channel, say, beside every pixel of every image."""
    if isinstance(v, np.ndarray):
        return v.reshape((1,) * (rank - v.ndim) + v.shape)
    return lax.expand_dims(v, range(rank - v.ndim))
