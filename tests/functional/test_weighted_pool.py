"""Weighted and blur pooling against the float64 oracle and PyTorch: shapes of the weights, every option, aliases."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from jaxcnn.functional import filters
from tests.reference import weighted_pool as oracle
from tests.reference.arrays import integers, normal
from tests.reference.conv import gamma
from tests.reference.padding import resolve

PLANE = (2, 7, 5, 3)
CASES = {  # shape of x, shape of the weights, options
    "default": (PLANE, (2, 2), {}),
    "line": ((2, 11, 3), (3,), {"stride": 2}),
    "cube": ((2, 7, 5, 3, 2), (3, 2, 1), {}),
    "of each channel": (PLANE, (2, 3, 3), {}),
    "line of each channel": ((2, 11, 3), (4, 3), {"stride": 1, "padding": "causal"}),
    "padded": (PLANE, (3, 2), {"stride": 2, "padding": ((1, 1), (0, 2))}),
    "dilated": (PLANE, (2, 3, 3), {"stride": 1, "padding": 2, "dilation": (3, 2)}),
    "ragged": (PLANE, (3, 2), {"stride": 3, "padding": 1, "ceil_mode": True}),
    "reflect": (PLANE, (3, 3), {"stride": 2, "padding": 2, "padding_mode": "reflect"}),
    "circular ragged": (PLANE, (3, 2, 3), {"padding": 1, "padding_mode": "circular", "ceil_mode": True}),
    "1×1": (PLANE, (1, 1), {"stride": 2}),
    "window is image": (PLANE, (7, 5), {}),
    "empty batch": ((0, 7, 5, 3), (2, 2), {}),
}
BLUR = {
    "line": ((2, 11, 3), 3, {}),
    "plane": (PLANE, 3, {}),
    "bin-5": (PLANE, 5, {"stride": (2, 1)}),
    "even": (PLANE, 2, {}),
    "uneven": (PLANE, (4, 1), {"stride": 3}),
    "zeros": (PLANE, 4, {"padding_mode": "zeros"}),
    "cube": ((2, 5, 4, 3, 2), 3, {}),
}
GAUSS = filters.gaussian_kernel(2.0)[:16] / 3
UNIT = {jnp.bfloat16: 2.0**-8, jnp.float16: 2.0**-11}


def expected(x, weights, *, ceil_mode=False, padding_mode="zeros", **options):
    rank = x.ndim - 2
    if weights.ndim == rank:
        weights = np.repeat(weights[..., None], x.shape[-1], -1)
    options = {"stride": weights.shape[:-1], "padding": "valid"} | options
    words = resolve(x.shape[1:-1], weights.shape[:-1], **options)
    return oracle.weighted_pool(x, weights, ceil=ceil_mode, mode=padding_mode, **words)


@pytest.mark.parametrize(("shape", "size", "options"), CASES.values(), ids=CASES)
def test_weighted_pool_is_the_oracle(shape, size, options):
    x, weights = (normal(*s).astype(np.float32) for s in (shape, size))
    y = F.weighted_pool(jnp.asarray(x), jnp.asarray(weights), **options)
    value = expected(x, weights, **options)
    bound = gamma(np.prod(size) + 1, 2.0**-24) * expected(np.abs(x), np.abs(weights), **options)
    assert y.dtype == jnp.float32
    assert y.shape == value.shape
    assert np.all(np.abs(np.asarray(y, np.float64) - value) <= bound)


@pytest.mark.parametrize(("rank", "name"), [(1, "line"), (2, "padded"), (3, "cube")])
def test_one_vector_stands_for_every_axis(rank, name):
    shape, _, options = CASES[name]
    x, v = integers(*shape).astype(np.float32), np.array([1.0, 2, -3])
    outer = np.ones(())
    for _ in range(rank):
        outer = np.multiply.outer(outer, v)
    y = getattr(F, f"weighted_pool{rank}d")(x, v, **options)
    np.testing.assert_array_equal(y, expected(x, outer, **options))
    traced = F.weighted_pool(x, jnp.asarray(v, jnp.float32), **options)
    np.testing.assert_array_equal(y, traced)


@pytest.mark.parametrize("name", ["padded", "of each channel"])
def test_weighted_pool_and_gradients_are_torch(name):
    torch = pytest.importorskip("torch")
    shape, size, _ = CASES[name]
    x, weights = normal(*shape), normal(*size)
    leaf = torch.tensor(np.moveaxis(x, -1, 1).copy()).requires_grad_()
    kernel = torch.tensor(weights).requires_grad_()
    each = kernel.permute(2, 0, 1)[:, None] if len(size) == 3 else kernel.expand(3, 1, *size)
    theirs = torch.nn.functional.conv2d(leaf, each, stride=2, padding=1, groups=3)
    with jax.enable_x64(True):
        pool = lambda x, w: F.weighted_pool2d(x, w, stride=2, padding=1)
        y, pull = jax.vjp(pool, jnp.asarray(x), jnp.asarray(weights))
        g = normal(*y.shape, seed=3)
        theirs.backward(torch.tensor(np.moveaxis(g, -1, 1).copy()))
        dx, dw = pull(jnp.asarray(g))
        np.testing.assert_allclose(y, np.moveaxis(theirs.detach().numpy(), 1, -1), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(dx, np.moveaxis(leaf.grad.numpy(), 1, -1), rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(dw, kernel.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("shape", "window", "options"), BLUR.values(), ids=BLUR)
def test_blur_pool_is_the_oracle(shape, window, options):
    x, rank = normal(*shape).astype(np.float32), len(shape) - 2
    size = np.broadcast_to(window, rank)
    stride = tuple(np.broadcast_to(options.get("stride", 2), rank))
    y = F.blur_pool(jnp.asarray(x), window, **options)
    value = oracle.blur_pool(x, tuple(size), stride=stride, mode=options.get("padding_mode", "reflect"))
    assert y.shape == (shape[0], *(-(-n // s) for n, s in zip(shape[1:-1], stride)), shape[-1])
    bound = gamma(np.prod(size) + 1, 2.0**-24) * np.abs(x).max()
    np.testing.assert_allclose(y, value, rtol=0, atol=bound)
    np.testing.assert_array_equal(getattr(F, f"blur_pool{rank}d")(jnp.asarray(x), window, **options), y)


def test_blur_pool_and_gradient_are_torch():
    torch = pytest.importorskip("torch")
    x, v = normal(*PLANE), oracle.binomial(4)
    leaf = torch.tensor(np.moveaxis(x, -1, 1).copy()).requires_grad_()
    kernel = torch.tensor(np.outer(v, v)).expand(3, 1, 4, 4)
    padded = torch.nn.functional.pad(leaf, (1, 2, 1, 2), mode="reflect")
    theirs = torch.nn.functional.conv2d(padded, kernel, stride=2, groups=3)
    with jax.enable_x64(True):
        y, pull = jax.vjp(lambda x: F.blur_pool2d(x, 4), jnp.asarray(x))
        g = normal(*y.shape, seed=3)
        theirs.backward(torch.tensor(np.moveaxis(g, -1, 1).copy()))
        np.testing.assert_allclose(y, np.moveaxis(theirs.detach().numpy(), 1, -1), rtol=1e-13, atol=1e-14)
        np.testing.assert_allclose(
            pull(jnp.asarray(g))[0], np.moveaxis(leaf.grad.numpy(), 1, -1), rtol=1e-12, atol=1e-14
        )


def test_blur_pool_keeps_the_mean_and_drops_the_highest_frequency():
    flat, fastest = jnp.full((1, 9, 8, 2), 3.0), jnp.tile(jnp.array([1.0, -1]), 6)[None, :, None]
    np.testing.assert_array_equal(F.blur_pool(flat, 5), jnp.full((1, 5, 4, 2), 3.0))
    np.testing.assert_array_equal(F.blur_pool(fastest, 3), jnp.zeros((1, 6, 1)))


@pytest.mark.parametrize("k", [1, 2, 5, 20])
def test_binomial_kernel_is_a_row_of_pascal(k):
    np.testing.assert_allclose(filters.binomial_kernel(k), oracle.binomial(k), rtol=1e-15)


@pytest.mark.parametrize("dtype", UNIT, ids=lambda d: d.__name__)
def test_short_floats_are_rounded_once(dtype):
    x = jnp.asarray(np.abs(normal(2, 16, 16, 3)) + 100, dtype)
    wide, weights = np.asarray(x, np.float64), np.full((16, 16), 2.0**-8)
    for ours, value in [
        (F.weighted_pool(x, weights), wide.mean((1, 2), keepdims=True)),
        (F.weighted_pool(x, jnp.asarray(weights, dtype)), wide.mean((1, 2), keepdims=True)),
        (F.weighted_pool(x, GAUSS), expected(wide, GAUSS[:, None] * GAUSS)),
    ]:
        assert ours.dtype == dtype
        np.testing.assert_allclose(np.asarray(ours, np.float64), value, rtol=UNIT[dtype] * 1.01)


X = jnp.ones((2, 7, 5, 3))
MUST = "it must be (k,) for every axis, or (*size) or (*size, c=3) with 2 sizes (x is float32[2,7,5,3])"
ERRORS = {
    "channels": (F.weighted_pool, jnp.ones((2, 2, 4)), ValueError, f"weights is float32[2,2,4]; {MUST}"),
    "rank": (F.weighted_pool2d, np.ones((2, 2, 3, 1)), ValueError, f"weights is float64[2,2,3,1]; {MUST}"),
    "number": (F.weighted_pool, jnp.ones(()), ValueError, f"weights is float32[]; {MUST}"),
    "list": (F.weighted_pool, [1.0], TypeError, "weights is a list; it must be an array, jnp.asarray makes one"),
    "words": (F.weighted_pool, np.array(["a"]), TypeError, "weights is <U1[1]; it must hold numbers"),
    "dtype": (F.weighted_pool, jnp.ones((2, 2), jnp.bfloat16), TypeError,
              "x is float32[2,7,5,3] but weights is bfloat16[2,2]; cast one, weights.astype(x.dtype)"),
    "large": (F.weighted_pool, np.ones((8, 1)), ValueError,
              "window (8, 1) (dilation (1, 1)) spans 8 pixels on spatial axis 0, which has 7 and padding (0, 0); "
              "use a smaller window or more padding"),
    "empty": (F.weighted_pool, np.ones((0, 1)), ValueError, "window size=(0, 1) must be at least 1 on every axis"),
    "blur none": (F.blur_pool, 0, ValueError, "window size=0 must be at least 1 on every axis"),
    "blur wide": (F.blur_pool2d, 11, ValueError,
                  'padding_mode "reflect" cannot pad spatial axis 1 of 5 pixels by (5, 5); at most 4'),
}  # fmt: skip


@pytest.mark.parametrize(("function", "argument", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_weighted_pool_refuses_in_one_line(function, argument, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'{function.__name__}: {text}')}$"):
        function(X, argument)
