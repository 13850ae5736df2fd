"""Adaptive pooling against the float64 oracle and PyTorch: every window, ties, NaN, gradients."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference.adaptive_pool import adaptive_pool, over_space
from tests.reference.arrays import integers, normal
from tests.reference.conv import gamma

CASES = {  # shape, output size, the sizes it means
    "line": ((2, 10, 3), 4, (4,)),
    "plane": ((2, 7, 5, 3), (3, 2), (3, 2)),
    "even": ((2, 6, 8, 3), (3, 2), (3, 2)),
    "families": ((2, 12, 9, 3), (8, 6), (8, 6)),
    "cube": ((2, 5, 7, 4, 2), (2, 3, 4), (2, 3, 4)),
    "kept": ((2, 7, 5, 3), (None, 2), (7, 2)),
    "all kept": ((2, 7, 5, 3), None, (7, 5)),
    "one": ((2, 7, 5, 3), 1, (1, 1)),
    "larger": ((2, 3, 5, 3), 7, (7, 7)),
    "one pixel": ((2, 1, 1, 3), 2, (2, 2)),
    "empty batch": ((0, 7, 5, 3), 2, (2, 2)),
}
UNIT = {jnp.bfloat16: 2.0**-8, jnp.float16: 2.0**-11}


def first(x):
    """Channels first, as PyTorch wants it."""
    return np.moveaxis(np.asarray(x), -1, 1).copy()


@pytest.mark.parametrize(("shape", "size", "sizes"), CASES.values(), ids=CASES)
def test_adaptive_pool_is_the_oracle(shape, size, sizes):
    x = normal(*shape).astype(np.float32)
    mean = lambda x: adaptive_pool(x, sizes, over_space(np.mean))
    bound = gamma(np.prod(shape[1:-1]) + 1, 2.0**-24) * mean(np.abs(x))
    pools = F.adaptive_avg_pool, F.adaptive_max_pool, F.adaptive_max_pool_with_indices
    average, alone, (values, indices) = jax.jit(lambda x: [pool(x, size) for pool in pools])(x)
    assert np.all(np.abs(np.asarray(average, np.float64) - mean(x)) <= bound)
    largest = adaptive_pool(x, sizes, over_space(np.max))
    np.testing.assert_array_equal(alone, largest)
    np.testing.assert_array_equal(values, largest)
    flat, c = x.reshape(shape[0], np.prod(shape[1:-1]), shape[-1]), np.arange(shape[-1])
    at = np.arange(shape[0]).reshape(-1, *[1] * (len(shape) - 1))
    np.testing.assert_array_equal(flat[at, np.asarray(indices), c], largest)


@pytest.mark.parametrize("name", ["line", "plane", "even", "families", "cube", "larger"])
@pytest.mark.parametrize("special", [False, True])
def test_adaptive_max_pool_is_torch_exactly(name, special):
    torch = pytest.importorskip("torch")
    shape, _, sizes = CASES[name]
    x, kind = (integers(*shape) % 3).astype(np.float32), np.random.default_rng(7).integers(0, 12, shape)
    x = np.select([special & (kind == 0), special & (kind < 4)], [np.nan, -np.inf], x).astype(np.float32)
    leaf, rank = torch.tensor(first(x)).requires_grad_(), len(sizes)
    values, indices = getattr(torch.nn.functional, f"adaptive_max_pool{rank}d")(leaf, sizes, return_indices=True)
    function = getattr(F, f"adaptive_max_pool{rank}d_with_indices")
    y, pull, taken = jax.vjp(lambda x: function(x, sizes), jnp.asarray(x), has_aux=True)
    np.testing.assert_array_equal(first(y), values.detach().numpy())
    np.testing.assert_array_equal(first(taken), indices.numpy())
    g = integers(*y.shape, seed=3).astype(np.float32)
    values.backward(torch.tensor(first(g)))
    np.testing.assert_array_equal(first(pull(jnp.asarray(g))[0]), leaf.grad.numpy())


@pytest.mark.parametrize("name", ["line", "plane", "families", "cube", "larger"])
def test_adaptive_avg_pool_is_torch(name):
    torch = pytest.importorskip("torch")
    shape, _, sizes = CASES[name]
    x = normal(*shape)
    leaf = torch.tensor(first(x)).requires_grad_()
    theirs = getattr(torch.nn.functional, f"adaptive_avg_pool{len(sizes)}d")(leaf, sizes)
    with jax.enable_x64(True):
        y, pull = jax.vjp(lambda x: getattr(F, f"adaptive_avg_pool{len(sizes)}d")(x, sizes), jnp.asarray(x))
        np.testing.assert_allclose(first(y), theirs.detach().numpy(), rtol=1e-13, atol=1e-15)
        g = normal(*y.shape, seed=3)
        theirs.backward(torch.tensor(first(g)))
        np.testing.assert_allclose(first(pull(jnp.asarray(g))[0]), leaf.grad.numpy(), rtol=1e-12, atol=1e-14)


@settings(max_examples=6)  # every geometry compiles anew
@given(st.tuples(*[st.integers(1, 9)] * 2), st.tuples(*[st.integers(1, 6)] * 2))
def test_any_size_is_the_oracle(space, sizes):
    x = integers(1, *space, 2).astype(np.float32)
    np.testing.assert_array_equal(F.adaptive_max_pool(x, sizes), adaptive_pool(x, sizes, over_space(np.max)))
    mean = adaptive_pool(x, sizes, over_space(np.mean))
    np.testing.assert_allclose(F.adaptive_avg_pool(x, sizes), mean, rtol=2.0**-23)


@pytest.mark.parametrize("dtype", UNIT)
def test_average_of_short_floats_is_rounded_once(dtype):
    x = jnp.asarray(abs(normal(1, 57, 56, 2)) * 100, dtype)
    y = F.adaptive_avg_pool(x, (2, 1))
    assert y.dtype == dtype
    wide = adaptive_pool(np.asarray(x, np.float64), (2, 1), over_space(np.mean))
    np.testing.assert_allclose(np.asarray(y, np.float64), wide, rtol=UNIT[dtype] * 1.01)


def test_nan_stays_in_its_windows():
    x = jnp.arange(10.0).at[3].set(jnp.nan).at[9].set(jnp.inf)[None, :, None]
    np.testing.assert_array_equal(F.adaptive_avg_pool(x, 4)[0, :, 0], [1, np.nan, 6, np.inf])


X = jnp.ones((2, 7, 5, 3))
ERRORS = {
    "zero": (F.adaptive_avg_pool, X, 0, ValueError, "output_size=0 must be at least 1 on every axis"),
    "entries": (F.adaptive_max_pool, X, (2,), ValueError,
                "output_size=(2,) has 1 entries; give an int or one for each of 2 axes"),
    "float": (F.adaptive_max_pool2d_with_indices, X, 1.5, TypeError, "output_size=1.5 must be an int or 2 ints"),
    "int": (F.adaptive_avg_pool2d, X.astype(int), 2, TypeError,
            "x is int32[2,7,5,3]; it must be floating point, x.astype(jnp.float32)"),
    "complex": (F.adaptive_max_pool, X.astype(complex), 2, TypeError,
                "x is complex64[2,7,5,3]; complex numbers have no order, take jnp.abs(x)"),
    "rank": (F.adaptive_max_pool1d, X, 2, ValueError,
             "x is float32[2,7,5,3]; it must have the axes (n, w, c), one image is x[None]"),
    "list": (F.adaptive_avg_pool, [1.0], 2, TypeError, "x is a list; it must be an array, jnp.asarray makes one"),
}  # fmt: skip


@pytest.mark.parametrize(("function", "x", "size", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_adaptive_pool_refuses_in_one_line(function, x, size, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'{function.__name__}: {text}')}$"):
        function(x, size)
