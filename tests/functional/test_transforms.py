"""Every operation crossed with every transformation: jit, vmap, derivatives, loops, checkpoint, a second call."""

import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from jaxcnn import functional as F
from tests.reference.arrays import normal

from .operations import OPERATIONS, arrays, assert_close, compiled, differentiable, loss

CASES = [pytest.param(function, specs, id=name) for name, (function, *specs) in OPERATIONS.items()]
# half a difference: truncated by HALF² / 6 ≈ 4e-11, rounded by 2^-53 / HALF ≈ 7e-12, times values up to 100
HALF = 2.0**-16


@pytest.fixture(autouse=True)
def float64():
    """Everything here is double precision."""
    with jax.enable_x64(True):
        yield


def moved(args, numbers, steps):
    """The arguments with a step added to each of the differentiable ones."""
    steps = dict(zip(numbers, steps))
    return [a + steps[n] if n in steps else a for n, a in enumerate(args)]


def mixes(count):
    """What to map over: every argument together, and each one alone."""
    alone = [tuple(0 if n == i else None for n in range(count)) for i in range(count)]
    return list(dict.fromkeys([(0,) * count, *alone]))


def base(name):
    """An operation's name without its rank, where it has several."""
    bare = re.sub(r"[123]d(?=$|_with_indices$)", "", name)
    return bare if hasattr(F, bare) else name


def functions(room, home):
    """Names of the public functions of a module that were written in `home`."""
    found = {name for name, value in vars(room).items() if inspect.isfunction(value) and not name.startswith("_")}
    return {name for name in found if getattr(room, name).__module__.startswith(home)}


def test_every_operation_has_a_row():
    operations = {base(name) for name in functions(F, "jaxcnn.functional")} - {
        "explain",
        "dots_and_convolutions_saveable",
    }
    filters = {f"filters.{name}" for name in functions(F.filters, F.filters.__name__) if not name.endswith("_kernel")}
    assert {name.split()[0] for name in OPERATIONS} == operations | filters


@pytest.mark.parametrize(("function", "specs"), CASES)
def test_vmap_is_a_loop(function, specs):
    examples, one = [arrays(specs, seed=seed) for seed in (1, 4, 7)], jax.jit(function)
    stacked, every = [jnp.stack(leaves) for leaves in zip(*examples)], mixes(len(specs))
    some = lambda axes: [many if axis == 0 else many[0] for many, axis in zip(stacked, axes)]
    mapped = jax.jit(lambda mixed: [jax.vmap(function, in_axes=axes)(*args) for axes, args in zip(every, mixed)])
    for axes, found in zip(every, mapped([some(axes) for axes in every])):
        chosen = [[examples[i if axis == 0 else 0][n] for n, axis in enumerate(axes)] for i in range(3)]
        assert_close(found, jax.tree.map(lambda *leaves: jnp.stack(leaves), *[one(*args) for args in chosen]))


@pytest.mark.parametrize(("function", "specs"), CASES)
def test_jit_is_eager_and_a_second_call_traces_nothing(function, specs, compilations):
    first, second = arrays(specs), arrays(specs, seed=5)
    jitted = jax.jit(lambda *args: function(*args))  # a new function: jax remembers what it compiled before
    assert_close(jitted(*first), function(*first))
    assert compilations
    compilations.clear()
    again, eager = jax.block_until_ready((jitted(*second), function(*second)))
    assert compilations == []
    assert_close(again, eager)


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradient_is_the_finite_difference(name):
    specs = OPERATIONS[name][1:]
    args, run, numbers = arrays(specs), compiled(name), differentiable(specs)
    for number, gradient in zip(numbers, run(*args)[1], strict=True):
        assert gradient.size <= 64
        units = np.eye(gradient.size).reshape(-1, *gradient.shape) * HALF
        change = [run(*moved(args, [number], [u]))[0] - run(*moved(args, [number], [-u]))[0] for u in units]
        np.testing.assert_allclose(gradient, np.reshape(change, gradient.shape) / (2 * HALF), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("name", OPERATIONS)
def test_modes_of_differentiation_agree(name):
    function, *specs = OPERATIONS[name]
    args, numbers = arrays(specs), differentiable(specs)
    scalar, moving = loss(function, args, specs)
    tangents = tuple(jnp.asarray(normal(*a.shape, seed=20 + i)) for i, a in enumerate(moving))
    gradient = jax.grad(scalar, range(len(moving)))
    along = lambda *args: sum(map(jnp.vdot, gradient(*args), tangents))

    def modes(*args):
        forward, push = jax.jvp(scalar, args, tangents)[1], jax.linearize(scalar, *args)[1]
        checkpointed = jax.grad(jax.checkpoint(scalar), range(len(args)))
        back = checkpointed(*args), jax.linear_transpose(push, *args)(1.0)
        return (
            (forward, push(*tangents)),
            back,
            jax.jvp(gradient, args, tangents)[1],
            jax.grad(along, range(len(args)))(*args),
        )

    forward, back, product, twice = jax.jit(modes)(*moving)
    (_, expected, _), ahead, behind = (
        compiled(name)(*moved(args, numbers, [s * t for t in tangents])) for s in (0, HALF, -HALF)
    )
    assert_close(forward, [sum(map(jnp.vdot, expected, tangents))] * 2, 1e-11)
    assert_close(back, [expected] * 2, 1e-11)
    assert_close(product, twice, 1e-10)
    assert_close(product, [(a - b) / (2 * HALF) for a, b in zip(ahead[1], behind[1])], 1e-6)


@pytest.mark.parametrize("name", OPERATIONS)
def test_a_loop_is_a_python_loop(name):
    function, *specs = OPERATIONS[name]
    examples, one = [arrays(specs, seed=seed) for seed in (1, 4)], compiled(name)
    stacked = [jnp.stack(leaves) for leaves in zip(*examples)]

    def loop(*stacked):
        def step(total, args):
            result = one(*args)
            return jax.tree.map(jnp.add, total, result), result

        shapes = jax.eval_shape(one, *(v[0] for v in stacked))
        return lax.scan(step, jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), shapes), tuple(stacked))

    summed, scanned = jax.jit(loop)(*stacked)
    expected = [compiled(name)(*args) for args in examples]
    assert_close(scanned, jax.tree.map(lambda *leaves: jnp.stack(leaves), *expected), 1e-12)
    assert_close(summed, jax.tree.map(jnp.add, *expected), 1e-12)
