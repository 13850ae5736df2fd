"""`classify`: the most probable classes of photographs."""

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from jaxcnn.data import UnreadableImage

from ._known import class_names, known, score
from ._network import Network
from ._pictures import Picture, batched, coloured, files_of, read

BATCH = 16  # pictures a step


def classify(
    pictures: Annotated[tuple[Path, ...], tyro.conf.Positional],
    network: Annotated[Network, tyro.conf.arg(name="")],
    labels: Path | None = None,
    top: int = 5,
    picture: Path | None = None,
    truth: Path | None = None,
) -> None:
    """Name what is on photographs.

    Args:
        pictures: files, folders, or - for a picture from standard input.
        network: the weights and how pictures are prepared.
        labels: file with a line for each class (default: the names in the weights, or in synset_words.txt, labels.txt or
            classes.txt beside them).
        top: classes shown of each photograph.
        picture: file that a picture of the photographs with bars is written to.
        truth: CSV file with the columns file and label_index; the right answers are counted.
    """
    console = Console(width=None if Console().is_terminal else 120)
    files = files_of(pictures)
    if not files or top < 1:
        raise ValueError(f"{len(files)} pictures, top={top}; give a file, a folder or -, and at least one class")
    if picture is not None and not picture.absolute().parent.is_dir():
        raise ValueError(f"picture={picture}: the folder {picture.absolute().parent} does not exist")
    chosen = known(network, console)
    seen, unreadable, logits = _answers(files, chosen)
    for line in unreadable:
        print(f"classify: {line}", file=sys.stderr)
    if seen:
        names = class_names(chosen, labels, logits.shape[1])
        probabilities = softmax(logits)
        order = np.argsort(-logits, axis=1, kind="stable")[:, :top]
        console.print(_table(seen, order, probabilities, names))
        _say_converted(seen, chosen.card.in_features == 1, console)
        if picture is not None:
            _draw(seen, order, probabilities, names, picture)
            print(f"picture: {picture}")
        if truth is not None:
            print(_score(seen, logits, truth))
    if unreadable:
        sys.exit(1)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities, in float64.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _answers(files: Sequence[Path], chosen) -> tuple[list[Picture], list[str], np.ndarray]:
    """The pictures that could be read, a line for each that could not, and the logits of the former."""
    unreadable: list[str] = []
    seen: list[Picture] = []
    logits: list[np.ndarray] = []
    compute = chosen.logits()
    size = min(BATCH, len(files))

    def each() -> Iterator[Picture]:
        for path in files:
            try:
                yield read(path, chosen.card)
            except UnreadableImage as error:
                unreadable.append(str(error))

    for batch in batched(each(), size):
        images = np.stack([one.pixels for one in batch])
        padded = np.pad(images, ((0, size - len(batch)), (0, 0), (0, 0), (0, 0)))  # one program for every batch
        logits.append(compute(padded)[: len(batch)])
        seen += batch
    return seen, unreadable, np.concatenate(logits) if logits else np.zeros((0, 0))


def _table(seen: Sequence[Picture], order: np.ndarray, probabilities: np.ndarray, names: list[str]) -> Table:
    table = Table("picture", "class")
    table.add_column("probability", justify="right")
    for i, one in enumerate(seen):
        for rank, label in enumerate(order[i]):
            table.add_row(
                Text(Path(one.name).name if rank == 0 else ""), Text(names[label]), f"{probabilities[i, label]:.4f}",
                end_section=rank == len(order[i]) - 1,
            )  # fmt: skip
    return table


def _say_converted(seen: Sequence[Picture], grey: bool, console: Console) -> None:
    other = [one for one in seen if one.converted]
    if other:
        modes = ", ".join(sorted({one.converted for one in other}))
        first = ", ".join(Path(one.name).name for one in other[:3]) + (" …" if len(other) > 3 else "")
        text = f"{len(other)} converted to {'grey' if grey else 'RGB'} ({modes}; what is transparent is shown on white): {first}"
        console.print(text, highlight=False, markup=False)


def _draw(seen: Sequence[Picture], order: np.ndarray, probabilities: np.ndarray, names: list[str], to: Path) -> None:
    from jaxcnn.report import predictions

    tops = [[(names[label], float(probabilities[i, label])) for label in order[i]] for i in range(len(seen))]
    pixels = coloured(np.stack([one.pixels for one in seen]), 3)
    predictions(list(pixels), [Path(one.name).name for one in seen], tops).savefig(to, dpi=120)


def _score(seen: Sequence[Picture], logits: np.ndarray, truth: Path) -> str:
    with open(truth, newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"file", "label_index"} <= rows[0].keys():
        raise ValueError(f"{truth} must have the columns file and label_index")
    answers = {Path(row["file"]): row["label_index"] for row in rows}
    labels = [_answer(Path(one.name), answers, logits.shape[1], truth) for one in seen]
    return score(logits, np.array(labels))


def _answer(picture: Path, answers: dict[Path, str], classes: int, truth: Path) -> int:
    """The label of the row whose path is the end of the picture's."""
    found = {path: label for path, label in answers.items() if picture.parts[-len(path.parts) :] == path.parts}
    if len(found) != 1:
        what = f"no row for {picture}" if not found else f"{len(found)} rows for {picture}; say more of their paths"
        raise ValueError(f"{truth} has {what}")
    (label,) = found.values()
    if not label.isdecimal() or int(label) >= classes:
        raise ValueError(f"{truth} has the label {label!r} for {picture}; there are {classes} classes, from 0")
    return int(label)
