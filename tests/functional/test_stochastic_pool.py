"""Stochastic pooling against its oracle: what is drawn, how often, and the mean in evaluation."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxcnn import functional as F
from tests.reference import stochastic_pool as oracle
from tests.reference.arrays import normal
from tests.reference.padding import resolve

PLANE = (2, 7, 5, 3)
CASES = {
    "default": (PLANE, (2, 2), {}),
    "line": ((2, 11, 3), (3,), {"stride": 2}),
    "cube": ((2, 5, 4, 3, 2), (3, 2, 1), {}),
    "padded": (PLANE, (3, 2), {"stride": 2, "padding": 1}),
    "dilated": (PLANE, (2, 3), {"stride": 1, "dilation": 2, "padding": 1}),
    "ragged": (PLANE, (2, 2), {"ceil_mode": True}),
    "circular": (PLANE, (3, 3), {"stride": 2, "padding": 1, "padding_mode": "circular"}),
    "void": (PLANE, (2, 2), {"stride": 1, "padding": ((3, 0), (0, 2))}),
    "1×1": (PLANE, (1, 1), {}),
    "large window": ((1, 10, 9, 2), (9, 8), {"stride": 1}),
    "empty batch": ((0, 7, 5, 3), (2, 2), {}),
}
KEY = jax.random.key(3)
UNIT = {jnp.bfloat16: 2.0**-8, jnp.float16: 2.0**-11}
inf, nan = np.inf, np.nan
WINDOWS = {  # pixels of one window, and what each is drawn with
    "shares": ([1.0, 0, 3, 4], [1 / 8, 0, 3 / 8, 1 / 2]),
    "negative among positive": ([-5.0, 2, 0, 2], [0, 1 / 2, 0, 1 / 2]),
    "zero": ([0.0, 0, 0, 0], [1 / 4] * 4),
    "none positive": ([-1.0, -2, 0, -inf], [1 / 3, 1 / 3, 1 / 3, 0]),
    "large": ([3e38, 3e38, 0, -3e38], [1 / 2, 1 / 2, 0, 0]),
    "tiny": ([1e-30, 0, 3e-30, 0], [1 / 4, 0, 3 / 4, 0]),
    "inf": ([inf, 7, 0, inf], [1 / 2, 0, 0, 1 / 2]),
    "nan": ([1.0, nan, 2, 3], [0, 1, 0, 0]),
}


def words(shape, size, options):
    options = {"stride": size, "padding": "valid"} | options
    extra = {"ceil": options.pop("ceil_mode", False), "mode": options.pop("padding_mode", "zeros")}
    return resolve(shape[1:-1], size, **options) | extra


@pytest.mark.parametrize(("shape", "size", "options"), CASES.values(), ids=CASES)
def test_stochastic_pool_is_the_oracle(shape, size, options):
    x, function = normal(*shape).astype(np.float32) + 0.3, getattr(F, f"stochastic_pool{len(size)}d")
    y = jax.jit(lambda x: function(KEY, x, size, **options))(x)
    uniform = np.asarray(jax.random.uniform(KEY, y.shape), np.float64)
    assert y.dtype == jnp.float32
    np.testing.assert_array_equal(y, oracle.drawn(x, size, uniform, **words(shape, size, options)))
    mean = jax.jit(lambda x: F.stochastic_pool(None, x, size, train=False, **options))(x)
    value = oracle.expected(x, size, **words(shape, size, options))
    np.testing.assert_allclose(mean, value, rtol=0, atol=4 * (np.prod(size) + 4) * 2.0**-24)


@pytest.mark.parametrize(("pixels", "shares"), WINDOWS.values(), ids=WINDOWS)
def test_pixels_are_drawn_by_their_share(pixels, shares):
    x = jnp.asarray(pixels, jnp.float32)[None, :, None] * jnp.ones((1, 1, 4000))
    _, pull = jax.vjp(lambda x: F.stochastic_pool1d(KEY, x, 4), x)
    drawn = np.asarray(pull(jnp.ones((1, 1, 4000)))[0]).mean(axis=(0, 2))
    np.testing.assert_allclose(drawn, shares, rtol=0, atol=4 * np.sqrt(0.25 / 4000))
    np.testing.assert_array_equal(drawn[np.equal(shares, 0)], 0)
    mean = F.stochastic_pool(None, x[..., :1], 4, train=False)
    ours, value = float(mean[0, 0, 0]), sum(p * v for p, v in zip(shares, pixels) if p)
    np.testing.assert_allclose(ours, value, rtol=1e-6)


def test_gradient_in_evaluation_is_the_formula():
    x = np.abs(normal(1, 6, 2))
    with jax.enable_x64(True):
        y, pull = jax.vjp(lambda x: F.stochastic_pool(None, x, 3, train=False), jnp.asarray(x))
        windows = x.reshape(2, 3, 2)
        gradient = (2 * windows - np.asarray(y).reshape(2, 1, 2)) / windows.sum(axis=1, keepdims=True)
        np.testing.assert_allclose(pull(jnp.ones_like(y))[0].reshape(2, 3, 2), gradient, rtol=1e-12)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("window", [2, (9, 8)])
def test_gradient_of_sharded_images(window, kind):
    x, mesh = jnp.asarray(normal(2, 9, 8, 2), jnp.float32), jax.make_mesh((1,), ("batch",), axis_types=(kind,))
    gradient = jax.jit(jax.grad(lambda x: (F.stochastic_pool(KEY, x, window) ** 2).sum()))
    expected, split = gradient(x), NamedSharding(mesh, PartitionSpec("batch"))
    with jax.set_mesh(mesh):
        actual = gradient(jax.device_put(x, split))
    np.testing.assert_array_equal(actual, expected)
    assert actual.sharding.is_equivalent_to(split, 4)


@pytest.mark.parametrize("dtype", UNIT, ids=lambda d: d.__name__)
def test_short_floats_are_rounded_once(dtype):
    x = jnp.asarray(np.abs(normal(1, 9, 10, 3)) + 1, dtype)
    wide = np.asarray(x, np.float64)
    y = F.stochastic_pool(None, x, (9, 10), train=False)
    value = oracle.expected(wide, (9, 10), **words(x.shape, (9, 10), {}))
    assert y.dtype == dtype
    np.testing.assert_allclose(np.asarray(y, np.float64), value, rtol=UNIT[dtype] * 1.01)


X = jnp.ones((2, 7, 5, 3))
ERRORS = {
    "no key": ({"key": None}, TypeError, "key is a NoneType; it must be one random key, as jax.random.key(0)"),
    "number": ({"key": 0}, TypeError, "key is a int; it must be one random key, as jax.random.key(0)"),
    "integers": ({"x": X.astype(int)}, TypeError,
                 "x is int32[2,7,5,3]; it must be floating point, x.astype(jnp.float32)"),
    "stride": ({"stride": 0}, ValueError, "stride=0 must be at least 1 on every axis"),
    "mode": ({"padding_mode": "mirror"}, ValueError,
             'padding_mode=\'mirror\' is unknown; use "zeros", "reflect", "replicate", "circular", "symmetric"'),
    "large": ({"window": (8, 1)}, ValueError,
              "window (8, 1) (dilation (1, 1)) spans 8 pixels on spatial axis 0, which has 7 and padding (0, 0); "
              "use a smaller window or more padding"),
}  # fmt: skip


@pytest.mark.parametrize("function", [F.stochastic_pool, F.stochastic_pool2d])
@pytest.mark.parametrize(("options", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_stochastic_pool_refuses_in_one_line(options, error, text, function):
    with pytest.raises(error, match=f"^{re.escape(f'{function.__name__}: {text}')}$"):
        function(**({"key": KEY, "x": X, "window": 2} | options))
