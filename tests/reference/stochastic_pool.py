"""Stochastic pooling as its definition: the share of every pixel of a window, their mean, and one of them drawn."""

import numpy as np

from .pool import pool


def shares(column):
    """What each pixel of one window is drawn with: its part of the positive sum."""
    if not len(column):
        return column
    if not np.isfinite(column[column != -np.inf]).all():
        part = np.isnan(column) | (column == np.inf)
    elif (column > 0).any():
        part = np.where(column > 0, column, 0) / column.max()
    else:
        part = column > -np.inf
    return part / part.sum() if part.any() else np.zeros(len(column))


def each_window(x, size, value, **options):
    """`value(pixels, p)` of every window, image and channel, windows in order; 0 where nothing can be drawn."""

    def over(seen, at):
        result = np.zeros((seen.shape[0], seen.shape[2]))
        for n, c in np.ndindex(*result.shape):
            p = shares(seen[n, :, c])
            result[n, c] = value(seen[n, p > 0, c], p[p > 0])
        return result

    return pool(x, size, over, **options)


def expected(x, size, **options):
    """Σ p x."""
    return each_window(x, size, lambda seen, p: p @ seen, **options)


def drawn(x, size, uniform, **options):
    """The first pixel whose running sum of shares is above its number of `uniform` (n, *outputs, c)."""
    numbers = iter(
        np.moveaxis(
            uniform.reshape(len(uniform), np.prod(uniform.shape[1:-1]), -1 if uniform.size else 1), 1, 0
        ).ravel()
    )

    def first(seen, p):
        above = np.flatnonzero(np.append(np.cumsum(p), 2) > next(numbers))[0]
        return np.append(seen, 0)[above]

    return each_window(x, size, first, **options)
