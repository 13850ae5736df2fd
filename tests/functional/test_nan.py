"""NaN in larger arrays, where XLA:CPU's own maxima and window reductions lose it (jax 0.10.2 and 0.12): from 4,096 pixels on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F

LINE, PLANE, CUBE, LARGE = (8, 8, 64), (2, 8, 8, 32), (2, 4, 4, 8, 32), (4, 16, 32, 64)
KEY = jax.random.key(0)
samples = lambda x: jnp.zeros((x.shape[0], x.ndim - 2, x.shape[-1]))

# each with windows of 4 side by side
POOLS = {
    "max_pool": lambda x: F.max_pool(x, 4),
    "max_pool padded": lambda x: F.max_pool(x, 4, padding=((2, 0),) * (x.ndim - 2), stride=2)[:, *every_other(x)],
    "max_pool_with_indices": lambda x: F.max_pool_with_indices(x, 4)[0],
    "min_pool": lambda x: F.min_pool(x, 4),
    "adaptive_max_pool": lambda x: F.adaptive_max_pool(x, quarters(x)),
    "adaptive_max_pool_with_indices": lambda x: F.adaptive_max_pool_with_indices(x, quarters(x))[0],
    "fractional_max_pool": lambda x: F.fractional_max_pool(KEY, x, 4, output_size=quarters(x), samples=samples(x)),
    "reduce_window": lambda x: F.reduce_window(x, -np.inf, jnp.maximum, 4),
    "lp_pool of inf": lambda x: F.lp_pool(x, np.inf, 4),
    "lp_pool of 3": lambda x: F.lp_pool(x, 3, 4),
    "soft_pool": lambda x: F.soft_pool(x, 4),
    "mixed_pool": lambda x: F.mixed_pool(x, 4, 0.5),
    "avg_pool": lambda x: F.avg_pool(x, 4),
    "stochastic_pool": lambda x: F.stochastic_pool(KEY, x, 4),
    "stochastic_pool mean": lambda x: F.stochastic_pool(None, x, 4, train=False),
}
WHOLE = {
    "global_max_pool": F.global_max_pool,
    "global_avg_pool": F.global_avg_pool,
    "spatial_pyramid_pool": lambda x: F.spatial_pyramid_pool(x, levels=(1,)),
}


def quarters(x):
    return tuple(n // 4 for n in x.shape[1:-1])


def every_other(x):
    """The outputs of windows that start 2 pixels before the image, 2 apart, which lie side by side on it."""
    return (slice(1, None, 2),) * (x.ndim - 2)


def images(shape, dtype, fill):
    """`fill`, or normal numbers, with NaN in every fiftieth pixel."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=shape) if fill is None else np.full(shape, fill)
    return jnp.asarray(np.where(rng.random(shape) < 0.02, np.nan, x).astype(np.float32), dtype)


def side_by_side(x):
    """Which windows of 4 hold NaN."""
    found = np.isnan(np.asarray(x, np.float32))
    for axis in range(1, x.ndim - 1):
        n = found.shape[axis] // 4
        found = found.reshape(*found.shape[:axis], n, 4, *found.shape[axis + 1 :]).any(axis + 1)
    return found


@pytest.mark.parametrize("shape", [LINE, CUBE, LARGE], ids=str)
@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_windows_with_nan_give_nan_and_no_others(pool, shape):
    x = images(shape, jnp.float32, None)
    np.testing.assert_array_equal(jnp.isnan(jax.jit(pool)(x)), side_by_side(x))


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float8_e4m3fn, jnp.float8_e5m2])
@pytest.mark.parametrize("pool", ["max_pool padded", "max_pool_with_indices", "min_pool", "lp_pool of 3"])
def test_narrow_floats_keep_nan(pool, dtype):
    x = images(PLANE, dtype, None)
    np.testing.assert_array_equal(np.isnan(np.asarray(POOLS[pool](x), np.float32)), side_by_side(x))


@pytest.mark.parametrize("fill", [0.0, np.inf])
@pytest.mark.parametrize("p", [1, 2, 2.5, np.inf])
def test_norm_of_nan_among_zeros_and_infinities_is_nan(p, fill):
    x = images(PLANE, jnp.float32, fill)
    np.testing.assert_array_equal(jnp.isnan(F.lp_pool(x, p, 4)), side_by_side(x))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float8_e4m3fn])
@pytest.mark.parametrize("shape", [LINE, CUBE, LARGE], ids=str)
@pytest.mark.parametrize("pool", WHOLE.values(), ids=WHOLE)
def test_images_with_nan_give_nan_and_no_others(pool, shape, dtype):
    x = images(shape, dtype, None).at[..., ::3].set(1)
    found = np.isnan(np.asarray(x, np.float32)).any(tuple(range(1, x.ndim - 1)))
    np.testing.assert_array_equal(np.isnan(np.asarray(pool(x), np.float32)), found)


@pytest.mark.parametrize("dtype", [jnp.float8_e4m3fn, jnp.float8_e5m2])
def test_padding_never_wins_in_8_bits(dtype):
    """e4m3fn has no infinity: what loses against every pixel is its least number."""
    x = -jnp.arange(1.0, 7).reshape(1, 6, 1).astype(dtype)
    assert F.max_pool(x, 3, stride=1, padding=1)[0, :, 0].tolist() == [-1, -1, -2, -3, -4, -5]
    assert F.max_pool(x, 5, stride=1, padding=4)[0, :, 0].tolist() == [-1, -1, -1, -1, -1, -2, -3, -4, -5, -6]
    assert F.min_pool(-x, 3, stride=1, padding=1)[0, :, 0].tolist() == [1, 1, 2, 3, 4, 5]
