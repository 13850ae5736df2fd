"""How fast is an image explained: ours against captum and against RISE as its authors write it in PyTorch?

    python -m benchmarks.attributions [--select NAME ...] [--weights FILE] [--photo FILE] [--quick] [--json FILE]

SqueezeNet 1.1, one photograph of 227×227 pixels, float32; the rival is torchvision's network with the same arrays. Without a
file of weights they are drawn at random, without a photograph its pixels are. Every map must equal the rival's before
anything is timed. Rivals take turns. "captum" is as its users call it, one changed image at a time; "batched" gives it 16 at a
time. Both run in PyTorch's default memory format, "channels last" in the one that suits the CPU better.

A row of the table is a pair of functions: `(model, x) -> map` and `(network, x) -> map` for each rival.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx

from jaxcnn import interpret, models, weights
from jaxcnn.functional import resize
from jaxcnn.interpret.attribution._rise import drawn as masks_of
from jaxcnn.weights._layout import entries

from .drawn import drawn
from .machine import Disturbance, Machine, describe
from .measure import Effort, Program, checked, interleave
from .record import AttributionRecord, Run, write
from .report import disturbed, throughput

NETWORK, SIDE, BATCH, TARGET = "squeezenet1_1", 227, 16, 281
TOLERANCE = 2e-3  # of the largest number: a map is a difference of scores that rounding changes in the sixth place
LIKELY, KEY = {"masks": 64, "grid": 7, "share": 0.5}, jax.random.key(0)
WINDOW, STRIDE, STEPS = 32, 32, 16
Rival = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Row:
    """One method: ours, its rivals by name, the images that go through the network, how many times as fast ours should be."""

    ours: Callable[[nnx.Module, jax.Array], jax.Array]
    rivals: dict[str, Rival]
    images: int
    floors: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Options:
    """Which methods, and of what."""

    select: tuple[str, ...] = ()
    """Only these methods."""
    weights: Path | None = None
    """A file of the network's weights, as its authors publish them."""
    photo: Path | None = None
    """A photograph, cut to the middle."""
    rounds: int = 5
    """Turns of each rival."""
    quick: bool = False
    """One turn each."""
    json: Path | None = None
    """Add the records to this file, one line each."""


def main(options: Options) -> int:
    """Measure and print every row; the exit status is 1 if a map was wrong."""
    table = rows()
    unknown = set(options.select) - table.keys()
    if unknown:
        raise SystemExit(f"there is no method {min(unknown)!r}; use {', '.join(table)}")
    machine, records, wrong = describe(torch=True), [], []
    print(machine, "images through the network a second (quartiles); × is ours over it", sep="\n", flush=True)
    model, x = _model(options.weights), _image(options.photo)
    with open(options.json, "a") if options.json else nullcontext() as file:
        for name in options.select or table:
            for record in measure(name, table[name], model, x, options, machine, wrong):
                records.append(record)
                write(file, record)
                print(throughput(f"{name:<24}", record), flush=True)
    print(disturbed(records), *wrong, sep="\n")
    return bool(wrong)


def measure(
    name: str, row: Row, model: nnx.Module, x: jax.Array, options: Options, machine: Machine, wrong: list[str]
) -> Iterator[AttributionRecord]:
    """The record of a row; a rival whose map differs is left out and what it says added to `wrong`."""
    arrays = {entry.torch: entry.to_torch(np.asarray(entry.variable[...])) for entry in entries(model)}
    run = lambda: jax.block_until_ready(row.ours(model, x))
    programs = {"ours": Program(run, lambda y: np.asarray(y, np.float32))}
    programs |= {rival: _torch(function, rival, arrays, x) for rival, function in row.rivals.items()}
    errors, _ = checked(name, programs, TOLERANCE, wrong)
    rounds, disturbance = 1 if options.quick else options.rounds, Disturbance()
    timings = interleave({rival: programs[rival].run for rival in errors}, Effort(1e-9, rounds, 120.0))
    runs = {rival: Run.of(programs[rival], timings[rival], errors[rival]) for rival in errors}
    yield AttributionRecord(name, NETWORK, row.images, SIDE, row.floors, disturbance.share(), runs, machine)


def rows() -> dict[str, Row]:
    """Every method that both sides have."""
    count = (-(-(SIDE - WINDOW) // STRIDE) + 1) ** 2
    covering: Any = {"window": WINDOW, "stride": STRIDE, "batch": BATCH}
    passes = {"captum": 2.0, "captum batched": 2.0}
    likely: Any = {**LIKELY, "batch": BATCH}
    steps: Any = {"steps": STEPS, "batch": 8}
    rise = lambda model, x: interpret.rise(KEY, model, x, TARGET, **likely)
    found = {
        "occlusion": Row(lambda model, x: interpret.occlusion(model, x, TARGET, **covering), _both(_occlusion), count, passes),
        "rise": Row(rise, {"torch": _rise, "torch channels last": _rise}, LIKELY["masks"], {"torch": 2.0}),
        "gradient": Row(
            lambda model, x: interpret.gradient(model, x, TARGET), _captum("Saliency", abs=False), 1, {"captum": 1.0}
        ),
        "guided_backprop": Row(
            lambda model, x: interpret.guided_backprop(model, x, TARGET), _captum("GuidedBackprop"), 1, {"captum": 1.0}
        ),
        "integrated_gradients": Row(
            lambda model, x: interpret.integrated_gradients(model, x, TARGET, **steps),
            _captum("IntegratedGradients", n_steps=STEPS, internal_batch_size=8), STEPS, {"captum": 1.0},
        ),
        "grad_cam": Row(
            lambda model, x: interpret.grad_cam(model, x, TARGET, layer="fire9", resize=None), {"captum": _grad_cam}, 1,
            {"captum": 1.0},
        ),
    }  # fmt: skip
    return found


def _both(method: Callable[[int], Rival]) -> dict[str, Rival]:
    return {"captum": method(1), "captum batched": method(BATCH), "captum channels last": method(BATCH)}


def _occlusion(batch: int) -> Rival:
    def run(network, x):
        from captum.attr import Occlusion

        options: Any = {"target": TARGET, "perturbations_per_eval": batch}
        return Occlusion(network).attribute(x, (3, WINDOW, WINDOW), strides=(3, STRIDE, STRIDE), **options)[:, 0]

    return run


def _captum(method: str, **options: Any) -> dict[str, Rival]:
    """A method of captum's that gives a number a pixel and channel."""

    def run(network, x):
        from captum import attr

        return getattr(attr, method)(network).attribute(x, target=TARGET, **options).movedim(1, -1)

    return {"captum": run, "captum channels last": run}


def _grad_cam(network, x):
    from captum.attr import LayerGradCam

    found: Any = LayerGradCam(network, network.features[12]).attribute(x, target=TARGET, relu_attributions=True)
    return found[:, 0]


def _rise(network, x):
    """As https://github.com/eclique/RISE: masks made before, probabilities of all classes, one product for all their maps."""
    import torch

    masks = _torch_masks()
    with torch.no_grad():
        found = [torch.softmax(network(masks[i : i + BATCH, None] * x), 1) for i in range(0, len(masks), BATCH)]
        maps = torch.matmul(torch.cat(found).T, masks.flatten(1)) / len(masks) / LIKELY["share"]
    return maps.reshape(-1, SIDE, SIDE)[None, TARGET]


@cache
def _torch_masks() -> Any:
    """The masks that ours draws, made once."""
    import torch

    cells, space = (LIKELY["grid"],) * 2, (SIDE, SIDE)
    masks = masks_of(KEY, jnp.arange(LIKELY["masks"]), space, cells, LIKELY["share"], jnp.float32)
    return torch.from_numpy(np.array(masks))


def _torch(function: Rival, name: str, arrays: dict[str, np.ndarray], x: jax.Array) -> Program:
    import torch

    from . import model_torch

    network: Any = model_torch.network(NETWORK, arrays).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False  # captum's hooks need what a ReLU was given
    images = torch.from_numpy(np.array(x)).permute(0, 3, 1, 2)
    if "channels last" not in name:
        network, images = network.to(memory_format=torch.contiguous_format), images.contiguous()
    return Program(lambda: function(network, images.clone()), lambda y: y.detach().contiguous().numpy())


def _model(file: Path | None) -> nnx.Module:
    if file is None:
        return drawn(lambda rngs: models.create(NETWORK, rngs=rngs))
    card = weights.card("squeezenet1_1.iandola")
    return weights.load(models.create(NETWORK, rngs=nnx.Rngs(0)), file, names=card.names)


def _image(file: Path | None) -> jax.Array:
    """The middle of a photograph as the network takes it: 0 to 255 less the mean, blue first."""
    if file is None:
        return 50 * jax.random.normal(jax.random.key(1), (1, SIDE, SIDE, 3))
    from PIL import Image

    pixels = np.asarray(Image.open(file).convert("RGB"), np.float32)
    side = min(pixels.shape[:2])
    top, left = ((n - side) // 2 for n in pixels.shape[:2])
    cut = resize(jnp.asarray(pixels[None, top : top + side, left : left + side]), SIDE, antialias=True)
    return cut[..., ::-1] - jnp.array([104.0, 117.0, 123.0])


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
