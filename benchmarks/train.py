"""How many images a second does training go through: ours, plain Flax NNX, PyTorch?

    python -m benchmarks.train [--select NAME] [--data-dir DIR] [--quick] [--no-flax] [--no-torch] [--json FILE]

A whole loop is timed: an epoch over images that live on the device, shuffled anew, normalised, SGD with Nesterov momentum, the
losses of all steps back on the host at the end. Ours is what `train.fit` runs: an ensemble, of one here, in compiled calls of up
to 100 steps. Flax's is an `nnx.jit` step in a Python loop, PyTorch's an eager one on channels-last tensors. `ensemble` sets 16
LeNet-5 in one program beside 16 single runs and Flax's `nnx.vmap`. All start from the same weights, and must have the same
losses in the same order of the images before they are timed.
"""

import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

from jaxcnn.data import ImageSet, Split, load

from .machine import Disturbance, Machine, describe
from .measure import Effort, Program, agree, interleave
from .record import Run, TrainRecord, write
from .report import disturbed, throughput
from .train_loops import RATE, FlaxLoop, OurLoop
from .train_networks import LENET, RESNET, Task

MEMBERS = 16
TOLERANCE = 1e-3  # of the largest loss, over the steps that are checked: rounding grows with every step
TASKS = {
    "lenet5": LENET,
    "resnet18": RESNET,
    "ensemble": replace(LENET, images=2_560, floors={"singles": 1 / 1.1}),
}
QUICK = {"lenet5": 1_280, "resnet18": 128, "ensemble": 640}


@dataclass(frozen=True)
class Options:
    """Which rows and rivals, on which data."""

    select: Literal["lenet5", "resnet18", "ensemble"] | None = None
    """One row (default: all)."""
    data_dir: Path | None = None
    """Directory of prepared TFDS sets; random images of the same shape where a set is not there."""
    rounds: int = 7
    """Epochs of each rival."""
    quick: bool = False
    """Fewer images and a single round."""
    flax: bool = True
    """Measure plain Flax too."""
    torch: bool = True
    """Measure PyTorch too, where it is installed."""
    json: Path | None = None
    """Write the records here, one line each."""


@dataclass(frozen=True)
class Rival:
    """`check` gives the losses of the first steps in a given order, `(steps, members)`; `epoch` goes on in orders of its own."""

    check: Callable[[np.ndarray], np.ndarray]
    epoch: Callable[[], np.ndarray]


def part(task: Task, data_dir: Path | None, images: int) -> ImageSet:
    """The first images of the set; random ones, and " (random)" in the name, where it is not prepared."""
    try:
        data = load(task.dataset, data_dir=data_dir)
    except (ValueError, ImportError) as error:
        print(f"{error}; random images instead", file=sys.stderr)
        rng = np.random.default_rng(0)
        split = Split(
            rng.integers(0, 256, (images, *task.image_shape), np.uint8), np.arange(images, dtype=np.int32) % 10
        )
        return ImageSet(f"{task.dataset} (random)", split, split, tuple("0123456789"), "random numbers")
    return replace(data, train=Split(data.train.images[:images], data.train.labels[:images]))


def rivals(task: Task, data: ImageSet, options: Options, members: int) -> tuple[OurLoop, dict[str, Rival]]:
    """Ours, and every rival that is asked for, from ours' first weights."""
    ours = OurLoop(task, data, members)
    found = {"ours": Rival(lambda order: ours.run()[: len(order)], ours.run)}
    if members > 1:
        singles = OurLoop(task, data, members, together=False)
        found["singles"] = Rival(lambda order: singles.run()[: len(order)], singles.run)
    if options.flax:
        flax = FlaxLoop(task, data, ours.weights())
        found["flax"] = Rival(flax.run, flax.run)
    if options.torch and members == 1 and find_spec("torch"):
        from . import train_torch

        loop = train_torch.TorchLoop(task.name, ours.weights(), data, task.batch, RATE)
        found["torch"] = Rival(loop.run, loop.run)
    return ours, found


def measure(name: str, options: Options, machine: Machine) -> TrainRecord:
    """Checks and times one row.

    Raises: WrongResult where losses differ.
    """
    task, members = TASKS[name], MEMBERS if name == "ensemble" else 1
    data = part(task, options.data_dir, QUICK[name] if options.quick else task.images)
    ours, found = rivals(task, data, options, members)
    order = ours.order(min(task.checked, len(data.train) // task.batch))
    losses = {rival: one.check(order) for rival, one in found.items()}
    errors = {rival: agree(f"{name}, {rival}", value, losses["ours"], TOLERANCE) for rival, value in losses.items()}
    disturbance = Disturbance()
    effort = Effort(budget_s=0.0, rounds=1 if options.quick else options.rounds, patience_s=1e9)
    timings = interleave({rival: one.epoch for rival, one in found.items()}, effort)
    runs = {rival: Run.of(Program(one.epoch), timings[rival], errors[rival]) for rival, one in found.items()}
    images = len(data.train) // task.batch * task.batch
    return TrainRecord(name, data.name, task.batch, images, members, task.floors, disturbance.share(), runs, machine)


def row(record: TrainRecord) -> str:
    """Images a second of every rival with quartiles, and ours over it; what is below its floor is marked."""
    return throughput(f"{record.name:<9}", record)


def main(options: Options) -> None:
    """Measure and print the rows."""
    machine = describe(torch=options.torch)
    print(machine, "images/s (quartiles); × is ours over it", sep="\n", flush=True)
    records: list[TrainRecord] = []
    with open(options.json, "a") if options.json else nullcontext() as file:
        for name in [options.select] if options.select else TASKS:
            records.append(measure(name, options, machine))
            write(file, records[-1])
            print(row(records[-1]), flush=True)
    print(disturbed(records))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
