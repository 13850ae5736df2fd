"""Pooling as its definition: collect the pixels of every window, then take their maximum, minimum, sum or mean."""

import itertools
import math

import numpy as np

from .padding import pad
from .windows import pixels


def windows(shape, size, stride, pairs, dilation, ceil):
    """For each output position: one list of pixel numbers an axis, padding included."""
    per_axis = zip(shape, size, stride, pairs, dilation)
    axes = [pixels(n, k, s, low, high, d, ceil) for n, k, s, (low, high), d in per_axis]
    return tuple(map(len, axes)), list(itertools.product(*axes))


def pool(x, size, reduce, *, stride, pairs, dilation, ceil=False, mode="zeros"):
    """`reduce(pixels on the image, their numbers)` of each window of x (n, *space, c)."""
    x = np.asarray(x, np.float64)
    if mode != "zeros":
        x, pairs = pad(x, pairs, mode), [(0, 0)] * (x.ndim - 2)
    outputs, seen = windows(x.shape[1:-1], size, stride, pairs, dilation, ceil)
    columns = [reduce(values(x, at), at) for at in seen]
    return np.stack(columns, axis=1).reshape(x.shape[0], *outputs, x.shape[-1])


def max_pool(x, size, **options):
    """Largest pixel on the image; -inf where there is none."""
    return pool(x, size, lambda seen, at: seen.max(axis=1, initial=-np.inf), **options)


def min_pool(x, size, **options):
    """Smallest pixel on the image; inf where there is none."""
    return pool(x, size, lambda seen, at: seen.min(axis=1, initial=np.inf), **options)


def sum_pool(x, size, **options):
    """Sum of the pixels on the image."""
    return pool(x, size, lambda seen, at: seen.sum(axis=1), **options)


def avg_pool(x, size, *, include_pad=True, divisor=None, pairs, mode="zeros", **options):
    """Sum divided by the number of pixels: on the image, or on the padded image (`include_pad`), or by `divisor`."""
    space = np.shape(x)[1:-1] if mode == "zeros" else pad(x, pairs, mode).shape[1:-1]
    border = pairs if include_pad and mode == "zeros" else [(0, 0)] * len(space)

    def mean(seen, at):
        counts = [sum(-low <= p < n + high for p in axis) for axis, n, (low, high) in zip(at, space, border)]
        return seen.sum(axis=1) / (divisor or np.prod(counts))

    return pool(x, size, mean, pairs=pairs, mode=mode, **options)


def values(x, at):
    """The pixels of one window that lie on the image: (n, pixels, c)."""
    inside = [[p for p in axis if 0 <= p < n] for axis, n in zip(at, x.shape[1:-1])]
    return x[:, *np.ix_(*inside)].reshape(x.shape[0], math.prod(map(len, inside)), x.shape[-1])
