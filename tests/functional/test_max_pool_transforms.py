"""The derivative rules of max pooling under every transformation; all values are integers, so every sum is exact."""

import functools
import re

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxcnn import functional as F
from tests.reference.arrays import distinct, integers

OPTIONS = {
    "stride 2": {"window": 3, "stride": 2, "padding": 1},
    "overlapping": {"window": (3, 2), "stride": 1, "padding": 1},
    "dilated": {"window": 2, "stride": (1, 3), "dilation": 2, "padding": 2},
    "ragged": {"window": 2, "stride": 2, "ceil_mode": True},
    "padded by more than half": {"window": 3, "stride": 1, "padding": 2},
}
POOLS = {"max": F.max_pool, "min": F.min_pool, "values": lambda x, **o: F.max_pool_with_indices(x, **o)[0]}
CASES = [pytest.param(functools.partial(p, **o), id=f"{k} {n}") for k, p in POOLS.items() for n, o in OPTIONS.items()]
SHAPE = (2, 7, 5, 3)


def image(seed=0, shape=SHAPE):
    return jnp.asarray(distinct(*shape, seed=seed), jnp.float32)


def loss(pool, x):
    """Quadratic, so that its second derivative is the pool's own."""
    return (pool(x) ** 2).sum()


def assert_equal(actual, expected):
    np.testing.assert_array_equal(np.asarray(actual), np.asarray(expected))


@pytest.mark.parametrize("pool", CASES)
def test_jvp_is_the_transpose_of_the_gradient(pool):
    x, t = image(), jnp.asarray(integers(*SHAPE, seed=3), jnp.float32)
    y, push = jax.linearize(pool, x)
    g = jnp.asarray(integers(*y.shape, seed=4), jnp.float32)
    assert_equal(push(t), jax.jvp(pool, (x,), (t,))[1])
    assert float(jnp.vdot(push(t), g)) == float(jnp.vdot(t, jax.vjp(pool, x)[1](g)[0]))
    assert_equal(jax.linear_transpose(push, x)(g)[0], jax.vjp(pool, x)[1](g)[0])


@pytest.mark.parametrize("pool", CASES)
def test_second_derivatives_agree_in_every_mode(pool):
    x, t = image(), jnp.asarray(integers(*SHAPE, seed=3), jnp.float32)
    gradient = jax.grad(functools.partial(loss, pool))
    forward = jax.jvp(gradient, (x,), (t,))[1]
    backward = jax.grad(lambda x: jnp.vdot(gradient(x), t))(x)
    y, push = jax.linearize(pool, x)
    expected = jax.vjp(pool, x)[1](2 * push(t))[0]
    assert_equal(forward, expected)
    assert_equal(backward, expected)


@pytest.mark.parametrize("pool", CASES)
def test_vmap_jit_scan_and_checkpoint_are_a_loop(pool):
    images = jnp.stack([image(seed) for seed in (1, 4, 7)])
    gradient = jax.grad(functools.partial(loss, pool))
    expected = jnp.stack([gradient(x) for x in images])
    assert_equal(jax.vmap(gradient)(images), expected)
    assert_equal(jax.vmap(gradient, in_axes=3, out_axes=2)(jnp.moveaxis(images, 0, 3)), jnp.moveaxis(expected, 0, 2))
    assert_equal(jax.jit(jax.vmap(gradient))(images), expected)
    assert_equal(jax.lax.scan(lambda c, x: (c, gradient(x)), 0, images)[1], expected)
    assert_equal(jax.grad(lambda x: loss(jax.checkpoint(pool), x))(images[0]), expected[0])


def test_vmap_of_tangents_alone_is_the_jacobian():
    x = image(shape=(1, 3, 2, 2))
    pool = functools.partial(F.max_pool, window=2, stride=1, padding=1)
    assert_equal(jax.jacfwd(pool)(x), jax.jacrev(pool)(x))


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize("pool", CASES)
def test_exported_gradient_searches_no_window_again(pool, platform):
    program = jax.jit(jax.value_and_grad(functools.partial(loss, pool)))
    exported = jax.export.export(program, platforms=[platform])(jax.ShapeDtypeStruct(SHAPE, jnp.float32))
    assert not re.search(r"stablehlo\.(select_and_)?scatter", exported.mlir_module())


@pytest.mark.parametrize("pool", [F.max_pool, lambda x, window: F.adaptive_max_pool(x, 2)], ids=["window", "bins"])
def test_gradient_on_cpu_keeps_the_search_in_a_branch_of_its_own(pool):
    gradient = jax.jit(jax.grad(functools.partial(loss, functools.partial(pool, window=3))))
    program = gradient.lower(jax.ShapeDtypeStruct((2, 7, 5, 24), jnp.float32)).compile().as_text()
    assert " conditional(" in program


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_gradient_of_sharded_images(kind):
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(kind,))
    gradient = jax.grad(functools.partial(loss, functools.partial(F.max_pool, **OPTIONS["stride 2"])))
    with jax.set_mesh(mesh):
        x = jax.device_put(image(), NamedSharding(mesh, PartitionSpec("batch")))
        split = jax.jit(gradient)(x)
    assert_equal(split, gradient(image()))
    assert split.sharding.is_equivalent_to(NamedSharding(mesh, PartitionSpec("batch")), 4)


def test_gradient_inside_shard_map():
    mesh = jax.make_mesh((1,), ("batch",), axis_types=(AxisType.Auto,))
    gradient = jax.grad(functools.partial(loss, functools.partial(F.max_pool, **OPTIONS["stride 2"])))
    spec = PartitionSpec("batch")
    split = jax.jit(jax.shard_map(gradient, mesh=mesh, in_specs=spec, out_specs=spec))
    assert_equal(split(image()), gradient(image()))
    outside = jax.shard_map(lambda x: F.max_pool(x, **OPTIONS["stride 2"]), mesh=mesh, in_specs=spec, out_specs=spec)
    assert_equal(jax.grad(functools.partial(loss, outside))(image()), gradient(image()))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_gradient_of_short_floats_is_rounded_once(dtype):
    x, g = jnp.ones((1, 9, 1), dtype), jnp.full((1, 9, 1), 1 + 2.0**-7, dtype).at[0, 4, 0].set(4096)
    y, pull = jax.vjp(lambda x: F.max_pool(x.at[0, 4, 0].set(2), 9, stride=1, padding=4), x)
    wide, push = jax.vjp(lambda x: F.max_pool(x, 9, stride=1, padding=4), x.at[0, 4, 0].set(2))
    assert y.dtype == dtype
    assert_equal(push(g)[0][0, 4, 0], g.astype(jnp.float32).sum().astype(dtype))


@pytest.mark.parametrize("pool", CASES)
def test_empty_batch_has_an_empty_gradient(pool):
    assert jax.grad(functools.partial(loss, pool))(jnp.zeros((0, 7, 5, 3))).shape == (0, 7, 5, 3)
