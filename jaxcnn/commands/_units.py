"""`units`: what the units of a layer want to see, and what excites them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jaxcnn.data import is_path, load
from jaxcnn.interpret import Channel, Examples, until, visualise
from jaxcnn.interpret import examples as examples_of
from jaxcnn.report import Page, UnitRow
from jaxcnn.report import units as units_figure
from jaxcnn.weights import Card, cut, normalise

from ._classify import check_drawing, check_folder
from ._known import Known, known
from ._network import Network
from ._pictures import Source, batched, coloured, files_of, readable

LARGE = 128  # pixels a side that optimised inputs have at most, unless said otherwise
BATCH = 50  # images of the data set a step


def units(
    network: Annotated[Network, tyro.conf.arg(name="")],
    layer: str,
    units: tuple[int, ...] = (0, 1, 2, 3),
    dataset: str | None = None,
    data_dir: Path | None = None,
    split: str = "test",
    images: int = 2000,
    examples: int = 8,
    steps: int = 256,
    size: int | None = None,
    seed: int = 0,
    picture: Path | None = None,
    page: Path | None = None,
) -> None:
    """Show what units of a layer want to see: optimised inputs, and the images of a data set that excite them most.

    Args:
        network: the weights and how pictures are prepared.
        layer: name or pattern of an activation; `summary` lists them.
        units: numbers of the channels.
        dataset: folder of pictures, name of a TFDS image set, or "digits" (default: no examples).
        data_dir: directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own).
        split: part of the TFDS set.
        images: how many of the data set are looked at, the first ones.
        examples: images shown of each unit.
        steps: of the optimisation.
        size: pixels a side of the optimised inputs (default: the network's own, but 128 at most).
        seed: of the optimisation.
        picture: file that the rows are drawn to.
        page: HTML file with the rows and numbers (default: units.html, where no picture is asked for).
    """
    console = Console(width=None if Console().is_terminal else 120)
    if min(images, examples, steps) < 1 or not units:
        raise ValueError(f"images={images}, examples={examples}, steps={steps}, {len(units)} units; give one at least")
    page = Path("units.html") if page is None and picture is None else page
    _check_places(picture, page)
    unreadable: list[str] = []
    found = None if dataset is None else _source(dataset, data_dir, split, images, unreadable)
    chosen = known(network, console)
    blank = jnp.zeros((1, *chosen.card.image_size, chosen.card.in_features))
    layer = until(chosen.model, blank, layer).layer
    shown = _examples(chosen, layer, units, examples, found, console) if found else None
    wanted, reached = _optimised(chosen, layer, units, steps, size, seed, console)
    for line in unreadable:
        console.print(f"units: {line}", highlight=False, markup=False)
    rows = [_row(f"{layer}, channel {channel}", i, wanted, shown) for i, channel in enumerate(units)]
    print(*(_line(layer, i, channel, reached, shown) for i, channel in enumerate(units)), sep="\n")
    _write(rows, layer, chosen, shown, picture, page)


def _check_places(picture: Path | None, page: Path | None) -> None:
    if picture is not None:
        check_drawing(picture)
    if page is not None:
        check_folder("page", page)


Batches = Callable[[Card], Iterator[np.ndarray]]


def _source(dataset: str, data_dir: Path | None, split: str, most: int, unreadable: list[str]) -> Batches:
    """A function of a card that gives batches of pictures cut for it.

    Raises: ValueError for a set or a folder that is not there.
    """
    if is_path(dataset):
        files = files_of([Path(dataset).expanduser()])[:most]

        def of_folder(card: Card) -> Iterator[np.ndarray]:
            for some in batched(readable((Source(str(file)) for file in files), card, unreadable), BATCH):
                yield np.stack([one.pixels for one in some])

        return of_folder
    pixels = load(dataset, split=split, data_dir=data_dir).images[:most]

    def of_set(card: Card) -> Iterator[np.ndarray]:
        for first in range(0, len(pixels), BATCH):
            yield cut(card, coloured(pixels[first : first + BATCH], card.in_features))

    return of_set


def _examples(
    chosen: Known, layer: str, channels: Sequence[int], k: int, source: Batches, console: Console
) -> Examples:
    card = chosen.card
    with _bar("images", None, console) as move:
        return examples_of(
            chosen.model, source(card), layer, k=k, channels=channels, keep=True,
            prepare=lambda images: normalise(card, images), progress=move,
        )  # fmt: skip


def _optimised(
    chosen: Known, layer: str, channels: Sequence[int], steps: int, size: int | None, seed: int, console: Console
) -> tuple[np.ndarray, np.ndarray]:
    """An image a channel, and what it reaches."""
    card = chosen.card
    sides = tuple(min(side, LARGE) for side in card.image_size) if size is None else size
    prepare: Callable[[Array], Array] = lambda images: normalise(card, 255 * images)
    with _bar("steps", steps, console) as move:
        found = visualise(
            jax.random.key(seed), chosen.model, [Channel(layer, channel) for channel in channels], image_size=sides,
            channels=card.in_features, steps=steps, prepare=prepare, progress=move,
        )  # fmt: skip
    return np.asarray(found.images[:, 0]), np.asarray(found.values[:, 0])


@contextmanager
def _bar(what: str, total: int | None, console: Console) -> Iterator[Callable[..., None]]:
    columns = (TextColumn("{task.completed} " + what), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda done, total=total: bar.update(task, completed=done, total=total)


def _row(name: str, i: int, wanted: np.ndarray, shown: Examples | None) -> UnitRow:
    if shown is None:
        return UnitRow(name, wanted[i])
    assert shown.pixels is not None
    captions = [f"{value:.3g}" for value in shown.values[i]]
    return UnitRow(name, wanted[i], list(shown.pixels[i]), shown.crops(i), shown.boxes[i].tolist(), captions)


def _line(layer: str, i: int, channel: int, reached: np.ndarray, shown: Examples | None) -> str:
    examples = "" if shown is None else f"; examples {', '.join(f'{value:.3g}' for value in shown.values[i])}"
    return f"{layer} channel {channel}: the optimised input reaches {reached[i]:.3g} in the mean{examples}"


def _write(
    rows: Sequence[UnitRow], layer: str, chosen: Known, shown: Examples | None, picture: Path | None, page: Path | None
) -> None:
    figure: Figure = units_figure(rows)
    if picture is not None:
        figure.savefig(picture, dpi=120)
        print(f"picture: {picture}")
    if page is not None:
        sheet = Page(f"What {layer} of {chosen.card.model} sees")
        looked = "no data set" if shown is None else f"{shown.size:,} images"
        sheet.text(f"Weights {chosen.path.name}; {looked}.", "note")
        sheet.text(
            "Left: an input optimised to excite the channel everywhere. Right: the images whose strongest unit of the "
            "channel is most excited, with the activation; the box is what that unit sees.", "note",
        )  # fmt: skip
        sheet.figure(figure, f"optimised inputs and examples of {layer}")
        sheet.write(page)
        print(f"page: {page}")
