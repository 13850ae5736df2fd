"""How fast is every convolution and gradient, beside plain JAX and PyTorch?

    python -m benchmarks.conv                                 every case, about twenty minutes on two cores
    python -m benchmarks.conv --quick                         a small case of each kind, two minutes
    python -m benchmarks.conv --table held_out                layers that no choice was made on
    python -m benchmarks.conv --lowerings --json FILE         each lowering by force: what the choice is checked against
    python -m benchmarks.conv --family depthwise --case 'convnext*' --direction kernel_grad

Each result is checked against lax's before it is timed (`measure.rounding_bound`), rivals are timed in turns, and a rival
that is wrong is reported and makes the exit status 1.
"""

import gc
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import tyro

from . import report
from .cases import DIRECTIONS, Case, Direction, Family, Table, select
from .lowerings import chosen, forced
from .machine import Disturbance, Machine, describe
from .measure import QUICK, Effort, Program, build, checked, interleave, rounding_bound
from .record import ConvRecord, Run, write
from .rivals import Arrays, directed, ours, plain


@dataclass(frozen=True)
class Options:
    """Which cases, which directions, which rivals."""

    quick: bool = False
    """A small case of each kind, measured for a shorter time."""
    table: Table = "networks"
    """Twelve networks; "seen": more, which the choice was made on too; "held_out": those that it was not."""
    family: tuple[Family, ...] = ()
    """Only these families."""
    case: str = "*"
    """Only cases whose name (network/layer/bN) matches this shell pattern."""
    direction: Literal["forward", "input_grad", "kernel_grad", "all"] = "all"
    lowerings: bool = False
    """Time each lowering by force instead of PyTorch."""
    torch: bool = True
    """Measure PyTorch too, where it is installed."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    json: Path | None = None
    """Write the records here, one line each."""


def main(options: Options) -> int:
    """Measure, print, and return the exit status: 1 if a result was wrong."""
    cases = select(quick=options.quick, table=options.table, families=options.family, pattern=options.case)
    machine = describe(torch=_uses_torch(options))
    print(machine, "" if options.lowerings else report.line(report.HEADER), sep="\n", flush=True)
    records, wrong = [], []
    with open(options.json, "w") if options.json else nullcontext() as file:
        for case in cases:
            for record in measure(case, options, machine, wrong):
                records.append(record)
                write(file, record)
                print(report.ranking(record) if options.lowerings else report.row(record), flush=True)
            jax.clear_caches()
            gc.collect()
    print(*(report.lowering_summary(records) if options.lowerings else report.summary(records)), sep="\n")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return bool(wrong)


def measure(case: Case, options: Options, machine: Machine, wrong: list[str]) -> Iterator[ConvRecord]:
    """The records of a case, one a direction; what a wrong rival says is added to `wrong` and the rival left out."""
    arrays = Arrays.of(case, options.dtype)
    on_device = tuple(map(jnp.asarray, (arrays.x, arrays.kernel, arrays.g)))
    for direction in DIRECTIONS if options.direction == "all" else (options.direction,):
        programs = _programs(case, direction, options, arrays, on_device)
        bound = rounding_bound(case.contraction(direction), options.dtype, machine.platform)
        errors, first = checked(f"{case.name} {direction}", programs, bound, wrong)
        effort, disturbance = QUICK if options.quick else Effort(), Disturbance()
        timings = interleave({name: programs[name].run for name in errors}, effort, first=first)
        runs = {name: Run.of(programs[name], timings[name], errors[name]) for name in errors}
        facts = (options.dtype, case.multiply_adds, case.elements * arrays.x.itemsize, bound, disturbance.share())
        where = {"dtype": options.dtype, "platform": machine.platform}
        yield ConvRecord(case, direction, *facts, runs, machine, chosen(case, direction, **where))


def _programs(case: Case, direction: Direction, options: Options, arrays: Arrays, on_device) -> dict[str, Program]:
    """Every rival that can run, lax first: it is the baseline."""
    conv = ours(case)
    functions = {"lax": directed(plain(case), direction)}
    functions |= {"ours": directed(conv, direction)} if conv is not None else {}
    if options.lowerings:
        functions |= forced(case, direction, dtype=options.dtype, platform=jax.default_backend())
    programs = {name: build(function, *on_device) for name, function in functions.items()}
    if _uses_torch(options):
        from .torch_rival import build as build_torch

        programs["torch"] = build_torch(case, direction, arrays)
    return programs


def _uses_torch(options: Options) -> bool:
    return options.torch and not options.lowerings and find_spec("torch") is not None


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
