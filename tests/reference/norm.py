"""Normalisations as their formulas, in float64."""

import numpy as np


def standard(x, axes, epsilon):
    """(x − mean) / √(variance + epsilon) over the axes."""
    x = np.asarray(x, np.float64)
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + epsilon)


def group(x, groups, epsilon):
    """Each image and group of neighbouring channels by itself."""
    parts = np.split(np.asarray(x, np.float64), groups, axis=-1)
    return np.concatenate([standard(part, tuple(range(1, part.ndim)), epsilon) for part in parts], axis=-1)


def local_response(x, size, alpha, beta, k):
    """x[c] / (k + alpha / size · Σ x[c']²)^beta over c − ⌊size / 2⌋ ≤ c' ≤ c + ⌊(size − 1) / 2⌋."""
    x = np.asarray(x, np.float64)
    y = np.empty_like(x)
    for c in range(x.shape[-1]):
        near = x[..., max(c - size // 2, 0) : c + (size - 1) // 2 + 1]
        y[..., c] = x[..., c] / (k + alpha / size * (near**2).sum(-1)) ** beta
    return y
