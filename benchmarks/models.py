"""How many images a second do whole networks go through, forward and in training: ours, plain Flax, PyTorch?

    python -m benchmarks.models [--select NAME ...] [--direction forward|training] [--quick] [--json FILE]
    python -m benchmarks.models --select resnet18 --compiled          torch.compile too: minutes of compiling a network

ImageNet's networks on random images of 224×224 pixels: the logits of 1 and of 32 images, and a step of SGD with Nesterov momentum
on 8. Flax's is the same graph on Flax's own layers (`model_flax`), compiled in the same way; PyTorch's is torchvision's, eager
and channels last. All have the same parameters, drawn at random, and nothing else is random; logits, and in training the
loss and the gradient of the first kernel, must agree before anything is timed. A rival that took more than `patience` seconds in
all is not called again.
"""

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx

from jaxcnn import models
from jaxcnn.train import TrainState, graph_of, make_step
from jaxcnn.weights._layout import Entry, entries

from .drawn import drawn
from .machine import Disturbance, Machine, describe
from .measure import Effort, Program, build, checked, interleave
from .model_flax import in_flax, traced_with_flax_pools
from .record import ModelRecord, Run, write
from .report import disturbed, throughput
from .train_loops import RATE, sgd

Direction = Literal["forward", "training"]
SIDE, CLASSES = 224, 1000
# Of the largest number. Norms of a batch amplify rounding layer by layer: the gradient of MobileNetV2's first kernel differs by
# 3e-2 from PyTorch's in float32, by 1e-11 in float64.
TOLERANCES = {"forward": 1e-4, "training": 0.1}


@dataclass(frozen=True)
class Network:
    """Options that make nothing random; how many times a rival's images/s of training ours should reach."""

    still: dict[str, float] = field(default_factory=dict)
    floors: dict[str, float] = field(default_factory=dict)


NETWORKS = {
    "resnet18": Network(floors={"torch": 0.9}),
    "resnet50": Network(floors={"torch": 0.9}),
    "mobilenet_v2": Network({"dropout": 0.0}, {"torch": 1.0, "flax": 3.0}),
    "mobilenet_v3_large": Network({"dropout": 0.0}),
    "efficientnet_b0": Network({"dropout": 0.0, "stochastic_depth": 0.0}, {"torch": 1.0, "flax": 3.0}),
    "convnext_tiny": Network({"stochastic_depth": 0.0}, {"torch": 1.0, "flax": 3.0}),
    "densenet121": Network({"dropout": 0.0}),
}


@dataclass(frozen=True)
class Options:
    """Which networks, directions and rivals."""

    select: tuple[str, ...] = tuple(NETWORKS)
    """Only these networks."""
    direction: Literal["forward", "training", "all"] = "all"
    batches: tuple[int, ...] = (1, 32)
    """Images of a forward call."""
    train_batch: int = 8
    """Images of a training step."""
    side: int = SIDE
    """Pixels of an image's side."""
    rounds: int = 6
    """Turns of each rival."""
    patience: float = 20.0
    """Seconds in all after which a rival is not called again."""
    quick: bool = False
    """One image forward, 4 in training, two short turns."""
    flax: bool = True
    """Measure plain Flax too."""
    torch: bool = True
    """Measure PyTorch too, where torchvision is installed."""
    compiled: bool = False
    """Measure torch.compile too; where it fails the record says why."""
    json: Path | None = None
    """Add the records to this file, one line each."""


def main(options: Options) -> int:
    """Measure and print every row; the exit status is 1 if a result was wrong."""
    unknown = set(options.select) - NETWORKS.keys()
    if unknown:
        raise SystemExit(f"there is no network {min(unknown)!r}; use {', '.join(NETWORKS)}")
    machine, records, wrong = describe(torch=options.torch), [], []
    print(machine, "images/s (quartiles); × is ours over it", sep="\n", flush=True)
    with open(options.json, "a") if options.json else nullcontext() as file:
        for name in options.select:
            for record in measure(name, options, machine, wrong):
                records.append(record)
                write(file, record)
                print(*lines(record), sep="\n", flush=True)
            jax.clear_caches()
            gc.collect()
    print(disturbed(records), *wrong, sep="\n")
    return bool(wrong)


def measure(name: str, options: Options, machine: Machine, wrong: list[str]) -> Iterator[ModelRecord]:
    """The records of a network, one a direction and batch; a wrong rival is left out and what it says added to `wrong`."""
    model = drawn(_ours(name))
    for direction, batch in _passes(options):
        rng = np.random.default_rng(2)
        images = rng.standard_normal((batch, options.side, options.side, 3), np.float32)
        labels = rng.integers(0, CLASSES, batch).astype(np.int32)
        programs, missing = _programs(name, model, direction, images, labels, options)
        errors, _ = checked(f"{name} {direction} b{batch}", programs, TOLERANCES[direction], wrong)
        rounds = 2 if options.quick else options.rounds
        effort, disturbance = Effort(0.5 * rounds, rounds, options.patience), Disturbance()
        timings = interleave({rival: programs[rival].run for rival in errors}, effort)  # the first runs were cold
        runs = {rival: Run.of(programs[rival], timings[rival], errors[rival]) for rival in errors}
        floors = NETWORKS[name].floors if direction == "training" else {}
        facts = (name, direction, batch, options.side, floors, disturbance.share())
        yield ModelRecord(*facts, runs, missing, machine)


def lines(record: ModelRecord) -> list[str]:
    """Images a second of every rival; then what ours and Flax's took to compile and hold."""
    costs = [
        f"{rival} compiled in {run.build_ms / 1e3:.1f} s"
        + ("" if run.temp_bytes is None else f", {run.temp_bytes / 2**20:,.0f} MiB of temporary memory")
        for rival, run in record.runs.items()
        if run.compile_ms is not None
    ]
    head = f"{record.name} {record.direction} b{record.batch}"
    return [throughput(f"{head:<32}", record), f"{'':<32}   " + "; ".join(costs),
            *(f"{'':<32}   without {rival}: {why}" for rival, why in record.missing.items())]  # fmt: skip


def _passes(options: Options) -> list[tuple[Direction, int]]:
    batches, training = ((1,), 4) if options.quick else (options.batches, options.train_batch)
    chosen: list[tuple[Direction, int]] = [("forward", batch) for batch in batches]
    return [one for one in [*chosen, ("training", training)] if options.direction in (one[0], "all")]


def _ours(name: str) -> Callable[..., nnx.Module]:
    return lambda rngs: models.create(name, rngs=rngs, **NETWORKS[name].still)


def _programs(
    name: str, model: nnx.Module, direction: Direction, images: np.ndarray, labels: np.ndarray, options: Options
) -> tuple[dict[str, Program], dict[str, str]]:
    """Every rival that can run, ours first, and why others cannot."""
    made = {"forward": _forward, "training": _training}[direction]
    ours, flax = _ours(name), lambda rngs: in_flax(_ours(name)(rngs=rngs))
    programs, missing = {"ours": made(ours, model, images, labels, lambda function: function)}, {}
    if options.flax:
        programs["flax"] = made(flax, model, images, labels, traced_with_flax_pools)
    for rival in ["torch"] * options.torch + ["compiled"] * options.compiled:
        try:
            programs[rival] = _torch(name, model, direction, images, labels, compiled=rival == "compiled")
        except Exception as error:  # a missing library or compiler, anything within torch.compile
            missing[rival] = f"{type(error).__name__}: {error}".partition("\n")[0]
    return programs, missing


def _forward(construct, model, images, labels, traced) -> Program:
    graphdef, state = graph_of(lambda rngs: construct(rngs=rngs)), nnx.split(model)[1]
    logits: Any = lambda state, x: nnx.merge(graphdef, state, copy=True)(x, train=False)
    return build(traced(logits), state, jnp.asarray(images), value=lambda y: [np.asarray(y)])


def _training(construct, model, images, labels, traced) -> Program:
    """The step always starts from the same state; its momentum is then the gradient."""
    _, parameters, rest = nnx.split(model, nnx.Param, ...)
    key = jax.random.key(0)
    state = TrainState(parameters, rest, sgd().init(parameters), jnp.zeros((), jnp.int32), key)
    first = _first(model)

    def value(result) -> list[np.ndarray]:
        after, metrics = result
        moved = nnx.merge(nnx.split(model, nnx.Param, ...)[0], after.optimiser[0].trace, rest, copy=True)
        return [np.asarray(metrics.loss)[None], stored(moved)[first]]

    step = make_step(graph_of(lambda rngs: construct(rngs=rngs)), sgd())
    return build(traced(step), state, jnp.asarray(images), jnp.asarray(labels), value=value)


def _torch(name, model, direction: Direction, images, labels, *, compiled: bool) -> Program:
    from . import model_torch

    network = model_torch.network(name, stored(model))
    if direction == "forward":
        program = model_torch.forward(network, images, compiled=compiled)
    else:
        program = model_torch.training(network, images, labels, RATE, first=_first(model), compiled=compiled)
    return program


def stored(model: nnx.Module) -> dict[str, np.ndarray]:
    """Every array by PyTorch's name, in its layout."""
    return {entry.torch: entry.to_torch(np.asarray(entry.variable[...])) for entry in entries(model)}


def _first(model: nnx.Module) -> str:
    """PyTorch's name of the kernel that sees the images: the only one of three channels."""
    sees: Callable[[Entry], bool] = lambda entry: entry.variable.shape[-2:-1] == (3,) and entry.ours.endswith("kernel")
    return next(entry.torch for entry in entries(model) if sees(entry))


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
