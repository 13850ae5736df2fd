"""Convolution as its formula: y[n, o, c] = bias[c] + sum over taps t and channels i of x[n, o s - low + t d, i] k[t, i, c]."""

import numpy as np

from .padding import pad
from .windows import starts


def conv(x, kernel, bias=None, *, stride, pairs, dilation, groups=1, mode="zeros"):
    """x (n, *space, c_in), kernel (*size, c_in / groups, c_out); stride, pairs and dilation one entry an axis."""
    x, kernel = pad(x, pairs, mode), np.asarray(kernel, np.float64)
    size = kernel.shape[:-2]
    axes = [starts(n, k, s, d=d) for n, k, s, d in zip(x.shape[1:-1], size, stride, dilation)]
    y = np.zeros((x.shape[0], *map(len, axes), kernel.shape[-1]))
    for o in np.ndindex(*map(len, axes)):
        for t in np.ndindex(*size):
            at = tuple(a[i] + j * d for a, i, j, d in zip(axes, o, t, dilation))
            y[(slice(None), *o)] += contract(x[(slice(None), *at)], kernel[t], groups)
    return y if bias is None else y + np.asarray(bias, np.float64)


def contract(pixel, weights, groups):
    """sum over i of pixel[n, i] weights[i, c], block by block of channels."""
    into, out = pixel.shape[-1] // groups, weights.shape[-1] // groups
    blocks = [pixel[:, g * into : (g + 1) * into] @ weights[:, g * out : (g + 1) * out] for g in range(groups)]
    return np.concatenate(blocks, axis=-1)


def gamma(count, unit):
    """Higham's bound: a sum of `count` products in any order errs by at most gamma times the sum of absolute products."""
    return count * unit / (1 - count * unit)


def error_bound(x, kernel, bias=None, *, unit=2.0**-24, rounding=0.0, **options):
    """Componentwise bound for a direct convolution that accumulates with `unit` and rounds its result with `rounding`."""
    inside = np.prod(kernel.shape[:-1]) + (bias is not None)
    magnitude = conv(np.abs(x), np.abs(kernel), None if bias is None else np.abs(bias), **options)
    return (gamma(inside, unit) + 2 * rounding) * (1 + rounding) * magnitude
