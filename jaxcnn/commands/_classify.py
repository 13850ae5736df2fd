"""`classify`: the most probable classes of photographs."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ._known import Known, class_names, known, score
from ._network import Network
from ._pictures import Picture, Source, batched, coloured, files_of, readable, sources
from ._texts import answers_of, lines_of, numbers_of

BATCH = 16  # pictures a step
CLEAR = {"RGBA", "LA", "PA", "P", "RGBa", "La"}  # modes that may have transparent pixels


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
        labels: file with a line for each class (default: the names in the weights, or in synset_words.txt, labels.txt,
            classes.txt or imagenet_labels.txt beside them).
        top: classes shown of each photograph.
        picture: file that a picture of the photographs with bars is written to.
        truth: CSV file with the columns file and label_index; the right answers are counted. ImageNet's classes are counted from
            0, also where the model has an output for the background before them.
    """
    console = Console(width=None if Console().is_terminal else 120)
    files = files_of(pictures)
    if not files or top < 1:
        raise ValueError(f"{len(files)} pictures, top={top}; give a file, a folder or -, and at least one class")
    if picture is not None:
        check_drawing(picture)
    if labels is not None:
        lines_of(labels)  # refuses what is no text, before the weights are read
    unreadable: list[str] = []
    good = list(sources(files, unreadable))
    answers = None if truth is None else answers_of([source.name for source in good], truth)
    if not good:
        sys.exit(_said(unreadable))
    chosen = known(network, console)
    names = class_names(chosen, labels, chosen.outputs)
    skipped = chosen.background(len(names))
    right = None if answers is None else numbers_of(answers, len(names) - skipped, str(truth))
    seen, logits = _answers(good, chosen, unreadable)
    code = _said(unreadable)
    if seen:
        tops = _likeliest(logits, names, top)
        console.print(_table(seen, tops))
        _say_converted(seen, chosen.card.in_features == 1, console)
        if picture is not None:
            _draw(seen, tops, picture)
            print(f"picture: {picture}")
        if right is not None:
            print(score(logits, skipped + np.array([right[one.name] for one in seen])))
    if code:
        sys.exit(code)


def _said(unreadable: Sequence[str]) -> int:
    """A line for each picture that cannot be read, and the exit code."""
    for line in unreadable:
        print(f"classify: {line}", file=sys.stderr)
    return 1 if unreadable else 0


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities, in float64.

    >>> softmax(np.array([[0.0, 0.0]])).tolist()
    [[0.5, 0.5]]
    """
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _answers(good: Sequence[Source], chosen: Known, unreadable: list[str]) -> tuple[list[Picture], np.ndarray]:
    """The pictures that could be read and their logits; a line for each other one goes to the list."""
    seen: list[Picture] = []
    logits: list[np.ndarray] = []
    compute = chosen.logits()
    size = min(BATCH, len(good))
    for batch in batched(readable(good, chosen.card, unreadable), size):
        images = np.stack([one.pixels for one in batch])
        padded = np.pad(images, ((0, size - len(batch)), (0, 0), (0, 0), (0, 0)))  # one program for every batch
        logits.append(compute(padded)[: len(batch)])
        seen += batch
    return seen, np.concatenate(logits) if logits else np.zeros((0, 0))


def _likeliest(logits: np.ndarray, names: list[str], top: int) -> list[list[tuple[str, float]]]:
    """The `top` likeliest classes of each picture with their probabilities."""
    order, probabilities = np.argsort(-logits, axis=1, kind="stable")[:, :top], softmax(logits)
    return [[(names[label], float(row[label])) for label in best] for best, row in zip(order, probabilities)]


def _table(seen: Sequence[Picture], tops: list[list[tuple[str, float]]]) -> Table:
    table = Table("picture", "class")
    table.add_column("probability", justify="right")
    for one, best in zip(seen, tops):
        for rank, (name, probability) in enumerate(best):
            first, last = Text(Path(one.name).name if rank == 0 else ""), rank == len(best) - 1
            table.add_row(first, Text(name), f"{probability:.4f}", end_section=last)
    return table


def _say_converted(seen: Sequence[Picture], grey: bool, console: Console) -> None:
    other = [one for one in seen if one.converted]
    if other:
        modes = ", ".join(sorted({one.converted for one in other}))
        first = ", ".join(Path(one.name).name for one in other[:3]) + (" …" if len(other) > 3 else "")
        white = "; what is transparent is shown on white" if CLEAR & {one.converted for one in other} else ""
        text = f"{len(other)} converted to {'grey' if grey else 'RGB'} ({modes}{white}): {first}"
        console.print(text, highlight=False, markup=False)


def check_folder(option: str, to: Path) -> None:
    """Refuses a file in a folder that does not exist.

    Raises: ValueError.
    """
    if not to.absolute().parent.is_dir():
        raise ValueError(f"{option}={to}: the folder {to.absolute().parent} does not exist")


def check_drawing(to: Path) -> None:
    """Refuses a place or a kind of file that no picture can be written to."""
    from matplotlib.backend_bases import FigureCanvasBase

    check_folder("picture", to)
    kinds = FigureCanvasBase.get_supported_filetypes()
    if to.suffix and to.suffix[1:].lower() not in kinds:
        raise ValueError(f"picture={to}: {to.suffix} is no kind of picture; use {', '.join(sorted(kinds))}")


def _draw(seen: Sequence[Picture], tops: list[list[tuple[str, float]]], to: Path) -> None:
    from jaxcnn.report import predictions

    pixels = coloured(np.stack([one.pixels for one in seen]), 3)
    predictions(list(pixels), [Path(one.name).name for one in seen], tops).savefig(to, dpi=120)
