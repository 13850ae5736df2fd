"""Resizing of one axis as its formula, pixel by pixel, in float64."""

import math

import numpy as np


def linear(t):
    return max(0.0, 1 - abs(t))


def cubic(t, a):
    """Keys' kernel."""
    t = abs(t)
    if t <= 1:
        return (a + 2) * t**3 - (a + 3) * t**2 + 1
    return a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a if t < 2 else 0.0


def pixel(line, i, m, method, antialias, align_corners):
    """Output pixel i of m from the pixels of `line` (n, …)."""
    n = len(line)
    if method == "nearest":
        return line[i * n // m]
    if method == "nearest_exact":
        return line[(2 * i + 1) * n // (2 * m)]
    if method == "area":
        return line[i * n // m : math.ceil((i + 1) * n / m)].mean(0)
    at = (i * (n - 1) / (m - 1) if m > 1 else 0.0) if align_corners else (i + 0.5) * n / m - 0.5
    a = -0.75 if method == "cubic" and not antialias else -0.5
    stretch = max(n / m, 1.0) if antialias else 1.0
    w = lambda j: linear((at - j) / stretch) if method == "linear" else cubic((at - j) / stretch, a)
    if antialias or method == "cubic_keys":  # weights inside the image, made to sum to 1
        return sum(w(j) * line[j] for j in range(n)) / sum(w(j) for j in range(n))
    near = range(math.floor(at) - 2, math.floor(at) + 4)  # the border pixel goes on
    return sum(w(j) * line[min(max(j, 0), n - 1)] for j in near)


def resize(x, sizes, method, antialias=False, align_corners=False):
    """Every spatial axis of (n, *space, c)."""
    y = np.asarray(x, np.float64)
    for axis, m in enumerate(sizes, start=1):
        line = np.moveaxis(y, axis, 0)
        parts = [pixel(line, i, m, method, antialias, align_corners) for i in range(m)]
        y = np.moveaxis(np.stack(parts), 0, axis)
    return y
