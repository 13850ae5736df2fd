"""The table of convolution records, what they say on the whole, and where they miss the floors.

`python -m benchmarks.report FILE...` prints the records that `benchmarks.conv --json` wrote. A ratio is the rival's time
over ours: above 1 we are faster. "build" is our time to trace and compile over lax's; "temp" is temporary memory.
"""

import sys
from collections.abc import Callable, Iterable, Sequence
from math import exp, log
from pathlib import Path
from typing import TypeVar

from .cases import FAMILIES
from .record import ConvRecord, LoopRecord, Race, Throughput, read

R = TypeVar("R", bound=Race)
MIB = 2**20
CHANNELWISE = ("depthwise", "grouped")
_WIDTHS = (38, 38, 11, 24, 9, 9, 7, 7, 8, 6, 6, 8)
_NAMES = ("layer", "shape", "direction", "ours ms (quartiles)", "lax ms", "torch ms", "×lax", "×torch")
HEADER = (*_NAMES, "GFLOP/s", "peak", "build", "temp MiB")


def line(cells: Sequence[str]) -> str:
    """One row of the table: text to the left, numbers to the right."""
    padded = (c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(zip(cells, _WIDTHS)))
    return " ".join(padded).rstrip()


def row(record: ConvRecord) -> str:
    """The record as a row; a rival that did not run is a dash."""
    if "ours" not in record.runs:
        return line(race(record))
    rate = record.gflops()
    return line((*race(record), f"{rate:.1f}", f"{rate / record.machine.peak_gflops:.0%}", *costs(record)))


def race(record: Race) -> list[str]:
    """The cells from the layer to the ratios; those that tell of ours only where it ran."""
    head = [record.case.name, str(record.case), record.direction]
    ours, times = record.runs.get("ours"), [_time(record, rival) for rival in ("lax", "torch")]
    if ours is None:
        return [*head, "–", *times]
    spread = f"{ours.median_ms:.3f} ({ours.low_ms:.3f}–{ours.high_ms:.3f})"
    return [*head, spread, *times, *(_ratio(record.speedup(rival)) for rival in ("lax", "torch"))]


def costs(record: Race) -> list[str]:
    """The cells of building and memory."""
    temp = record.runs["ours"].temp_bytes
    build = _ratio(build_ratio(record)) if "lax" in record.runs else "–"
    return [build, "–" if temp is None else f"{temp / MIB:.1f}"]


def ranking(record: ConvRecord) -> str:
    """The lowerings from the fastest to the slowest, with their milliseconds; a star marks what "auto" stands for."""
    runs = sorted(record.runs.items(), key=lambda item: item[1].median_ms)
    times = (f"{name}{'*' if name == record.choice else ''} {run.median_ms:.3f}" for name, run in runs)
    return f"{record.case.name:<38} {record.direction:<11} " + " · ".join(times)


def build_ratio(record: Race) -> float:
    """Milliseconds to trace and compile, ours over lax's."""
    return record.runs["ours"].build_ms / max(record.runs["lax"].build_ms, 1e-9)


def summary(records: Sequence[ConvRecord]) -> list[str]:
    """Geometric means a family, floors that are missed, the worst case last."""
    measured = [record for record in records if "ours" in record.runs]
    groups: list[tuple[str, Callable[[ConvRecord], bool]]] = [
        *((family, lambda r, family=family: r.case.family == family) for family in FAMILIES),
        ("depthwise and grouped", lambda r: r.case.family in CHANNELWISE),
        ("every other", lambda r: r.case.family not in CHANNELWISE),
        ("all", lambda r: True),
    ]
    lines = geometric_means(groups, measured)
    missing = len(records) - len(measured)
    lines += [f"{missing} without ours"] if missing else []
    return [*lines, *missed(measured), disturbed(records), *worst(measured)]


def geometric_means(groups: Sequence[tuple[str, Callable[[R], bool]]], records: Sequence[R]) -> list[str]:
    """A line for each group that has a record."""
    lines = ["", "geometric means (least)".ljust(32) + "×lax".rjust(20) + "×torch".rjust(20)]
    for name, belongs in groups:
        chosen = [record for record in records if belongs(record)]
        if chosen:
            cells = [_means(chosen, rival).rjust(20) for rival in ("lax", "torch")]
            lines.append(f"{name} ({len(chosen)})".ljust(32) + "".join(cells))
    return lines


def throughput(head: str, record: Throughput) -> str:
    """Images a second of every rival with quartiles, and ours over it; what is below its floor is marked."""
    cells = [head]
    for rival, run in record.runs.items():
        slow, fast, rate = (record.work / ms * 1e3 for ms in (run.high_ms, run.low_ms, run.median_ms))
        digits = 0 if rate >= 100 else 1
        cell = f"{rival} {rate:,.{digits}f} ({slow:,.{digits}f}–{fast:,.{digits}f})"
        if rival != "ours" and "ours" in record.runs:
            floor, ratio = record.floors.get(rival, 0.0), record.speedup(rival)
            cell += f" ×{ratio:.2f}" + (f" BELOW {floor:.2f}" if ratio < floor else "")
        cells.append(cell)
    return "   ".join(cells)


def disturbed(records: Sequence[Race | LoopRecord | Throughput]) -> str:
    """How much other processes had of the machine, in the median and at worst."""
    shares = sorted(record.others for record in records if record.others is not None)
    if not shares:
        return "how busy other processes were is unknown"
    return f"other processes had {shares[len(shares) // 2]:.0%} of the machine in the median, {shares[-1]:.0%} at worst"


def missed(records: Iterable[ConvRecord]) -> list[str]:
    """A line for each floor that a record is below."""
    return [
        f"below a floor: {record.case.name} {record.direction}: {why}" for record in records for why in _misses(record)
    ]


def lowering_summary(records: Sequence[ConvRecord]) -> list[str]:
    """How often each lowering was the fastest, and where the one that "auto" stands for loses over 5 % to another."""
    wins: dict[str, int] = {}
    lines, losses = [], []
    for record in records:
        forced = {name: run.median_ms for name, run in record.runs.items() if name not in ("lax", "ours", "torch")}
        if forced:
            best = min(forced, key=forced.__getitem__)
            wins[best] = wins.get(best, 0) + 1
            losses.append(forced.get(record.choice or best, forced[best]) / forced[best])
            if losses[-1] > 1.05:
                lines.append(
                    f"{record.choice} loses {losses[-1]:.2f}× to {best}: {record.case.name} {record.direction}"
                )
    if not losses:
        return ["", "nothing was forced"]
    counts = ", ".join(f"{name} {count}" for name, count in sorted(wins.items(), key=lambda item: -item[1]))
    mean = f'"auto" over the fastest: geometric mean {geometric_mean(losses):.3f}, at worst {max(losses):.2f}'
    return ["", *lines, disturbed(records), f"fastest: {counts}", mean]


def geometric_mean(values: Sequence[float]) -> float:
    """`(Π v)^(1/n)`.

    >>> round(geometric_mean([2.0, 8.0]), 12)
    4.0
    """
    return exp(sum(map(log, values)) / len(values))


def _misses(record: ConvRecord) -> list[str]:
    channelwise = record.case.family in CHANNELWISE
    out = []
    for rival, floor, why in (("lax", 2.0 if channelwise else 0.95, ""), ("torch", 0.7, ", needs a reason")):
        ratio = record.speedup(rival)
        if ratio is not None and ratio < floor:
            if rival == "torch" and channelwise and ratio < 0.5:
                floor, why = 0.5, ""
            fastest = record.speedup(rival, by="least_ms")
            out.append(f"{ratio:.2f}× {rival} ({fastest:.2f}× by the fastest runs) < {floor}{why}")
    return out + _costs(record)


def _costs(record: ConvRecord) -> list[str]:
    out = []
    ours = record.runs["ours"]
    if build_ratio(record) > 2 and ours.build_ms > 500:
        out.append(
            f"builds in {ours.build_ms:.0f} ms, {build_ratio(record):.1f}× lax's time; the limit is 2× or 500 ms"
        )
    temp = ours.temp_bytes or 0
    if temp > 3 * record.moved_bytes and temp > 64 * MIB:
        held = f"{temp / MIB:.0f} MiB, {temp / record.moved_bytes:.1f}× input and output"
        out.append(f"needs {held}; the limit is 3× or 64 MiB")
    return out


def _means(records: Sequence[Race], rival: str) -> str:
    values = [value for record in records if (value := record.speedup(rival)) is not None]
    return f"{geometric_mean(values):.2f} ({min(values):.2f})" if values else "–"


def worst(records: Sequence[Race]) -> list[str]:
    """The worst case against each rival, lax last."""
    lines = []
    for rival in ("torch", "lax"):
        ratios = [(value, record) for record in records if (value := record.speedup(rival)) is not None]
        if ratios:
            value, record = min(ratios, key=lambda item: item[0])
            lines.append(f"worst against {rival}: {value:.2f}× {record.case.name} {record.direction} ({record.case})")
    return lines


def _time(record: Race, name: str) -> str:
    return f"{record.runs[name].median_ms:.3f}" if name in record.runs else "–"


def _ratio(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def main(paths: Sequence[str]) -> None:
    """Print the records of these files: per file's machine, one table and one summary."""
    records = read(map(Path, paths))
    for machine in dict.fromkeys(record.machine for record in records):
        chosen = [record for record in records if record.machine == machine]
        forced = any(record.choice in record.runs for record in chosen)
        print(machine, "" if forced else line(HEADER), sep="\n")
        print(*map(ranking if forced else row, chosen), sep="\n")
        print(*(lowering_summary(chosen) if forced else summary(chosen)), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
