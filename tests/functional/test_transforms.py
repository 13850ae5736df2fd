"""Every operation crossed with every transformation: jit, vmap, gradient, second call."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference.arrays import distinct, normal

PLANE, KERNEL = (1, 4, 3, 2), (2, 3, 2, 3)
STEPS = {"stride": 2, "padding": ((1, 0), (0, 2))}
HALF = (
    2.0**-16
)  # half a difference: truncated by HALF² / 6 ≈ 4e-11, rounded by 2^-53 / HALF ≈ 7e-12, times values up to 100


def bind(function, *args, **options):
    return functools.partial(function, *args, **options)


# operation: function of arrays, their shapes; at most 64 elements each, so that no error hides in a norm
OPERATIONS = {
    "conv": (bind(F.conv, **STEPS), PLANE, KERNEL, (3,)),
    "conv1d": (bind(F.conv1d, padding="causal", dilation=2), (2, 7, 3), (3, 3, 2)),
    "conv3d": (bind(F.conv3d, padding="valid"), (1, 3, 4, 2, 2), (2, 3, 1, 2, 2)),
    "conv grouped": (bind(F.conv, groups=2, dilation=(1, 2)), (1, 4, 3, 4), (2, 2, 2, 6)),
    "conv reflect": (bind(F.conv, padding_mode="reflect"), PLANE, KERNEL),
    "convolve": (bind(F.convolve), PLANE, KERNEL),
    "depthwise_conv": (bind(F.depthwise_conv, **STEPS), PLANE, (3, 2, 2, 2)),
    "separable_conv": (bind(F.separable_conv, **STEPS), PLANE, (3, 2, 2, 2), (4, 3), (3,)),
    "spatially_separable_conv": (bind(F.spatially_separable_conv, **STEPS), PLANE, (3, 2, 3), (2, 3, 4)),
    "separate": (F.separate, (4, 3)),
    "pad": (bind(F.pad, padding=2, mode="symmetric"), PLANE),
    "max_pool": (lambda x: F.max_pool(x, 2, stride=1, padding=1), PLANE),
    "max_pool ragged": (lambda x: F.max_pool(x, (3, 2), stride=2, ceil_mode=True), PLANE),
    "max_pool dilated": (lambda x: F.max_pool(x, 2, stride=1, padding=1, dilation=2), PLANE),
    "min_pool": (lambda x: F.min_pool(x, 2, padding=1, padding_mode="circular"), PLANE),
    "sum_pool": (lambda x: F.sum_pool(x, 2, stride=1, dilation=(2, 1)), PLANE),
    "avg_pool": (lambda x: F.avg_pool(x, 3, stride=2, padding=1, count_include_pad=False), PLANE),
    "lp_pool": (lambda x: F.lp_pool(x, 3, 2, stride=1, padding=1), PLANE),
    "lp_pool of 1.5": (lambda x: F.lp_pool(x, 1.5, 2, stride=1), PLANE),
    "lp_pool of inf": (lambda x: F.lp_pool(x, np.inf, 2), PLANE),
    "adaptive_avg_pool": (lambda x: F.adaptive_avg_pool(x, (3, 2)), PLANE),
    "adaptive_max_pool": (lambda x: F.adaptive_max_pool(x, (3, 2)), PLANE),
    "global_avg_pool": (F.global_avg_pool, PLANE),
    "global_max_pool": (F.global_max_pool, PLANE),
    "moments": (F.moments, PLANE),
    "batch_norm": (lambda x, m, v, s, b: F.batch_norm(x, m, v * v, s, b), PLANE, (2,), (2,), (2,), (2,)),
    "layer_norm": (F.layer_norm, PLANE, (2,), (2,)),
    "group_norm": (lambda x, s, b: F.group_norm(x, 2, s, b), (2, 3, 2, 4), (4,), (4,)),
    "instance_norm": (F.instance_norm, PLANE, (2,), (2,)),
    "local_response_norm": (bind(F.local_response_norm, size=3, alpha=2.0), (2, 3, 5)),
    "resize linear": (bind(F.resize, output_size=(3, 5)), PLANE),
    "resize cubic smooth": (bind(F.resize, output_size=3, method="cubic", antialias=True), (2, 7, 2)),
    "resize nearest": (bind(F.resize, output_size=3, method="nearest"), PLANE),
    "affine_grid": (bind(F.affine_grid, size=(2, 3)), (2, 2, 3)),
    "grid_sample": (F.grid_sample, PLANE, (1, 3, 2, 2)),
    "grid_sample cubic": (bind(F.grid_sample, method="cubic", padding_mode="reflection"), PLANE, (1, 3, 2, 2)),
    "rotate": (lambda x, degrees: F.rotate(x, 30 * degrees), PLANE, (1,)),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, (2, 1)), PLANE),
    "pixel_unshuffle": (lambda x: F.pixel_unshuffle(x, (2, 3)), PLANE),
    "channel_shuffle": (lambda x: F.channel_shuffle(x, 2), (1, 2, 3, 6)),
    "unfold": (lambda x: F.unfold(x, 2, stride=(2, 1), padding=1), PLANE),
    "fold": (lambda u: F.fold(u, (4, 3), (1, 2), stride=(2, 1), padding=(0, 1)), (1, 2, 4, 2, 2)),
    "sobel": (bind(F.filters.sobel, angle=30), PLANE),
    "gaussian": (bind(F.filters.gaussian, sigma=0.5), PLANE),
    "gradient_magnitude": (F.filters.gradient_magnitude, PLANE),
    "to_channels_last": (F.to_channels_last, PLANE),
    "to_channels_first": (F.to_channels_first, PLANE),
}


def mixes(count):
    """What to map over: every argument together, and each one alone."""
    alone = [tuple(0 if n == i else None for n in range(count)) for i in range(count)]
    return dict.fromkeys([(0,) * count, *alone])


CASES = [pytest.param(function, shapes, id=name) for name, (function, *shapes) in OPERATIONS.items()]
MIXES = [
    pytest.param(function, shapes, axes, id=f"{name}-{''.join('01'[a == 0] for a in axes)}")
    for name, (function, *shapes) in OPERATIONS.items()
    for axes in mixes(len(shapes))
]


@pytest.fixture(autouse=True)
def float64():
    """Everything here is double precision."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def compilations():
    """Grows by one with every function that jax traces, lowers or compiles."""
    events, active = [], [True]
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: events.append(name) if active else None)
    yield events
    active.clear()


def arrays(shapes, seed=0):
    """First a ladder without ties, for the pools; then normal values."""
    rest = [jnp.asarray(normal(*shape, seed=seed + i)) for i, shape in enumerate(shapes[1:], start=1)]
    return [jnp.asarray(distinct(*shapes[0], seed=seed)), *rest]


def assert_same(actual, expected):
    """Equal structures, equal up to the rounding of a float64 sum."""
    actual, expected = jax.tree.leaves(actual), jax.tree.leaves(expected)
    assert [a.shape for a in actual] == [e.shape for e in expected]
    for a, e in zip(actual, expected):
        np.testing.assert_allclose(a, e, rtol=1e-12, atol=1e-12)


def weighted_sum(function, args):
    """A scalar function of the arguments that no symmetry of the result can fool."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(jax.eval_shape(function, *args))]
    weights = [normal(*shape, seed=9) for shape in shapes]
    return lambda *args: sum(jnp.vdot(w, leaf) for w, leaf in zip(weights, jax.tree.leaves(function(*args))))


def differences(function, args, number):
    """Central differences of `function` by every element of one argument."""
    move = jax.jit(lambda step: function(*args[:number], args[number] + step, *args[number + 1 :]))
    steps = np.eye(args[number].size).reshape(-1, *args[number].shape) * HALF
    return np.array([(move(s) - move(-s)) / (2 * HALF) for s in steps]).reshape(args[number].shape)


@pytest.mark.parametrize(("function", "shapes"), CASES)
def test_jit_is_eager(function, shapes):
    args = arrays(shapes)
    assert_same(jax.jit(function)(*args), function(*args))


@pytest.mark.parametrize(("function", "shapes", "axes"), MIXES)
def test_vmap_is_a_loop(function, shapes, axes):
    examples = [arrays(shapes, seed=seed) for seed in (1, 4, 7)]
    chosen = [[examples[i if axis == 0 else 0][n] for n, axis in enumerate(axes)] for i in range(3)]
    loop = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[function(*args) for args in chosen])
    stacked = [jnp.stack([e[n] for e in examples]) if axis == 0 else examples[0][n] for n, axis in enumerate(axes)]
    assert_same(jax.vmap(function, in_axes=axes)(*stacked), loop)


@pytest.mark.parametrize(("function", "shapes"), CASES)
def test_grad_is_the_finite_difference(function, shapes):
    args = arrays(shapes)
    assert max(a.size for a in args) <= 64
    scalar = weighted_sum(function, args)
    gradients = jax.grad(scalar, argnums=range(len(args)))(*args)
    for number, gradient in enumerate(gradients):
        np.testing.assert_allclose(gradient, differences(scalar, args, number), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize(("function", "shapes"), CASES)
def test_jvp_is_the_transpose_of_grad(function, shapes):
    args, tangents = arrays(shapes), arrays(shapes, seed=5)
    scalar = weighted_sum(function, args)
    forward = jax.jvp(scalar, args, tangents)[1]
    gradients = jax.grad(scalar, argnums=range(len(args)))(*args)
    np.testing.assert_allclose(forward, sum(map(jnp.vdot, gradients, tangents)), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("function", "shapes"), CASES)
def test_second_call_traces_nothing(function, shapes, compilations):
    first, second = arrays(shapes), arrays(shapes, seed=5)
    jitted = jax.jit(lambda *args: function(*args))  # a new function: jax remembers what it compiled before
    jax.block_until_ready([jitted(*first), function(*first)])
    assert compilations
    compilations.clear()
    jax.block_until_ready([jitted(*second), function(*second)])
    assert compilations == []
