"""Any operation over windows as its definition: from the identity on, pixel after pixel, row by row."""

import numpy as np

from .pool import pool


def reduce_window(x, size, identity, reducer, **options):
    """`identity ∘ first ∘ second ∘ …` over the pixels of each window that lie on the image; reducer of (n, c) arrays."""

    def total(seen, at):
        y = np.full((seen.shape[0], seen.shape[2]), identity, np.float64)
        for pixel in range(seen.shape[1]):
            y = reducer(y, seen[:, pixel])
        return y

    return pool(x, size, total, **options)
