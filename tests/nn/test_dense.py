"""Dense: the product over the last axis of any number of axes, with its gradients, and which way they take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import nn
from jaxcnn.functional.engine import convolutions

RNG = np.random.default_rng(4)
KERNEL, BIAS = RNG.normal(size=(4, 6)).astype(np.float32), RNG.normal(size=6).astype(np.float32)


def run(kernel, bias, x):
    """Dense with these parameters."""
    graphdef, parameters = nnx.split(nn.Dense(4, 6, rngs=nnx.Rngs(0)))
    nnx.replace_by_pure_dict(parameters, {"kernel": kernel, "bias": bias})
    return nnx.merge(graphdef, parameters)(x)


@pytest.mark.parametrize("space", [(), (2,), (2, 7), (2, 3, 5), (2, 3, 5, 2), (2, 3, 1, 2, 2)])
def test_dense_and_its_gradients_are_those_of_the_product(space):
    x, g = (RNG.normal(size=(*space, features)).astype(np.float32) for features in (4, 6))
    y, back = jax.vjp(run, KERNEL, BIAS, x)
    np.testing.assert_allclose(y, x.astype(np.float64) @ KERNEL + BIAS, rtol=1e-5, atol=1e-5)
    of_kernel, of_bias, of_x = back(jnp.asarray(g))
    rows, slopes = x.reshape(-1, 4).astype(np.float64), g.reshape(-1, 6).astype(np.float64)
    np.testing.assert_allclose(of_kernel, rows.T @ slopes, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(of_bias, slopes.sum(0), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(of_x, g @ KERNEL.T, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("space", [(2, 7), (2, 3, 5), (2, 3, 5, 2)])
def test_dense_of_maps_is_a_forced_product_in_every_direction(space):
    """The rule "auto" would leave the kernel gradient to a convolution, which takes twice as long on CPU."""
    loss = lambda *operands: run(*operands).sum()
    program = jax.make_jaxpr(jax.grad(loss, (0, 2)))(KERNEL, BIAS, jnp.ones((*space, 4)))
    found = {case.direction: names.of(case.direction) for case, names in convolutions(program.jaxpr)}
    assert found == dict.fromkeys(("conv", "input_grad", "kernel_grad"), "patches")


@pytest.mark.parametrize("shape", [(4,), (2, 4), (2, 3, 1, 2, 2, 4)])
def test_dense_of_other_arrays_is_no_convolution(shape):
    program = jax.make_jaxpr(run)(KERNEL, BIAS, jnp.ones(shape))
    assert list(convolutions(program.jaxpr)) == []
