"""Shuffles as their index formulas, one element at a time."""

import numpy as np


def pixel_shuffle(x, factor):
    """y[n, p r + i, c] = x[n, p, c Π r + i], i counted row by row over a block of pixels."""
    n, *space, c = x.shape
    y = np.zeros((n, *(p * r for p, r in zip(space, factor)), c // int(np.prod(factor))))
    for o in np.ndindex(*y.shape[1:]):
        i = np.ravel_multi_index([p % r for p, r in zip(o, factor)], factor)
        y[(slice(None), *o)] = x[(slice(None), *(p // r for p, r in zip(o, factor)), o[-1] * np.prod(factor) + i)]
    return y


def channel_shuffle(x, groups):
    """Channel j · groups + g of the result is channel g · c / groups + j."""
    c = x.shape[-1]
    return np.stack([x[..., k % groups * (c // groups) + k // groups] for k in range(c)], axis=-1)
