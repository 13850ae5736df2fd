"""Interpolation at points (y, x) of an image, point by point as the formula, in float64."""

import itertools
import math

import numpy as np

from .resize import cubic, linear

REACH = {"linear": 1, "cubic": 2}


def outside(j, n, padding_mode, align_corners):
    """The pixel that lies at j, which may be beyond the image: None for nothing."""
    if padding_mode == "border":
        return min(max(j, 0), n - 1)
    while padding_mode == "reflection" and not 0 <= j < n:
        step = 0 if align_corners else 1  # about the first and last pixel centre, or half a pixel further
        j = 0 if n == 1 else (-j - step if j < 0 else 2 * (n - 1) - j + step)
    return j if 0 <= j < n else None


def weights(t, method):
    """Pixels around t and what they count."""
    if method == "nearest":
        return {round(t): 1.0}
    kernel = linear if method == "linear" else lambda d: cubic(d, -0.75)
    near = range(math.floor(t) + 1 - REACH[method], math.floor(t) + 1 + REACH[method])
    return {j: kernel(t - j) for j in near}


def colour(image, at, method, padding_mode, align_corners, fill=0.0):
    """The colour (c,) of an image (*space, c) at a point in pixels, the centre of pixel 0 at 0."""
    total = np.zeros(image.shape[-1])
    for corner in itertools.product(*(weights(float(t), method).items() for t in at)):
        places = [outside(k, n, padding_mode, align_corners) for (k, _), n in zip(corner, image.shape)]
        total = total + math.prod(u for _, u in corner) * (fill if None in places else image[tuple(places)])
    return total


def grid_sample(x, grid, method, padding_mode, align_corners):
    """Every image of (n, *space, c) at its points (n, *outputs, axes) in [-1, 1]."""
    x, grid = np.asarray(x, np.float64), np.asarray(grid, np.float64)
    size = np.array(x.shape[1:-1])
    at = (grid + 1) / 2 * (size - 1) if align_corners else ((grid + 1) * size - 1) / 2
    y = np.zeros((*grid.shape[:-1], x.shape[-1]))
    for place in np.ndindex(*grid.shape[:-1]):
        y[place] = colour(x[place[0]], at[place], method, padding_mode, align_corners)
    return y


def rotate(x, degrees, method, fill):
    """Counter-clockwise about the centre: the colour at p comes from p turned clockwise, y upwards."""
    x = np.asarray(x, np.float64)
    y, (h, w) = np.zeros_like(x), x.shape[1:3]
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for n, i, j in np.ndindex(*x.shape[:3]):
        up, right = (h - 1) / 2 - i, j - (w - 1) / 2
        at = (h - 1) / 2 - (c * up - s * right), (w - 1) / 2 + (s * up + c * right)
        y[n, i, j] = colour(x[n], at, method, "zeros", False, fill)
    return y
