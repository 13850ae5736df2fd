"""What does training on more devices cost? Bytes that a step adds up over the devices, and the throughput that follows.

    XLA_FLAGS=--xla_force_host_platform_device_count=8 python -m benchmarks.scaling [--network resnet18] [--timed 2]

The batch grows with the devices (weak scaling), and `train.fit`'s own step is compiled for 1, 2, 4, … of those that JAX finds.
Its all-reduces (gradients, batch statistics, loss) are counted in the compiled program. On `timed` devices and fewer it runs;
simulated devices share the cores of one machine, so only a rate of all together says something there. Past that the table is
arithmetic: a ring moves 2 (d − 1) / d of the bytes through every link, after the step of one device and not beside it,

    share of d times one device's throughput = t₁ / (t₁ + 2 (d − 1) / d · bytes / bandwidth)
"""

import re
import sys
from dataclasses import dataclass
from math import prod
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from jaxcnn.train import cross_entropy, device_mesh, graph_of
from jaxcnn.train._programs import Programs, members_of

from .machine import Disturbance, describe
from .measure import Effort, interleave
from .train_loops import sgd
from .train_networks import LENET, RESNET, Task

PAST = (8, 64, 512)
COLLECTIVE = re.compile(r" = (\(.*?\)|\S+) (all-reduce|all-gather|all-to-all|reduce-scatter)(?:-start)?\(")


@dataclass(frozen=True)
class Options:
    """Which network, and what links the devices would have."""

    network: Literal["lenet5", "resnet18"] = "resnet18"
    """The network of `benchmarks.train`."""
    batch: int = 32
    """Images a step and device."""
    timed: int = 2
    """Run on up to so many devices."""
    step_ms: float | None = None
    """Milliseconds of a step on one device, for the projection (default: as measured here)."""
    gigabytes: float = 25.0
    """10⁹ bytes a second through a link of one device."""


def reduced_bytes(text: str) -> int:
    """Bytes that the all-reduces in the text of a compiled program add up, each of them run once.

    Raises: ValueError for another collective: training with a shared batch needs none.

    >>> reduced_bytes("  %a = (f32[3,4]{1,0}, s32[]) all-reduce(%b, %c), channel_id=1")
    52
    """
    total = 0
    for shapes, operation in COLLECTIVE.findall(text):
        if operation != "all-reduce":
            raise ValueError(f"reduced_bytes: the program has an {operation} of {shapes}")
        for dtype, sizes in re.findall(r"([a-z]+\d+)\[([\d,]*)\]", shapes):
            total += int(re.sub(r"\D", "", dtype)) // 8 * prod(map(int, filter(None, sizes.split(","))))
    return total


def share(devices: int, step_ms: float, reduced: int, gigabytes: float) -> float:
    """Throughput of so many devices over that of as many alone.

    >>> share(1, 5.0, 10**9, 25.0), round(share(2, 40.0, 10**9, 25.0), 3)
    (1.0, 0.5)
    """
    return step_ms / (step_ms + 2 * (devices - 1) / devices * reduced / gigabytes / 1e6)


class Step:
    """One compiled step of an ensemble of one, on its batch of random images; `run` goes on from where it stands."""

    def __init__(self, task: Task, devices: int, batch: int):
        build, mesh = lambda rngs: task.ours(rngs=rngs), device_mesh(devices=devices)
        prepare = lambda images: images.astype(jnp.float32) / 255 - 0.5
        options = dict.fromkeys(("compute_dtype", "ema", "augment", "mix", "views"))
        programs = Programs(graph_of(build), sgd(), prepare, batch * devices, loss=cross_entropy, mesh=mesh, **options)
        self.state = programs.initialise(build, *members_of(1, 0, None))
        self.program = programs.compiled_batch(self.state, task.image_shape)
        rng = np.random.default_rng(0)
        images = rng.integers(0, 256, (batch * devices, *task.image_shape), np.uint8)
        labels = np.arange(batch * devices, dtype=np.int32) % 10
        self.batch = jax.device_put((images, labels), programs.raw_sharding)

    def run(self) -> None:
        self.state, metrics = self.program(self.state, *self.batch)
        jax.block_until_ready(metrics)


def main(options: Options) -> None:
    """Print what was compiled, what was measured and what is projected."""
    print(describe(torch=False))
    task = {"lenet5": LENET, "resnet18": RESNET}[options.network]
    counts = [d for d in (1, 2, 4, 8, 16) if d <= jax.device_count()]
    steps = {devices: Step(task, devices, options.batch) for devices in counts}
    reduced = {devices: reduced_bytes(step.program.as_text()) for devices, step in steps.items()}
    disturbance = Disturbance()
    runs = {str(devices): steps[devices].run for devices in counts if devices <= options.timed}
    times = interleave(runs, Effort(budget_s=2.0, rounds=5, patience_s=30.0))
    others = disturbance.share()
    print(f"{task.name}, {options.batch} images a step and device")
    for devices in counts:
        line = f"{devices:4} devices: {reduced[devices] / 1e6:.3f} MB all-reduced a step"
        if str(devices) in times:
            took = times[str(devices)]
            rate = options.batch * devices / took.median_ms * 1e3
            line += f", measured {took.median_ms:.1f} ms ({took.low_ms:.1f}–{took.high_ms:.1f}), {rate:,.0f} images/s in all"
        print(line)
    print("others took", others)
    one = options.step_ms or times["1"].median_ms
    for devices in PAST:
        part = share(devices, one, reduced[counts[-1]], options.gigabytes)
        print(f"{devices:4} devices, projected from {one:.1f} ms and links of {options.gigabytes:g} GB/s: {part:.1%}")


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
