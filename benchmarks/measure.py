"""Timing: rivals in turns, compilation apart from running, and no number before the result was checked.

Rounds go over the rivals forwards and backwards in turn, so that a slow minute of the machine strikes all of them. In its
turn a rival is called until its share of the budget is spent; the first call of a turn of several is not counted, because it
finds the caches and the thread pool as the rival before left them. A call ends when its result is ready.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import jax
import numpy as np

Clock = Callable[[], float]


class WrongResult(ValueError):
    """A rival computes something else than the baseline: it is not timed."""


@dataclass(frozen=True)
class Program:
    """Something to time: `run` blocks until its result is ready, `value` makes that NumPy arrays to compare."""

    run: Callable[[], Any]
    value: Callable[[Any], np.ndarray | list[np.ndarray]] = np.asarray
    trace_ms: float | None = None
    compile_ms: float | None = None
    temp_bytes: int | None = None


@dataclass(frozen=True)
class Timing:
    """Median, quartiles and least of the repeats, in milliseconds."""

    median_ms: float
    low_ms: float
    high_ms: float
    least_ms: float
    repeats: int

    @classmethod
    def of(cls, seconds: list[float]) -> "Timing":
        """Statistics of the samples, which are in seconds."""
        least, low, median, high = map(float, np.percentile(np.asarray(seconds) * 1e3, (0, 25, 50, 75)))
        return cls(median, low, high, least, len(seconds))


@dataclass(frozen=True)
class Effort:
    """How long to measure each rival: in all, in how many rounds, and after how long a slow one is left alone."""

    budget_s: float = 0.6
    rounds: int = 6
    patience_s: float = 3.0


QUICK = Effort(budget_s=0.1, rounds=3, patience_s=0.4)


def build(
    function: Callable,
    *arguments: Any,
    value: Callable[[Any], np.ndarray | list[np.ndarray]] = np.asarray,
    clock: Clock = perf_counter,
) -> Program:
    """`function` under `jax.jit`, traced, lowered and compiled for the arguments, each step timed."""
    start = clock()
    lowered = jax.jit(function).trace(*arguments).lower()
    traced = clock()
    compiled = lowered.compile()
    done = clock()
    memory = compiled.memory_analysis()
    return Program(
        run=lambda: jax.block_until_ready(compiled(*arguments)),
        value=value,
        trace_ms=(traced - start) * 1e3,
        compile_ms=(done - traced) * 1e3,
        temp_bytes=None if memory is None else memory.temp_size_in_bytes,
    )


def interleave(
    runs: Mapping[str, Callable[[], Any]],
    effort: Effort = Effort(),
    *,
    first: Mapping[str, float] | None = None,
    clock: Clock = perf_counter,
) -> dict[str, Timing]:
    """Time the rivals in turns; each one has at least one sample, and as many as its budget allows.

    `first` holds the seconds of a run before, if there was one: where that alone took all the patience it is the sample.
    """
    slow = {name: seconds for name, seconds in (first or {}).items() if seconds >= effort.patience_s}
    samples = {name: [slow[name]] if name in slow else [] for name in runs}
    spent = {name: slow.get(name, 0.0) for name in runs}
    for number in range(effort.rounds):
        for name in list(runs) if number % 2 == 0 else list(runs)[::-1]:
            if spent[name] < effort.patience_s:
                times = _turn(runs[name], effort.budget_s / effort.rounds, clock)
                spent[name] += sum(times)
                samples[name] += times[1:] if len(times) > 1 else times
    return {name: Timing.of(times) for name, times in samples.items()}


def agree(name: str, value: np.ndarray, baseline: np.ndarray, bound: float) -> float:
    """The error max|value − baseline| / max|baseline|, where it is within the bound.

    Raises: WrongResult otherwise, and for another shape, another dtype or a value that is not finite.
    """
    if (value.shape, value.dtype) != (baseline.shape, baseline.dtype):
        raise WrongResult(f"{name}: {value.dtype}{value.shape}, the baseline is {baseline.dtype}{baseline.shape}")
    if not value.size:
        return 0.0
    scale = float(np.max(np.abs(baseline).astype(np.float64)))
    difference = float(np.max(np.abs(value.astype(np.float32) - baseline.astype(np.float32))))
    error = difference / scale if scale else difference
    if not error <= bound:  # a NaN is refused too
        raise WrongResult(f"{name}: error {error:.1e} of the largest value, the bound is {bound:.1e}")
    return error


def checked(
    problem: str, programs: Mapping[str, Program], bound: float, wrong: list[str]
) -> tuple[dict[str, float], dict[str, float]]:
    """Error of each rival that agrees with the first, and the seconds of its first run, which also warms it up.

    What a wrong rival says is printed and added to `wrong`. Of a program with several results each one must agree.
    """
    errors, seconds, baseline = {}, {}, None
    for name, program in programs.items():
        start = perf_counter()
        result = program.run()
        seconds[name] = perf_counter() - start
        value = program.value(result)
        values = value if isinstance(value, list) else [value]
        baseline = values if baseline is None else baseline
        try:
            errors[name] = max(agree(name, v, b, bound) for v, b in zip(values, baseline, strict=True))
        except WrongResult as error:
            wrong.append(f"WRONG: {problem}: {error}")
            print(wrong[-1], flush=True)
    return errors, seconds


def rounding_bound(products: int, dtype: str, platform: str) -> float:
    """Largest difference of two direct evaluations of a sum of `products` terms, relative to the largest result.

    4 · (u + √products · 2⁻²⁴): u is the rounding of one operand or result, the second term the float32 accumulation of
    zero-mean products (the probabilistic bound of Higham & Mary, 2019), 4 for two evaluations and the tail. u is float32's on
    CPU; GPU and TPU multiply float32 as TensorFloat-32 and bfloat16 unless told otherwise.
    """
    units = {"float32": {"gpu": 2.0**-11, "tpu": 2.0**-8}.get(platform, 2.0**-24), "float64": 2.0**-53}
    unit = {"bfloat16": 2.0**-8, "float16": 2.0**-11, **units}[dtype]
    return 4 * (unit + products**0.5 * 2.0**-24)


def _turn(run: Callable[[], Any], seconds: float, clock: Clock) -> list[float]:
    """Times of calls until `seconds` have passed in them, at least one."""
    times: list[float] = []
    while not times or sum(times) < seconds:
        start = clock()
        run()
        times.append(clock() - start)
    return times
