"""Fractional max pooling as its definition, window by window (Graham, 2014; PyTorch's interval rule)."""

import itertools

import numpy as np


def starts(n, k, o, u):
    """First pixel of each window of an axis, in the arithmetic of u's dtype."""
    if o == 1:
        return [n - k]
    real = type(u)
    alpha = real(n - k) / real(o - 1)
    return [int((real(i) + u) * alpha) - int(u * alpha) for i in range(o - 1)] + [n - k]


def fractional_max_pool(x, size, outputs, samples):
    """Values and flat indices of x (n, *space, c) with samples (n, axes, c); the first of equal pixels, the last NaN."""
    space, rank = x.shape[1:-1], x.ndim - 2
    values = np.zeros((x.shape[0], *outputs, x.shape[-1]))
    indices = np.zeros(values.shape, int)
    for n, c in itertools.product(range(x.shape[0]), range(x.shape[-1])):
        axes = [starts(space[a], size[a], outputs[a], samples[n, a, c]) for a in range(rank)]
        for o in np.ndindex(*outputs):
            pixels = list(itertools.product(*(range(axes[a][o[a]], axes[a][o[a]] + size[a]) for a in range(rank))))
            seen = [x[(n, *p, c)] for p in pixels]
            missing = [i for i, v in enumerate(seen) if np.isnan(v)]
            best = missing[-1] if missing else int(np.argmax(seen))
            values[(n, *o, c)] = seen[best]
            indices[(n, *o, c)] = np.ravel_multi_index(pixels[best], space)
    return values, indices
