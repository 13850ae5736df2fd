"""Pictures from files, folders and standard input, cut as a card says."""

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxcnn.data import PICTURE_ENDINGS, UnreadableImage, decode
from jaxcnn.weights import Card, cut


class Picture(NamedTuple):
    """A picture that was read: its name, its pixels cut for the network, the mode that it was converted from (or "")."""

    name: str
    pixels: np.ndarray
    converted: str


def files_of(sources: Sequence[Path]) -> list[Path]:
    """The files that are meant: a folder stands for every picture in it, "-" for standard input.

    Raises: ValueError for a source that is not there, or nothing at all.
    """
    found: list[Path] = []
    for source in sources:
        if source.is_dir():
            inside = [p for p in sorted(source.rglob("*")) if p.suffix.lower() in PICTURE_ENDINGS and p.name[0] != "."]
            if not inside:
                raise ValueError(f"the folder {source} holds no picture")
            found += inside
        elif str(source) != "-" and not source.exists():
            raise ValueError(f"the file {source} does not exist")
        else:
            found.append(source)
    return found


def read(path: Path, card: Card) -> Picture:
    """A picture, upright, RGB, cut for the network.

    Raises: UnreadableImage.
    """
    from PIL import Image

    name = "standard input" if str(path) == "-" else str(path)
    data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    try:
        pixels = decode(data)
    except UnreadableImage as error:
        raise UnreadableImage(f"{name}: {str(error).partition(': ')[2]}") from None
    with Image.open(io.BytesIO(data)) as image:
        converted = "" if image.mode == "RGB" else image.mode
    return Picture(name, cut(card, pixels[None])[0], converted)


def batched(pictures: Iterable[Picture], size: int) -> Iterator[list[Picture]]:
    """Lists of up to `size` pictures."""
    batch: list[Picture] = []
    for picture in pictures:
        batch.append(picture)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
