"""The table of the records of operations, their geometric means, and where they miss the floor.

`python -m benchmarks.operation_report FILE...` prints what `benchmarks.pool` and `benchmarks.image` wrote with `--json`.
"GB/s" is all that goes in and comes out over our time: what reading and writing each number once would need of the memory.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from . import report
from .cases import PASSES
from .record import OperationRecord, read_operations

FLOOR = 0.95  # against lax, for noise
_NAMES = ("layer", "problem", "pass", "ours ms (quartiles)", "lax ms", "torch ms", "×lax", "×torch", "GB/s", "")
HEADER = report.line((*_NAMES, "build", "temp MiB"))


def row(record: OperationRecord) -> str:
    """The record as a row; a rival that did not run is a dash."""
    if "ours" not in record.runs:
        return report.line(report.race(record))
    rate = record.moved_bytes / record.runs["ours"].median_ms / 1e6
    return report.line((*report.race(record), f"{rate:.1f}", "", *report.costs(record)))


def summary(records: Sequence[OperationRecord]) -> list[str]:
    """Geometric means a family and pass, floors that are missed, the worst case last."""
    measured = [record for record in records if "ours" in record.runs]
    families = dict.fromkeys(record.case.family for record in measured)
    groups = [(f"{family}, {p}", lambda r, f=family, p=p: r == (f, p)) for family in families for p in PASSES]
    every = [*groups, *((f"all, {p}", lambda r, p=p: r[1] == p) for p in PASSES)]
    key = lambda belongs: lambda record: belongs((record.case.family, record.direction))
    lines = report.geometric_means([(name, key(belongs)) for name, belongs in every], measured)
    return [*lines, *missed(measured), report.disturbed(records), *report.worst(measured)]


def missed(records: Sequence[OperationRecord]) -> list[str]:
    """A line for each record below the floor."""
    lines = []
    for record in records:
        ratio, fastest = record.speedup("lax"), record.speedup("lax", by="least_ms")
        if ratio is not None and ratio < FLOOR:
            what = f"{record.case.name} {record.direction}: {ratio:.2f}× lax ({fastest:.2f}× by the fastest runs)"
            lines.append(f"below a floor: {what} < {FLOOR}")
    return lines


def main(paths: Sequence[str]) -> None:
    """Print the records of these files: per machine and benchmark one table and one summary."""
    records = read_operations(map(Path, paths))
    for machine, benchmark in dict.fromkeys((record.machine, record.benchmark) for record in records):
        chosen = [record for record in records if (record.machine, record.benchmark) == (machine, benchmark)]
        print(machine, HEADER, *map(row, chosen), *summary(chosen), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
