"""Fractional max pooling against its oracle and PyTorch, which must place every window alike."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference.arrays import integers, normal
from tests.reference.fractional_pool import fractional_max_pool, starts

CASES = {  # shape, window, outputs
    "line": ((2, 25, 3), (2,), (17,)),
    "plane": ((2, 13, 9, 3), (2, 3), (7, 5)),
    "cube": ((2, 7, 9, 8, 2), (2, 3, 1), (5, 4, 6)),
    "one output": ((2, 5, 5, 3), (3, 2), (1, 4)),
    "apart by one": ((2, 7, 5, 3), (3, 2), (5, 4)),
    "1×1": ((2, 7, 5, 3), (1, 1), (4, 5)),
    "window is image": ((2, 7, 5, 3), (7, 5), (1, 1)),
    "empty batch": ((0, 7, 5, 3), (2, 2), (3, 3)),
}
WIDTHS = [np.float32, np.float64]
X = jnp.ones((2, 7, 5, 3))
KEY = jax.random.key(0)


def uniform(shape, dtype=np.float32, seed=0):
    return np.random.default_rng(seed).random((shape[0], len(shape) - 2, shape[-1]), dtype)


@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize(("shape", "window", "outputs"), CASES.values(), ids=CASES)
def test_fractional_max_pool_is_the_oracle(shape, window, outputs, dtype):
    x, u = normal(*shape).astype(dtype), uniform(shape, dtype)
    expected, places = fractional_max_pool(x, window, outputs, u)
    with jax.enable_x64(dtype == np.float64):
        options = {"output_size": outputs, "samples": jnp.asarray(u)}
        values, indices = jax.jit(lambda x: F.fractional_max_pool_with_indices(None, x, window, **options))(x)
        ranked = getattr(F, f"fractional_max_pool{len(window)}d")
        alone = jax.jit(lambda x: ranked(None, x, window, **options))(x)
    assert values.dtype == alone.dtype == dtype
    assert indices.dtype == jnp.int32
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(alone, expected)
    np.testing.assert_array_equal(indices, places)


@pytest.mark.parametrize("special", [False, True])
@pytest.mark.parametrize("dtype", WIDTHS)
@pytest.mark.parametrize("name", ["plane", "cube", "one output", "apart by one"])
def test_fractional_max_pool_and_gradient_are_torch_exactly(name, dtype, special):
    torch = pytest.importorskip("torch")
    shape, window, outputs = CASES[name]
    x, kind = (integers(*shape) % 3).astype(dtype), np.random.default_rng(7).integers(0, 12, shape)
    x = np.select([special & (kind == 0), special & (kind < 4)], [np.nan, -np.inf], x).astype(dtype)
    rank, u = len(window), uniform(shape, dtype, seed=3)
    order = {2: [1, 0], 3: [0, 1, 2]}[rank]  # PyTorch's samples of planes begin with the last axis
    theirs = torch.tensor(u.swapaxes(1, 2)[..., order].copy())
    leaf = torch.tensor(np.moveaxis(x, -1, 1).copy()).requires_grad_()
    function = getattr(torch.nn.functional, f"fractional_max_pool{rank}d")
    values, indices = function(leaf, window, output_size=outputs, return_indices=True, _random_samples=theirs)
    ours = getattr(F, f"fractional_max_pool{rank}d_with_indices")
    with jax.enable_x64(dtype == np.float64):
        pool = lambda x: ours(None, x, window, output_size=outputs, samples=jnp.asarray(u))
        y, pull, taken = jax.vjp(pool, jnp.asarray(x), has_aux=True)
        np.testing.assert_array_equal(y, np.moveaxis(values.detach().numpy(), 1, -1))
        np.testing.assert_array_equal(taken, np.moveaxis(indices.numpy(), 1, -1))
        g = integers(*y.shape, seed=3).astype(dtype)
        values.backward(torch.tensor(np.moveaxis(g, -1, 1).copy()))
        np.testing.assert_array_equal(pull(jnp.asarray(g))[0], np.moveaxis(leaf.grad.numpy(), 1, -1))


@settings(max_examples=6)  # every geometry compiles anew
@given(st.integers(1, 40), st.data())
def test_any_geometry_is_the_oracle(n, data):
    k = data.draw(st.integers(1, n))
    o = data.draw(st.integers(1, n - k + 1))
    u = np.float32(data.draw(st.sampled_from([0, 0.25, 0.999, 1 - 2.0**-24])))
    samples, x = np.full((1, 1, 2), u), normal(1, n, 2).astype(np.float32)
    expected, places = fractional_max_pool(x, (k,), (o,), samples)
    values, indices = F.fractional_max_pool_with_indices(None, x, k, output_size=o, samples=samples)
    np.testing.assert_array_equal(values, expected)
    np.testing.assert_array_equal(indices, places)


@pytest.mark.parametrize(("ratio", "outputs"), [(0.7, (4, 3)), ((0.5, 0.9), (3, 4)), (1, (7, 5))])
def test_ratio_is_a_share_of_the_pixels(ratio, outputs):
    assert F.fractional_max_pool2d(KEY, X, 1, ratio=ratio).shape == (2, *outputs, 3)


@pytest.mark.parametrize("key", [KEY, jax.random.PRNGKey(0)], ids=["new", "old"])
def test_key_places_every_plane_by_itself(key):
    x = jnp.broadcast_to(jnp.arange(101.0)[:, None], (40, 101, 5))
    first = F.fractional_max_pool1d(key, x, 1, output_size=70)
    rows = np.asarray(first).swapaxes(1, 2).reshape(-1, 70)
    assert len(np.unique(rows, axis=0)) > 25  # of the 69 · 31 / gcd ways that this α has
    assert set(np.unique(np.diff(rows))) == {1, 2}
    possible = {tuple(starts(101, 1, 70, np.float32(u))) for u in np.linspace(0, 1, 2000, endpoint=False)}
    assert {tuple(map(int, row)) for row in rows} <= possible
    np.testing.assert_array_equal(first, F.fractional_max_pool1d(key, x, 1, output_size=70))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.int8, bool])
def test_fractional_max_pool_takes_any_order(dtype):
    x = jnp.asarray(integers(2, 7, 5, 3), dtype)
    u = uniform(x.shape)
    y = F.fractional_max_pool(None, x, 2, output_size=3, samples=u)
    assert y.dtype == dtype
    wide = np.asarray(x.astype(jnp.float32))
    np.testing.assert_array_equal(y.astype(jnp.float32), fractional_max_pool(wide, (2, 2), (3, 3), u)[0])


@pytest.mark.parametrize("wrong", [-0.5, 1.0, 7.0])
def test_samples_out_of_range_are_clipped_inside_jit(wrong):
    pool = jax.jit(lambda u: F.fractional_max_pool(None, X, 2, output_size=3, samples=u))
    np.testing.assert_array_equal(pool(jnp.full((2, 2, 3), wrong)), jnp.ones((2, 3, 3, 3)))


ERRORS = {
    "neither": ({}, ValueError, "output_size=None and ratio=None: give one of the two"),
    "both": ({"output_size": 2, "ratio": 0.5}, ValueError, "output_size=2 and ratio=0.5: give one of the two"),
    "many": ({"output_size": (6, 5)}, ValueError,
             "5 windows of 2 pixels do not start apart on spatial axis 1 of 5 pixels; use at most 4 outputs"),
    "zero": ({"output_size": 0}, ValueError, "output_size=0 must be at least 1 on every axis"),
    "nothing": ({"ratio": 0.15}, ValueError, "ratio=0.15, output_size=[1, 0] must be at least 1 on every axis"),
    "ratio": ({"ratio": 1.5}, ValueError, "ratio=1.5 must be positive and at most 1"),
    "ratios": ({"ratio": (0.5,)}, TypeError, "ratio=(0.5,) must be a number or 2 numbers"),
    "word": ({"ratio": "0.5"}, TypeError, "ratio='0.5' must be a number"),
    "shape": ({"output_size": 2, "samples": jnp.zeros((2, 3, 2))}, ValueError,
              "samples is float32[2,3,2]; it must have the shape (2, 2, 3)"),
    "integers": ({"output_size": 2, "samples": jnp.zeros((2, 2, 3), int)}, TypeError,
                 "samples is int32[2,2,3]; it must be floating point, samples.astype(jnp.float32)"),
    "range": ({"output_size": 2, "samples": jnp.ones((2, 2, 3))}, ValueError,
              "samples reach from 1.0 to 1.0; they must be in [0, 1)"),
    "large window": ({"window": 6, "output_size": 1}, ValueError,
                     "window (6, 6) (dilation (1, 1)) spans 6 pixels on spatial axis 1, which has 5 and padding (0, 0); "
                     "use a smaller window or more padding"),
    "no key": ({"key": None, "output_size": 2}, TypeError, "key is a NoneType; it must be one random key, as jax.random.key(0)"),
    "keys": ({"key": jax.random.split(KEY), "output_size": 2}, TypeError,
             "key is key<fry>[2]; it must be one random key, as jax.random.key(0)"),
    "image": ({"key": X, "output_size": 2}, TypeError,
              "key is float32[2,7,5,3]; it must be one random key, as jax.random.key(0)"),
    "complex": ({"x": X + 0j, "output_size": 2}, TypeError,
                "x is complex64[2,7,5,3]; complex numbers have no order, take jnp.abs(x)"),
}  # fmt: skip


@pytest.mark.parametrize("function", [F.fractional_max_pool2d, F.fractional_max_pool_with_indices])
@pytest.mark.parametrize(("options", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_fractional_max_pool_refuses_in_one_line(options, error, text, function):
    with pytest.raises(error, match=f"^{re.escape(f'{function.__name__}: {text}')}$"):
        function(**({"key": KEY, "x": X, "window": 2} | options))


@pytest.mark.parametrize("function", [F.fractional_max_pool1d, F.fractional_max_pool3d])
def test_rank_is_exact(function):
    with pytest.raises(ValueError, match=rf"^{function.__name__}: x is float32\[2,7,5,3\]; it must have the axes"):
        function(KEY, X, 2, ratio=0.5)
