"""Transposed convolution: the adjoint of conv, sizes, bad input; PyTorch's values and gradients are in `test_torch`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F

PADDINGS = ["same", "valid", "full", "causal", 1, [(0, 1), (2, 0)]]


def arrays(*shapes):
    random = np.random.default_rng(7)
    return [jnp.asarray(random.standard_normal(shape), jnp.float32) for shape in shapes]


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), ((3, 2), (1, 2)), (1, 2)])
@pytest.mark.parametrize("padding", PADDINGS, ids=str)
def test_conv_transpose_is_the_adjoint_of_conv(padding, stride, dilation, groups):
    x, kernel = arrays((2, 6, 5, 6), (3, 2, 9 // groups, 6))
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    y = jax.jit(lambda x, k: F.conv_transpose(x, k, **options))(x, kernel)
    (other,) = arrays(y.shape)
    forward = jax.jit(lambda x, k: F.conv(x, k, **options))(other, kernel)
    assert forward.shape == x.shape
    np.testing.assert_allclose(jnp.vdot(forward, x), jnp.vdot(other, y), rtol=1e-4, atol=1e-3)


def test_published_size():
    x, kernel = arrays((1, 4, 4, 3), (4, 4, 5, 3))
    assert F.conv_transpose(x, kernel, stride=2, padding=1).shape == (1, 8, 8, 5)


@pytest.mark.parametrize("wanted", [9, 10])
def test_output_size_is_any_that_conv_takes_back(wanted):
    x, kernel = arrays((2, 5, 3), (3, 4, 3))
    y = F.conv_transpose1d(x, kernel, stride=2, padding="same", output_size=wanted)
    assert y.shape == (2, wanted, 4)
    assert F.conv1d(y, kernel, stride=2, padding="same").shape == x.shape


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_conv_transpose_gradients_are_those_of_the_adjoint(rank):
    x, kernel = arrays((2, *(3, 4, 2)[:rank], 3), (*(3, 2, 2)[:rank], 5, 3))
    loss = lambda x, k: jnp.sum(jnp.sin(F.conv_transpose(x, k, stride=2)))
    direction = arrays(x.shape, kernel.shape)
    _, derivative = jax.jvp(loss, (x, kernel), tuple(direction))
    gradients = jax.grad(loss, (0, 1))(x, kernel)
    np.testing.assert_allclose(derivative, sum(jnp.vdot(a, b) for a, b in zip(gradients, direction)), rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_padding": 1}, '^conv_transpose: output_padding=1 has no meaning with padding "same"'),
        (
            {"output_padding": 2, "padding": 1},
            "^conv_transpose: output_padding=2 on spatial axis 0 must be below stride 2",
        ),
        (
            {"output_size": 11},
            "^conv_transpose: output_size=11 on spatial axis 0 does not come from 4 pixels at stride 2; use 7 to 8",
        ),
        ({"padding": 6}, r"^conv_transpose: the result would have \(-3, -3\) pixels"),
        ({"groups": 2}, "^conv_transpose: groups=2 must divide c_in=3"),
        (
            {"lowering": "tap_sum"},
            '^conv_transpose: lowering "tap_sum" cannot run this: its input gradient needs stride 1',
        ),
    ],
)
def test_conv_transpose_refuses(options, message):
    x, kernel = arrays((1, 4, 4, 3), (3, 3, 5, 3))
    with pytest.raises(ValueError, match=message):
        F.conv_transpose(x, kernel, **{"stride": 2, **options})


def test_conv_transpose_refuses_mixed_dtypes():
    x, kernel = arrays((1, 4, 4, 3), (3, 3, 5, 3))
    with pytest.raises(TypeError, match="^conv_transpose: x is float32.* but kernel is bfloat16"):
        F.conv_transpose(x, kernel.astype(jnp.bfloat16))
