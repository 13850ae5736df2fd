"""The dtype that goes in comes out, and 16-bit floats are accumulated in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference import conv as oracle
from tests.reference import pool
from tests.reference.arrays import integers, normal
from tests.reference.conv import gamma
from tests.reference.padding import resolve

FLOATS = [jnp.float64, jnp.float32, jnp.bfloat16, jnp.float16]
EVERY = [*FLOATS, jnp.int32]
SHAPES = {"x": (2, 7, 5, 3), "kernel": (3, 2, 3, 11), "depthwise": (3, 2, 3, 2), "point": (6, 11), "bias": (11,)}
SHAPES |= {"column": (3, 3, 2), "row": (2, 2, 11)}
WORDS = {"stride": 2, "padding": ((1, 2), (0, 1))}
ARITHMETIC = {
    "conv": lambda a: F.conv(a["x"], a["kernel"], a["bias"], **WORDS),
    "convolve": lambda a: F.convolve(a["x"], a["kernel"], a["bias"], **WORDS),
    "depthwise_conv": lambda a: F.depthwise_conv(a["x"], a["depthwise"], **WORDS),
    "separable_conv": lambda a: F.separable_conv(a["x"], a["depthwise"], a["point"], a["bias"], **WORDS),
    "spatially_separable_conv": lambda a: F.spatially_separable_conv(a["x"], a["column"], a["row"], a["bias"]),
    "spatial_pyramid_pool": lambda a: F.spatial_pyramid_pool(a["x"]),
    "pad": lambda a: F.pad(a["x"], 2, mode="reflect"),
    "max_pool": lambda a: F.max_pool(a["x"], 2, padding=1),
    "max_pool dilated": lambda a: F.max_pool(a["x"], 2, padding=1, dilation=2),
    "min_pool": lambda a: F.min_pool(a["x"], 2, padding=1),
    "sum_pool": lambda a: F.sum_pool(a["x"], 2, padding=1),
    "reduce_window": lambda a: F.reduce_window(a["x"], 0, jnp.add, 3, stride=1),
    "fractional_max_pool": lambda a: F.fractional_max_pool(jax.random.key(0), a["x"], 2, ratio=0.5),
    "global_max_pool": lambda a: F.global_max_pool(a["x"]),
    "to_channels_first": lambda a: F.to_channels_first(a["x"]),
}
FRACTIONS = {
    "avg_pool": lambda a: F.avg_pool(a["x"], 2, padding=1),
    "avg_pool without padding": lambda a: F.avg_pool(a["x"], 2, padding=1, count_include_pad=False),
    "avg_pool divisor": lambda a: F.avg_pool(a["x"], 2, divisor=3),
    "weighted_pool": lambda a: F.weighted_pool(a["x"], a["depthwise"][..., 0], padding=1),
    "blur_pool": lambda a: F.blur_pool(a["x"], 3),
    "soft_pool": lambda a: F.soft_pool(a["x"], 2, padding=1),
    "mixed_pool": lambda a: F.mixed_pool(a["x"], 2, a["bias"][:3], padding=1),
    "spatial_pyramid_pool": lambda a: F.spatial_pyramid_pool(a["x"], reduce="avg"),
    "roi_align": lambda a: F.roi_align(a["x"], a["x"][0, :4, 0, 0][None], jnp.zeros(1, int), 2),
    "deform_conv2d": lambda a: F.deform_conv2d(a["x"], a["kernel"], jnp.ones((2, 7, 5, 12)), bias=a["bias"]),
    "stochastic_pool": lambda a: F.stochastic_pool(jax.random.key(0), a["x"], 2, padding=1),
    "stochastic_pool mean": lambda a: F.stochastic_pool(None, a["x"], 2, train=False),
    "avg_unpool": lambda a: F.avg_unpool(a["x"], 2),
    "global_avg_pool": lambda a: F.global_avg_pool(a["x"]),
    "batch_norm": lambda a: F.batch_norm(a["x"], a["bias"][:3], jnp.abs(a["bias"][3:6]), a["bias"][6:9]),
    "sobel": lambda a: F.filters.sobel(a["x"]),
    "gradient_magnitude": lambda a: F.filters.gradient_magnitude(a["x"]),
    "gaussian": lambda a: F.filters.gaussian(a["x"], 0.7),
    "line": lambda a: F.filters.line(a["x"], 30),
    "sharpen": lambda a: F.filters.sharpen(a["x"]),
    "edge_enhance": lambda a: F.filters.edge_enhance(a["x"], 0.5),
}
UNIT = {jnp.float64: 2.0**-53, jnp.float32: 2.0**-24, jnp.float16: 2.0**-11, jnp.bfloat16: 2.0**-8}


@pytest.fixture(autouse=True)
def float64():
    """Doubles are allowed: nothing may become one that was none."""
    with jax.enable_x64(True):
        yield


def arrays(dtype):
    """Small integers, which every dtype holds."""
    return {name: jnp.asarray(integers(*shape), dtype) for name, shape in SHAPES.items()}


def exact(x):
    return np.asarray(x.astype(jnp.float64))


@pytest.mark.parametrize("dtype", EVERY, ids=lambda d: d.__name__)
@pytest.mark.parametrize("call", ARITHMETIC.values(), ids=ARITHMETIC)
def test_arithmetic_keeps_the_dtype(call, dtype):
    assert call(arrays(dtype)).dtype == dtype


@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("call", FRACTIONS.values(), ids=FRACTIONS)
def test_fraction_keeps_the_dtype(call, dtype):
    assert call(arrays(dtype)).dtype == dtype


@pytest.mark.parametrize("groups", [1, 5])
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.__name__)
def test_conv_error_is_one_rounding_of_the_result(dtype, groups):
    x, kernel = (jnp.asarray(normal(*shape), dtype) for shape in [(2, 7, 5, 65), (3, 3, 65 // groups, 5)])
    words = resolve((7, 5), (3, 3)) | {"groups": groups}
    value, unit = oracle.conv(exact(x), exact(kernel), **words), min(UNIT[dtype], 2.0**-24)
    summed = oracle.error_bound(exact(x), exact(kernel), unit=unit, **words)
    rounded = UNIT[dtype] * (np.abs(value) + summed) * (UNIT[dtype] > unit)
    assert np.all(np.abs(exact(F.conv(x, kernel, groups=groups)) - value) <= summed + rounded)


def test_conv_of_integers_is_exact():
    a = {name: integers(*shape) for name, shape in SHAPES.items()}
    words = resolve((7, 5), (3, 2), **WORDS)
    actual = F.conv(*(jnp.asarray(a[name], jnp.int32) for name in ("x", "kernel", "bias")), **WORDS)
    np.testing.assert_array_equal(actual, oracle.conv(a["x"], a["kernel"], a["bias"], **words))


@pytest.mark.parametrize(
    "function", [F.global_avg_pool, lambda x: F.avg_pool2d(x, 56)[:, 0, 0]], ids=["global", "window"]
)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=lambda d: d.__name__)
def test_average_of_56_by_56_is_rounded_once(function, dtype):
    x = jnp.asarray(
        np.abs(normal(2, 56, 56, 3)) + 100, dtype
    )  # a sum of 313,600: overflows float16, stalls in bfloat16
    mean = exact(x).mean((1, 2))
    summed = gamma(56 * 56 + 1, 2.0**-24) * mean
    assert np.all(np.abs(exact(function(x)) - mean) <= summed + UNIT[dtype] * (mean + summed))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=lambda d: d.__name__)
def test_avg_pool_without_padding_rounds_once(dtype):
    x = jnp.asarray(normal(2, 7, 5, 3) + 3, dtype)
    y = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
    words = resolve((7, 5), (3, 3), stride=2, padding=1)
    value = pool.avg_pool(exact(x), (3, 3), include_pad=False, **words)
    assert y.dtype == dtype
    assert np.all(np.abs(exact(y) - value) <= 1.01 * UNIT[dtype] * np.abs(value))


def test_sum_pool_accumulates_in_float32():
    x = jnp.ones((1, 300, 1), jnp.bfloat16)  # bfloat16 counts to 256 only
    assert F.sum_pool1d(x, 300).item() == 300
