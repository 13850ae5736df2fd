"""Pooled regions of images, bin by bin, in float64; the corners of bins in whole numbers."""

import math

import numpy as np


def away(v):
    """To the nearest whole number, halves away from 0."""
    return int(math.copysign(math.floor(abs(v) + 0.5), v))


def bins_of(box, space, bins, scale, last):
    """Pairs of slices of the image, by bin."""
    corners = [away(v * scale) for v in box]
    slices = []
    for axis, (n, b) in enumerate(zip(space, bins)):
        start, side = corners[axis], max(corners[axis + 2] - corners[axis] + last, 1)
        edges = [(start + (i * side) // b, start - (-(i + 1) * side) // b) for i in range(b)]
        slices.append([slice(min(max(low, 0), n), min(max(high, 0), n)) for low, high in edges])
    return {(i, j): (rows, columns) for i, rows in enumerate(slices[0]) for j, columns in enumerate(slices[1])}


def roi_pool(x, boxes, box_index, bins, *, spatial_scale=1.0):
    """x (n, h, w, c), boxes (k, 4) as (y0, x0, y1, x1)."""
    x = np.asarray(x, np.float64)
    y = np.zeros((len(boxes), *bins, x.shape[-1]))
    for k, box in enumerate(boxes):
        for at, where in bins_of(box, x.shape[1:3], bins, spatial_scale, 1).items():
            pixels = x[box_index[k]][where].reshape(-1, x.shape[-1])
            y[(k, *at)] = pixels.max(0) if len(pixels) else 0
    return y


def ps_roi_pool(x, boxes, box_index, bins, *, spatial_scale=1.0):
    """The same with the mean, of channels (c, *bins)."""
    x = np.asarray(x, np.float64)
    y = np.zeros((len(boxes), *bins, x.shape[-1] // math.prod(bins)))
    for k, box in enumerate(boxes):
        for at, where in bins_of(box, x.shape[1:3], bins, spatial_scale, 0).items():
            pixels = x[box_index[k]][where]
            pixels = pixels.reshape(*pixels.shape[:2], y.shape[-1], *bins)[..., at[0], at[1]]
            y[(k, *at)] = pixels.mean((0, 1)) if pixels.size else 0
    return y
