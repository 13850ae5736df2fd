"""Weighted pooling as its definition, and the binomial weights of blur pooling by their recurrence."""

import numpy as np

from .padding import pad
from .pool import pool


def weighted_pool(x, weights, *, pairs, mode="zeros", **options):
    """Σ_t w[t, c] x[o · stride + t · dilation − low, c] over the taps t on the image, with weights (*size, c)."""
    x = np.asarray(x, np.float64)
    if mode != "zeros":
        x, pairs = pad(x, pairs, mode), [(0, 0)] * len(pairs)

    def total(seen, at):
        taps = [[t for t, p in enumerate(axis) if 0 <= p < n] for axis, n in zip(at, x.shape[1:-1])]
        return (seen * weights[np.ix_(*taps)].reshape(-1, x.shape[-1])).sum(axis=1)

    return pool(x, weights.shape[:-1], total, pairs=pairs, **options)


def binomial(k):
    """Row k of Pascal's triangle over its sum."""
    row = np.ones(1)
    for _ in range(k - 1):
        row = (np.append(row, 0) + np.append(0, row)) / 2
    return row


def blur_pool(x, size, *, stride, mode="reflect"):
    """Zhang (2019): binomial weights, centred windows."""
    weights = np.ones(np.shape(x)[-1])
    for k in reversed(size):
        weights = np.multiply.outer(binomial(k), weights)
    pairs = [((k - 1) // 2, k // 2) for k in size]
    return weighted_pool(x, weights, stride=stride, pairs=pairs, dilation=(1,) * len(size), mode=mode)
