"""Any window on any plane, even and ragged, larger than its image and of one pixel: every window operation and its oracle.

Maximum, soft and adaptive pooling, resizing and the others that have such a test beside their own rules are not repeated here.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference import conv, lp_pool, pool, stochastic_pool
from tests.reference.arrays import normal
from tests.reference.avg_unpool import avg_unpool
from tests.reference.deform_conv import deform_conv2d
from tests.reference.padding import pad, resolve
from tests.reference.weighted_pool import weighted_pool

from .geometries import geometries

MODES = ("zeros", "reflect", "replicate", "circular", "symmetric")
BOUND = 1e-12  # float64 sums of at most 16 products of order 10
WEIGHTS = normal(4, 4, 2)
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
        lambda x, size, **words: F.weighted_pool(x, jnp.asarray(WEIGHTS[: size[0], : size[1]]), **words),
        lambda x, size, **words: weighted_pool(x, WEIGHTS[: size[0], : size[1]], **words),
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
@settings(max_examples=6)  # every geometry compiles anew
@given(geometry=geometries(), ceil=st.booleans())
def test_pool_of_any_geometry_is_the_oracle(ours, theirs, geometry, ceil):
    space, size, options = geometry
    x = normal(2, *space, 2)
    value = theirs(x, size, ceil=ceil, **resolve(space, size, **options))
    assume(np.isfinite(value).all())  # between dilated taps the whole image can lie, which has no smallest pixel
    assert_close(ours(jnp.asarray(x), size, ceil_mode=ceil, **options), value)


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
    assert_close(F.avg_unpool(jnp.asarray(y), size, output_size=space, **options), avg_unpool(y, space, size, **words))


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
