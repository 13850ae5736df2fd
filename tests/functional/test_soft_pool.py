"""SoftPool and mixed pooling against the float64 oracle: every option, ends of the range, NaN, gradients."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference import soft_pool as oracle
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
    "reflect": (PLANE, (3, 3), {"stride": 2, "padding": 1, "padding_mode": "reflect"}),
    "void": (PLANE, (2, 2), {"stride": 1, "padding": ((3, 0), (0, 2))}),
    "1×1": (PLANE, (1, 1), {}),
    "window is image": (PLANE, (7, 5), {}),
    "large window": ((1, 10, 9, 2), (9, 8), {"stride": 1}),
    "empty batch": ((0, 7, 5, 3), (2, 2), {}),
}
ALPHA = {"number": 0.3, "vector": np.array([0.0, 1.0, -0.5])}
UNIT = {jnp.bfloat16: 2.0**-8, jnp.float16: 2.0**-11}


def words(shape, size, options):
    options = {"stride": size, "padding": "valid"} | options
    extra = {"ceil": options.pop("ceil_mode", False), "mode": options.pop("padding_mode", "zeros")}
    return resolve(shape[1:-1], size, **options) | extra


@pytest.mark.parametrize(("shape", "size", "options"), CASES.values(), ids=CASES)
def test_soft_pool_is_the_oracle(shape, size, options):
    x = 3 * normal(*shape).astype(np.float32)
    pools = F.soft_pool, getattr(F, f"soft_pool{len(size)}d")
    y, ranked = jax.jit(lambda x: [pool(x, size, **options) for pool in pools])(x)
    value = oracle.soft_pool(x, size, **words(shape, size, options))
    assert y.dtype == jnp.float32
    assert y.shape == value.shape
    # m, and a mean of distances to it: each term some units of itself, the distances at most 30 below
    np.testing.assert_allclose(y, value, rtol=0, atol=30 * (np.prod(size) + 8) * 2.0**-24)
    np.testing.assert_array_equal(ranked, y)


@pytest.mark.parametrize("alpha", ALPHA.values(), ids=ALPHA)
@pytest.mark.parametrize("name", [name for name in CASES if name not in ("cube", "large window", "void")])
def test_mixed_pool_is_the_oracle(name, alpha):
    shape, size, options = CASES[name]
    x = normal(*shape).astype(np.float32)
    for extra in (True, False):
        y = F.mixed_pool(jnp.asarray(x), size, alpha, count_include_pad=extra, **options)
        value = oracle.mixed_pool(x, size, alpha, include_pad=extra, **words(shape, size, options))
        assert y.shape == value.shape
        np.testing.assert_allclose(y, value, rtol=0, atol=4 * (np.prod(size) + 3) * 2.0**-24)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_mixed_pool_and_gradients_are_torch(rank):
    torch = pytest.importorskip("torch")
    x, alpha = normal(*(2, 7, 5, 6)[: rank + 1], 3), normal(3, seed=1)
    leaf = torch.tensor(np.moveaxis(x, -1, 1).copy()).requires_grad_()
    share = torch.tensor(alpha).requires_grad_()
    pools = [getattr(torch.nn.functional, f"{kind}_pool{rank}d")(leaf, 3, 2, 1) for kind in ("max", "avg")]
    each = share.reshape(3, *[1] * rank)
    theirs = each * pools[0] + (1 - each) * pools[1]
    with jax.enable_x64(True):
        pool = lambda x, a: getattr(F, f"mixed_pool{rank}d")(x, 3, a, stride=2, padding=1)
        y, pull = jax.vjp(pool, jnp.asarray(x), jnp.asarray(alpha))
        g = normal(*y.shape, seed=3)
        theirs.backward(torch.tensor(np.moveaxis(g, -1, 1).copy()))
        dx, da = pull(jnp.asarray(g))
        np.testing.assert_allclose(y, np.moveaxis(theirs.detach().numpy(), 1, -1), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(dx, np.moveaxis(leaf.grad.numpy(), 1, -1), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(da, share.grad.numpy(), rtol=1e-12, atol=1e-13)


@settings(max_examples=6)  # every geometry compiles anew
@given(st.tuples(*[st.integers(1, 7)] * 2), st.tuples(*[st.integers(1, 4)] * 2), st.integers(1, 3), st.integers(0, 2))
def test_any_geometry_is_the_oracle(space, size, stride, padding):
    size = tuple(min(k, n + 2 * padding) for k, n in zip(size, space))
    x, options = normal(1, *space, 2).astype(np.float32), {"stride": stride, "padding": padding, "ceil_mode": True}
    value = oracle.soft_pool(x, size, **words(x.shape, size, options))
    np.testing.assert_allclose(F.soft_pool(x, size, **options), value, rtol=0, atol=1e-5)


def test_gradient_of_soft_pool_is_the_formula():
    x = normal(1, 6, 2)
    with jax.enable_x64(True):
        y, pull = jax.vjp(lambda x: F.soft_pool(x, 3), jnp.asarray(x))
        windows = x.reshape(2, 3, 2)
        weight = np.exp(windows) / np.exp(windows).sum(axis=1, keepdims=True)
        gradient = weight * (1 + windows - np.asarray(y).reshape(2, 1, 2))
        np.testing.assert_allclose(pull(jnp.ones_like(y))[0].reshape(2, 3, 2), gradient, rtol=1e-12)


@pytest.mark.parametrize("window", [2, 10])
def test_soft_pool_of_any_magnitude(window):
    x = np.resize([88.8, 90.0, -3e38, 3e38, 1e-40, 0.0, -200.0, -201.0, -3e38, -3e38], 10).astype(np.float32)
    value = oracle.soft_pool(x[None, :, None], (window,), **words((1, 10, 1), (window,), {}))
    y, pull = jax.vjp(lambda x: F.soft_pool(x, window), jnp.asarray(x)[None, :, None])
    np.testing.assert_allclose(y, value, rtol=1e-6, atol=1e-30)
    assert bool(jnp.isfinite(pull(jnp.ones_like(y))[0]).all())


def test_infinity_and_nan_stay_in_their_windows():
    inf, nan = np.inf, np.nan
    x = jnp.array([1, nan, inf, nan, inf, 3, -inf, 3, -inf, -inf, inf, -inf])[None, :, None]
    y, pull = jax.vjp(lambda x: F.soft_pool(x, 2), x)
    np.testing.assert_array_equal(y[0, :, 0], [nan, nan, inf, 3, -inf, inf])
    np.testing.assert_array_equal(pull(jnp.ones_like(y))[0][0, 4:, 0], [0, 0, 0, 1, 0, 0, 0, 0])


@pytest.mark.parametrize("dtype", UNIT, ids=lambda d: d.__name__)
def test_short_floats_are_rounded_once(dtype):
    x = jnp.asarray(np.abs(normal(1, 20, 20, 3)) + 1, dtype)
    wide, options = np.asarray(x, np.float64), words((1, 20, 20, 3), (10, 10), {})
    for y, value in [
        (F.soft_pool(x, 10), oracle.soft_pool(wide, (10, 10), **options)),
        (F.mixed_pool(x, 10, 0.3), oracle.mixed_pool(wide, (10, 10), 0.3, **options)),
        (F.mixed_pool(x, 10, jnp.asarray(0.25, dtype)), oracle.mixed_pool(wide, (10, 10), 0.25, **options)),
    ]:
        assert y.dtype == dtype
        np.testing.assert_allclose(np.asarray(y, np.float64), value, rtol=UNIT[dtype] * 1.01)


X = jnp.ones((2, 7, 5, 3))
ERRORS = {
    "shape": (F.mixed_pool, jnp.ones(2), ValueError,
              "alpha is float32[2]; give one number, or 3, one for each of the channels"),
    "dtype": (F.mixed_pool2d, jnp.ones(3, jnp.bfloat16), TypeError,
              "x is float32[2,7,5,3] but alpha is bfloat16[3]; cast one, alpha.astype(x.dtype)"),
    "word": (F.mixed_pool, "0.5", TypeError, "alpha='0.5' must be a number"),
}  # fmt: skip


@pytest.mark.parametrize(("function", "alpha", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_mixed_pool_refuses_in_one_line(function, alpha, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'{function.__name__}: {text}')}$"):
        function(X, 2, alpha)
