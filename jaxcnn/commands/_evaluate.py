"""`evaluate`: how many images of a labelled set a model gets right."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jaxcnn.data import UnreadableImage, is_path, load, split_named
from jaxcnn.weights import Card, cut

from ._known import Known, class_names, known, score
from ._network import Network
from ._pictures import Picture, batched, coloured, files_of, read


def evaluate(
    network: Annotated[Network, tyro.conf.arg(name="")],
    dataset: str,
    data_dir: Path | None = None,
    split: str = "test",
    batch_size: int = 100,
) -> None:
    """Count the images of a labelled set that a model gets right.

    Args:
        network: the weights and how pictures are prepared.
        dataset: name of a TFDS image set, "digits", or the path of a folder <class>/*.jpg or test/<class>/*.jpg. Its classes
            are those of the weights by name where these are known, else by order of name.
        data_dir: directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own).
        split: part of a TFDS set, or of a folder that has parts.
        batch_size: images a step.
    """
    console = Console()
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    chosen = known(network, console)
    compute = chosen.logits()
    unreadable: list[str] = []
    if is_path(dataset):
        total, batches = _folder(Path(dataset).expanduser(), split, chosen, batch_size, unreadable)
    else:
        total, batches = _set(dataset, split, data_dir, chosen.card, batch_size)
    logits, labels = [], []
    columns = (TextColumn("{task.completed}/{task.total} images"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=total)
        for images, answers in batches:
            logits.append(compute(images))
            labels.append(answers)
            bar.update(task, advance=len(images))
    if unreadable:
        console.print(
            f"{len(unreadable)} of {total} cannot be read: {'; '.join(unreadable[:3])}", highlight=False, markup=False
        )
    if not logits:
        raise ValueError(f"no picture of {dataset} can be read")
    if logits[0].shape[1] <= max(int(part.max()) for part in labels):
        raise ValueError(f"the model has {logits[0].shape[1]} classes; {dataset} has more")
    print(score(np.concatenate(logits), np.concatenate(labels)))


Batches = Iterator[tuple[np.ndarray, np.ndarray]]


def _set(dataset: str, split: str, data_dir: Path | None, card: Card, size: int) -> tuple[int, Batches]:
    part = load(dataset, split=split, data_dir=data_dir)

    def batches() -> Batches:
        for start in range(0, len(part), size):
            images = part.images[start : start + size]
            yield cut(card, coloured(images, card.in_features)), part.labels[start : start + size]

    return len(part), batches()


def _folder(root: Path, split: str, chosen: Known, size: int, unreadable: list[str]) -> tuple[int, Batches]:
    """The pictures of the folder, or of its part; those that cannot be read go to the list."""
    folder = _part(root, split)
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != ".")
    if not classes:
        raise ValueError(f"{folder} has no class folder; give one with <class>/*.jpg")
    numbers = _numbers(folder, [path.name for path in classes], chosen)
    labelled = [(file, number) for number, within in zip(numbers, classes) for file in files_of([within])]
    label_of = {str(file): label for file, label in labelled}

    def pictures() -> Iterator[Picture]:
        for file, _ in labelled:
            try:
                yield read(file, chosen.card)
            except UnreadableImage as error:
                unreadable.append(str(error))

    def batches() -> Batches:
        for batch in batched(pictures(), size):
            yield np.stack([one.pixels for one in batch]), np.array([label_of[one.name] for one in batch])

    return len(labelled), batches()


def _part(root: Path, split: str) -> Path:
    """The folder of the classes: the root, or the part of that name where it has parts."""
    if not root.is_dir():
        raise ValueError(f"the folder {str(root)!r} does not exist")
    found = {split_named(path.name): path for path in root.iterdir() if path.is_dir()}
    parts = {name: path for name, path in found.items() if name in ("train", "test", "validation")}
    if parts and split_named(split) not in parts:
        raise ValueError(f"{root} has the parts {', '.join(sorted(parts))}; say one by --split")
    return parts.get(split_named(split), root)


def _numbers(folder: Path, names: list[str], chosen: Known) -> list[int]:
    """Which output of the model each class folder is."""
    count = chosen.outputs
    known = class_names(chosen, None, count)
    if set(names) <= set(known):
        return [known.index(name) for name in names]
    if chosen.class_names:
        strange = min(set(names) - set(known))
        raise ValueError(
            f"{folder} has the class {strange!r}; the weights have {', '.join(known[:10])}{', …' * (count > 10)}"
        )
    if len(names) != count:
        raise ValueError(
            f"{folder} has {len(names)} classes, the model {count}; name the folders as the model's classes are named, or give "
            "weights that name theirs (jaxcnn.weights.save with class_names)"
        )
    return list(range(count))
