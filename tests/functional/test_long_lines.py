"""Windows of many taps on long lines: values, gradients, what sees what, and how much is traced and compiled."""

import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from jaxcnn import functional as F
from jaxcnn.geometry import Bins, Window
from tests.functional.operations import OPERATIONS
from tests.functional.test_transforms import arrays
from tests.reference.arrays import normal

N, K = 600, 101
LINES = {  # stride, padding, dilation
    "every sample": (1, (0, 0), 1),
    "causal": (1, (100, 0), 1),
    "dilated": (1, (40, 80), 5),
    "strided and dilated": (6, (11, 4), 4),
    "one window": (500, (0, 0), 5),
}
POOLS = ("max_pool", "min_pool", "sum_pool", "avg_pool", "soft_pool", "stochastic_pool", "lp_pool")
CALLS = {
    "max_pool": F.max_pool,
    "min_pool": F.min_pool,
    "sum_pool": F.sum_pool,
    "avg_pool": lambda x, k, **o: F.avg_pool(x, k, count_include_pad=False, **o),
    "soft_pool": F.soft_pool,
    "stochastic_pool": lambda x, k, **o: F.stochastic_pool(None, x, k, train=False, **o),
    "lp_pool": lambda x, k, **o: F.lp_pool(x, 3, k, **o),
}


def windows(x, line, fill=np.nan):
    """`(n, outputs, c, taps)` in float64; what lies beyond the line is `fill`."""
    stride, pair, dilation = LINES[line]
    padded = np.pad(np.asarray(x, np.float64), ((0, 0), pair, (0, 0)), constant_values=fill)
    return sliding_window_view(padded, (K - 1) * dilation + 1, 1)[:, ::stride, :, ::dilation]


def formula(name, v):
    """A pool of windows; NaN is no pixel."""
    weight = np.exp(v - np.nanmax(v, -1, keepdims=True))
    share = np.maximum(v, 0)
    share = np.where(np.nansum(share, -1, keepdims=True) > 0, share, v * 0 + 1)  # without a positive pixel all alike
    return {
        "max_pool": lambda: np.nanmax(v, -1),
        "min_pool": lambda: np.nanmin(v, -1),
        "sum_pool": lambda: np.nansum(v, -1),
        "avg_pool": lambda: np.nanmean(v, -1),
        "soft_pool": lambda: np.nansum(weight * v, -1) / np.nansum(weight, -1),
        "stochastic_pool": lambda: np.nansum(share * v, -1) / np.nansum(share, -1),
        "lp_pool": lambda: np.nansum(np.abs(v) ** 3, -1) ** (1 / 3),
    }[name]()


def call(name, line, k=K):
    stride, pair, dilation = LINES[line]
    return jax.jit(lambda x: CALLS[name](x, k, stride=stride, padding=[pair], dilation=dilation))


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("name", POOLS)
def test_long_window_is_its_formula(name, line):
    """Values and gradients, in float64 by the derivative of each formula."""
    x, pool = normal(1, N, 2).astype(np.float32), call(name, line)
    v = windows(x, line)
    expected = formula(name, v)
    g = normal(*expected.shape, seed=1).astype(np.float32)
    y, dx = jax.jit(lambda x, g: (pool(x), jax.vjp(pool, x)[1](g)[0]))(jnp.asarray(x), jnp.asarray(g))
    np.testing.assert_allclose(y, expected, rtol=2e-6, atol=2e-6 * np.abs(expected).max())
    np.testing.assert_allclose(dx, gradient(name, np.asarray(x, np.float64), line, g), rtol=1e-4, atol=2e-5)


def gradient(name, x, line, g):
    v, y = windows(x, line), formula(name, windows(x, line))[..., None]
    weight, whole = np.exp(v - np.nanmax(v, -1, keepdims=True)), np.nansum(np.maximum(v, 0), -1, keepdims=True)
    alike = 1 / np.isfinite(v).sum(-1, keepdims=True)  # where no pixel is positive
    slope = {
        "max_pool": lambda: v == y,
        "min_pool": lambda: v == y,
        "sum_pool": lambda: np.ones_like(v),
        "avg_pool": lambda: np.ones_like(v) / np.isfinite(v).sum(-1, keepdims=True),
        "soft_pool": lambda: weight / np.nansum(weight, -1, keepdims=True) * (1 + v - y),
        "stochastic_pool": lambda: np.where(whole > 0, (v > 0) * (2 * v - y) / np.where(whole > 0, whole, 1), alike),
        "lp_pool": lambda: np.sign(v) * (np.abs(v) / y) ** 2,
    }[name]()
    stride, (low, high), dilation = LINES[line]
    total = np.zeros((x.shape[0], low + x.shape[1] + high, x.shape[2]))
    for tap in range(K):
        at = tap * dilation + stride * np.arange(v.shape[1])
        total[:, at] += np.nan_to_num(slope[..., tap] * g)
    return total[:, low : low + x.shape[1]]


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", POOLS)
def test_one_pixel_reaches_the_outputs_that_see_it(name, value):
    """And in the gradient the pixels of these outputs."""
    line, at = "strided and dilated", 300
    x = normal(1, N, 1).astype(np.float32)
    pool, changed = call(name, line), x.copy()
    changed[0, at] = value
    sees = windows(np.arange(N)[None, :, None], line) == at
    hit = sees.any(-1)
    before, after = (np.asarray(pool(jnp.asarray(v))) for v in (x, changed))
    np.testing.assert_array_equal(
        before == after, ~hit if not (name == "min_pool" and value == np.inf) else before == after
    )
    back = lambda v: np.asarray(jax.grad(lambda x: pool(x)[:, ~hit[0, :, 0]].sum())(jnp.asarray(v)))
    others = np.arange(N) != at
    np.testing.assert_allclose(back(changed)[0, others], back(x)[0, others], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_one_cotangent_reaches_the_pixels_it_saw(value):
    for name in ("sum_pool", "avg_pool"):
        pool, x = call(name, "strided and dilated"), jnp.zeros((1, N, 1))
        g = np.ones(pool(x).shape, np.float32)
        g[0, 20] = value
        dx = np.asarray(jax.vjp(pool, x)[1](jnp.asarray(g))[0])
        pixels = windows(np.arange(N)[None, :, None], "strided and dilated", -1)[0, 20, 0]
        assert sorted(np.flatnonzero(~np.isfinite(dx[0, :, 0]))) == sorted(int(p) for p in pixels if p >= 0)


@pytest.mark.parametrize("line", LINES)
def test_winner_is_the_first_of_equal_pixels_and_the_last_of_several_nan(line):
    stride, pair, dilation = LINES[line]
    x = np.random.default_rng(0).integers(0, 4, (2, N, 3)).astype(np.float32)
    x[0, ::97] = np.nan
    x[1, :, 1], x[1, :300, 2] = -np.inf, -np.inf
    values, indices = F.max_pool_with_indices(jnp.asarray(x), K, stride=stride, padding=[pair], dilation=dilation)
    v, pixels = windows(x, line, -np.inf), windows(np.broadcast_to(np.arange(N)[None, :, None], x.shape), line, -1)
    v = np.where(pixels < 0, -np.inf, v)
    bad = np.isnan(v)
    best = np.where(np.isnan(v), -np.inf, v).max(-1, keepdims=True)
    first = ((v == best) & (pixels >= 0)).argmax(-1)
    last = K - 1 - bad[..., ::-1].argmax(-1)
    tap = np.where(bad.any(-1), last, first)
    np.testing.assert_array_equal(indices, np.take_along_axis(pixels, tap[..., None], -1)[..., 0])
    np.testing.assert_array_equal(values, np.take_along_axis(v, tap[..., None], -1)[..., 0])


def test_planes_by_large_windows():
    x = normal(1, 90, 80, 2).astype(np.float32)
    v = sliding_window_view(
        np.pad(x.astype(np.float64), ((0, 0), (20, 20), (20, 20), (0, 0)), constant_values=-np.inf), (41, 41), (1, 2)
    )
    np.testing.assert_array_equal(F.max_pool(jnp.asarray(x), 41, stride=1, padding="same"), v.max((-1, -2)))
    finite = np.where(np.isinf(v), 0, v)
    mean = F.avg_pool(jnp.asarray(x), 41, stride=1, padding="same", count_include_pad=False)
    np.testing.assert_allclose(mean, finite.sum((-1, -2)) / np.isfinite(v).sum((-1, -2)), atol=2e-6)
    share = F.stochastic_pool(None, jnp.asarray(x), 41, stride=1, padding="same", train=False)
    np.testing.assert_allclose(
        share, (np.maximum(finite, 0) ** 2).sum((-1, -2)) / np.maximum(finite, 0).sum((-1, -2)), rtol=1e-5
    )


def test_pixel_of_long_window_is_drawn_by_its_share():
    x = np.zeros((1, 200, 4000), np.float32)
    x[0, 10], x[0, 150] = 1.0, 3.0
    drawn = np.asarray(F.stochastic_pool(jax.random.key(0), jnp.asarray(x), 200))
    assert set(np.unique(drawn)) == {1.0, 3.0}
    assert abs((drawn == 3).mean() - 0.75) < 5 * (0.75 * 0.25 / 4000) ** 0.5


@pytest.mark.parametrize(("n", "o"), [(4801, 7), (4800, 4799), (7, 4800), (480, 48), (999, 998)])
def test_adaptive_pools_of_lines(n, o):
    x = normal(2, n, 2).astype(np.float32)
    bins = [(i * n // o, -(-(i + 1) * n // o)) for i in range(o)]
    parts = [x[:, a:b].astype(np.float64) for a, b in bins]
    np.testing.assert_allclose(
        F.adaptive_avg_pool(jnp.asarray(x), o), np.stack([p.mean(1) for p in parts], 1), rtol=1e-5, atol=1e-6
    )
    values, indices = F.adaptive_max_pool_with_indices(jnp.asarray(x), o)
    np.testing.assert_array_equal(values, np.stack([p.max(1) for p in parts], 1))
    np.testing.assert_array_equal(indices, np.stack([p.argmax(1) + a for p, (a, _) in zip(parts, bins)], 1))
    g = normal(2, o, 2, seed=1).astype(np.float32)
    expected_mean, expected_max = np.zeros(x.shape), np.zeros(x.shape)
    for i, (a, b) in enumerate(bins):
        expected_mean[:, a:b] += g[:, i : i + 1] / (b - a)
        expected_max[:, a:b] += g[:, i : i + 1] * (x[:, a:b] == x[:, a:b].max(1, keepdims=True))
    for pool, expected in ((F.adaptive_avg_pool, expected_mean), (F.adaptive_max_pool, expected_max)):
        found = jax.vjp(partial(pool, output_size=o), jnp.asarray(x))[1](jnp.asarray(g))[0]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("line", LINES)
def test_unfold_and_fold_of_long_windows(line):
    stride, pair, dilation = LINES[line]
    options = {"stride": stride, "padding": [pair], "dilation": dilation}
    x = normal(2, N, 2).astype(np.float32)
    found = F.unfold(jnp.asarray(x), K, **options)
    np.testing.assert_array_equal(found, windows(x, line, 0).swapaxes(-1, -2))
    u = normal(*found.shape, seed=1).astype(np.float32)
    folded = F.fold(jnp.asarray(u), N, K, **options)
    assert np.vdot(folded, x) == pytest.approx(np.vdot(np.asarray(found, np.float64), u), rel=1e-4)
    seen = np.bincount(windows(np.arange(N)[None, :, None], line, -1).astype(int).ravel() + 1, minlength=N + 1)[1:]
    ones = F.fold(jnp.ones_like(found), N, K, **options)
    np.testing.assert_array_equal(ones[0, :, 0], seen)
    unpooled = F.avg_unpool(jnp.asarray(found[:, :, 0]), K, output_size=N, **options)
    spread = F.fold(jnp.broadcast_to(found[:, :, :1], found.shape), N, K, **options)
    np.testing.assert_allclose(unpooled, np.asarray(spread) / np.maximum(seen, 1)[None, :, None], rtol=1e-5, atol=1e-5)


def test_local_response_norm_of_many_channels():
    x = normal(3, 300).astype(np.float32)
    padded = np.pad(np.square(x.astype(np.float64)), ((0, 0), (50, 50)))
    energy = sliding_window_view(padded, 101, 1).sum(-1)
    np.testing.assert_allclose(
        F.local_response_norm(jnp.asarray(x), 101, alpha=0.5), x / (1 + 0.5 / 101 * energy) ** 0.75, rtol=1e-5
    )


LONG = {
    "max_pool": lambda x: F.max_pool(x, 1_000, stride=1, padding="same"),
    "max_pool_with_indices": lambda x: F.max_pool_with_indices(x, 1_000, stride=1, padding="causal")[0],
    "avg_pool": lambda x: F.avg_pool(x, 4_800, stride=1, padding="same", count_include_pad=False),
    "lp_pool": lambda x: F.lp_pool(x, 3, 1_000, stride=1),
    "soft_pool": lambda x: F.soft_pool(x, 1_000, stride=1),
    "mixed_pool": lambda x: F.mixed_pool(x, 1_000, 0.5, stride=1),
    "stochastic_pool": lambda x: F.stochastic_pool(jax.random.key(0), x, 1_000, stride=1),
    "stochastic_pool mean": lambda x: F.stochastic_pool(None, x, 1_000, stride=1, train=False),
    "reduce_window": lambda x: F.reduce_window(x, 0.0, jnp.add, 1_000, stride=1),
    "unfold": lambda x: F.unfold(x, 400, stride=160),
    "avg_unpool": lambda x: F.avg_unpool(x, 1_000, stride=1),
    "adaptive_avg_pool": lambda x: F.adaptive_avg_pool(x, 47_999),
    "adaptive_max_pool": lambda x: F.adaptive_max_pool(x, 7),
    "resize": lambda x: F.resize(x, 96_000, method="cubic"),
    "resize antialias": lambda x: F.resize(x, 7, antialias=True),
}


@pytest.mark.parametrize("name", LONG)
def test_long_line_is_a_short_program_in_little_memory(name):
    """The lowered text grows with log k, not with taps or outputs; memory is that of log k lines, not of taps.

    A pool of pairs, such as `soft_pool`, keeps ten runs of three lines for its gradient.
    """
    x = jax.ShapeDtypeStruct((1, 48_000, 1), "float32")
    for function in (LONG[name], jax.grad(lambda x: LONG[name](x).sum())):
        lowered = jax.jit(function).lower(x)
        operations = [line for line in lowered.as_text().splitlines() if "stablehlo" in line and "constant" not in line]
        assert len(operations) < 1_500
        bytes_out = 4 * sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(jax.eval_shape(function, x)))
        assert lowered.compile().memory_analysis().temp_size_in_bytes < 2 * 3 * 10 * (4 * 48_000 + bytes_out)


@pytest.mark.parametrize("name", LONG)
def test_second_eager_call_of_a_long_window_compiles_nothing(name, compilations):
    first, second = (jnp.asarray(normal(1, 48_000, 1, seed=seed), jnp.float32) for seed in (0, 1))
    jax.block_until_ready(LONG[name](first))
    assert compilations
    compilations.clear()
    jax.block_until_ready(LONG[name](second))
    assert compilations == []


@pytest.mark.parametrize("name", OPERATIONS)
def test_second_eager_call_compiles_nothing(name, compilations):
    function, *specs = OPERATIONS[name]
    function(*arrays(specs))
    second = arrays(specs, seed=5)
    compilations.clear()
    jax.block_until_ready(function(*second))
    assert compilations == []


def steps(function):
    """How many lines of Python a call runs in the package."""
    count = 0

    def line(frame, event, _):
        nonlocal count
        count += event == "line"
        return line if "jaxcnn" in frame.f_code.co_filename else None

    before = sys.gettrace()
    sys.settrace(line)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize("name", LONG)
def test_tracing_a_long_line_takes_few_steps(name):
    """One a tap of every output would be 48 million, one an output and axis 48 thousand."""
    x = jax.ShapeDtypeStruct((1, 48_000, 1), "float32")
    assert steps(lambda: jax.jit(jax.grad(lambda x: LONG[name](x).sum())).lower(x)) < 200_000


@pytest.mark.parametrize("space", [(48_000,), (2_000, 2_000)])
def test_counting_taps_takes_few_steps(space):
    window = Window.resolve(301, space, padding="same")
    counts = []
    assert steps(lambda: counts.extend(window.overlap(space))) < 20_000
    assert [axis[:2] for axis in counts] == [[151, 152]] * len(space)
    bins = []
    assert steps(lambda: bins.append(Bins(((48_000, 47_999),)).size)) < 100
    assert bins == [(2,)]
