"""Lp pooling against the float64 oracle and PyTorch: zeros, negative input, any p, magnitudes at the ends of the range."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference import lp_pool as oracle
from tests.reference.arrays import normal
from tests.reference.padding import resolve

PLANE, POWERS = (2, 7, 5, 3), [1, 1.5, 2, 2.5, 3, 7, np.inf]
CASES = {
    "default": (PLANE, (2, 2), {}),
    "line": ((2, 11, 3), (3,), {"stride": 2}),
    "cube": ((2, 5, 4, 3, 2), (3, 2, 1), {}),
    "padded": (PLANE, (3, 2), {"stride": 2, "padding": 1}),
    "same": (PLANE, (3, 3), {"stride": 1, "padding": "same"}),
    "dilated": (PLANE, (2, 3), {"stride": 1, "dilation": 2, "padding": 1}),
    "ragged": (PLANE, (2, 2), {"ceil_mode": True}),
    "padding alone": ((2, 2, 2), (2,), {"stride": 1, "dilation": 3, "padding": 1}),
    "1×1": (PLANE, (1, 1), {}),
    "window is image": (PLANE, (7, 5), {}),
    "empty batch": ((0, 7, 5, 3), (2, 2), {}),
}
UNIT = {jnp.float32: 2.0**-24, jnp.bfloat16: 2.0**-8, jnp.float16: 2.0**-11}


def expected(x, p, size, *, ceil_mode=False, **options):
    options = {"stride": size, "padding": "valid"} | options
    return oracle.lp_pool(x, p, size, ceil=ceil_mode, **resolve(x.shape[1:-1], size, **options))


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize(("shape", "size", "options"), CASES.values(), ids=CASES)
def test_lp_pool_is_the_oracle(shape, size, options, p):
    x = normal(*shape).astype(np.float32)
    y = jax.jit(lambda x: F.lp_pool(x, p, size, **options))(x)
    assert y.dtype == jnp.float32
    value = expected(x, p, size, **options)
    assert y.shape == value.shape
    # a sum of positive terms and two powers of some units each
    np.testing.assert_allclose(y, value, rtol=(np.prod(size) + 16) * 2.0**-24)


@pytest.mark.parametrize(("rank", "name"), [(1, "line"), (2, "padded"), (3, "cube")])
def test_ranked_lp_pool_is_lp_pool(rank, name):
    shape, size, options = CASES[name]
    x = jnp.asarray(normal(*shape), jnp.float32)
    ours = getattr(F, f"lp_pool{rank}d")(x=x, p=3, window=size, **options)
    np.testing.assert_array_equal(ours, F.lp_pool(x, 3, size, **options))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_lp_pool_of_positive_pixels_is_torch(rank, p):
    torch = pytest.importorskip("torch")
    x = np.abs(normal(*(2, 7, 5, 6)[: rank + 1], 3)) + 0.1
    leaf = torch.tensor(np.moveaxis(x, -1, 1).copy()).requires_grad_()
    theirs = getattr(torch.nn.functional, f"lp_pool{rank}d")(leaf, p, 2)
    theirs.sum().backward()
    with jax.enable_x64(True):
        y, pull = jax.vjp(lambda x: F.lp_pool(x, p, 2), jnp.asarray(x))
        np.testing.assert_allclose(y, np.moveaxis(theirs.detach().numpy(), 1, -1), rtol=1e-14)
        np.testing.assert_allclose(pull(jnp.ones_like(y))[0], np.moveaxis(leaf.grad.numpy(), 1, -1), rtol=1e-13)


@pytest.mark.parametrize("p", POWERS)
def test_gradient_is_the_formula_and_zero_at_zero(p):
    x = normal(1, 6, 1).astype(np.float32)
    x[0, [0, 1, 2], 0] = 0  # a window of zeros, and half a one
    y, pull = jax.vjp(lambda x: F.lp_pool(x, p, 2), jnp.asarray(x))
    wide = x[0, :, 0].astype(np.float64).reshape(3, 2)
    norm = oracle.norm(wide, p)[:, None]
    ratio = np.abs(wide) / np.where(norm > 0, norm, 1)
    power = (ratio == 1) if p == np.inf else ratio ** (p - 1)
    np.testing.assert_allclose(pull(jnp.ones_like(y))[0].reshape(3, 2), np.sign(wide) * power, rtol=1e-6)
    tangent = jax.jvp(lambda x: F.lp_pool(x, p, 2), (jnp.asarray(x),), (jnp.ones_like(x),))[1]
    np.testing.assert_allclose(tangent[0, :, 0], (np.sign(wide) * power).sum(axis=1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("p", POWERS)
def test_second_derivative_at_zero_is_finite(p):
    x = jnp.array([0.0, 0, 0, 2, 3, -4])[None, :, None]
    total = lambda x: F.lp_pool(x, p, 2).sum()
    for second in jax.jit(lambda x: (jax.hessian(total)(x), jax.jacrev(jax.grad(total))(x)))(x):
        assert bool(jnp.isfinite(second).all())
        curvature = second.reshape(6, 6)
        assert float(curvature[2, 2]) == (0.5 if p == 2 else 0)  # d²/dx² of √(x² + 4) at 0


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1e20, 1e37])
@pytest.mark.parametrize("p", POWERS)
def test_result_is_as_wide_as_the_dtype(p, scale):
    x = (normal(2, 6, 4, 3) * scale).astype(np.float32)
    x[1] /= 4
    np.testing.assert_allclose(F.lp_pool(x, p, 2), expected(x, p, (2, 2)), rtol=2e-6)


@pytest.mark.parametrize("scale", [1e-33, 1e-30, 1e30, 2e37])
@pytest.mark.parametrize("p", POWERS)
def test_gradient_does_not_depend_on_the_scale(p, scale):
    x = normal(2, 6, 4, 3).astype(np.float32)
    x[:, ::2, ::2] += 4 * np.sign(x[:, ::2, ::2])  # a pixel of each window is not small
    gradient = jax.grad(lambda x: F.lp_pool(x, p, (3, 2), stride=1).sum())
    scaled = jax.vmap(gradient)(jnp.stack([x * np.float32(scale), x]))
    np.testing.assert_allclose(scaled[0], scaled[1], rtol=2e-5, atol=2e-5)
    np.testing.assert_allclose(
        gradient(jnp.asarray(x * np.float32(scale))), gradient(jnp.asarray(x)), rtol=2e-5, atol=2e-5
    )


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("p", POWERS)
def test_short_floats_are_rounded_once(p, dtype):
    x = jnp.asarray(normal(1, 20, 20, 3), dtype)
    y = F.lp_pool(x, p, 10)
    assert y.dtype == dtype
    np.testing.assert_allclose(
        np.asarray(y, np.float64), expected(np.asarray(x, np.float64), p, (10, 10)), rtol=UNIT[dtype] * 1.05
    )


@pytest.mark.parametrize("p", POWERS)
def test_infinity_and_nan_stay_in_their_windows(p):
    x = jnp.array([1, jnp.nan, 2, -jnp.inf, 0, -3])[None, :, None]
    np.testing.assert_allclose(F.lp_pool(x, p, 2)[0, :, 0], [np.nan, np.inf, 3], rtol=1e-6)


X = jnp.ones((2, 7, 5, 3))
ERRORS = {
    "0.5": (lambda: F.lp_pool(X, 0.5, 2), ValueError, "lp_pool: p=0.5 must be at least 1"),
    "nan": (lambda: F.lp_pool2d(X, np.nan, 2), ValueError,
            "lp_pool2d: p=nan must be at least 1"),
    "word": (lambda: F.lp_pool(X, "2", 2), TypeError, "lp_pool: p='2' must be a number"),
    "int": (lambda: F.lp_pool(X.astype(int), 2, 2), TypeError,
            "lp_pool: x is int32[2,7,5,3]; it must be floating point, x.astype(jnp.float32)"),
    "rank": (lambda: F.lp_pool1d(X, 2, 2), ValueError,
             "lp_pool1d: x is float32[2,7,5,3]; it must have the axes (n, w, c), one image is x[None]"),
    "stride": (lambda: F.lp_pool(X, 2, 2, stride=0), ValueError, "lp_pool: stride=0 must be at least 1 on every axis"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), ERRORS.values(), ids=ERRORS)
def test_lp_pool_refuses_in_one_line(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
