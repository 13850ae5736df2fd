"""`stored` and `unmerged` are the identity under every transformation, and something else in programs for CPU alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxcnn import functional as F
from jaxcnn.functional.engine import stored, unmerged

X = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 3)))
PLAIN = lambda x: (x**3).sum()


@pytest.mark.parametrize("identity", [stored, lambda x: unmerged(x, 3)], ids=["stored", "unmerged"])
@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize(
    "transform",
    [
        lambda f: f,
        jax.grad,
        lambda f: jax.vmap(jax.grad(f)),
        lambda f: lambda x: jax.jvp(f, (x,), (2 * x,)),
        lambda f: lambda x: jax.jvp(jax.grad(f), (x,), (2 * x,)),
        lambda f: jax.grad(jax.checkpoint(f)),
        lambda f: lambda x: jax.lax.scan(lambda c, v: (c, jax.grad(f)(v)), 0, x)[1],
    ],
    ids=["value", "grad", "vmap of grad", "jvp", "hessian product", "checkpoint", "scan"],
)
def test_identity_under_transformations(transform, jit, identity):
    ours, plain = transform(lambda x: (identity(x) ** 3).sum()), transform(PLAIN)
    jax.tree.map(
        np.testing.assert_array_equal, (jax.jit(ours) if jit else ours)(X), (jax.jit(plain) if jit else plain)(X)
    )


@pytest.mark.parametrize(
    ("identity", "word"), [(stored, "stablehlo.case"), (unmerged, "stablehlo.optimization_barrier")]
)
def test_on_cpu_alone(identity, word):
    program = lambda platform: jax.export.export(jax.jit(identity), platforms=[platform])(X).mlir_module()
    assert word in program("cpu")
    assert word not in program("cuda")


@pytest.mark.parametrize("split", [True, False])
def test_no_copy_on_a_mesh(split):
    mesh = AbstractMesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    x = jax.ShapeDtypeStruct(X.shape, X.dtype, sharding=NamedSharding(mesh, P("batch")) if split else None)
    program = jax.jit(F.layer_norm).trace(x).lower(lowering_platforms=("cpu",)).as_text()
    assert ("stablehlo.case" in program) is not split


def test_layer_norm_of_maps_stores_its_input():
    text = lambda x: jax.jit(F.layer_norm).lower(x).compile().as_text() or ""
    assert "conditional(" in text(X)
    assert "conditional(" not in text(X[0, 0])
