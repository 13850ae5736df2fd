"""Which method points at the object? (L0.9)

Photographs with boxes, and a network that was trained on whole pictures: the largest number of a map is to lie in a box of
the class that the map is of. Each method is asked about every class of COCO that ImageNet has too; among the ImageNet
classes that belong to it the likeliest is the target. With captum installed (extra `oracles`) its methods play the same game
on the same network.

    python -m experiments.pointing_game --weights squeezenet_v1.1_fp16.npz --photographs coco_val

Expected: class activation maps and masks ahead of gradients, all ahead of the middle of the photograph.
"""

import csv
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx
from jax import Array

from jaxcnn import interpret, models, weights
from jaxcnn.data import decode
from jaxcnn.report import Page, heatmaps
from jaxcnn.train import run_folder

from .comparison import command
from .shared_classes import SHARED


@dataclass(frozen=True)
class Config:
    """The pointing game of every method on photographs with boxes."""

    weights: Path
    """File of an ImageNet network's weights that a card is known for."""
    photographs: Path
    """Folder with images/ and boxes.csv (image, name, and cx, cy, w, h as shares of the photograph)."""
    layer: str = "fire9"
    """Activation of the class activation maps."""
    tolerance: float = 15.0
    """Pixels beside a box that still count."""
    masks: int = 240
    """Masks of RISE."""
    only: tuple[str, ...] = ()
    """Play these methods alone."""
    captum: bool = True
    """Let captum play too, where it is installed."""
    seed: int = 0
    """Of the noise and the masks."""
    runs: Path = Path("runs")
    """Folder that keeps the runs, one sub-folder each."""


class Question(NamedTuple):
    """A photograph, an ImageNet class, and the boxes `(k, 4)` of what belongs to it, in the network's pixels."""

    file: str
    name: str
    pixels: np.ndarray
    target: int
    boxes: np.ndarray


class Answer(NamedTuple):
    """What a method reached: hits and energy in the boxes, one number a question."""

    name: str
    hits: np.ndarray
    energy: np.ndarray

    @property
    def line(self) -> str:
        """The result in one line.

        >>> Answer("rise", np.array([1.0, 0.0]), np.array([0.5, 0.25])).line
        'rise hits 0.500 of 2, energy in the boxes 0.375'
        """
        return (
            f"{self.name} hits {self.hits.mean():.3f} of {len(self.hits)}, energy in the boxes {self.energy.mean():.3f}"
        )


def methods(config: Config) -> dict[str, Callable[[Any, Array, Array], Array]]:
    """Maps `(n, h, w)` of a model, images and classes; gradients count by their size, shares by their sign."""
    size = lambda method: lambda *asked: jnp.abs(method(*asked)).sum(-1)
    share = lambda method: lambda *asked: method(*asked).sum(-1)
    key, cam = jax.random.key(config.seed), {"layer": config.layer}
    return {
        "middle": lambda model, x, target: _middle(x),
        "gradient": size(interpret.gradient),
        "smooth_grad": size(partial(interpret.smooth_grad, key, samples=8)),
        "guided_backprop": size(interpret.guided_backprop),
        "deconvnet": size(interpret.deconvnet),
        "input_x_gradient": share(interpret.input_x_gradient),
        "integrated_gradients": share(partial(interpret.integrated_gradients, steps=24)),
        "deep_lift": share(interpret.deep_lift),
        "lrp": share(partial(interpret.lrp, rule=interpret.gamma_rule(0.25))),
        "grad_cam": partial(interpret.grad_cam, **cam),
        "grad_cam_plus_plus": partial(interpret.grad_cam_plus_plus, **cam),
        "guided_grad_cam": size(partial(interpret.guided_grad_cam, **cam)),
        "eigen_cam": lambda model, x, target: interpret.eigen_cam(model, x, **cam),
        "score_cam": partial(interpret.score_cam, **cam),
        "occlusion": partial(interpret.occlusion, window=32, stride=16),
        "rise": partial(interpret.rise, key, masks=config.masks),
    }


def main(config: Config) -> None:
    """Asks every method every question, prints a line each, writes the page."""
    table = methods(config)
    unknown = set(config.only) - table.keys()
    if unknown:
        raise ValueError(f"only={min(unknown)!r} must be one of {', '.join(table)}")
    card = weights.card_with_sha256(weights.sha256_of(config.weights))
    if card is None or card.classes != "imagenet":
        raise ValueError(f"no card of an ImageNet network is known for {config.weights}")
    model = weights.load(models.create(card.model, rngs=nnx.Rngs(0)), config.weights)
    prepare = lambda pixels: weights.normalise(card, jnp.asarray(pixels)[None])
    asked = list(questions(config.photographs, card, model, prepare))
    with run_folder(config.runs, "pointing_game", config=config, source=__file__) as run:
        answers, shown = [], {}
        for name in config.only or table:
            answer, shown[name] = play(name, partial(table[name], model), asked, prepare, config.tolerance)
            answers.append(answer)
            print(f"pointing_game/{answer.line}", flush=True)
        for name, method in _rivals(config, model).items():
            answer, _ = play(name, method, asked, prepare, config.tolerance)
            answers.append(answer)
            print(f"pointing_game/{answer.line}", flush=True)
        _page(config, asked, answers, shown).write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")


def play(name: str, method: Callable[[Array, Array], Array], asked: list[Question], prepare, tolerance: float):
    """The answers of a method, and its maps for the first questions."""
    hits, energy, maps = [], [], []
    for question in asked:
        values = method(prepare(question.pixels), jnp.array([question.target]))
        boxes = jnp.asarray(question.boxes)[None]
        hits.append(float(interpret.pointing_game(values, boxes, tolerance=tolerance)[0]))
        energy.append(float(interpret.energy_in_box(values, boxes)[0]))
        maps.append(np.asarray(values[0]) if len(maps) < SHOWN else None)
    return Answer(name, np.array(hits), np.array(energy)), maps[:SHOWN]


SHOWN = 3  # questions on the page


def questions(folder: Path, card: weights.Card, model: nnx.Module, prepare) -> Iterator[Question]:
    """A question for each photograph and class of SHARED on it.

    Raises: ValueError without a table of boxes.
    """
    table = folder / "boxes.csv"
    if not table.is_file():
        raise ValueError(f"photographs={folder}: there is no boxes.csv")
    with table.open() as file:
        rows = [row for row in csv.DictReader(file) if row["name"] in SHARED]
    forward = nnx.jit(lambda model, x: model(x, train=False))
    for file in sorted({row["image"] for row in rows}):
        path = next((folder / "images").glob(f"{file}.*"))
        pixels = decode(path, size=card.image_size, resize="stretch")
        logits = np.asarray(forward(model, prepare(pixels))[0])
        for name in sorted({row["name"] for row in rows if row["image"] == file}):
            boxes = [_box(row, pixels.shape) for row in rows if (row["image"], row["name"]) == (file, name)]
            yield Question(file, name, pixels, max(SHARED[name], key=lambda k: logits[k]), np.array(boxes))


def _box(row: dict[str, str], shape: tuple[int, ...]) -> tuple[float, ...]:
    """y0, x0, y1, x1 in pixels, cut at the border."""
    (cx, cy, w, h), (height, width, _) = (float(row[k]) for k in ("cx", "cy", "w", "h")), shape
    y, x = np.clip([cy - h / 2, cy + h / 2], 0, 1) * height, np.clip([cx - w / 2, cx + w / 2], 0, 1) * width
    return float(y[0]), float(x[0]), float(y[1]), float(x[1])


def _middle(x: Array) -> Array:
    """A map that always points at the middle."""
    y, z = (jnp.abs(jnp.arange(n) + 0.5 - n / 2) for n in x.shape[1:3])
    return jnp.broadcast_to(1 / (1 + jnp.hypot(y[:, None], z)), x.shape[:3])


def _rivals(config: Config, model: nnx.Module) -> dict[str, Callable[[Array, Array], Array]]:
    """captum's methods on torchvision's network with the same arrays; none where captum is not there."""
    if not config.captum or importlib.util.find_spec("captum") is None:
        return {}
    import torch
    from captum import attr

    from benchmarks.model_torch import network
    from jaxcnn.weights._layout import entries

    arrays = {entry.torch: entry.to_torch(np.asarray(entry.variable[...])) for entry in entries(model)}
    twin: Any = network("squeezenet1_1", arrays).eval()
    twin = twin.to(memory_format=torch.contiguous_format)
    for module in twin.modules():
        if isinstance(module, torch.nn.ReLU):
            module.inplace = False
    deepest = twin.features[12]

    def of(method, reduce, **options):
        def values(x: Array, target: Array) -> Array:
            images = torch.from_numpy(np.moveaxis(np.array(x), -1, 1).copy())
            found = method.attribute(images, target=int(target[0]), **options).detach()
            if found.shape[-2:] != images.shape[-2:]:
                found = torch.nn.functional.interpolate(found, images.shape[-2:], mode="bilinear")
            return jnp.asarray(reduce(found).numpy())

        return values

    size, share = (lambda found: found.abs().sum(1)), (lambda found: found.sum(1))
    windows = {"sliding_window_shapes": (3, 32, 32), "strides": (3, 16, 16), "perturbations_per_eval": 16}
    found = {
        "gradient": of(attr.Saliency(twin), size),
        "guided_backprop": of(attr.GuidedBackprop(twin), size),
        "deconvnet": of(attr.Deconvolution(twin), size),
        "input_x_gradient": of(attr.InputXGradient(twin), share),
        "integrated_gradients": of(attr.IntegratedGradients(twin), share, n_steps=24, internal_batch_size=8),
        "deep_lift": of(attr.DeepLift(twin), share),
        "grad_cam": of(attr.LayerGradCam(twin, deepest), share, relu_attributions=True),
        "guided_grad_cam": of(attr.GuidedGradCam(twin, deepest), size, interpolate_mode="bilinear"),
        "occlusion": of(attr.Occlusion(twin), lambda found: found[:, 0], **windows),
    }  # fmt: skip
    return {f"captum {name}": method for name, method in found.items() if not config.only or name in config.only}


def _page(config: Config, asked: list[Question], answers: list[Answer], shown: dict[str, list[np.ndarray]]) -> Page:
    page = Page("Which method points at the object?")
    files = len({question.file for question in asked})
    page.text(
        f"{len(asked)} questions about {files} photographs, maps of {config.weights.name}, layer {config.layer}.",
        "note",
    )
    page.text(
        f"A hit is a map whose largest number lies in a box of the class, or up to {config.tolerance:g} pixels beside it. Small: "
        "the boxes cover less than a quarter of the photograph. Energy is the share of what is positive that lies in the boxes.",
        "note",
    )
    small = np.array([_covered(question) < 0.25 for question in asked])
    rows = [
        (
            one.name,
            f"{one.hits.mean():.1%}",
            f"{one.hits[small].mean():.1%}" if small.any() else "",
            f"{one.energy.mean():.3f}",
        )
        for one in answers
    ]
    page.table(("method", "hits", f"hits of {small.sum()} small", "energy"), rows)
    for i, question in enumerate(asked[:SHOWN]):
        page.heading(f"{question.file}: {question.name}")
        page.figure(
            heatmaps(question.pixels, {name: maps[i] for name, maps in shown.items()}), f"maps of {question.name}"
        )
    return page


def _covered(question: Question) -> float:
    """The share of the photograph in the boxes."""
    inside = np.zeros(question.pixels.shape[:2], bool)
    for y0, x0, y1, x1 in np.round(question.boxes).astype(int):
        inside[y0:y1, x0:x1] = True
    return float(inside.mean())


if __name__ == "__main__":
    command("pointing_game", partial(main, tyro.cli(Config, description=__doc__)))
