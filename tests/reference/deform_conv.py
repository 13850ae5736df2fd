"""Deformable convolution as its formula, tap by tap, with torchvision's order of the offsets, channels last."""

import numpy as np

from .conv import contract
from .grid_sample import colour
from .windows import starts


def deform_conv2d(x, kernel, offset, mask=None, bias=None, *, stride, pairs, dilation, groups=1, offset_groups=1):
    """x (n, h, w, c_in), offset (n, oh, ow, offset_groups · taps · 2), mask (n, oh, ow, offset_groups · taps)."""
    x, kernel = np.asarray(x, np.float64), np.asarray(kernel, np.float64)
    size, c = kernel.shape[:2], x.shape[-1] // offset_groups
    axes = [starts(n, k, s, *p, d) for n, k, s, p, d in zip(x.shape[1:3], size, stride, pairs, dilation)]
    y = np.zeros((x.shape[0], *map(len, axes), kernel.shape[-1]))
    for n, *o in np.ndindex(*y.shape[:3]):
        for t in np.ndindex(*size):
            pixel = np.zeros((1, x.shape[-1]))
            for g in range(offset_groups):
                number = (g * size[0] + t[0]) * size[1] + t[1]
                moved = offset[n, o[0], o[1], 2 * number : 2 * number + 2]
                at = [axis[i] + j * d + float(m) for axis, i, j, d, m in zip(axes, o, t, dilation, moved)]
                part = slice(g * c, (g + 1) * c)
                seen = colour(x[n, ..., part], at, "linear", "zeros", False)
                pixel[0, part] = seen * (1 if mask is None else float(mask[n, o[0], o[1], number]))
            y[n, o[0], o[1]] += contract(pixel, kernel[t], groups)[0]
    return y if bias is None else y + np.asarray(bias, np.float64)
