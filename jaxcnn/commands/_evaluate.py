"""`evaluate`: how many images of a labelled set a model gets right."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jaxcnn.data import class_folders, classes_of, is_path, labelled_files, load, split_folders, split_named
from jaxcnn.weights import Card, cut

from ._known import Known, class_names, known, score
from ._network import Network
from ._pictures import Source, batched, coloured, readable

Batches = Iterator[tuple[np.ndarray, np.ndarray]]


class Labelled(NamedTuple):
    """Images with their classes: `names` of those that there are, whose numbers are the labels, `all` in their order.

    `batches(card, size)` gives how many images there are, and them, cut as the card says.
    """

    names: tuple[str, ...]
    all: tuple[str, ...]
    batches: Callable[[Card, int], tuple[int, Batches]]


def evaluate(
    network: Annotated[Network, tyro.conf.arg(name="")],
    dataset: str,
    data_dir: Path | None = None,
    split: str | None = None,
    batch_size: int = 100,
) -> None:
    """Count the images of a labelled set that a model gets right.

    Args:
        network: the weights and how pictures are prepared.
        dataset: name of a TFDS image set, "digits", or the path of a folder <class>/*.jpg or test/<class>/*.jpg. Its classes
            are those of the weights by name where these are known, else by order of name.
        data_dir: directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own).
        split: part of a TFDS set, or of a folder that has parts (default: test; of a folder without one, validation).
        batch_size: images a step.
    """
    console = Console()
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    unreadable: list[str] = []
    if is_path(dataset):
        images = _folder(Path(dataset).expanduser(), split, unreadable)
    else:
        images = _set(dataset, split or "test", data_dir)
    chosen = known(network, console)
    numbers = np.array(_numbers(dataset, images, chosen))
    total, batches = images.batches(chosen.card, batch_size)
    logits, labels = _answers(chosen, total, batches, console)
    if unreadable:
        console.print(
            f"{len(unreadable)} of {total} cannot be read: {'; '.join(unreadable[:3])}", highlight=False, markup=False
        )
    if not len(logits):
        raise ValueError(f"no picture of {dataset} can be read")
    print(score(logits, numbers[labels]))


def _answers(chosen: Known, total: int, batches: Batches, console: Console) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels of every image, with a bar on a terminal."""
    compute, logits, labels = chosen.logits(), [], []
    columns = (TextColumn("{task.completed}/{task.total} images"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=total)
        for images, answers in batches:
            logits.append(compute(images))
            labels.append(answers)
            bar.update(task, advance=len(images))
    return (np.concatenate(logits), np.concatenate(labels)) if logits else (np.zeros((0, 0)), np.zeros(0, int))


def _set(dataset: str, split: str, data_dir: Path | None) -> Labelled:
    names = classes_of(dataset, data_dir=data_dir)

    def batches(card: Card, size: int) -> tuple[int, Batches]:
        part = load(dataset, split=split, data_dir=data_dir)
        parts = (slice(start, start + size) for start in range(0, len(part), size))
        made = ((cut(card, coloured(part.images[s], card.in_features)), part.labels[s]) for s in parts)
        return len(part), made

    return Labelled(names, names, batches)


def _folder(root: Path, split: str | None, unreadable: list[str]) -> Labelled:
    """The pictures of the folder, or of its part; those that cannot be read go to the list."""
    folders, folder = _part(root, split)
    names, trained = class_folders(folder), class_folders(folders.get("train", folder))
    if not names:
        raise ValueError(f"{folder} has no class folder; give one with <class>/*.jpg")
    files, labels = labelled_files(folder, names)
    label_of = {str(file): label for file, label in zip(files, labels)}

    def batches(card: Card, size: int) -> tuple[int, Batches]:
        each = batched(readable((Source(str(file)) for file in files), card, unreadable), size)
        made = ((np.stack([p.pixels for p in some]), np.array([label_of[p.name] for p in some])) for some in each)
        return len(files), made

    return Labelled(names, trained if set(names) <= set(trained) else names, batches)


def _part(root: Path, split: str | None) -> tuple[dict[str, Path], Path]:
    """The folder's parts, and the one that is meant."""
    folders = split_folders(root)
    held = next((name for name in folders if name != "train"), None)
    name = held if split is None else split_named(split)
    if name not in folders:
        what = (
            "no parts; leave --split out" if "all" in folders else f"the parts {', '.join(folders)}; say one by --split"
        )
        raise ValueError(f"{root} has {what}")
    return folders, folders[name]


def _numbers(dataset: str, images: Labelled, chosen: Known) -> list[int]:
    """Which output of the model each class is."""
    count = chosen.outputs
    known, names = class_names(chosen, None, count), images.names
    if set(names) <= set(known):
        return [known.index(name) for name in names]
    if chosen.class_names:
        strange = min(set(names) - set(known))
        raise ValueError(
            f"{dataset} has the class {strange!r}; the weights have {', '.join(known[:10])}{', …' * (count > 10)}"
        )
    skipped = chosen.background(count)
    if len(images.all) not in (count, count - skipped):
        way = "name the folders as the model's classes are named, or " if is_path(dataset) else ""
        raise ValueError(
            f"{dataset} has {len(images.all)} classes, the model {count}; {way}give weights that name theirs "
            "(jaxcnn.weights.save with class_names)"
        )
    return [images.all.index(name) + count - len(images.all) for name in names]
