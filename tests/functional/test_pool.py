"""Pooling against the float64 oracle: every option, infinities, NaN, ties."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference import pool as oracle
from tests.reference.arrays import integers, normal
from tests.reference.conv import gamma
from tests.reference.padding import resolve

PLANE = (2, 7, 5, 3)
CASES = {
    "default": (PLANE, 2, {}),
    "line": ((2, 11, 3), 3, {}),
    "cube": ((2, 7, 5, 3, 2), (3, 2, 1), {}),
    "uneven": (PLANE, (2, 3), {}),
    "overlapping": (PLANE, 3, {"stride": 1}),
    "gaps": (PLANE, 2, {"stride": (3, 1)}),
    "same": (PLANE, 3, {"stride": 2, "padding": "same"}),
    "pixels": (PLANE, 3, {"stride": 2, "padding": 1}),
    "pairs": (PLANE, 3, {"stride": 1, "padding": ((2, 0), (1, 2))}),
    "wide": (PLANE, (7, 6), {"stride": 1, "padding": 3}),
    "causal": ((2, 11, 3), 3, {"stride": 1, "padding": "causal"}),
    "dilation": (PLANE, 2, {"stride": 1, "dilation": (3, 2)}),
    "dilation padded": (PLANE, 3, {"stride": 2, "dilation": 2, "padding": 2}),
    "cube dilation": ((2, 7, 5, 3, 1), 2, {"stride": (1, 2, 1), "dilation": (2, 3, 1)}),
    "ragged": (PLANE, 2, {"ceil_mode": True}),
    "ragged padded": (PLANE, (3, 2), {"stride": 3, "padding": ((1, 1), (0, 1)), "ceil_mode": True}),
    "ragged dilation": (PLANE, 2, {"stride": (4, 2), "dilation": 2, "ceil_mode": True}),
    "reflect": (PLANE, 3, {"stride": 2, "padding": 2, "padding_mode": "reflect"}),
    "replicate": (PLANE, 3, {"stride": 1, "padding": "same", "padding_mode": "replicate"}),
    "circular": (PLANE, (3, 2), {"stride": 2, "padding": ((3, 1), (0, 2)), "padding_mode": "circular"}),
    "symmetric": (PLANE, 3, {"padding": 1, "padding_mode": "symmetric", "ceil_mode": True}),
    "1×1": (PLANE, 1, {}),
    "1×1 stride": (PLANE, 1, {"stride": 2}),
    "window is image": (PLANE, (7, 5), {}),
    "as many taps as pixels": ((2, 1, 6, 3), (3, 2), {"stride": 3, "padding": ((0, 2), (0, 0)), "dilation": (1, 3)}),
    "one pixel": ((2, 1, 1, 3), 3, {"stride": 1, "padding": 1}),
    "empty batch": ((0, 7, 5, 3), 2, {}),
}
FUNCTIONS = {
    "max": (F.max_pool, oracle.max_pool),
    "min": (F.min_pool, oracle.min_pool),
    "sum": (F.sum_pool, oracle.sum_pool),
    "avg": (F.avg_pool, oracle.avg_pool),
}
AVERAGE = [{"count_include_pad": False}, {"divisor": 3}, {"divisor": 2.5, "count_include_pad": False}]


def expected(function, x, window, *, stride=None, ceil_mode=False, padding_mode="zeros", padding="valid", **options):
    """What the oracle says for our words."""
    size = (window,) * (x.ndim - 2) if isinstance(window, int) else window
    words = {name: options.pop(name) for name in ("dilation",) if name in options}
    words = resolve(x.shape[1:-1], size, stride=size if stride is None else stride, padding=padding, **words)
    renamed = {{"count_include_pad": "include_pad"}.get(name, name): value for name, value in options.items()}
    return function(x, size, ceil=ceil_mode, mode=padding_mode, **words, **renamed)


def assert_pool(actual, value, bound):
    assert actual.dtype == jnp.float32
    assert actual.shape == value.shape
    assert np.all(np.abs(np.asarray(actual, np.float64) - value) <= bound)


@pytest.mark.parametrize(("shape", "window", "options"), CASES.values(), ids=CASES)
@pytest.mark.parametrize(("ours", "theirs"), [FUNCTIONS["max"], FUNCTIONS["min"]], ids=["max", "min"])
def test_extreme_pool_is_the_oracle_exactly(ours, theirs, shape, window, options):
    x = normal(*shape).astype(np.float32)
    assert_pool(ours(x, window, **options), expected(theirs, x, window, **options), 0)


@pytest.mark.parametrize(("shape", "window", "options"), CASES.values(), ids=CASES)
@pytest.mark.parametrize(("ours", "theirs"), [FUNCTIONS["sum"], FUNCTIONS["avg"]], ids=["sum", "avg"])
def test_mean_pool_within_the_bound(ours, theirs, shape, window, options):
    x = normal(*shape).astype(np.float32)
    bound = gamma(np.prod(np.broadcast_to(window, x.ndim - 2)) + 1, 2.0**-24) * expected(
        theirs, np.abs(x), window, **options
    )
    assert_pool(ours(x, window, **options), expected(theirs, x, window, **options), bound)


@pytest.mark.parametrize("name", ["pixels", "pairs", "ragged padded", "dilation padded", "reflect", "default"])
@pytest.mark.parametrize("extra", AVERAGE, ids=str)
def test_avg_pool_divides_by(name, extra):
    shape, window, options = CASES[name]
    x, options = normal(*shape).astype(np.float32), options | extra
    bound = gamma(10, 2.0**-24) * expected(oracle.avg_pool, np.abs(x), window, **options)
    assert_pool(F.avg_pool(x, window, **options), expected(oracle.avg_pool, x, window, **options), bound)


@pytest.mark.parametrize("kind", FUNCTIONS)
@pytest.mark.parametrize(("rank", "name"), [(1, "line"), (2, "same"), (3, "cube dilation")])
def test_pool_ranked_matches_oracle(kind, rank, name):
    shape, window, options = CASES[name]
    x = integers(*shape).astype(np.float32)
    value = expected(FUNCTIONS[kind][1], x, window, **options)
    actual = getattr(F, f"{kind}_pool{rank}d")(x=x, window=window, **options)
    assert_pool(actual, value, 2.0**-23 * np.abs(value))  # integer sums are exact, the division rounds once


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("function", "worst"), [(F.max_pool1d, -np.inf), (F.min_pool1d, np.inf)])
def test_extreme_pool_keeps_infinity(function, worst, dilation):
    x = np.full((1, 5, 1), worst, np.float32)
    y = function(x, 2, stride=1, dilation=dilation, padding=1)
    np.testing.assert_array_equal(y, np.full((1, 7 - dilation, 1), worst))


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("function", [F.max_pool1d, F.min_pool1d, F.sum_pool1d, F.avg_pool1d])
def test_pool_passes_nan_on(function, dilation):
    x = np.array([1, 2, np.nan, 3, 5, 7, 9], np.float32)[None, :, None]
    y = function(x, 2, stride=1, dilation=dilation)[0, :, 0]
    assert np.flatnonzero(np.isnan(y)).tolist() == [2 - dilation, 2]


def test_sums_and_means_of_padding_alone_are_zero():
    x = jnp.ones((1, 3, 1))
    assert F.sum_pool(x, 2, stride=1, padding=((2, 0),))[0, :, 0].tolist() == [0, 1, 2, 2]
    assert F.avg_pool(x, 2, stride=1, padding=((2, 0),))[0, :, 0].tolist() == [0, 0.5, 1, 1]


def test_sums_of_integers_keep_their_dtype_and_wrap():
    x = np.array([200, 200, 1, 2], np.uint8)[None, :, None]
    y = F.sum_pool(x, 2)
    assert y.dtype == np.uint8
    assert y[0, :, 0].tolist() == [144, 3]
    assert F.sum_pool(x.astype(np.int32), 2)[0, :, 0].tolist() == [400, 3]


@pytest.mark.parametrize("dilation", [1, 2])
def test_max_pool_gives_a_tie_one_gradient(dilation):
    total = lambda x: F.max_pool1d(x, 2, stride=4, dilation=dilation).sum()
    gradient = jax.grad(total)(jnp.ones((1, 7, 1)))[0, :, 0]
    assert float(gradient.sum()) == 2.0
    np.testing.assert_array_equal(gradient.reshape(-1)[jnp.array([1 + (dilation == 1), 3])], [0, 0])


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.int32])
@pytest.mark.parametrize("dilation", [1, 2])
def test_extreme_pool_takes_any_order(dtype, dilation):
    x = integers(2, 7, 5, 3).astype(dtype)
    options = {"stride": 2, "padding": 1, "dilation": dilation}
    for ours, theirs in (FUNCTIONS["max"], FUNCTIONS["min"]):
        y = ours(x, 2, **options)
        assert y.dtype == dtype
        np.testing.assert_array_equal(np.asarray(y, np.float64), expected(theirs, x, 2, **options))


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("shape", [(2, 11, 3), (2, 7, 5, 3), (2, 7, 5, 3, 1), (0, 7, 5, 3), (2, 1, 1, 3)])
def test_global_pools_reduce_every_pixel(shape, keepdims):
    x = normal(*shape).astype(np.float32)
    axes = tuple(range(1, len(shape) - 1))
    mean = np.mean(x.astype(np.float64), axes, keepdims=keepdims)
    bound = gamma(np.prod(shape[1:-1]) + 1, 2.0**-24) * np.mean(np.abs(x), axes, keepdims=keepdims, dtype=np.float64)
    assert_pool(F.global_avg_pool(x, keepdims=keepdims), mean, bound)
    assert_pool(F.global_max_pool(x, keepdims=keepdims), np.max(x, axes, keepdims=keepdims), 0)


@pytest.mark.parametrize("shape", [(2, 5, 4), (3, 13, 7, 4)])
def test_global_max_pool_shares_its_gradient_among_equal_pixels(shape):
    x = (integers(*shape) % 3).astype(np.float32)
    x[0, 1, ..., 2] = np.nan
    y, pull = jax.vjp(F.global_max_pool, jnp.asarray(x))
    g = np.arange(1.0, y.size + 1, dtype=np.float32).reshape(y.shape)
    axes = tuple(range(1, x.ndim - 1))
    won = x == np.max(x, axes, keepdims=True)  # NaN equals nothing
    share = won / np.maximum(won.sum(axes, keepdims=True), 1)
    np.testing.assert_allclose(pull(jnp.asarray(g))[0], share * g.reshape(g.shape[0], *[1] * len(axes), -1), rtol=1e-6)
