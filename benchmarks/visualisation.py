"""How many steps of feature visualisation does a second hold: ours, and Lucent's way in PyTorch?

    python -m benchmarks.visualisation [--layer NAME] [--side N] [--quick] [--json FILE]

Ours optimises 64 channels as one compiled program, up to the layer. Lucent optimises one channel after the other in eager mode,
takes the layer's output by a hook and runs the network to its end. Network, image size, Fourier parametrisation, decorrelated
colour, Adam and the range of the random affine maps are the same; PyTorch goes by one `grid_sample` for Lucent's four. One
channel without transformations must reach the same activation from the same start before anything is timed.

Reference: Lucent (`lucent.optvis.render.render_vis` and `lucent.optvis.param.spatial.fft_image`).
"""

import sys
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import tyro
from jax import Array

from jaxcnn import models
from jaxcnn.interpret import Channel, Robust, visualise
from jaxcnn.interpret.units._image import start

from .drawn import drawn
from .machine import Disturbance, Machine, describe
from .measure import Effort, Program, agree, interleave
from .models import stored
from .record import Run, VisualisationRecord, write

NETWORK = "squeezenet1_1"
TOLERANCE = 1e-3  # of the activation after a few steps
FLOOR = 2.0
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)


@dataclass(frozen=True)
class Options:
    """Which layer and how much work."""

    layer: str = "fire5"
    """Activation whose channels are optimised."""
    side: int = 128
    """Pixels of an image's side."""
    channels: int = 64
    """Channels that ours optimises together."""
    torch_channels: int = 8
    """Channels that PyTorch optimises one after the other, from which its time a channel is taken."""
    steps: int = 32
    """Steps of each channel."""
    at_once: int = 16
    """Images that ours holds together."""
    torch_threads: int = 2
    """Threads of PyTorch. On a machine that others use too, two wait for each other (1.1 s a step): then 1 is fairer."""
    rounds: int = 5
    """Turns of each rival."""
    quick: bool = False
    """Few channels, steps and turns."""
    json: Path | None = None
    """Add the record to this file."""


def normalised(images: Array) -> Array:
    """torchvision's mean and deviation taken out."""
    return (images - MEAN) / DEVIATION


def main(options: Options) -> None:
    """Checks, measures and prints the row."""
    machine = describe()
    print(machine, "steps of one channel a second (quartiles); × is ours over it", sep="\n", flush=True)
    record = measure(options, machine)
    with open(options.json, "a") if options.json else nullcontext() as file:
        write(file, record)
    print(row(record))


def measure(options: Options, machine: Machine) -> VisualisationRecord:
    """Checks and times both.

    Raises: WrongResult where they reach different activations.
    """
    from .visualisation_torch import Lucent

    few, many = (2, 4) if options.quick else (options.torch_channels, options.channels)
    steps, rounds = (2, 1) if options.quick else (options.steps, options.rounds)
    model = drawn(lambda rngs: models.create(NETWORK, rngs=rngs))
    place = model.names.index(options.layer)  # pyright: ignore
    lucent = Lucent(NETWORK, stored(model), f"features.{place}", options.side, Robust(), options.torch_threads)
    error = _check(model, options, lucent)
    options_of: dict[str, Any] = {"image_size": options.side, "prepare": normalised, "at_once": options.at_once}
    wanted = [Channel(options.layer, i) for i in range(many)]
    ours = lambda: jax.block_until_ready(visualise(jax.random.key(1), model, wanted, steps=steps, **options_of))
    theirs = lambda: [lucent.optimise(None, i, steps) for i in range(few)]
    ours()  # compiles
    disturbance = Disturbance()
    timings = interleave({"ours": ours, "lucent": theirs}, Effort(0.0, rounds, 1e9))
    errors, works = {"ours": 0.0, "lucent": error}, {"ours": many * steps, "lucent": few * steps}
    runs = {rival: Run.of(Program(ours), timings[rival], errors[rival]) for rival in timings}
    facts = (NETWORK, options.layer, options.side, many, steps, works, {"lucent": FLOOR})
    return VisualisationRecord(*facts, disturbance.share(), runs, machine)


def _check(model, options: Options, lucent) -> float:
    """The relative difference of the activations that both reach without transformations."""
    key, shape = jax.random.key(0), (1, options.side, options.side, 3)
    first = np.asarray(start(jax.random.fold_in(key, 0), shape, "fourier"))[0]
    channel = lucent.liveliest(first)  # a dead one has no gradient in PyTorch, and ours sends one around its ReLU
    made = visualise(
        key,
        model,
        Channel(options.layer, channel),
        image_size=options.side,
        steps=5,
        transforms=None,
        prepare=normalised,
    )
    reached = np.asarray(made.values[0], np.float32)
    return agree("lucent", np.array([lucent.optimise(first, channel, 5)], np.float32), reached, TOLERANCE)


def row(record: VisualisationRecord) -> str:
    """Steps of a channel a second of both, and ours over Lucent's."""
    cells = [f"{record.network} {record.layer}, {record.channels} channels, {record.side}×{record.side}"]
    for rival, run in record.runs.items():
        slow, fast = (record.works[rival] / ms * 1e3 for ms in (run.high_ms, run.low_ms))
        cells.append(f"{rival} {record.rate(rival):.1f} ({slow:.1f}–{fast:.1f})")
    ratio, floor = record.speedup("lucent"), record.floors["lucent"]
    return "   ".join(cells) + f" ×{ratio:.2f}" + (f" BELOW {floor:.2f}" if ratio < floor else "")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
