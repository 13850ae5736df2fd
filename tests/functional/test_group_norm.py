"""`layer_norm`, `group_norm`, `instance_norm`, `local_response_norm`: float64 oracle, PyTorch, 16-bit floats, bad input."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference import norm
from tests.reference.arrays import normal

X = jnp.ones((2, 7, 5, 6))
RESPONSE = {"alpha": 0.7, "beta": 0.6, "k": 1.5}
# operation, its oracle of the same x, what it takes, the axes that share a mean
CASES = {
    "layer": (F.layer_norm, lambda x: norm.standard(x, (-1,), 1e-5), (2, 7, 5, 6)),
    "layer of images": (lambda x: F.layer_norm(x, axes=3), lambda x: norm.standard(x, (1, 2, 3), 1e-5), (2, 7, 5, 6)),
    "layer of a vector": (F.layer_norm, lambda x: norm.standard(x, (0,), 1e-5), (11,)),
    "group": (lambda x: F.group_norm(x, 3), lambda x: norm.group(x, 3, 1e-5), (2, 7, 5, 6)),
    "group of a line": (lambda x: F.group_norm(x, 2), lambda x: norm.group(x, 2, 1e-5), (2, 11, 6)),
    "group without space": (lambda x: F.group_norm(x, 2), lambda x: norm.group(x, 2, 1e-5), (3, 10)),
    "instance": (F.instance_norm, lambda x: norm.standard(x, (1, 2), 1e-5), (2, 7, 5, 3)),
    "instance of a cube": (F.instance_norm, lambda x: norm.standard(x, (1, 2, 3), 1e-5), (2, 3, 5, 2, 3)),
    "response": (
        lambda x: F.local_response_norm(x, 5, **RESPONSE),
        lambda x: norm.local_response(x, 5, **RESPONSE),
        (2, 7, 5, 11),
    ),
}


@pytest.mark.parametrize(("function", "oracle", "shape"), CASES.values(), ids=CASES)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_norm_is_its_formula(function, oracle, shape, dtype):
    x = jnp.asarray(2 * normal(*shape) + 3, dtype)
    y = function(x)
    assert y.dtype == x.dtype
    bound = float(jnp.finfo(dtype).eps) + 2e-6  # one rounding of the output, values to 3; float32 sums of up to 210
    np.testing.assert_allclose(np.asarray(y, np.float64), oracle(np.asarray(x, np.float64)), rtol=bound, atol=bound)


@pytest.mark.parametrize("name", [name for name in CASES if name != "response"])
def test_norm_does_not_cancel_at_a_large_mean(name):
    function, oracle, shape = CASES[name]
    x = np.asarray(1e4 + normal(*shape), np.float32)
    np.testing.assert_allclose(function(jnp.asarray(x)), oracle(x), atol=2e-5)


@pytest.mark.parametrize(("function", "oracle", "shape"), CASES.values(), ids=CASES)
def test_norm_of_no_images_is_empty(function, oracle, shape):
    batch = shape if len(shape) == 1 else (0, *shape[1:])
    assert function(jnp.ones(batch)).shape == batch


def test_norm_of_equal_values_is_zero():
    for y in (F.layer_norm(7 * X), F.group_norm(7 * X, 2), F.instance_norm(7 * X), F.instance_norm(X[:, :1, :1])):
        np.testing.assert_array_equal(y, 0)


@given(c=st.integers(1, 9), size=st.integers(1, 23))
def test_local_response_norm_of_any_size(c, size):
    x = normal(3, c).astype(np.float32)
    y = F.local_response_norm(jnp.asarray(x), size, **RESPONSE)
    np.testing.assert_allclose(y, norm.local_response(x, size, **RESPONSE), rtol=1e-5, atol=1e-6)


TORCH = {
    "layer": (F.layer_norm, lambda T, x, s, b: T.layer_norm(x.movedim(1, -1), (6,), s, b).movedim(-1, 1)),
    "root mean square": (
        lambda x, s, b: F.rms_norm(x, s) + b[None, None, None],
        lambda T, x, s, b: (T.rms_norm(x.movedim(1, -1), (6,), s, 1e-5) + b).movedim(-1, 1),
    ),
    "group": (lambda x, s, b: F.group_norm(x, 3, s, b), lambda T, x, s, b: T.group_norm(x, 3, s, b)),
    "instance": (F.instance_norm, lambda T, x, s, b: T.instance_norm(x, weight=s, bias=b)),
    "response": (
        lambda x, s, b: F.local_response_norm(x, 4, **RESPONSE) * s[None, None, None] + b[None, None, None],
        lambda T, x, s, b: T.local_response_norm(x, 4, **RESPONSE) * s[:, None, None] + b[:, None, None],
    ),
}


@pytest.mark.parametrize(("function", "theirs"), TORCH.values(), ids=TORCH)
def test_norm_agrees_with_torch(function, theirs):
    torch = pytest.importorskip("torch", reason="PyTorch is an optional oracle")
    arrays = normal(2, 7, 5, 6), normal(6), normal(6, seed=1)
    cotangent = normal(2, 7, 5, 6, seed=2)
    with jax.enable_x64(True):
        y, pull = jax.vjp(function, *map(jnp.asarray, arrays))
        gradients = pull(jnp.asarray(cotangent))
    x, scale, bias = (torch.tensor(v, requires_grad=True) for v in arrays)
    expected = theirs(torch.nn.functional, x.movedim(-1, 1), scale, bias).movedim(1, -1)
    expected.backward(torch.tensor(cotangent))
    for ours, other in zip((y, *gradients), (expected.detach(), x.grad, scale.grad, bias.grad)):
        np.testing.assert_allclose(ours, other.numpy(), rtol=0, atol=1e-10)


ERRORS = {
    "layer integers": (TypeError, lambda: F.layer_norm(jnp.ones((2, 3), int)), "layer_norm: x is int32[2,3]; it must"),
    "layer axes": (ValueError, lambda: F.layer_norm(X, axes=5), "layer_norm: axes=5 but x is float32[2,7,5,6]; use 1"),
    "rms axes": (ValueError, lambda: F.rms_norm(X, axes=5), "rms_norm: axes=5 but x is float32[2,7,5,6]; use 1 to 4"),
    "layer none": (ValueError, lambda: F.layer_norm(X, axes=0), "layer_norm: axes=0 must be at least 1"),
    "layer scale": (
        ValueError,
        lambda: F.layer_norm(X, jnp.ones(6), axes=3),
        "layer_norm: scale is float32[6]; it must have the shape (7, 5, 6)",
    ),
    "group": (ValueError, lambda: F.group_norm(X, 4), "group_norm: groups=4 must divide c=6 (x is float32[2,7,5,6])"),
    "group word": (TypeError, lambda: F.group_norm(X, "3"), "group_norm: groups='3' must be an int"),  # type: ignore
    "group axes": (ValueError, lambda: F.group_norm(jnp.ones(6), 3), "group_norm: x is float32[6]; it must have at"),
    "group bias": (
        ValueError,
        lambda: F.group_norm(X, 3, bias=jnp.ones(3)),
        "group_norm: bias is float32[3]; it must have the shape (6,)",
    ),
    "instance": (ValueError, lambda: F.instance_norm(X[0, 0]), "instance_norm: x is float32[5,6]; it must have the axes"),
    "instance bias": (
        TypeError,
        lambda: F.instance_norm(X, bias=jnp.ones(6, int)),
        "instance_norm: bias is int32[6]; it must be floating point, bias.astype(jnp.float32)",
    ),
    "response": (ValueError, lambda: F.local_response_norm(X, 0), "local_response_norm: size=0 must be at least 1"),
    "response list": (TypeError, lambda: F.local_response_norm([1.0], 1), "local_response_norm: x is a list; it must"),  # type: ignore
}  # fmt: skip


@pytest.mark.parametrize(("error", "call", "message"), ERRORS.values(), ids=ERRORS)
def test_norm_refuses(error, call, message):
    with pytest.raises(error, match=f"^{re.escape(message)}.*$"):
        call()
