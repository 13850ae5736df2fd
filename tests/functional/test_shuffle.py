"""Shuffles against their index formulas and PyTorch: a permutation of values, so everything is exact."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference import shuffle as oracle
from tests.reference.arrays import integers, normal

FLOATS = [jnp.float32, jnp.bfloat16, jnp.float16, jnp.int32, jnp.bool_]
CASES = {  # space, channels of the shuffled image, factor
    "line": ((7,), 3, (2,)),
    "plane": ((5, 3), 2, (2, 2)),
    "uneven": ((5, 3), 2, (3, 2)),
    "cube": ((3, 2, 5), 2, (2, 3, 2)),
    "nothing": ((5, 3), 2, (1, 1)),
    "one pixel": ((1, 1), 1, (3, 3)),
}


def image(space, c, factor, n=2):
    return integers(n, *space, c * int(np.prod(factor))).astype(np.float32)


@pytest.mark.parametrize(("space", "c", "factor"), CASES.values(), ids=CASES)
def test_pixel_shuffle_is_the_oracle_and_has_its_inverse(space, c, factor):
    x = image(space, c, factor)
    y = F.pixel_shuffle(x, factor)
    np.testing.assert_array_equal(y, oracle.pixel_shuffle(x, factor))
    np.testing.assert_array_equal(F.pixel_unshuffle(y, factor), x)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(1, 3)), min_size=1, max_size=3), st.integers(1, 3))
def test_any_shuffle_is_the_oracle(axes, c):
    space, factor = zip(*axes)
    x = image(space, c, factor, n=1)
    np.testing.assert_array_equal(F.pixel_shuffle(x, factor), oracle.pixel_shuffle(x, factor))
    np.testing.assert_array_equal(F.pixel_unshuffle(F.pixel_shuffle(x, factor), factor), x)


@pytest.mark.parametrize("groups", [1, 2, 3, 4, 12])
@pytest.mark.parametrize("space", [(7,), (5, 3), (2, 5, 3)])
def test_channel_shuffle_is_the_oracle(space, groups):
    x = integers(2, *space, 12).astype(np.float32)
    y = F.channel_shuffle(x, groups)
    np.testing.assert_array_equal(y, oracle.channel_shuffle(x, groups))
    np.testing.assert_array_equal(F.channel_shuffle(y, 12 // groups), x)


@pytest.mark.parametrize("name", ["pixel_shuffle", "pixel_unshuffle", "channel_shuffle"])
def test_shuffle_is_torch(name):
    torch = pytest.importorskip("torch")
    x, by = normal(2, 6, 9, 18).astype(np.float32), 3
    leaf = torch.tensor(np.moveaxis(x, -1, 1).copy()).requires_grad_()
    theirs = getattr(torch.nn.functional, name)(leaf, by)
    y, pull = jax.vjp(lambda x: getattr(F, name)(x, by), jnp.asarray(x))
    np.testing.assert_array_equal(y, np.moveaxis(theirs.detach().numpy(), 1, -1))
    g = normal(*y.shape, seed=3).astype(np.float32)
    theirs.backward(torch.tensor(np.moveaxis(g, -1, 1).copy()))
    np.testing.assert_array_equal(pull(jnp.asarray(g))[0], np.moveaxis(leaf.grad.numpy(), 1, -1))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("name", ["pixel_shuffle", "pixel_unshuffle", "channel_shuffle"])
def test_shuffle_keeps_the_dtype_under_jit_and_vmap(name, dtype):
    function = lambda x: getattr(F, name)(x, 2)
    x = jnp.asarray(integers(3, 2, 4, 6, 8), dtype)
    y = jax.jit(jax.vmap(function))(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, jnp.stack([function(one) for one in x]))


def test_empty_batch_is_shuffled():
    assert F.pixel_shuffle(jnp.zeros((0, 5, 3, 8)), 2).shape == (0, 10, 6, 2)
    assert F.pixel_unshuffle(jnp.zeros((0, 4, 6, 3)), 2).shape == (0, 2, 3, 12)
    assert F.channel_shuffle(jnp.zeros((0, 4, 6)), 2).shape == (0, 4, 6)


X = jnp.ones((2, 7, 5, 6))
ERRORS = [
    (F.pixel_shuffle, 2, ValueError, "factor=(2, 2) needs a multiple of 4 channels; x is float32[2,7,5,6]"),
    (F.pixel_shuffle, 0, ValueError, "factor=0 must be at least 1 on every axis"),
    (F.pixel_shuffle, 1.5, TypeError, "factor=1.5 must be an int or 2 ints"),
    (F.pixel_unshuffle, 2, ValueError, "factor=(2, 2) must divide the spatial axes (7, 5); x is float32[2,7,5,6]"),
    (F.pixel_unshuffle, (7,), ValueError, "factor=(7,) has 1 entries; give an int or one for each of 2 axes"),
    (F.channel_shuffle, 4, ValueError, "groups=4 must divide c=6 (x is float32[2,7,5,6])"),
    (F.channel_shuffle, 0, ValueError, "groups=0 must be at least 1"),
    (F.channel_shuffle, "2", TypeError, "groups='2' must be an int"),
]


@pytest.mark.parametrize(("function", "by", "error", "text"), ERRORS)
def test_shuffle_refuses_in_one_line(function, by, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'{function.__name__}: {text}')}$"):
        function(X, by)
    message = f"{function.__name__}: x is a list; it must be an array, jnp.asarray makes one"
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        function([[1.0]], by)
