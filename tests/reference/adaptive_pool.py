"""Pooling to a given size as its definition: output i of o sees pixels floor(i n / o) to ceil((i + 1) n / o) of n."""

import math

import numpy as np


def adaptive_pool(x, sizes, reduce):
    """`reduce(pixels)` of each window of x (n, *space, c)."""
    x, space = np.asarray(x, np.float64), np.shape(x)[1:-1]
    y = np.zeros((x.shape[0], *sizes, x.shape[-1]))
    for o in np.ndindex(*sizes):
        edges = [(math.floor(i * n / s), math.ceil((i + 1) * n / s)) for i, n, s in zip(o, space, sizes)]
        y[(slice(None), *o)] = reduce(x[(slice(None), *(slice(*edge) for edge in edges))])
    return y


def over_space(reduce):
    """A NumPy reduction over the spatial axes."""
    return lambda seen: reduce(seen, axis=tuple(range(1, seen.ndim - 1)))
