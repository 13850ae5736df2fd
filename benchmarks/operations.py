"""Measures the operations that are no convolutions: what `benchmarks.pool` and `benchmarks.image` have in common.

A problem is timed forward alone, and in training: its value and its gradients from one call. Each result is checked before it
is timed, rivals are timed in turns, and a rival that is wrong is reported and makes the exit status 1. The rival "lax" is what
a user writes with jax and flax alone.
"""

import gc
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from . import operation_report as report
from .cases import PASSES, Pass, Problem
from .cases._problem import select
from .machine import Disturbance, Machine, describe
from .measure import QUICK, Effort, Program, build, checked, interleave
from .record import OperationRecord, Run, write


@dataclass(frozen=True)
class Options:
    """Which cases, which passes, which rivals."""

    quick: bool = False
    """A case of each kind, measured for a shorter time."""
    family: tuple[str, ...] = ()
    """Only these families."""
    case: str = "*"
    """Only cases whose name (network/layer) matches this shell pattern."""
    direction: Literal["forward", "training", "all"] = "all"
    torch: bool = True
    """Measure PyTorch too, where it is installed."""
    json: Path | None = None
    """Write the records here, one line each."""


def run(benchmark: str, table: Sequence[Problem], options: Options) -> int:
    """Measure, print, and return the exit status: 1 if a result was wrong."""
    problems = select(table, quick=options.quick, families=options.family, pattern=options.case)
    machine = describe(torch=_uses_torch(options))
    print(machine, report.HEADER, sep="\n", flush=True)
    records, wrong = [], []
    with open(options.json, "w") if options.json else nullcontext() as file:
        for problem in problems:
            for record in measure(benchmark, problem, options, machine, wrong):
                records.append(record)
                write(file, record)
                print(report.row(record), flush=True)
            jax.clear_caches()
            gc.collect()
    print(*report.summary(records), *wrong, sep="\n")
    return bool(wrong)


def measure(
    benchmark: str, problem: Problem, options: Options, machine: Machine, wrong: list[str]
) -> Iterator[OperationRecord]:
    """The records of a problem, one a pass; what a wrong rival says is added to `wrong` and the rival left out."""
    operands = problem.operands()
    y = jax.eval_shape(problem.ours, *operands)
    g = np.random.default_rng(1).standard_normal(y.shape, np.float32)
    for direction in PASSES if options.direction == "all" else (options.direction,):
        programs = _programs(problem, direction, operands, g, torch=_uses_torch(options))
        errors, first = checked(f"{problem.layer.name} {direction}", programs, problem.bound, wrong)
        effort, disturbance = QUICK if options.quick else Effort(), Disturbance()
        timings = interleave({name: programs[name].run for name in errors}, effort, first=first)
        runs = {name: Run.of(programs[name], timings[name], errors[name]) for name in errors}
        moved = (problem.elements * (1 if direction == "forward" else 2) + g.size) * 4
        facts = (problem.layer, direction, "float32", moved, problem.bound, disturbance.share())
        yield OperationRecord(*facts, runs, machine, benchmark)


def directed(function: Callable[..., Any], direction: Pass) -> Callable[..., list]:
    """The value, and in training the gradients too, as a function of the operands and g."""

    def forward(*operands):
        return [function(*operands[:-1])]

    def training(*operands):
        y, pull = jax.vjp(function, *operands[:-1])
        return [y, *pull(operands[-1])]

    return {"forward": forward, "training": training}[direction]


def _programs(problem: Problem, direction: Pass, operands, g, *, torch: bool) -> dict[str, Program]:
    """Every rival that can run, the baseline first."""
    on_device = tuple(map(jnp.asarray, (*operands, g)))
    functions = {"lax": problem.plain, "ours": problem.ours}
    programs = {
        name: build(directed(function, direction), *on_device, value=lambda results: [np.asarray(r) for r in results])
        for name, function in functions.items()
        if function is not None
    }
    if torch and problem.torch is not None:
        from .torch_operations import build as build_torch

        programs["torch"] = build_torch(problem, direction, operands, g)
    return programs


def _uses_torch(options: Options) -> bool:
    return options.torch and find_spec("torch") is not None
