"""Records: one JSON line a measurement, complete in itself, so that a line can be read without the run it came from."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any, Literal

from .cases import Case, Direction, Layer, Pass
from .machine import Machine
from .measure import Program, Timing


@dataclass(frozen=True)
class Run:
    """One rival on one problem. Its error is relative to the baseline's largest value; PyTorch compiles nothing."""

    median_ms: float
    low_ms: float
    high_ms: float
    least_ms: float
    repeats: int
    error: float
    trace_ms: float | None
    compile_ms: float | None
    temp_bytes: int | None

    @classmethod
    def of(cls, program: Program, timing: Timing, error: float) -> "Run":
        """What was measured of a program."""
        return cls(
            **{field.name: round(getattr(timing, field.name), 5) for field in fields(timing)},
            error=float(f"{error:.3g}"),
            trace_ms=None if program.trace_ms is None else round(program.trace_ms, 2),
            compile_ms=None if program.compile_ms is None else round(program.compile_ms, 2),
            temp_bytes=program.temp_bytes,
        )

    @property
    def build_ms(self) -> float:
        """Milliseconds before the first call: tracing, lowering and compiling."""
        return (self.trace_ms or 0.0) + (self.compile_ms or 0.0)


class Race:
    """What records of rivals on one problem have in common."""

    case: Case | Layer
    direction: Direction | Pass
    others: float | None
    runs: dict[str, Run]

    def speedup(self, rival: str, *, by: Literal["median_ms", "least_ms"] = "median_ms") -> float | None:
        """How many times faster ours is than the rival, where both ran; by the fastest runs, a noisy machine says less."""
        if rival not in self.runs or "ours" not in self.runs:
            return None
        return getattr(self.runs[rival], by) / getattr(self.runs["ours"], by)


@dataclass(frozen=True)
class ConvRecord(Race):
    """One case and direction with all its rivals: "ours", "lax", "torch", or names of lowerings.

    `others` is the share of the processor time that other processes took meanwhile, `choice` what "auto" stood for.
    """

    case: Case
    direction: Direction
    dtype: str
    multiply_adds: int
    moved_bytes: int
    bound: float
    others: float | None
    runs: dict[str, Run]
    machine: Machine
    choice: str | None = None
    benchmark: str = "conv"

    def gflops(self, name: str = "ours") -> float:
        """GFLOP/s by the direct count, whatever the program computes in fact."""
        return 2 * self.multiply_adds / self.runs[name].median_ms / 1e6

    @classmethod
    def parse(cls, line: str) -> "ConvRecord":
        """The record of a JSON line."""
        values = json.loads(line)
        case = {name: _tuples(value) for name, value in values.pop("case").items()}
        runs = {name: Run(**run) for name, run in values.pop("runs").items()}
        return cls(case=Case(**case), runs=runs, machine=Machine(**values.pop("machine")), **values)


@dataclass(frozen=True)
class OperationRecord(Race):
    """One problem of `benchmarks.pool`, `image` or `long_lines` and its pass, with all its rivals: "ours", "lax", "torch"."""

    case: Layer
    direction: Pass
    dtype: str
    moved_bytes: int
    bound: float
    others: float | None
    runs: dict[str, Run]
    machine: Machine
    benchmark: str

    @classmethod
    def parse(cls, line: str) -> "OperationRecord":
        """The record of a JSON line."""
        values = json.loads(line)
        runs = {name: Run(**run) for name, run in values.pop("runs").items()}
        return cls(case=Layer(**values.pop("case")), runs=runs, machine=Machine(**values.pop("machine")), **values)


@dataclass(frozen=True)
class LoopRecord:
    """A transformed program against the same work in single calls: runs "ours loop", "ours calls", and lax's two.

    `limit` is the ratio that ours may have, where one is set.
    """

    name: str
    network: str
    limit: float | None
    others: float | None
    runs: dict[str, Run]
    machine: Machine
    benchmark: str = "loops"

    def ratio(self, whose: str = "ours") -> float:
        """Time of the transformed program over the time of the single calls."""
        return self.runs[f"{whose} loop"].median_ms / self.runs[f"{whose} calls"].median_ms


class Throughput:
    """What records of images a second have in common."""

    floors: dict[str, float]
    others: float | None
    runs: dict[str, Run]

    @property
    def work(self) -> int:
        """Images that a run goes through."""
        raise NotImplementedError

    def rate(self, rival: str = "ours") -> float:
        """Images a second, in the median."""
        return self.work / self.runs[rival].median_ms * 1e3

    def speedup(self, rival: str) -> float:
        """Our images a second over the rival's."""
        return self.rate() / self.rate(rival)


@dataclass(frozen=True)
class TrainRecord(Throughput):
    """Epochs of one network: runs "ours", "flax", "torch", of an ensemble also "singles", its members one after the other.

    A run's time is that of an epoch; `images` an epoch and member, of the set `data`; `floors` how many times a rival's images
    a second ours should reach.
    """

    name: str
    data: str
    batch: int
    images: int
    members: int
    floors: dict[str, float]
    others: float | None
    runs: dict[str, Run]
    machine: Machine
    benchmark: str = "train"

    @property
    def work(self) -> int:
        """Images of an epoch, of all members."""
        return self.images * self.members


@dataclass(frozen=True)
class ModelRecord(Throughput):
    """One network, forward or a step of training: runs "ours", "flax", "torch", "compiled" (torch.compile).

    Images are `side` × `side` pixels; `missing` says why a rival that was asked for did not run.
    """

    name: str
    direction: Pass
    batch: int
    side: int
    floors: dict[str, float]
    others: float | None
    runs: dict[str, Run]
    missing: dict[str, str]
    machine: Machine
    benchmark: str = "models"

    @property
    def work(self) -> int:
        """Images of a call."""
        return self.batch


@dataclass(frozen=True)
class AttributionRecord(Throughput):
    """One way to explain an image: runs "ours" and its rivals; `images` go through the network for it."""

    name: str
    network: str
    images: int
    side: int
    floors: dict[str, float]
    others: float | None
    runs: dict[str, Run]
    machine: Machine
    benchmark: str = "attributions"

    @property
    def work(self) -> int:
        """Images of a call."""
        return self.images


@dataclass(frozen=True)
class VisualisationRecord:
    """Feature visualisation of channels of one layer: runs "ours" and "lucent", one channel at a time.

    `works` says how many steps of one channel a run of each rival is, `floors` how many times a rival's rate ours should reach.
    """

    network: str
    layer: str
    side: int
    channels: int
    steps: int
    works: dict[str, int]
    floors: dict[str, float]
    others: float | None
    runs: dict[str, Run]
    machine: Machine
    benchmark: str = "visualisation"

    def rate(self, rival: str = "ours") -> float:
        """Steps of one channel a second, in the median."""
        return self.works[rival] / self.runs[rival].median_ms * 1e3

    def speedup(self, rival: str) -> float:
        """Our rate over the rival's."""
        return self.rate() / self.rate(rival)


Record = ConvRecord | OperationRecord | LoopRecord | TrainRecord | ModelRecord | AttributionRecord | VisualisationRecord


def write(file: IO[str] | None, record: Record) -> None:
    """Append one line and flush it, so that an interrupted run keeps what it measured."""
    if file is not None:
        print(json.dumps(asdict(record), separators=(",", ":")), file=file, flush=True)


def read(paths: Iterable[Path]) -> list[ConvRecord]:
    """The convolution records of some files."""
    return [ConvRecord.parse(line) for line in _lines(paths) if json.loads(line)["benchmark"] == "conv"]


def read_operations(paths: Iterable[Path]) -> list[OperationRecord]:
    """The records of pooling, of images and of long lines in some files."""
    return [
        OperationRecord.parse(line)
        for line in _lines(paths)
        if json.loads(line)["benchmark"] in ("pool", "image", "long_lines")
    ]


def _lines(paths: Iterable[Path]) -> list[str]:
    return [line for path in paths for line in path.read_text().splitlines()]


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
