"""The contract: operation × transformation × dtype, against the same transformation of plain lax in the same dtype."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental.jet import jet

from jaxcnn.functional import engine
from jaxcnn.functional.lowering.direct import SPECS

from .cases import CASES

NAMES = ["dense", "strided", "depthwise-strided", "grouped", "point-strided", "patchify", "line"]
UNIT = {"float64": 2.0**-53, "float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}
ROUNDINGS = (
    16  # to the dtype one after the other on the way to a result, at most: products are added in float32 or above
)
SUMMED = 320  # products and the sums of losses, in float32 or float64


def wide(dtype):
    """What sums are taken in."""
    return jnp.float64 if dtype == "float64" else jnp.float32


def operations(name, dtype):
    """`(x, kernel, ours, lax's)` of a case: scalar functions of both arguments that are not linear."""
    case = CASES[name]
    random = np.random.default_rng(3)
    x, kernel = (jnp.asarray(random.standard_normal(s) * 0.3, dtype) for s in (case.x_shape, case.kernel_shape))
    ours = lambda x, k: engine.conv(x, k, case.window, groups=case.groups)
    theirs = lambda x, k: lax.conv_general_dilated(
        x.astype(wide(dtype)),
        k.astype(wide(dtype)),
        case.window.stride,
        case.window.padding,
        rhs_dilation=case.window.dilation,
        dimension_numbers=SPECS[case.rank],
        feature_group_count=case.groups,
    ).astype(dtype)
    return x, kernel, ours, theirs


def scalar(f):
    return lambda x, k: jnp.sum(jnp.sin(f(x, k).astype(wide(x.dtype))))


def grads(f):
    return jax.grad(scalar(f), (0, 1))


def stack(v):
    return jnp.stack([v, 1 - v, v * v])


TRANSFORMATIONS = {
    "jit": lambda f, x, k: f(x, k),
    "grad": lambda f, x, k: grads(f)(x, k),
    "jvp": lambda f, x, k: jax.jvp(f, (x, k), (x * x, 1 - k)),
    "jvp of x alone": lambda f, x, k: jax.jvp(lambda x: f(x, k), (x,), (x * x,)),
    "linearize": lambda f, x, k: jax.linearize(f, x, k)[1](x * x, 1 - k),
    "hessian-vector product": lambda f, x, k: jax.jvp(grads(f), (x, k), (x * x, 1 - k))[1],
    "grad of grad": lambda f, x, k: jax.grad(lambda *a: sum(jnp.sum(v * v) for v in grads(f)(*a)), (0, 1))(x, k),
    "vmap of x": lambda f, x, k: jax.vmap(f, (0, None))(stack(x), k),
    "vmap of kernel": lambda f, x, k: jax.vmap(f, (None, 0))(x, stack(k)),
    "vmap of both": lambda f, x, k: jax.vmap(f)(stack(x), stack(k)),
    "vmap of inner axes": lambda f, x, k: jax.vmap(f, (1, -1), -1)(jnp.stack([x, -x], 1), jnp.stack([k, 2 * k], -1)),
    "vmap of grad, x": lambda f, x, k: jax.vmap(grads(f), (0, None))(stack(x), k),
    "vmap of grad, kernel": lambda f, x, k: jax.vmap(grads(f), (None, 0))(x, stack(k)),
    "vmap of grad, both": lambda f, x, k: jax.vmap(grads(f))(stack(x), stack(k)),
    "vmap of vmap of grad": lambda f, x, k: jax.vmap(jax.vmap(grads(f), (None, 0)), (0, None))(stack(x), stack(k)),
    "jacobian": lambda f, x, k: jax.vmap(lambda v: jax.jvp(grads(f), (x, k), (x, v))[1])(stack(k)),
    "per-example grad": lambda f, x, k: jax.vmap(lambda i: jax.grad(lambda k: scalar(f)(i[None], k))(k))(x),
    "scan": lambda f, x, k: lax.scan(lambda c, s: (c - s * grads(f)(x, c)[1], None), k, jnp.ones(3, k.dtype) / 8)[0],
    "fori_loop": lambda f, x, k: lax.fori_loop(0, 2, lambda i, c: c - grads(f)(c, k)[0] / 8, x),
    "checkpoint": lambda f, x, k: grads(jax.checkpoint(f))(x, k),
    "jet": lambda f, x, k: jet(f, (x, k), ((x * x, 1 - x), (1 - k, k * k))),
}


RUNS = [(name, "float32") for name in NAMES] + [
    ("dense", "float64"),
    ("dense", "bfloat16"),
    ("depthwise-strided", "float16"),
]
# they go through rules that do not see which convolution it is: three cases of the seven
BLIND = ("jvp of x alone", "linearize", "jacobian", "scan", "fori_loop", "checkpoint", "jet", "vmap of vmap of grad")
PAIRS = [(t, *run) for t in TRANSFORMATIONS for run in RUNS if t not in BLIND or run in RUNS[:1] + RUNS[-4:]]


@pytest.mark.parametrize(("transformation", "name", "dtype"), PAIRS)
def test_engine_transforms_as_lax(transformation, name, dtype):
    with jax.enable_x64(dtype == "float64"):
        x, kernel, ours, theirs = operations(name, dtype)
        transform = TRANSFORMATIONS[transformation]
        got, want = (jax.jit(lambda x, k, f=f: transform(f, x, k))(x, kernel) for f in (ours, theirs))
    tolerance = ROUNDINGS * UNIT[dtype] + SUMMED * min(UNIT[dtype], UNIT["float32"])
    assert jax.tree.structure(got) == jax.tree.structure(want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want)):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        a, b = (np.asarray(v, np.float64) for v in (a, b))
        assert np.abs(a - b).max() <= tolerance * max(np.abs(b).max(), 1)


@pytest.mark.parametrize("name", NAMES)
def test_second_call_does_not_retrace(name):
    x, kernel, ours, _ = operations(name, "float32")
    traced = []
    step = jax.jit(lambda x, k: (traced.append(1), grads(ours)(x, k))[1])
    step(x, kernel)
    step(x + 1, kernel)
    assert len(traced) == 1


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize("name", NAMES)
def test_exported_program_lowers(name, platform):
    x, kernel, ours, _ = operations(name, "float32")
    program = jax.export.export(jax.jit(grads(ours)), platforms=[platform])(x, kernel)
    assert program.platforms == (platform,)


def test_exported_program_runs():
    x, kernel, ours, _ = operations("dense", "float32")
    data = jax.export.export(jax.jit(grads(ours)), platforms=["cpu", "cuda"])(x, kernel).serialize()
    for a, b in zip(jax.export.deserialize(data).call(x, kernel), grads(ours)(x, kernel)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_float64_stays_float64(name):
    with jax.enable_x64(True):
        x, kernel, ours, _ = operations(name, "float64")
        y = ours(x, kernel)
        assert y.dtype == jnp.float64
        direction = x * x - 0.5
        step = ours(x + direction, kernel) - ours(x, kernel)  # linear in x: a finite difference of step 1 is exact
        np.testing.assert_allclose(jax.jvp(lambda x: ours(x, kernel), (x,), (direction,))[1], step, atol=1e-12)
