"""What do the layers of a network see? (L0.9, L2.9)

The units of two trained networks side by side, a residual network for CIFAR-10 and SqueezeNet for ImageNet: the filters of the
first layer, inputs that were optimised to excite channels of four layers, and the images of a data set that excite them most.

    python -m experiments.what_units_see --small resnet20-12fca82f.npz --large squeezenet_v1.1_fp16.npz --data-dir DIR

Expected: edges and colours in the first layer, then textures, then parts and whole things; deeper units see more of the image,
are excited by images of one class, and the inputs optimised for them hold lower frequencies.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import tyro
from flax import nnx
from jax import Array

from jaxcnn import models, weights
from jaxcnn.data import PICTURE_ENDINGS, Split, decode, load
from jaxcnn.interpret import Channel, Examples, examples, summarise, visualise
from jaxcnn.report import Page, UnitRow, filters, units
from jaxcnn.train import run_folder
from jaxcnn.weights import Card

from .comparison import command

LAYERS = {
    "cifar_resnet20": ("conv1", "layer1.2", "layer2.2", "layer3.2"),
    "squeezenet1_1": ("conv1", "fire3", "fire5", "fire9"),
}


@dataclass(frozen=True)
class Config:
    """Filters, optimised inputs and dataset examples, layer by layer."""

    small: Path
    """Weights of a CIFAR ResNet-20 that a card is known for."""
    large: Path
    """Weights of SqueezeNet 1.1 that a card is known for."""
    dataset: str = "cifar10"
    """Name of a TFDS set of RGB images, or a folder <class>/*.jpg; its classes count."""
    data_dir: Path | None = None
    """Directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own)."""
    photographs: Path | None = None
    """Folder of photographs that the pictures of the large network show in place of the data set's images."""
    images: int = 1000
    """Images of the data set, and photographs at most."""
    side: int = 96
    """Pixels a side of what the large network sees."""
    channels: int = 4
    """Channels of each layer that are drawn, evenly spaced."""
    steps: int = 128
    """Steps of each optimisation."""
    seed: int = 0
    """Of the optimisation and of the images drawn at random."""
    runs: Path = Path("runs")
    """Folder that keeps the runs, one sub-folder each."""


class Network(NamedTuple):
    """A trained network, how images are prepared for it, and the size at which it sees them."""

    model: nnx.Module
    card: Card
    side: int

    @property
    def taking(self) -> Callable[[Array], Array]:
        """From uint8 images of the data set's size to what it takes."""
        return weights.preparation(self.card)


class Measured(NamedTuple):
    """A layer: a row of the page for each channel that is drawn, and its numbers."""

    network: str
    layer: str
    rows: list[UnitRow]
    field: int
    selectivity: float
    chance: float
    frequency: float

    @property
    def cells(self) -> tuple[str, ...]:
        """The numbers as text."""
        numbers = f"{self.selectivity:.2f}", f"{self.chance:.2f}", f"{self.frequency:.3f}"
        return self.network, self.layer, str(self.field), *numbers

    @property
    def line(self) -> str:
        """The result in one line."""
        network, layer, field, selectivity, chance, frequency = self.cells
        return (
            f"what_units_see/{network}/{layer} sees {field} pixels, {selectivity} of the nine best images of one class "
            f"(at random {chance}), optimised inputs at {frequency} cycles a pixel"
        )


def main(config: Config) -> None:
    """Looks into both networks, prints a line for each layer, writes the page."""
    size = config.side if Path(config.dataset).is_dir() else None
    data = load(config.dataset, data_dir=config.data_dir, image_size=size)
    classes = len(data.class_names)
    least = int(np.bincount(data.test.labels, minlength=classes).min())
    images = data.test.first_of_each_class(min(config.images // classes, least))
    networks = [_network(config.small, None), _network(config.large, config.side)]
    with run_folder(config.runs, "what_units_see", config=config, source=__file__) as run:
        measured = []
        for network in networks:
            shown = _photographs(config) if network.side == config.side else None
            for layer in LAYERS[network.card.model]:
                measured.append(_layer(config, network, layer, images, shown))
                print(measured[-1].line, flush=True)
        _page(config, data.source, networks, measured).write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")
    for network in networks:
        print(f"what_units_see/{network.card.model}/filters {_oriented(network)}")
    print(*(layer.line for layer in measured), sep="\n")


def oriented(kernel: np.ndarray) -> np.ndarray:
    """How much each filter `(kh, kw, c, n)` prefers one orientation, from 0 to 1: the mean of its spectrum's doubled angles.

    >>> edge = np.array([[1.0, 0.0, -1.0]] * 3)[..., None, None]
    >>> dot = np.array([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]])[..., None, None]
    >>> oriented(np.concatenate([edge, dot], -1)).round(2).tolist()
    [0.62, 0.0]
    """
    power = (np.abs(np.fft.fft2(kernel, (16, 16), axes=(0, 1))) ** 2).sum(2)  # (16, 16, n)
    y, x = np.meshgrid(np.fft.fftfreq(16), np.fft.fftfreq(16), indexing="ij")
    inside = (np.hypot(y, x) > 0) & (np.hypot(y, x) < 0.5)
    turning = np.exp(2j * np.arctan2(y, x))[..., None]
    return np.abs((power * turning)[inside].sum(0)) / power[inside].sum(0)


def frequency(images: np.ndarray) -> float:
    """Mean spatial frequency of images `(n, h, w, c)` in cycles a pixel, weighted by amplitude, without their mean.

    >>> wave = np.cos(np.pi / 2 * np.arange(16))[None, None, :, None] * np.ones((1, 16, 1, 1))
    >>> round(frequency(wave), 3)
    0.25
    """
    h, w = images.shape[1:3]
    amplitude = np.abs(np.fft.rfft2(images - images.mean((1, 2), keepdims=True), axes=(1, 2)))
    radius = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None])
    return float((amplitude * radius[None, :, :, None]).sum() / amplitude.sum())


def of_one_class(labels: np.ndarray) -> float:
    """Share of each row's commonest label, the mean over the rows.

    >>> of_one_class(np.array([[3, 3, 3, 1], [0, 1, 2, 2]]))
    0.625
    """
    return float(np.mean([np.bincount(row).max() / len(row) for row in labels]))


def _network(path: Path, side: int | None) -> Network:
    card = weights.card_with_sha256(weights.sha256_of(path))
    if card is None or card.model not in LAYERS:
        raise ValueError(f"{path} is no file of a known card of {' or '.join(LAYERS)}")
    model = weights.load(models.create(card.model, rngs=nnx.Rngs(0)), path)
    if side is not None:
        card = replace(card, resize=side, image_size=(side, side))
    return Network(model, card, card.image_size[0])


def _photographs(config: Config) -> np.ndarray | None:
    """The photographs, cut to the size that the large network sees."""
    if config.photographs is None:
        return None
    files = sorted(path for path in config.photographs.rglob("*") if path.suffix.lower() in PICTURE_ENDINGS)
    card = Card("photographs", "", resize=config.side, image_size=(config.side, config.side))
    return np.concatenate([weights.cut(card, decode(file.read_bytes())[None]) for file in files[: config.images]])


def _layer(config: Config, network: Network, layer: str, images: Split, shown: np.ndarray | None) -> Measured:
    take, model = network.taking, network.model
    look = partial(examples, model, layer=layer, prepare=take)
    all_of_them = look([(images.images[i : i + 50], images.labels[i : i + 50]) for i in range(0, len(images), 50)], k=9)
    count = len(all_of_them.channels)
    drawn = np.linspace(0, count - 1, config.channels).round().astype(int)
    pictures = look(images.images if shown is None else shown, k=8, channels=drawn.tolist(), keep=True, batch_size=50)
    random = np.random.default_rng(config.seed).choice(images.labels, (200, 9))
    made = visualise(
        jax.random.key(config.seed), model, [Channel(layer, int(i)) for i in drawn], image_size=network.side,
        steps=config.steps, prepare=lambda x: weights.normalise(network.card, 255 * x),
    )  # fmt: skip
    inputs = np.asarray(made.images[:, 0])
    rows = [_row(layer, i, int(channel), inputs, pictures) for i, channel in enumerate(drawn)]
    summary = summarise(model, (1, network.side, network.side, 3))
    field: Any = next(row.field for row in summary.rows if row.name == layer)
    assert all_of_them.labels is not None
    chances = of_one_class(all_of_them.labels), of_one_class(random)
    return Measured(network.card.model, layer, rows, field.size[0], *chances, frequency(inputs))


def _row(layer: str, i: int, channel: int, inputs: np.ndarray, found: Examples) -> UnitRow:
    captions = [f"{value:.3g}" for value in found.values[i]]
    pixels: Any = found.pixels
    return UnitRow(
        f"{layer}, channel {channel}", inputs[i], list(pixels[i]), found.crops(i), found.boxes[i].tolist(), captions
    )


def _first(network: Network) -> np.ndarray:
    """The filters of the first layer, as filters of red, green and blue."""
    model: Any = network.model
    kernel = np.asarray(model.conv1.kernel[...] if hasattr(model, "conv1") else model.features[0].kernel[...])
    return kernel[:, :, ::-1] if network.card.channels == "BGR" else kernel


def _oriented(network: Network) -> str:
    found = oriented(_first(network))
    return f"{len(found)} filters of the first layer, {np.mean(found > 0.5):.0%} of them prefer one orientation (above 0.5)"


def _page(config: Config, source: str, networks: Sequence[Network], measured: Sequence[Measured]) -> Page:
    page = Page("What do the layers of a network see?")
    page.text(f"Classes and examples: {source}, {config.images} images; {config.steps} steps of optimisation.", "note")
    page.text(
        "Of each layer: the pixels a side that a unit can see, the share of one class among the nine images that excite a "
        "channel most (mean over all channels; beside it that of nine images drawn at random), and the mean spatial frequency "
        "of the inputs optimised for the channels that are drawn."
    )
    columns = ("network", "layer", "sees", "of one class", "at random", "cycles a pixel")
    page.table(columns, [layer.cells for layer in measured])
    for network in networks:
        name = network.card.model
        page.heading(f"{name}: {_oriented(network)}")
        page.figure(filters(_first(network)), f"first layer of {name}")
        for layer in measured:
            if layer.network == name:
                page.heading(f"{name}, {layer.layer}: sees {layer.field} pixels")
                page.figure(units(layer.rows), f"optimised inputs and examples of {layer.layer}")
    return page


if __name__ == "__main__":
    command("what_units_see", partial(main, tyro.cli(Config, description=__doc__)), advice="")
