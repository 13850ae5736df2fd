"""Lp pooling and its gradient as their definitions."""

import numpy as np

from .pool import pool


def lp_pool(x, p, size, **options):
    """(Σ |x|^p)^(1/p) over the pixels on the image; the largest |x| for p = inf."""
    return pool(x, size, lambda seen, at: norm(seen, p), **options)


def norm(seen, p):
    """The norm over axis 1, scaled by the largest magnitude."""
    size = np.abs(seen)
    largest = size.max(axis=1, initial=0)
    if p == np.inf:
        return largest
    scale = np.where(largest > 0, largest, 1)
    return scale * ((size / scale[:, None]) ** p).sum(axis=1) ** (1 / p)
