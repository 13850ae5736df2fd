"""Average unpooling as its definition: each pixel collects the outputs that see it."""

import numpy as np

from .pool import windows


def avg_unpool(y, space, size, *, stride, pairs, dilation, ceil=False):
    """The mean of the outputs y (n, *outputs, c) whose windows see a pixel of `space`, 0 without one."""
    total, count = np.zeros((y.shape[0], *space, y.shape[-1])), np.zeros((*space, 1))
    outputs, seen = windows(space, size, stride, pairs, dilation, ceil)
    assert outputs == y.shape[1:-1]
    for o, at in zip(np.ndindex(*outputs), seen):
        inside = np.ix_(*([p for p in axis if 0 <= p < n] for axis, n in zip(at, space)))
        total[(slice(None), *inside)] += y[(slice(None), *o)][(slice(None), *[None] * len(space))]
        count[inside] += 1
    return total / np.maximum(count, 1)
