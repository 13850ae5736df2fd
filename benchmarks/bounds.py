"""What bounds each convolution that a record shows well behind PyTorch: a profile of it, as a row of a Markdown table.

    python -m benchmarks.bounds benchmarks/records/conv_jax_0_10_2.jsonl > benchmarks/records/bounds_jax_0_10_2.md

Milliseconds of the program measured now beside PyTorch's of the record; the floors of arithmetic and memory (`profile`); how many
cores the program keeps busy; and its two slowest operations, each summed over threads.
"""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import tyro

from .lowerings import chosen
from .machine import describe
from .measure import QUICK, build, interleave
from .profile import copy_gigabytes, instructions, operations
from .record import ConvRecord, read
from .rivals import Arrays, directed, ours

HEADER = "| case | by | ms | PyTorch | arithmetic | memory | cores | slowest operations |"


@dataclass(frozen=True)
class Options:
    """Which record, and from where on a row counts as behind."""

    record: Annotated[Path, tyro.conf.Positional]
    """Records of `benchmarks.conv` with PyTorch."""
    below: float = 0.7
    """Times PyTorch's speed, both in the median and in the fastest runs."""


def main(options: Options) -> int:
    """Print one row a case and direction, the furthest behind first."""
    records = [record for record in read([options.record]) if isinstance(record, ConvRecord)]
    behind = sorted((r for r in records if _speed(r) < options.below), key=_speed)
    machine, rate = describe(torch=False), copy_gigabytes()
    print(f"{machine}; a copy moves {rate:.1f} GB/s.", "", HEADER, "|---|" + "---|" * 7, sep="\n")
    for record in behind:
        print(_row(record, machine.peak_gflops, rate), flush=True)
    return 0


def busy_cores(run: Callable[[], object], seconds: float = 0.3) -> float:
    """Processor time of this process over wall time while `run` is called again and again."""
    start, used = time.perf_counter(), _processor()
    while time.perf_counter() - start < seconds:
        run()
    return (_processor() - used) / (time.perf_counter() - start)


def _processor() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _speed(record: ConvRecord) -> float:
    """Times PyTorch's speed, by the kinder of median and fastest run; infinite without PyTorch."""
    ratios = [record.speedup("torch", by=by) for by in ("median_ms", "least_ms")]
    return max(ratio if ratio is not None else float("inf") for ratio in ratios)


def _row(record: ConvRecord, peak: float, rate: float) -> str:
    case, direction = record.case, record.direction
    conv = ours(case)
    assert conv is not None, "a row without ours is not behind"
    function = directed(conv, direction)
    arrays = Arrays.of(case)
    operands = tuple(map(jnp.asarray, (arrays.x, arrays.kernel, arrays.g)))
    program = build(function, *operands)
    program.run()
    ms = interleave({"ours": program.run}, QUICK)["ours"].median_ms
    text = instructions(jax.jit(function).lower(*operands).compile().as_text() or "")
    slowest = [f"{o.ms:.3f} {text.get(o.name, o.name)}" for o in operations(program.run)[:2]]
    floors = 2 * case.multiply_adds / peak / 1e6, 4 * case.elements / rate / 1e6
    by = chosen(case, direction, dtype=record.dtype, platform=jax.default_backend())
    figures = (ms, record.runs["torch"].median_ms, *floors)
    cells = [f"{case.name} {direction}", by, *(f"{v:.3f}" for v in figures), f"{busy_cores(program.run):.1f}"]
    return f"| {' | '.join([*cells, '; '.join(slowest)])} |"


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
