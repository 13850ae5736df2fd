"""`conv` and its ranked and depthwise forms against the float64 oracle, within the derived bound of a direct sum."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference import conv as oracle
from tests.reference.arrays import normal
from tests.reference.padding import resolve

LINE = ((2, 11, 3), (5, 3, 7))
PLANE = ((2, 7, 5, 3), (3, 2, 3, 11))
CUBE = ((2, 7, 5, 3, 1), (2, 3, 3, 1, 11))
GROUPED = ((2, 7, 5, 6), (3, 2, 2, 9), {"groups": 3})

CASES = {
    "default": (*PLANE, {}),
    "line": (*LINE, {}),
    "cube": (*CUBE, {}),
    "valid": (*PLANE, {"padding": "valid"}),
    "full": (*PLANE, {"padding": "full"}),
    "causal": (*PLANE, {"padding": "causal"}),
    "capitals": (*PLANE, {"padding": "SAME"}),
    "pixels": (*PLANE, {"padding": 2}),
    "pixels an axis": (*PLANE, {"padding": (1, 2)}),
    "pairs": (*PLANE, {"padding": ((1, 2), (0, 3))}),
    "mixed": (*PLANE, {"padding": ("same", (2, 0))}),
    "stride": (*PLANE, {"stride": 2}),
    "stride an axis": (*PLANE, {"stride": (3, 2)}),
    "stride valid": (*PLANE, {"stride": (2, 3), "padding": "valid"}),
    "dilation": (*PLANE, {"dilation": 2}),
    "dilation an axis": (*PLANE, {"dilation": (1, 3), "stride": 2}),
    "line stride": (*LINE, {"stride": 3, "padding": "causal", "dilation": 2}),
    "cube stride": (*CUBE, {"stride": (2, 1, 3), "padding": "valid"}),
    "cube dilation": (*CUBE, {"dilation": (3, 2, 1), "padding": ((1, 2), (3, 0), (0, 1))}),
    "grouped": GROUPED,
    "grouped stride": (*GROUPED[:2], {"groups": 3, "stride": 2, "padding": 1}),
    "line grouped": ((2, 11, 6), (3, 3, 8), {"groups": 2, "dilation": 2}),
    "cube grouped": ((2, 5, 3, 7, 6), (2, 3, 1, 2, 3), {"groups": 3}),
    "depthwise": ((2, 7, 5, 3), (3, 2, 1, 6), {"groups": 3}),
    "reflect": (*PLANE, {"padding_mode": "reflect", "padding": ((3, 2), (4, 0))}),
    "replicate": (*PLANE, {"padding_mode": "replicate", "padding": "full", "stride": 2}),
    "circular": (*PLANE, {"padding_mode": "circular"}),
    "symmetric": (*PLANE, {"padding_mode": "symmetric", "padding": ((7, 0), (5, 5)), "dilation": 2}),
    "line circular": (*LINE, {"padding_mode": "circular", "padding": "causal"}),
    "cube reflect": ((2, 7, 5, 3, 1), (2, 3, 2, 1, 11), {"padding_mode": "reflect"}),
    "1×1": ((2, 7, 5, 3), (1, 1, 3, 11), {}),
    "1×1 stride": ((2, 7, 5, 3), (1, 1, 3, 11), {"stride": 2, "padding": "valid"}),
    "one pixel": ((2, 1, 1, 3), (3, 3, 3, 5), {}),
    "window is image": ((2, 7, 5, 3), (7, 5, 3, 11), {"padding": "valid"}),
    "window exceeds image": ((2, 3, 2, 3), (7, 5, 3, 11), {}),
    "stride exceeds window": ((2, 11, 7, 3), (2, 2, 3, 5), {"stride": (5, 3), "padding": "valid"}),
    "empty batch": ((0, 7, 5, 3), (3, 2, 3, 11), {}),
}


def expected(x, kernel, bias=None, *, groups=1, padding_mode="zeros", **options):
    """Result and componentwise bound of its float32 evaluation."""
    words = resolve(x.shape[1:-1], kernel.shape[:-2], **options)
    words |= {"groups": groups, "mode": padding_mode}
    return oracle.conv(x, kernel, bias, **words), oracle.error_bound(x, kernel, bias, **words)


def arrays(x_shape, kernel_shape):
    """x, kernel and bias with values that float32 holds exactly."""
    return [normal(*shape).astype(np.float32) for shape in (x_shape, kernel_shape, kernel_shape[-1:])]


def assert_within(actual, value, bound):
    assert actual.dtype == jnp.float32
    assert actual.shape == value.shape
    assert np.all(np.abs(np.asarray(actual, np.float64) - value) <= bound)


@pytest.mark.parametrize(("x_shape", "kernel_shape", "options"), CASES.values(), ids=CASES)
def test_conv_matches_oracle(x_shape, kernel_shape, options):
    x, kernel, _ = arrays(x_shape, kernel_shape)
    assert_within(F.conv(x, kernel, **options), *expected(x, kernel, **options))


@pytest.mark.parametrize("name", ["default", "line", "cube", "grouped", "stride", "circular"])
def test_conv_adds_bias(name):
    x_shape, kernel_shape, options = CASES[name]
    x, kernel, bias = arrays(x_shape, kernel_shape)
    assert_within(F.conv(x, kernel, bias, **options), *expected(x, kernel, bias, **options))


@pytest.mark.parametrize(
    ("function", "name"),
    [(F.conv1d, "line stride"), (F.conv2d, "stride an axis"), (F.conv3d, "cube stride"), (F.conv2d, "grouped")],
)
def test_conv_ranked_matches_oracle(function, name):
    x_shape, kernel_shape, options = CASES[name]
    x, kernel, bias = arrays(x_shape, kernel_shape)
    assert_within(function(x=x, kernel=kernel, bias=bias, **options), *expected(x, kernel, bias, **options))


@pytest.mark.parametrize("name", ["default", "grouped stride", "cube dilation", "reflect"])
def test_conv_lowering_direct_is_auto(name):
    x_shape, kernel_shape, options = CASES[name]
    x, kernel, _ = arrays(x_shape, kernel_shape)
    forced = F.conv(x, kernel, lowering="direct", **options)
    assert_within(forced, *expected(x, kernel, **options))


@pytest.mark.parametrize(
    ("x_shape", "size", "options"),
    [
        ((2, 11, 3), (5,), {}),
        ((2, 7, 5, 3), (3, 2), {"stride": (2, 3), "padding": "valid"}),
        ((2, 7, 5, 3), (3, 3), {"dilation": 2, "padding_mode": "reflect", "padding": 2}),
        ((2, 7, 5, 4, 3), (2, 3, 1), {"padding": "full"}),
    ],
)
@pytest.mark.parametrize("multiplier", [1, 2])
def test_depthwise_conv_matches_channel_by_channel(x_shape, size, options, multiplier):
    x, kernel, bias = arrays(x_shape, (*size, 3, multiplier))
    bias = np.resize(bias, 3 * multiplier) + np.arange(3 * multiplier, dtype=np.float32)
    parts = [slice(c * multiplier, (c + 1) * multiplier) for c in range(3)]
    each = [expected(x[..., [c]], kernel[..., [c], :], bias[part], **options) for c, part in enumerate(parts)]
    actual = F.depthwise_conv(x, kernel, bias, **options)
    assert_within(actual, *(np.concatenate(both, -1) for both in zip(*each)))


@pytest.mark.parametrize("size", [(2, 2), (4, 2), (1, 6)])
def test_conv_even_window_pads_after(size):
    x, kernel, _ = arrays((1, 7, 5, 1), (*size, 1, 1))
    pairs = tuple(((k - 1) // 2, k // 2) for k in size)
    assert_within(F.conv(x, kernel), *expected(x, kernel, padding=pairs))
