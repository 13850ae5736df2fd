"""What bounds a convolution: the time of each operation of the compiled program, beside what arithmetic and memory allow.

    python -m benchmarks.profile --case vgg16/conv3_1/b1 --direction kernel_grad
    python -m benchmarks.profile --case 'mobilenetv2/*/b1' --direction kernel_grad --lowering tap_sum row_loop

The floors: multiply-adds at the peak of a square matrix product, and operands and result once through memory at the rate of
a large copy. An operation's time is its own, without what it calls, summed over threads, so that the operations of a program
on two cores may add up to twice its time.
"""

import re
import sys
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import tyro
from jax import lax
from jax.profiler import ProfileData

from .cases import Case, Direction, Table, select
from .lowerings import forced
from .machine import describe
from .measure import QUICK, build, interleave
from .rivals import Arrays, directed, ours, plain

CALLS = 20


@dataclass(frozen=True)
class Options:
    """Which case, which direction, which programs."""

    case: str
    """Cases whose name (network/layer/bN) matches this shell pattern."""
    direction: Direction = "forward"
    lowering: tuple[str, ...] = ()
    """Lowerings to profile by force, beside ours and lax."""
    table: Table = "networks"
    """Where to look for the case."""
    top: int = 8
    """How many operations to show."""


@dataclass(frozen=True)
class Operation:
    """One instruction of the compiled program: milliseconds of it alone in one call, and how often a call runs it."""

    name: str
    ms: float
    times: float


def main(options: Options) -> int:
    """Print a profile for each case and program."""
    machine, rate = describe(torch=False), copy_gigabytes()
    print(machine, f"a copy moves {rate:.1f} GB/s", sep="\n")
    for case in select(pattern=options.case, table=options.table):
        compute = 2 * case.multiply_adds / machine.peak_gflops / 1e6
        memory = 4 * case.elements / rate / 1e6
        print(f"\n{case.name} {case} {options.direction}: arithmetic {compute:.3f} ms, memory {memory:.3f} ms")
        for name, function in _programs(case, options).items():
            print(*_profile(name, function, case, options.top), sep="\n")
    return 0


def copy_gigabytes(size: int = 2**24, times: int = 8) -> float:
    """10⁹ bytes a second that an elementwise operation over `size` float32 reads and writes, in memory touched before."""
    program = build(lambda a: lax.fori_loop(0, times, lambda _, a: a + 1, a), jnp.zeros(size, jnp.float32))
    return 8 * size * times / interleave({"copy": program.run}, QUICK)["copy"].low_ms / 1e6


def operations(run: Callable[[], object], calls: int = CALLS) -> list[Operation]:
    """The operations of `calls` calls, from the slowest to the fastest."""
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            for _ in range(calls):
                run()
        (file,) = Path(folder).rglob("*.xplane.pb")
        spans = _spans(file)
    total, count = defaultdict(float), defaultdict(int)
    for name, nanoseconds in spans:
        total[name] += nanoseconds
        count[name] += 1
    found = (Operation(name, total[name] / calls / 1e6, count[name] / calls) for name in total)
    return sorted(found, key=lambda operation: -operation.ms)


def own_times(spans: Iterable[tuple[str, float, float]]) -> list[tuple[str, float]]:
    """Name and duration of each (name, start, duration) of one thread, less what lies within it.

    >>> own_times([("loop", 0, 10), ("a", 1, 4), ("b", 6, 3)])
    [('loop', 3), ('a', 4), ('b', 3)]
    """
    ordered = sorted(spans, key=lambda span: (span[1], -span[2]))
    left, open_ = [duration for _, _, duration in ordered], []
    for i, (_, start, duration) in enumerate(ordered):
        while open_ and start >= ordered[open_[-1]][1] + ordered[open_[-1]][2]:
            open_.pop()
        if open_:
            left[open_[-1]] -= duration
        open_.append(i)
    return [(name, own) for (name, _, _), own in zip(ordered, left)]


def _spans(file: Path) -> list[tuple[str, float]]:
    """Name and own nanoseconds of each operation in a trace.

    From Python 3.12 on jaxlib's iterators warn as their types are made, in C++ code that ends the process where a warning is
    an error.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "builtin type .* has no __module__", DeprecationWarning)
        return [span for plane in ProfileData.from_file(str(file)).planes for span in _own_times(plane.lines)]


def _own_times(lines) -> Iterable[tuple[str, float]]:
    for line in lines:
        spans = [(dict(e.stats).get("hlo_op"), e.start_ns, e.duration_ns) for e in line.events]
        yield from own_times((str(name), start, duration) for name, start, duration in spans if name is not None)


def _programs(case: Case, options: Options) -> dict[str, Callable]:
    able = forced(case, options.direction, dtype="float32", platform=jax.default_backend())
    missing = [name for name in options.lowering if name not in able]
    if missing:
        raise SystemExit(f"{missing[0]} cannot run {case.name} {options.direction}; one of {', '.join(able)} can")
    conv = ours(case)
    functions = {"lax": directed(plain(case), options.direction)}
    functions |= {"ours": directed(conv, options.direction)} if conv is not None else {}
    return functions | {name: able[name] for name in options.lowering}


def _profile(name: str, function: Callable, case: Case, top: int) -> list[str]:
    """The lines of one program: its time, then its slowest operations."""
    arrays = Arrays.of(case)
    operands = tuple(map(jnp.asarray, (arrays.x, arrays.kernel, arrays.g)))
    program = build(function, *operands)
    program.run()
    ms = interleave({name: program.run}, QUICK)[name].median_ms
    text = instructions(jax.jit(function).lower(*operands).compile().as_text() or "")
    rows = [f"  {name}: {ms:.3f} ms"]
    for operation in operations(program.run)[:top]:
        rows.append(f"    {operation.ms:9.3f} ms  {operation.times:7.1f}×  {text.get(operation.name, operation.name)}")
    return rows


def instructions(text: str) -> dict[str, str]:
    """Name → `name opcode shape` of every instruction in the text of a compiled program."""
    found = re.findall(r"^\s*(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([\w\-]+)\(", text, re.MULTILINE)
    return {name: f"{name} ({opcode}) {re.sub(r'{[^}]*}', '', shape)}" for name, shape, opcode in found}


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
