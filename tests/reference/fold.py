"""Window views and their adjoint, pixel by pixel."""

import numpy as np

from .padding import pad
from .windows import starts


def windows(space, size, stride, dilation):
    """Output positions and, for each, its padded pixels tap by tap."""
    axes = [starts(n, k, s, d=d) for n, k, s, d in zip(space, size, stride, dilation)]
    for o in np.ndindex(*map(len, axes)):
        for number, t in enumerate(np.ndindex(*size)):
            yield o, number, tuple(a[i] + j * d for a, i, j, d in zip(axes, o, t, dilation))


def unfold(x, size, *, stride, pairs, dilation):
    """u[n, o, t, c] = the padded image at o · stride + t · dilation."""
    x = pad(x, pairs)
    seen = list(windows(x.shape[1:-1], size, stride, dilation))
    outputs = tuple(i + 1 for i in seen[-1][0])
    u = np.zeros((x.shape[0], *outputs, int(np.prod(size)), x.shape[-1]))
    for o, t, at in seen:
        u[(slice(None), *o, t)] = x[(slice(None), *at)]
    return u


def fold(u, space, size, *, stride, pairs, dilation):
    """The sum of all patches at their pixels, the padding cut off."""
    padded = [n + low + high for n, (low, high) in zip(space, pairs)]
    x = np.zeros((u.shape[0], *padded, u.shape[-1]))
    for o, t, at in windows(padded, size, stride, dilation):
        x[(slice(None), *at)] += u[(slice(None), *o, t)]
    return x[(slice(None), *(slice(low, low + n) for n, (low, _) in zip(space, pairs)))]
