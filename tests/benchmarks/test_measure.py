"""Statistics on a clock of our own, turns, refused results, and the bound on rounding."""

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.measure import Effort, Timing, WrongResult, agree, build, interleave, rounding_bound


class Clock:
    """Time that passes only when a rival runs."""

    def __init__(self):
        self.now, self.calls = 0.0, []

    def __call__(self):
        return self.now

    def rival(self, name, *durations):
        """A rival whose calls take these times, the last one for ever."""
        left = list(durations)

        def run():
            self.calls.append(name)
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return run


def test_timing_quartiles():
    timing = Timing.of([0.005, 0.001, 0.004, 0.002, 0.003])
    assert timing == Timing(median_ms=3.0, low_ms=2.0, high_ms=4.0, least_ms=1.0, repeats=5)


def test_interleave_alternates_the_order():
    clock = Clock()
    interleave({name: clock.rival(name, 1.0) for name in "abc"}, Effort(3.0, 3, 100.0), clock=clock)
    assert "".join(clock.calls) == "abc" + "cba" + "abc"


def test_interleave_drops_the_first_call_of_a_turn():
    clock = Clock()
    timings = interleave({"a": clock.rival("a", 8.0, 2.0)}, Effort(10.0, 1, 100.0), clock=clock)
    assert timings["a"] == Timing(2000.0, 2000.0, 2000.0, 2000.0, 1)


def test_interleave_keeps_a_call_that_fills_its_turn():
    clock = Clock()
    timings = interleave({"a": clock.rival("a", 7.0, 9.0)}, Effort(2.0, 2, 100.0), clock=clock)
    assert timings["a"] == Timing(8000.0, 7500.0, 8500.0, 7000.0, 2)


def test_interleave_repeats_fill_the_budget():
    clock = Clock()
    timings = interleave({"a": clock.rival("a", 0.5), "b": clock.rival("b", 1.0)}, Effort(8.0, 2, 99.0), clock=clock)
    assert (timings["a"].repeats, timings["b"].repeats) == (14, 6)  # 8 and 4 calls a turn, the first of each dropped


def test_interleave_leaves_a_slow_rival_alone():
    clock = Clock()
    timings = interleave(
        {"slow": clock.rival("slow", 9.0), "a": clock.rival("a", 1.0)}, Effort(4.0, 4, 5.0), clock=clock
    )
    assert (timings["slow"].repeats, timings["a"].repeats) == (1, 4)


def test_interleave_takes_a_first_run_that_used_up_the_patience():
    clock = Clock()
    rivals = {"slow": clock.rival("slow", 9.0), "a": clock.rival("a", 1.0)}
    timings = interleave(rivals, Effort(2.0, 2, 5.0), first={"slow": 7.0, "a": 4.0}, clock=clock)
    assert timings["slow"] == Timing(7000.0, 7000.0, 7000.0, 7000.0, 1)
    assert (timings["a"].median_ms, "slow" in clock.calls) == (1000.0, False)


def test_agree_returns_the_error_of_the_largest():
    baseline = np.float32([0.5, -4.0])
    assert agree("ours", np.float32([0.501, -4.0]), baseline, 1e-3) == pytest.approx(0.001 / 4, rel=1e-3)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (np.float32([0.6, -4.0]), r"error 2\.5e-02 of the largest value, the bound is 1\.0e-03"),
        (np.float32([np.nan, -4.0]), "error nan"),
        (np.float32([0.5, np.inf]), "error inf"),
        (np.float64([0.5, -4.0]), "float64"),
        (np.float32([[0.5, -4.0]]), r"\(1, 2\)"),
    ],
)
def test_agree_refuses_a_wrong_result(value, reason):
    with pytest.raises(WrongResult, match=f"ours: .*{reason}"):
        agree("ours", value, np.float32([0.5, -4.0]), 1e-3)


@pytest.mark.parametrize(("baseline", "error"), [(np.zeros((0, 3), np.float32), 0.0), (np.zeros(3, np.float32), 0.0)])
def test_agree_on_empty_and_zero(baseline, error):
    assert agree("ours", baseline.copy(), baseline, 0.0) == error


@pytest.mark.parametrize("products", [9, 576, 401408])
def test_rounding_bound_admits_float32_sums_and_no_dropped_product(products):
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((50, products), np.float32) for _ in range(2))
    exact, bound = np.einsum("nk,nk->n", a, b, dtype=np.float64), rounding_bound(products, "float32", "cpu")
    sequential = np.cumsum(a * b, axis=1)[:, -1]  # the worst order of the summands
    scale = np.abs(exact).max()
    assert np.abs(sequential - exact).max() <= bound * scale
    assert np.abs(exact - (a[:, 1:] * b[:, 1:]).sum(1)).max() > bound * scale


def test_rounding_bound_knows_the_devices():
    bounds = [rounding_bound(9, "float32", platform) for platform in ("cpu", "gpu", "tpu")]
    assert bounds == sorted(bounds)
    assert rounding_bound(9, "bfloat16", "cpu") == pytest.approx(4 * (2**-8 + 3 * 2**-24))


def test_build_times_tracing_and_compiling_apart():
    program = build(lambda x: x @ x.T, jnp.arange(6.0).reshape(2, 3), clock=iter([10.0, 10.25, 12.0]).__next__)
    assert (program.trace_ms, program.compile_ms) == (250.0, 1750.0)
    assert program.temp_bytes is not None
    np.testing.assert_array_equal(program.value(program.run()), [[5, 14], [14, 50]])
