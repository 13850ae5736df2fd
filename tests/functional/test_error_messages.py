"""Bad input that only one function can get: the type of the error and its exact line."""

import re
from functools import partial

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from jaxcnn.functional import filters

X, KERNEL = jnp.ones((2, 7, 5, 6)), jnp.ones((3, 3, 6, 4))
DEPTH, POINT = jnp.ones((3, 3, 6, 2)), jnp.ones((12, 4))
COLUMN, ROW = jnp.ones((3, 6, 2)), jnp.ones((3, 2, 4))
MODES = '"zeros", "reflect", "replicate", "circular", "symmetric"'
SX = "(x is float32[2,7,5,6])"

ERRORS = {
    "kernel rank": (
        partial(F.conv2d, X, KERNEL[0]),
        ValueError,
        f"conv2d: kernel is float32[3,6,4]; it must have 2 sizes, then c_in // groups and c_out {SX}",
    ),
    "padding beyond 32 bits": (
        partial(F.conv2d, X, KERNEL, padding=2**31, padding_mode="replicate"),
        ValueError,
        "conv2d: an axis of 4294967301 pixels overflows 32 bits; use a smaller window or padding",
    ),
    "padding beyond any memory": (
        partial(F.conv2d, X, KERNEL, padding=2**20, padding_mode="replicate"),
        ValueError,
        "conv2d: the padded input (2, 2097159, 2097157, 6) of float32 takes 196609 GiB; use smaller arrays",
    ),
    "kernel list": (
        partial(F.conv2d, X, [1.0]),
        TypeError,
        "conv2d: kernel is a list; it must be an array, jnp.asarray makes one",
    ),
    "channels": (
        partial(F.conv2d, X, KERNEL[:, :, :5]),
        ValueError,
        f"conv2d: kernel is float32[3,3,5,4] with c_in // groups = 5; x has 6 channels in 1 groups, so it must be 6 {SX}",
    ),
    "groups of c_in": (partial(F.conv2d, X, KERNEL, groups=4), ValueError, f"conv2d: groups=4 must divide c_in=6 {SX}"),
    "groups of c_out": (
        partial(F.conv2d, X, KERNEL[:, :, :2], groups=3),
        ValueError,
        "conv2d: groups=3 must divide c_out=4 (kernel is float32[3,3,2,4])",
    ),
    "groups zero": (partial(F.conv2d, X, KERNEL, groups=0), ValueError, "conv2d: groups=0 must be at least 1"),
    "groups word": (partial(F.conv2d, X, KERNEL, groups="all"), TypeError, "conv2d: groups='all' must be an int"),
    "no x": (partial(F.conv2d), TypeError, "conv2d: x is a NoneType; it must be an array, jnp.asarray makes one"),
    "empty kernel": (
        partial(F.conv2d, X, KERNEL[:0]),
        ValueError,
        "conv2d: window size=(0, 3) must be at least 1 on every axis",
    ),
    "reflect": (
        partial(F.conv2d, X, KERNEL, padding=5, padding_mode="reflect"),
        ValueError,
        'conv2d: padding_mode "reflect" cannot pad spatial axis 1 of 5 pixels by (5, 5); at most 4',
    ),
    "depthwise channels": (
        partial(F.depthwise_conv, X, DEPTH[:, :, :5]),
        ValueError,
        f"depthwise_conv: kernel is float32[3,3,5,2]; it must be (*size, c=6, multiplier) with 2 sizes {SX}",
    ),
    "pointwise": (
        partial(F.separable_conv, X, DEPTH, POINT[:5]),
        ValueError,
        "separable_conv: pointwise_kernel is float32[5,4]; it must be (c_in · multiplier, c_out) = (12, c_out)",
    ),
    "pointwise list": (
        partial(F.separable_conv, X, DEPTH, [1]),
        TypeError,
        "separable_conv: pointwise_kernel is a list; it must be an array, jnp.asarray makes one",
    ),
    "row": (
        partial(F.spatially_separable_conv, X, COLUMN, ROW[0]),
        ValueError,
        "spatially_separable_conv: row is float32[2,4]; it must be (k, c, c_next)",
    ),
    "entries": (
        partial(F.spatially_separable_conv, X, COLUMN, ROW, stride=(1, 2, 3)),
        ValueError,
        "spatially_separable_conv: stride=(1, 2, 3) has 3 entries; give an int or one for each of 2 axes",
    ),
    "separate axes": (
        partial(F.separate, COLUMN),
        ValueError,
        "separate: kernel is float32[3,6,2]; it must be (kh, kw) or (kh, kw, c_in, c_out)",
    ),
    "separate integers": (
        partial(F.separate, KERNEL.astype(int)),
        TypeError,
        "separate: kernel is int32[3,3,6,4]; it must be floating point, kernel.astype(jnp.float32)",
    ),
    "separate rank": (
        partial(F.separate, KERNEL, rank=13),
        ValueError,
        "separate: rank=13 must be from 1 to 12 (kernel is float32[3,3,6,4])",
    ),
    "separate no rank": (partial(F.separate, KERNEL, rank=0), ValueError, "separate: rank=0 must be at least 1"),
    "window": (
        partial(F.max_pool2d, X, 9),
        ValueError,
        "max_pool2d: window (9, 9) (dilation (1, 1)) spans 9 pixels on spatial axis 0, which has 7 and "
        "padding (0, 0); use a smaller window or more padding",
    ),
    "window none": (partial(F.avg_pool, X, None), TypeError, "avg_pool: window size=None must be an int or 2 ints"),
    "window entries": (
        partial(F.min_pool2d, X, (2,)),
        ValueError,
        "min_pool2d: window size=(2,) has 1 entries; give an int or one for each of 2 axes",
    ),
    "max of padding": (
        partial(F.max_pool2d, X, 2, stride=1, padding=((0, 0), (0, 2))),
        ValueError,
        "max_pool2d: window (2, 2) (dilation (1, 1)) sees padding alone at output 5 of spatial axis 1, which has 5 pixels "
        "and padding (0, 2); pad by less",
    ),
    "min between taps": (
        partial(F.min_pool2d, X, 2, stride=1, padding=(4, 0), dilation=(9, 1)),
        ValueError,
        "min_pool2d: window (2, 2) (dilation (9, 1)) sees padding alone at output 2 of spatial axis 0, which has 7 pixels "
        "and padding (4, 4); pad by less",
    ),
    "indices of padding": (
        partial(F.max_pool2d_with_indices, X, 1, padding=1, stride=1),
        ValueError,
        "max_pool2d_with_indices: window (1, 1) (dilation (1, 1)) sees padding alone at output 0 of spatial axis 0, which "
        "has 7 pixels and padding (1, 1); pad by less",
    ),
    "mean of padding": (
        partial(F.avg_pool2d, X, 2, stride=1, padding=((3, 0), (0, 0)), count_include_pad=False),
        ValueError,
        "avg_pool2d: window (2, 2) (dilation (1, 1)) sees padding alone at output 0 of spatial axis 0, which has 7 pixels "
        "and padding (3, 0); pad by less",
    ),
    "sum of bool": (
        partial(F.sum_pool2d, X > 0, 2),
        TypeError,
        "sum_pool2d: x is bool[2,7,5,6]; cast it to a number, x.astype(jnp.float32)",
    ),
    "complex": (
        partial(F.max_pool2d, X + 0j, 2),
        TypeError,
        "max_pool2d: x is complex64[2,7,5,6]; complex numbers have no order, take jnp.abs(x)",
    ),
    "divisor zero": (
        partial(F.avg_pool2d, X, 2, divisor=0),
        ValueError,
        "avg_pool2d: divisor=0 divides by zero; use another number, or None for the window's size",
    ),
    "divisor word": (
        partial(F.avg_pool2d, X, 2, divisor="n"),
        TypeError,
        "avg_pool2d: divisor='n' must be a number",
    ),
    "pad word": (
        partial(F.pad, X, "same"),
        ValueError,
        "pad: padding='same' has no meaning without a window; use an int or (low, high) pairs",
    ),
    "pad mode": (partial(F.pad, X, 1, mode="wrap"), ValueError, f"pad: mode='wrap' is unknown; use {MODES}"),
    "pad negative": (
        partial(F.pad, X, -4),
        ValueError,
        "pad: padding (-4, -4) crops spatial axis 0 of 7 pixels to nothing; crop by less",
    ),
    "moments list": (
        partial(F.moments, [1.0]),
        TypeError,
        "moments: x is a list; it must be an array, jnp.asarray makes one",
    ),
    "moments integers": (
        partial(F.moments, X.astype(int)),
        TypeError,
        "moments: x is int32[2,7,5,6]; it must be floating point, x.astype(jnp.float32)",
    ),
    "norm integers": (
        partial(F.batch_norm, X.astype(int), *[jnp.ones(6)] * 2),
        TypeError,
        "batch_norm: x is int32[2,7,5,6]; it must be floating point, x.astype(jnp.float32)",
    ),
    "norm shape": (
        partial(F.batch_norm, X, jnp.ones(6), jnp.ones(5)),
        ValueError,
        "batch_norm: variance is float32[5]; it must have the shape (6,)",
    ),
    "norm list": (
        partial(F.batch_norm, X, [0.0] * 6, jnp.ones(6)),
        TypeError,
        "batch_norm: mean is a list; it must be an array, jnp.asarray makes one",
    ),
    "last": (
        partial(F.to_channels_last, ROW[0]),
        ValueError,
        "to_channels_last: x is float32[2,4]; it needs a batch axis, a channel axis and a spatial axis "
        "at least (batched=True)",
    ),
    "first": (
        partial(F.to_channels_first, ROW[0, 0], batched=False),
        ValueError,
        "to_channels_first: x is float32[4]; it needs a channel axis and a spatial axis at least (batched=False)",
    ),
    "last list": (
        partial(F.to_channels_last, [1.0]),
        TypeError,
        "to_channels_last: x is a list; it must be an array, jnp.asarray makes one",
    ),
    "filter kernel": (
        partial(filters.apply, X, np.ones(3)),
        ValueError,
        "apply: kernel is float32[3]; it must be (kh, kw)",
    ),
    "filter column": (
        partial(filters.apply_separable, X, np.ones((3, 1)), np.ones(3)),
        ValueError,
        "apply_separable: column has 2 axes; it must be a vector of weights",
    ),
    "operator": (
        partial(filters.edge, X, operator="roberts"),
        ValueError,
        'edge: operator=\'roberts\' is unknown; use "prewitt", "sobel", "scharr"',
    ),
    "magnitude operator": (
        partial(filters.gradient_magnitude, X, operator="roberts"),
        ValueError,
        'gradient_magnitude: operator=\'roberts\' is unknown; use "prewitt", "sobel", "scharr"',
    ),
    "kernel operator": (
        partial(filters.edge_kernel, operator="roberts"),
        ValueError,
        'edge_kernel: operator=\'roberts\' is unknown; use "prewitt", "sobel", "scharr"',
    ),
    "line size": (partial(filters.line, X, size=4), ValueError, "line: size=4 must be odd, so that there is a centre"),
    "line kernel size": (partial(filters.line_kernel, size=-1), ValueError, "line_kernel: size=-1 must be at least 1"),
    "sigma": (partial(filters.gaussian, X, 0), ValueError, "gaussian: sigma=0 must be positive and finite"),
    "kernel sigma": (
        partial(filters.gaussian_kernel, -1.0),
        ValueError,
        "gaussian_kernel: sigma=-1.0 must be positive and finite",
    ),
    "enhance sigma": (
        partial(filters.edge_enhance, X, sigma=0),
        ValueError,
        "edge_enhance: sigma=0 must be positive and finite",
    ),
    "gaussian size": (
        partial(filters.gaussian, X, 1.0, size=2),
        ValueError,
        "gaussian: size=2 must be odd, so that there is a centre",
    ),
    "box": (partial(filters.box, X, 0), ValueError, "box: size=0 must be at least 1"),
    "box kernel": (partial(filters.box_kernel, 1.5), TypeError, "box_kernel: size=1.5 must be an int"),
}


@pytest.mark.parametrize(("call", "error", "message"), ERRORS.values(), ids=ERRORS)
def test_bad_input_gives_one_line(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
