"""Texts beside pictures: the names of classes, the right answers."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path


def lines_of(file: Path) -> list[str]:
    """The lines of a file that are not empty, without WordNet's numbers before names.

    Raises: ValueError for a file that is no text.
    """
    return [re.sub(r"^n\d{8} ", "", line) for line in _text(file).splitlines() if line.strip()]


def answers_of(names: Sequence[str], truth: Path) -> dict[str, str]:
    """What a CSV file with the columns file and label_index says of each picture.

    Raises: ValueError for other columns, or a picture without a row, or with several.
    """
    try:
        rows = list(csv.DictReader(_text(truth).splitlines()))
    except csv.Error as error:
        raise ValueError(f"{truth} is no CSV file: {error}") from None
    if not rows or not {"file", "label_index"} <= rows[0].keys():
        raise ValueError(f"{truth} must have the columns file and label_index, and a row for each picture")
    answers = {Path(row["file"] or ""): row["label_index"] or "" for row in rows}
    return {name: _answer(Path(name), answers, truth) for name in names}


def numbers_of(answers: Mapping[str, str], classes: int, truth: str) -> dict[str, int]:
    """The answers as numbers of classes.

    Raises: ValueError for what is none.

    >>> numbers_of({"a.png": "3"}, 10, "truth.csv")
    {'a.png': 3}
    """
    for name, label in answers.items():
        if not (label.isdecimal() and len(label) < 10 and int(label) < classes):
            raise ValueError(f"{truth} has the label {label!r} for {name}; there are {classes} classes, from 0")
    return {name: int(label) for name, label in answers.items()}


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{file} is no text in UTF-8") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None


def _answer(picture: Path, answers: Mapping[Path, str], truth: Path) -> str:
    """The label of the row whose path is the end of the picture's."""
    found = {path: label for path, label in answers.items() if picture.parts[-len(path.parts) :] == path.parts}
    if len(found) != 1:
        what = f"no row for {picture}" if not found else f"{len(found)} rows for {picture}; say more of their paths"
        raise ValueError(f"{truth} has {what}")
    (label,) = found.values()
    return label
