"""`reduce_window` against the float64 oracle: every option, order kept, derivatives of any order, cost, bad input."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference.arrays import integers, normal
from tests.reference.padding import resolve
from tests.reference.reduce_window import reduce_window as oracle

PLANE = (2, 7, 5, 3)
CASES = {
    "default": (PLANE, 2, {}),
    "line": ((2, 11, 3), 7, {"stride": 1}),
    "cube": ((2, 7, 5, 3, 2), (3, 2, 1), {}),
    "uneven": (PLANE, (4, 3), {"stride": (2, 1)}),
    "pairs": (PLANE, 3, {"stride": 1, "padding": ((2, 0), (1, 2))}),
    "same": (PLANE, 3, {"stride": 2, "padding": "same"}),
    "dilation": (PLANE, 3, {"stride": 2, "dilation": 2, "padding": 2}),
    "ragged": (PLANE, (3, 2), {"stride": 3, "padding": ((1, 1), (0, 1)), "ceil_mode": True}),
    "reflect": (PLANE, 3, {"stride": 2, "padding": 2, "padding_mode": "reflect"}),
    "in the padding": ((2, 3, 3), 2, {"stride": 1, "padding": 3}),
    "1×1": (PLANE, 1, {"stride": 2}),
    "window is image": (PLANE, (7, 5), {}),
    "empty batch": ((0, 7, 5, 3), 2, {}),
}
REDUCERS = {"product": (1.0, jnp.multiply, np.multiply), "logaddexp": (-np.inf, jnp.logaddexp, np.logaddexp)}


def words(shape, size, options):
    """A user's words for the oracle."""
    size = (size,) * (len(shape) - 2) if isinstance(size, int) else size
    options = {"stride": size, "padding": "valid", **options}
    mode, ceil = options.pop("padding_mode", "zeros"), options.pop("ceil_mode", False)
    return {"size": size, "mode": mode, "ceil": ceil, **resolve(shape[1:-1], size, **options)}


def then(f, g):
    """The affine map f, then g, modulo 97: associative, exact, and not commutative."""
    return (f[0] * g[0]) % 97, (f[1] * g[0] + g[1]) % 97


def then_columns(f, g):
    """The same on arrays (n, 2)."""
    return np.stack(then(f.T, g.T), -1)


@pytest.mark.parametrize(("shape", "size", "options"), CASES.values(), ids=CASES)
@pytest.mark.parametrize(("identity", "ours", "theirs"), REDUCERS.values(), ids=REDUCERS)
def test_reduce_window_is_the_oracle(shape, size, options, identity, ours, theirs):
    x = normal(*shape)
    with jax.enable_x64(True):
        y = F.reduce_window(jnp.asarray(x), identity, ours, size, **options)
    expected = oracle(x, identity=identity, reducer=theirs, **words(shape, size, options))
    np.testing.assert_allclose(y, expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(("shape", "size", "options"), CASES.values(), ids=CASES)
def test_taps_keep_their_order(shape, size, options):
    maps = integers(*shape[:-1], 2)
    slopes, values = (jnp.asarray(maps[..., part : part + 1], jnp.int32) for part in (0, 1))
    y = F.reduce_window((slopes, values), (1, 0), then, size, **options)
    expected = oracle(maps, identity=[1, 0], reducer=then_columns, **words(shape, size, options))
    np.testing.assert_array_equal(np.concatenate(y, -1) % 97, expected % 97)


@settings(max_examples=12)  # every geometry compiles anew
@given(
    size=st.integers(1, 20),
    rest=st.integers(1, 20),
    options=st.fixed_dictionaries({"stride": st.integers(1, 9), "dilation": st.integers(1, 3)}),
)
def test_any_line_keeps_the_order(size, rest, options):
    maps = integers(1, (size - 1) * options["dilation"] + rest, 2)
    y = F.reduce_window(
        tuple(jnp.asarray(maps[..., i, None], jnp.int32) for i in (0, 1)), (1, 0), then, size, **options
    )
    expected = oracle(maps, identity=[1, 0], reducer=then_columns, **words(maps.shape, size, options))
    np.testing.assert_array_equal(np.concatenate(y, -1) % 97, expected % 97)


def test_derivatives_of_any_order():
    """The product of three pixels, differentiated by each of them: forward over reverse over reverse."""
    first = lambda x: F.reduce_window(x[None, :, None], 1.0, jnp.multiply, 3, stride=1)[0, 0, 0]
    third = jax.jacfwd(jax.jacrev(jax.jacrev(first)))(jnp.array([2.0, 3.0, 5.0, 7.0]))
    expected = np.zeros((4, 4, 4))
    for i, j, k in [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]:
        expected[i, j, k] = 1
    np.testing.assert_array_equal(third, expected)


def test_identity_is_traced_and_constant():
    padded = lambda one, x: F.reduce_window(x, one, jnp.multiply, 2, stride=1, padding=1).sum()
    value, slopes = jax.jit(jax.value_and_grad(padded, argnums=(0, 1)))(1.0, jnp.array([2.0, 3.0])[None, :, None])
    assert (value, slopes[0], slopes[1][0, :, 0].tolist()) == (2 + 6 + 3, 0, [4, 3])


@pytest.mark.parametrize(
    ("size", "stride", "most"), [(32, 1, 5), (31, 1, 8), (32, 32, 1), (7, 7, 1), (3, 3, 1), (9, 4, 2), (447, 2, 1)]
)
def test_combinations_a_pixel(size, stride, most):
    combined = []
    add = lambda a, b: combined.append(a.size) or a + b
    y = F.reduce_window(jnp.ones((1, 448, 1)), 0.0, add, size, stride=stride)
    assert np.all(y == size)
    assert sum(combined) <= most * 448


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_short_floats_are_combined_in_float32(dtype):
    x = jnp.asarray(normal(1, 300, 2) + 7, dtype)
    y = F.reduce_window(x, 0, jnp.add, 300)
    assert y.dtype == dtype
    total = np.asarray(x, np.float64).sum(1, keepdims=True)
    np.testing.assert_allclose(np.asarray(y, np.float64), total, rtol=float(jnp.finfo(dtype).eps))


def test_tree_of_bool_and_int():
    x = {"seen": jnp.array([True, False, False])[None, :, None], "at": jnp.arange(3)[None, :, None]}
    either = lambda a, b: {"seen": a["seen"] | b["seen"], "at": jnp.where(a["seen"], a["at"], b["at"])}
    y = F.reduce_window(x, {"seen": False, "at": -1}, either, 2, stride=1, padding=((0, 1),))
    assert y["seen"][0, :, 0].tolist() == [True, False, False]
    assert y["at"][0, :, 0].tolist() == [0, 2, -1]


X = jnp.ones(PLANE)
ERRORS = {
    "list": (([], 0, jnp.add), TypeError, "x=[] holds no array; give an array (n, *space, c) or a tree of them"),
    "number": ((1.0, 0, jnp.add), TypeError, "x is a float; it must be an array, jnp.asarray makes one"),
    "axes": ((X[0, 0], 0, jnp.add), ValueError,
             "x is float32[5,3]; it must have the axes (n, w, c), (n, h, w, c), (n, d, h, w, c), one image is x[None]"),
    "no pixel": ((X[:, :0], 0, jnp.add), ValueError,
                 "x is float32[2,0,5,3]: a spatial axis has no pixel; every one needs at least 1"),
    "shapes": (((X, X[:1]), (0, 0), jnp.add), ValueError,
               "x holds float32[2,7,5,3] and float32[1,7,5,3]; all its arrays need the same n and space"),
    "word": ((X, 0, "add"), TypeError, "reducer='add' must be a function of two values, such as jnp.maximum"),
    "tree": ((X, (0, 0), jnp.add), TypeError, "identity=(0, 0) must be one number for each array of x, as PyTreeDef(*)"),
    "array": ((X, np.ones(3), jnp.add), TypeError,
              "identity is float64[3]; it must be one number that x can hold (x is float32[2,7,5,3])"),
    "infinity": ((X.astype(int), -np.inf, jnp.maximum), TypeError,
                 "identity=-inf must be one number that x can hold (x is int32[2,7,5,3])"),
    "negative": ((X.astype("uint8"), -1, jnp.maximum), TypeError,
                 "identity=-1 must be one number that x can hold (x is uint8[2,7,5,3])"),
    "complex": ((X, 1j, jnp.add), TypeError, "identity=1j must be one number that x can hold (x is float32[2,7,5,3])"),
    "gives two": ((X, 0, lambda a, b: (a, b)), TypeError,
                  "reducer gives PyTreeDef((*, *)) of two PyTreeDef(*); it must give what it takes"),
    "gives bool": ((X, 0, jnp.less), TypeError,
                   "reducer gives bool[2,7,4,3] of two float32[2,7,4,3]; it must give what it takes"),
    "gives a number": ((X, 0, lambda a, b: 0.0), TypeError,
                       "reducer gives a float of two float32[2,7,4,3]; it must give what it takes"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_reduce_window_refuses_in_one_line(arguments, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'reduce_window: {text}')}$"):
        F.reduce_window(*arguments, 2, stride=1)
