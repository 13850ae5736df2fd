"""`unfold` and `fold` against the float64 oracle and PyTorch; all values are small integers, so every sum is exact."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference import fold as oracle
from tests.reference.arrays import integers
from tests.reference.padding import resolve

PLANE = (2, 7, 5, 3)
CASES = {
    "default": (PLANE, (2, 2), {}),
    "line": ((2, 11, 3), (3,), {"stride": 2, "padding": "causal"}),
    "cube": ((2, 5, 4, 3, 2), (3, 2, 1), {"stride": (1, 2, 1)}),
    "gaps": (PLANE, (2, 3), {"stride": (3, 4)}),
    "same": (PLANE, (3, 2), {"stride": 2, "padding": "same"}),
    "pairs": (PLANE, (3, 2), {"padding": ((2, 0), (1, 3))}),
    "dilation": (PLANE, (2, 3), {"dilation": (3, 2), "stride": 2, "padding": 1}),
    "full": (PLANE, (3, 2), {"padding": "full"}),
    "1×1": (PLANE, (1, 1), {"stride": 2}),
    "window is image": (PLANE, (7, 5), {}),
    "empty batch": ((0, 7, 5, 3), (2, 2), {}),
}


@pytest.mark.parametrize(("shape", "size", "options"), CASES.values(), ids=CASES)
def test_unfold_and_fold_are_the_oracle(shape, size, options):
    x, words = integers(*shape).astype(np.float32), resolve(shape[1:-1], size, **{"padding": "valid"} | options)
    u = oracle.unfold(x, size, **words)
    v = integers(*u.shape, seed=3).astype(np.float32)
    both = jax.jit(lambda x, v: (F.unfold(x, size, **options), F.fold(v, shape[1:-1], size, **options)))
    unfolded, folded = both(x, v)
    np.testing.assert_array_equal(unfolded, u)
    np.testing.assert_array_equal(folded, oracle.fold(v, shape[1:-1], size, **words))


@pytest.mark.parametrize(("shape", "size", "options"), CASES.values(), ids=CASES)
def test_each_is_the_gradient_of_the_other(shape, size, options):
    unfold = lambda x: F.unfold(x, size, **options)
    fold = lambda v: F.fold(v, shape[1:-1], size, **options)

    @jax.jit
    def each(x, v):
        (u, pull), (y, push) = jax.vjp(unfold, x), jax.vjp(fold, v)
        return (pull(v)[0], y), (push(x)[0], u)

    x = jnp.asarray(integers(*shape), jnp.float32)
    for gradient, other in each(x, integers(*jax.eval_shape(unfold, x).shape, seed=3).astype(np.float32)):
        np.testing.assert_array_equal(gradient, other)


@settings(max_examples=6)  # every geometry compiles anew
@given(st.data())
def test_any_geometry_is_the_oracle(data):
    number = lambda low, high: data.draw(st.integers(low, high))
    space, size = (number(1, 6), number(1, 6)), (number(1, 3), number(1, 3))
    dilation, stride = (number(1, 2), number(1, 2)), (number(1, 3), number(1, 3))
    least = [max((k - 1) * d + 1 - n, 0) for n, k, d in zip(space, size, dilation)]
    pairs = [(number(0, 2), number(0, 2) + short) for short in least]
    x, options = integers(2, *space, 2).astype(np.float32), {"stride": stride, "dilation": dilation}
    u = F.unfold(x, size, padding=pairs, **options)
    np.testing.assert_array_equal(u, oracle.unfold(x, size, pairs=pairs, **options))
    v = integers(*u.shape, seed=3).astype(np.float32)
    y = F.fold(v, space, size, padding=pairs, **options)
    np.testing.assert_array_equal(y, oracle.fold(v, space, size, pairs=pairs, **options))


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "padding": 2, "stride": 3}])
def test_fold_is_torch(options):
    torch = pytest.importorskip("torch")
    x = integers(2, 7, 5, 3).astype(np.float32)
    first = torch.tensor(np.moveaxis(x, -1, 1).copy())
    theirs = torch.nn.functional.unfold(first, (3, 2), **options)  # (n, c · taps, outputs)
    u = F.unfold(x, (3, 2), **options)
    ours = np.moveaxis(np.asarray(u).reshape(2, -1, 6, 3), (3, 2), (1, 2)).reshape(theirs.shape)
    np.testing.assert_array_equal(ours, theirs.numpy())
    back = torch.nn.functional.fold(theirs, (7, 5), (3, 2), **options)
    np.testing.assert_array_equal(F.fold(u, (7, 5), (3, 2), **options), np.moveaxis(back.numpy(), 1, -1))


@pytest.mark.parametrize(("dtype", "full"), [(jnp.bfloat16, 256), (jnp.float16, 2048)])
def test_fold_of_short_floats_is_rounded_once(dtype, full):
    many = jnp.ones((1, 31, 30, 1), dtype).at[:, :, np.array([0, 29])].set(full)  # full + 1 is full in these dtypes
    total = jax.jit(lambda u: F.fold(u, 60, 30))(many)[0, 30, 0]  # 30 patches meet there
    assert total.dtype == dtype
    assert float(total) == float(jnp.asarray(2 * full + 28, dtype))


@pytest.mark.parametrize("dtype", [jnp.int8, jnp.int32, jnp.bool_])
def test_unfold_takes_any_dtype(dtype):
    x = jnp.asarray(integers(2, 7, 5, 3), dtype)
    u = F.unfold(x, 2)
    assert u.dtype == dtype
    np.testing.assert_array_equal(u[:, :, :, 3], x[:, 1:, 1:])


PATCHES = jnp.ones((2, 6, 4, 4, 3))
ERRORS = {
    "unfold window": (lambda: F.unfold(jnp.ones(PLANE), 9), ValueError, "unfold: window (9, 9) (dilation (1, 1)) spans 9 pixels "
                      "on spatial axis 0, which has 7 and padding (0, 0); use a smaller window or more padding"),
    "unfold rank": (lambda: F.unfold(jnp.ones((5, 6)), 2), ValueError, "unfold: x is float32[5,6]; it must have the axes "
                    "(n, w, c), (n, h, w, c), (n, d, h, w, c), one image is x[None]"),
    "list": (lambda: F.fold([1.0], 4, 2), TypeError, "fold: patches is a list; it must be an array, jnp.asarray makes one"),
    "rank": (lambda: F.fold(PATCHES[0, 0, 0], 4, 2), ValueError, "fold: patches is float32[4,3]; it must have the axes "
             "(n, *outputs, taps, c) with 1 to 3 outputs"),
    "bool": (lambda: F.fold(PATCHES > 0, (7, 5), 2), TypeError, "fold: patches is bool[2,6,4,4,3]; cast it to a number, "
             "patches.astype(jnp.float32)"),
    "outputs": (lambda: F.fold(PATCHES, (7, 5), 2, stride=2), ValueError, "fold: patches is float32[2,6,4,4,3]; "
                "space=(7, 5) and window=(2, 2) need [2,3,2,4,3]"),
    "taps": (lambda: F.fold(PATCHES, (7, 5), (2, 1)), ValueError, "fold: patches is float32[2,6,4,4,3]; "
             "space=(7, 5) and window=(2, 1) need [2,6,5,2,3]"),
    "space": (lambda: F.fold(PATCHES, (7, 5, 1), 2), ValueError, "fold: space=(7, 5, 1) has 3 entries; give an int or one "
              "for each of 2 axes"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "message"), ERRORS.values(), ids=ERRORS)
def test_fold_refuses_in_one_line(call, error, message):
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        call()
