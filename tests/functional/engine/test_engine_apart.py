"""On CPU the winner of narrow maps is a program of its own, so that no loop computes again what it reads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxcnn import functional as F
from tests.reference.arrays import normal

if jax.default_backend() != "cpu":
    pytest.skip("a rule of XLA:CPU", allow_module_level=True)


def loss(x, kernel):
    return jnp.sum(jnp.square(F.max_pool(jax.nn.relu(F.conv(x, kernel)), 2)))


def by_lax(x, kernel):
    y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    y = jax.lax.reduce_window(jax.nn.relu(y), -np.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
    return jnp.sum(jnp.square(y))


@pytest.mark.parametrize(("c_out", "apart"), [(6, True), (24, False)])
def test_stage_with_few_channels_computes_its_convolution_once(c_out, apart):
    x, kernel = (normal(*shape).astype(np.float32) for shape in ((2, 8, 8, 1), (3, 3, 1, c_out)))
    program = jax.jit(jax.grad(loss, 1)).lower(x, kernel).compile()
    assert ("conditional(" in program.as_text()) is apart
    np.testing.assert_allclose(program(x, kernel), jax.grad(by_lax, 1)(x, kernel), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("split", [True, False])
def test_no_branch_on_a_mesh(split):
    mesh = AbstractMesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    place = lambda *axes: NamedSharding(mesh, P(*axes)) if split else None
    x = jax.ShapeDtypeStruct((2, 8, 8, 1), jnp.float32, sharding=place("batch"))
    kernel = jax.ShapeDtypeStruct((3, 3, 1, 6), jnp.float32, sharding=place())
    program = jax.jit(jax.grad(loss, 1)).trace(x, kernel).lower(lowering_platforms=("cpu",)).as_text()
    assert ("stablehlo.case" in program) is not split
