"""Average unpooling against its oracle, PyTorch's fold and the adjoint of average pooling."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference.arrays import normal
from tests.reference.avg_unpool import avg_unpool
from tests.reference.padding import resolve

CASES = {  # outputs, window, options, the size of the result
    "default": ((2, 3, 2, 3), (2, 3), {}, (6, 6)),
    "line": ((2, 4, 3), (3,), {"stride": 2}, (9,)),
    "cube": ((2, 2, 3, 1, 2), (3, 2, 1), {"stride": (2, 1, 2)}, (5, 4, 1)),
    "overlapping": ((2, 3, 2, 3), (3, 3), {"stride": 1}, (5, 4)),
    "gaps": ((2, 3, 2, 3), (2, 1), {"stride": (3, 2)}, (8, 3)),
    "padded": ((2, 4, 3, 3), (3, 3), {"stride": 2, "padding": 1}, (7, 5)),
    "same": ((2, 4, 3, 3), (3, 2), {"stride": 2, "padding": "same"}, (8, 6)),
    "dilated": ((2, 3, 2, 3), (2, 3), {"stride": 1, "dilation": (3, 1), "padding": ((1, 0), (0, 0))}, (5, 4)),
    "larger": ((2, 3, 2, 3), (2, 2), {"output_size": (7, 4)}, (7, 4)),
    "ragged": ((2, 4, 3, 3), (2, 2), {"output_size": (7, 5), "ceil_mode": True}, (7, 5)),
    "1×1": ((2, 3, 2, 3), (1, 1), {}, (3, 2)),
    "empty batch": ((0, 3, 2, 3), (2, 2), {}, (6, 4)),
}
UNIT = {jnp.bfloat16: 2.0**-8, jnp.float16: 2.0**-11}


@pytest.mark.parametrize(("shape", "size", "options", "space"), CASES.values(), ids=CASES)
def test_avg_unpool_is_the_oracle(shape, size, options, space):
    y = normal(*shape).astype(np.float32)
    x = getattr(F, f"avg_unpool{len(size)}d")(jnp.asarray(y), size, **options)
    words = {"stride": size, "padding": "valid"} | {
        k: v for k, v in options.items() if k in ("stride", "padding", "dilation")
    }
    value = avg_unpool(y, space, size, ceil=options.get("ceil_mode", False), **resolve(space, size, **words))
    assert x.dtype == jnp.float32
    assert x.shape == value.shape
    np.testing.assert_allclose(x, value, rtol=0, atol=4 * (np.prod(size) + 1) * 2.0**-24)


def test_avg_unpool_and_gradient_are_torch():
    torch = pytest.importorskip("torch")
    y, T = normal(2, 4, 3, 3), torch.nn.functional
    leaf = torch.tensor(np.moveaxis(y, -1, 1).copy()).requires_grad_()
    fold = lambda v: T.fold(v, (7, 5), 3, padding=1, stride=2)
    patches = leaf.reshape(2, 3, 1, 12).expand(2, 3, 9, 12).reshape(2, 27, 12)
    theirs = fold(patches) / fold(torch.ones_like(patches))
    with jax.enable_x64(True):
        x, pull = jax.vjp(lambda y: F.avg_unpool2d(y, 3, stride=2, padding=1), jnp.asarray(y))
        np.testing.assert_allclose(x, np.moveaxis(theirs.detach().numpy(), 1, -1), rtol=1e-13, atol=1e-14)
        g = normal(*x.shape, seed=3)
        theirs.backward(torch.tensor(np.moveaxis(g, -1, 1).copy()))
        np.testing.assert_allclose(
            pull(jnp.asarray(g))[0], np.moveaxis(leaf.grad.numpy(), 1, -1), rtol=1e-12, atol=1e-13
        )


@pytest.mark.parametrize("name", ["default", "gaps", "larger", "1×1"])
def test_avg_pool_gives_back_what_windows_apart_hold(name):
    shape, size, options, _ = CASES[name]
    y, stride = jnp.asarray(normal(*shape), jnp.float32), options.get("stride")
    x = F.avg_unpool(y, size, **options)
    pool = lambda x: F.avg_pool(x, size, stride=stride)
    np.testing.assert_allclose(pool(x), y, rtol=1e-6)
    adjoint = jax.linear_transpose(pool, x)(y)[0]
    np.testing.assert_allclose(x, adjoint * float(np.prod(size)), rtol=1e-6)


@pytest.mark.parametrize("name", ["overlapping", "padded", "same", "dilated", "ragged"])
def test_avg_unpool_of_a_constant_is_the_constant(name):
    shape, size, options, _ = CASES[name]
    x = np.asarray(F.avg_unpool(jnp.full(shape, 3.0), size, **options))
    assert set(np.unique(x)) <= {0.0, 3.0}
    assert (x == 3).mean() > 0.7


@pytest.mark.parametrize("dtype", UNIT, ids=lambda d: d.__name__)
def test_short_floats_are_rounded_once(dtype):
    y = jnp.asarray(np.abs(normal(1, 20, 20, 2)) + 1, dtype)
    x = F.avg_unpool(y, 15, stride=1)
    assert x.dtype == dtype
    words = resolve((34, 34), (15, 15), stride=1, padding=0)
    wide = avg_unpool(np.asarray(y, np.float64), (34, 34), (15, 15), **words)
    np.testing.assert_allclose(np.asarray(x, np.float64), wide, rtol=UNIT[dtype] * 1.01)


Y = jnp.ones((2, 3, 2, 3))
ERRORS = {
    "zero": (Y, 0, {}, ValueError, "window size=0 must be at least 1 on every axis"),
    "stride": (Y, 2, {"stride": 0}, ValueError, "stride=0 must be at least 1 on every axis"),
    "size": (Y, 2, {"output_size": 5}, ValueError,
             "output_size=(5, 5) pools to (2, 2) outputs, but y is float32[2,3,2,3]"),
    "small": (Y, 6, {"output_size": 5}, ValueError,
              "window (6, 6) (dilation (1, 1)) spans 6 pixels on spatial axis 0, which has 5 and padding (0, 0); "
              "use a smaller window or more padding"),
    "padding": (Y, 2, {"padding": 3}, ValueError,
                "the result would have (0, -2) pixels; use less padding or a larger window"),
    "word": (Y, 2, {"padding": "half"}, ValueError,
             'padding=\'half\' is unknown; use "same", "valid", "full", "causal", an int, or one int or (low, high) an axis'),
    "int": (Y.astype(int), 2, {}, TypeError, "y is int32[2,3,2,3]; it must be floating point, y.astype(jnp.float32)"),
    "list": ([1.0], 2, {}, TypeError, "y is a list; it must be an array, jnp.asarray makes one"),
    "batch": (Y[0, 0], 2, {}, ValueError, "y is float32[2,3]; it must have the axes (n, w, c), (n, h, w, c), (n, d, h, w, c), "
              "one image is y[None]"),
}  # fmt: skip


@pytest.mark.parametrize(("y", "window", "options", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_avg_unpool_refuses_in_one_line(y, window, options, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'avg_unpool: {text}')}$"):
        F.avg_unpool(y, window, **options)


@pytest.mark.parametrize("function", [F.avg_unpool1d, F.max_unpool1d])
def test_rank_is_exact(function):
    with pytest.raises(
        ValueError, match=rf"^{function.__name__}: y is float32\[2,3,2,3\]; it must have the axes \(n, w, c\), "
    ):
        function(Y, 2)
