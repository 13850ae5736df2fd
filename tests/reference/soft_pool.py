"""SoftPool and mixed pooling as their definitions."""

import numpy as np

from .pool import avg_pool, max_pool, pool


def soft_pool(x, size, **options):
    """Σ e^x x / Σ e^x over the pixels on the image that are not −inf; 0 where there is no pixel, −inf where all are −inf."""
    return pool(
        x, size, lambda seen, at: soft_mean(seen) if seen.shape[1] else np.zeros(seen[:, 0:0].sum(1).shape), **options
    )


def soft_mean(seen):
    """Over axis 1, column by column."""
    result = np.full((seen.shape[0], seen.shape[2]), -np.inf)
    for n, c in np.ndindex(*result.shape):
        column = seen[n, :, c]
        column = column[column != -np.inf]
        if np.isinf(column).any() and not np.isnan(column).any():
            result[n, c] = np.inf
        elif len(column):
            weight = np.exp(column - column.max())
            result[n, c] = (weight * column).sum() / weight.sum()
    return result


def mixed_pool(x, size, alpha, *, include_pad=True, **options):
    """alpha max + (1 − alpha) mean; 0 for the maximum and the mean of no pixels."""
    largest = max_pool(x, size, **options)
    with np.errstate(invalid="ignore"):
        mean = np.nan_to_num(avg_pool(x, size, include_pad=include_pad, **options))
    return alpha * np.where(np.isneginf(largest), 0, largest) + (1 - alpha) * mean
