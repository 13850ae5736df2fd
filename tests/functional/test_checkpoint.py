"""The policy of `jax.checkpoint` that knows our convolutions."""

import re
from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxcnn import functional as F
from tests.reference.arrays import normal

X, KERNEL, MATRIX = (normal(*shape).astype(np.float32) for shape in ((2, 7, 5, 3), (3, 2, 3, 3), (3, 4)))
LAYOUT = ("NHWC", "HWIO", "NHWC")


def net(kernel, matrix):
    """Every kind of product, and what is cheap between them."""
    x = jnp.tanh(F.conv(X, kernel, stride=2))
    x = jnp.tanh(F.conv_transpose(x, kernel, stride=2))
    x = jnp.tanh(jax.vmap(lambda x: F.conv(x[None], kernel)[0])(x))
    x = jnp.tanh(lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=LAYOUT))
    return jnp.sum(jnp.tanh(x @ matrix))


def counts(function):
    """How often each primitive stands in the program of a gradient."""
    text = str(jax.make_jaxpr(jax.grad(function, (0, 1)))(KERNEL, MATRIX))
    return Counter(re.findall(r" = ([a-z_]+)[ \[]", text))


def test_policy_keeps_products_and_computes_the_rest_again():
    ours = jax.checkpoint(net, policy=F.dots_and_convolutions_saveable)
    plain, forgetful, ours = counts(net), counts(jax.checkpoint(net)), counts(ours)
    forward = ["jaxcnn_conv", "jaxcnn_conv_input_grad", "conv_general_dilated", "dot_general"]
    assert [ours[name] for name in forward] == [plain[name] for name in forward]
    assert all(forgetful[name] > plain[name] for name in forward)
    assert ours["jaxcnn_conv_kernel_grad"] == plain["jaxcnn_conv_kernel_grad"] == 3
    assert ours["tanh"] > plain["tanh"] == 5


def test_policy_changes_no_gradient():
    ours = jax.checkpoint(net, policy=F.dots_and_convolutions_saveable)
    for a, b in zip(jax.jit(jax.grad(ours, (0, 1)))(KERNEL, MATRIX), jax.grad(net, (0, 1))(KERNEL, MATRIX)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
