"""Regions of images as torchvision computes them: its CPU kernel's formula, point by point, in float64."""

import math

import numpy as np


def colour(image, y, x):
    """The colour (c,) of an image (h, w, c) at a point, the centre of pixel 0 at 0; 0 from a pixel beyond the image on."""
    h, w = image.shape[:2]
    if y < -1 or y > h or x < -1 or x > w:
        return np.zeros(image.shape[-1])
    y, x = min(max(y, 0.0), h - 1.0), min(max(x, 0.0), w - 1.0)
    i, j = int(y), int(x)
    below, right = min(i + 1, h - 1), min(j + 1, w - 1)
    top = (1 - (x - j)) * image[i, j] + (x - j) * image[i, right]
    bottom = (1 - (x - j)) * image[below, j] + (x - j) * image[below, right]
    return (1 - (y - i)) * top + (y - i) * bottom


def roi_align(x, boxes, box_index, bins, *, spatial_scale=1.0, sampling_ratio=None, aligned=True):
    """x (n, h, w, c), boxes (k, 4) as (y0, x0, y1, x1)."""
    x, boxes = np.asarray(x, np.float64), np.asarray(boxes, np.float64)
    y = np.zeros((len(boxes), *bins, x.shape[-1]))
    for k, box in enumerate(boxes):
        start = box[:2] * spatial_scale - (0.5 if aligned else 0)
        side = box[2:] * spatial_scale - (0.5 if aligned else 0) - start
        side = side if aligned else np.maximum(side, 1)
        grid = [sampling_ratio or math.ceil(s / b) for s, b in zip(side, bins)]
        for p in np.ndindex(*bins):
            for step in np.ndindex(*(max(g, 0) for g in grid)):
                at = [o + (b + (i + 0.5) / g) * s / m for o, b, i, g, s, m in zip(start, p, step, grid, side, bins)]
                y[(k, *p)] += colour(x[box_index[k]], *at)
        y[k] /= max(grid[0] * grid[1], 1)
    return y


def ps_roi_align(x, boxes, box_index, bins, **options):
    """x (n, h, w, c · bins): of `roi_align` every bin has its own channels, (c, *bins)."""
    every = roi_align(x, boxes, box_index, bins, **options)
    every = every.reshape(*every.shape[:3], -1, *bins)
    return np.stack([np.stack([every[:, i, j, :, i, j] for j in range(bins[1])], 1) for i in range(bins[0])], 1)
