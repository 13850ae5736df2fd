"""Any window on any image, even and ragged, larger than it and of one pixel: every window operation and its oracle.

Soft and adaptive pooling, resizing and the others that have such a test beside their own rules are not repeated here.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference import conv, lp_pool, pool, stochastic_pool
from tests.reference.arrays import integers, normal
from tests.reference.avg_unpool import avg_unpool
from tests.reference.deform_conv import deform_conv2d
from tests.reference.padding import pad, resolve
from tests.reference.weighted_pool import weighted_pool

from .geometries import geometries, wide_windows

MODES = ("zeros", "reflect", "replicate", "circular", "symmetric")
BOUND = 1e-12  # float64 sums of at most 729 products of order 1
# an operation of x and its oracle; `size`, the words of a call and the resolved ones
POOLS = {
    "min": (F.min_pool, pool.min_pool),
    "sum": (F.sum_pool, pool.sum_pool),
    "avg": (F.avg_pool, pool.avg_pool),
    "avg of divisor": (
        lambda x, size, **words: F.avg_pool(x, size, divisor=3, **words),
        lambda x, size, **words: pool.avg_pool(x, size, divisor=3, **words),
    ),
    "lp": (
        lambda x, size, **words: F.lp_pool(x, 3, size, **words),
        lambda x, size, **w: lp_pool.lp_pool(x, 3, size, **w),
    ),
    "stochastic mean": (
        lambda x, size, **words: F.stochastic_pool(None, x, size, train=False, **words),
        stochastic_pool.expected,
    ),
    "weighted": (
        lambda x, size, **words: F.weighted_pool(x, jnp.asarray(normal(*size, 2)), **words),
        lambda x, size, **words: weighted_pool(x, normal(*size, 2), **words),
    ),
}


@pytest.fixture(autouse=True, scope="module")
def float64():
    """Everything here is double precision."""
    with jax.enable_x64(True):
        yield


def assert_close(actual, expected):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=BOUND)


@pytest.mark.parametrize(("ours", "theirs"), POOLS.values(), ids=POOLS)
@settings(max_examples=8)  # every geometry compiles anew
@given(geometry=geometries() | wide_windows(), ceil=st.booleans())
def test_pool_of_any_geometry_is_the_oracle(ours, theirs, geometry, ceil):
    space, size, options = geometry
    x = normal(2, *space, 2)
    value = theirs(x, size, ceil=ceil, **resolve(space, size, **options))
    assume(np.isfinite(value).all())  # between dilated taps the whole image can lie, which has no smallest pixel
    assert_close(jax.jit(lambda x: ours(x, size, ceil_mode=ceil, **options))(x), value)


@pytest.mark.parametrize("windows", [geometries, wide_windows])
@settings(max_examples=15)
@given(data=st.data(), ceil=st.booleans())
def test_max_pool_of_any_geometry_is_the_oracle_and_counts_its_winners(windows, data, ceil):
    space, size, options = data.draw(windows())
    x = integers(2, *space, 2) % 3.0
    value = pool.max_pool(x, size, ceil=ceil, **resolve(space, size, **options))
    assume(np.isfinite(value).all())
    both, alone = (partial(f, window=size, ceil_mode=ceil, **options) for f in (F.max_pool_with_indices, F.max_pool))
    gradient = jax.grad(lambda x: both(x)[0].sum())
    y, indices, won, single = jax.jit(lambda x: (*both(x), gradient(x), alone(x)))(x)
    np.testing.assert_array_equal(y, value)
    np.testing.assert_array_equal(single, value)
    pixels, winners = x.reshape(2, -1, 2), np.asarray(indices).reshape(2, -1, 2)
    np.testing.assert_array_equal(np.take_along_axis(pixels, winners, 1), value.reshape(winners.shape))
    wins = np.zeros(pixels.shape)
    np.add.at(wins, (np.arange(2)[:, None, None], winners, np.arange(2)), 1)
    np.testing.assert_array_equal(won, wins.reshape(x.shape))


@settings(max_examples=6)
@given(geometry=geometries(), groups=st.sampled_from([1, 2, 4]))
def test_convolutions_of_any_geometry_are_the_oracle(geometry, groups):
    space, size, options = geometry
    x, kernel, words = normal(2, *space, 4), normal(*size, 4 // groups, 4), resolve(space, size, **options)
    y, pull = jax.vjp(lambda x: F.conv(x, jnp.asarray(kernel), groups=groups, **options), jnp.asarray(x))
    assert_close(y, conv.conv(x, kernel, groups=groups, **words))
    g = jnp.asarray(normal(*y.shape, seed=3))
    assert_close(F.conv_transpose(g, jnp.asarray(kernel), groups=groups, output_size=space, **options), pull(g)[0])
    offset = normal(2, *y.shape[1:-1], 2 * size[0] * size[1], seed=4)
    deformed = F.deform_conv2d(jnp.asarray(x), jnp.asarray(kernel), jnp.asarray(offset), groups=groups, **options)
    assert_close(deformed, deform_conv2d(x, kernel, offset, groups=groups, **words))


@settings(max_examples=6)
@given(geometry=geometries())
def test_avg_unpool_of_any_geometry_is_the_oracle(geometry):
    space, size, options = geometry
    words = resolve(space, size, **options)
    y = normal(*pool.sum_pool(np.ones((2, *space, 3)), size, **words).shape)
    unpool = jax.jit(lambda y: F.avg_unpool(y, size, output_size=space, **options))
    assert_close(unpool(y), avg_unpool(y, space, size, **words))


@st.composite
def borders(draw):
    """Pixels of a line, padding on both its sides as wide as a mode has pixels for, and the mode."""
    n, mode = draw(st.integers(1, 7)), draw(st.sampled_from(MODES))
    side = st.integers(0, {"reflect": n - 1, "circular": n, "symmetric": n}.get(mode, 9))
    return n, [(draw(side), draw(side))], mode


@settings(max_examples=12)
@given(borders())
def test_pad_of_any_width_is_the_oracle(border):
    n, pairs, mode = border
    x = normal(2, n, 3)
    np.testing.assert_array_equal(F.pad(jnp.asarray(x), pairs, mode=mode), pad(x, pairs, mode))
