"""`evaluate`: how many images of a labelled set a model gets right."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from jaxcnn.data import load
from jaxcnn.weights import Card, cut

from ._known import known, score
from ._pictures import batched, files_of, read


def evaluate(
    weights: str,
    dataset: str,
    model: str | None = None,
    data_dir: Path | None = None,
    split: str = "test",
    card: str | None = None,
    sha256: str | None = None,
    batch_size: int = 100,
) -> None:
    """Count the images of a labelled set that a model gets right.

    Args:
        weights: file of weights (.safetensors, .npz, .pth, orbax folder), or the name of a card, which is fetched.
        dataset: name of a TFDS image set, "digits", or a folder <class>/*.jpg, its classes in order of name.
        model: name of the model (default: that of the weights' card).
        data_dir: directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own).
        split: part of a TFDS set.
        card: weights whose preprocessing is used (default: what the file is or says, else the model's usual one).
        sha256: the first digits that the file's must have.
        batch_size: images a step.
    """
    console = Console()
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    chosen = known(model, weights, card, sha256, console)
    compute = chosen.logits()
    if Path(dataset).is_dir():
        total, batches = _folder(Path(dataset), chosen.card, batch_size)
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
    if logits[0].shape[1] <= max(int(part.max()) for part in labels):
        raise ValueError(f"the model has {logits[0].shape[1]} classes; {dataset} has more")
    print(score(np.concatenate(logits), np.concatenate(labels)))


Batches = Iterator[tuple[np.ndarray, np.ndarray]]


def _set(dataset: str, split: str, data_dir: Path | None, card: Card, size: int) -> tuple[int, Batches]:
    part = load(dataset, split=split, data_dir=data_dir)

    def batches() -> Batches:
        for start in range(0, len(part), size):
            images = part.images[start : start + size]
            rgb = np.broadcast_to(images, (*images.shape[:3], 3))  # grey images have three equal channels
            yield cut(card, rgb), part.labels[start : start + size]

    return len(part), batches()


def _folder(root: Path, card: Card, size: int) -> tuple[int, Batches]:
    classes = sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] != ".")
    if not classes:
        raise ValueError(f"{root} has no class folder; give one with <class>/*.jpg")
    labelled = [(file, label) for label, folder in enumerate(classes) for file in files_of([folder])]
    label_of = {str(file): label for file, label in labelled}
    pictures = (read(file, card) for file, _ in labelled)

    def batches() -> Batches:
        for batch in batched(pictures, size):
            yield np.stack([one.pixels for one in batch]), np.array([label_of[one.name] for one in batch])

    return len(labelled), batches()
