"""Pictures from files, folders and standard input, cut as a card says."""

import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxcnn.data import PICTURE_ENDINGS, UnreadableImage, decode
from jaxcnn.weights import Card, cut

MODES = {1: "L", 3: "RGB"}  # Pillow's, of pictures that are not converted


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


class Source(NamedTuple):
    """A picture that is yet to be read: its name, and its bytes where they came by standard input."""

    name: str
    data: bytes | None = None


def sources(files: Sequence[Path], unreadable: list[str]) -> Iterator[Source]:
    """The files that begin as pictures do, one at a time; a line for each other one goes to the list."""
    for path in files:
        try:
            given = str(path) == "-"
            source = Source("standard input", sys.stdin.buffer.read()) if given else Source(str(path))
            _mode(source)
            yield source
        except UnreadableImage as error:
            unreadable.append(str(error))


def readable(sources: Iterable[Source], card: Card, unreadable: list[str]) -> Iterator[Picture]:
    """The pictures that can be read, as they are asked for; a line for each other one goes to the list."""
    for source in sources:
        try:
            yield read(source, card)
        except UnreadableImage as error:
            unreadable.append(str(error))


def read(source: Source, card: Card) -> Picture:
    """A picture, upright, RGB or grey as the card is, cut for the network.

    Raises: UnreadableImage.
    """
    mode = _mode(source)
    try:
        data = Path(source.name).read_bytes() if source.data is None else source.data
        pixels = decode(data, channels=card.in_features)
    except UnreadableImage as error:
        raise UnreadableImage(f"{source.name}: {str(error).partition(': ')[2]}") from None
    return Picture(source.name, cut(card, pixels[None])[0], "" if mode == MODES[card.in_features] else mode)


def _mode(source: Source) -> str:
    """Pillow's name of the colours, from the first bytes alone.

    Raises: UnreadableImage.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        if source.data == b"" or (source.data is None and not Path(source.name).stat().st_size):
            raise UnreadableImage(f"{source.name}: the file is empty")
        with Image.open(source.name if source.data is None else io.BytesIO(source.data)) as image:
            return image.mode
    except UnreadableImage:
        raise
    except UnidentifiedImageError:
        raise UnreadableImage(f"{source.name}: it is no picture of a kind that Pillow knows") from None
    except Exception as error:  # decoders raise what they like
        raise UnreadableImage(f"{source.name}: {str(error).partition(chr(10))[0] or type(error).__name__}") from None


def coloured(images: np.ndarray, channels: int) -> np.ndarray:
    """Images `(n, h, w, 1 or 3)` with that many channels; grey is made as Pillow makes it.

    >>> coloured(np.array([[[[255, 0, 0]]]], np.uint8), 1).ravel().tolist()
    [76]
    """
    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return np.broadcast_to(images, (*images.shape[:3], 3))
    sums = images.astype(np.uint32) @ np.array([19595, 38470, 7471], np.uint32)  # sixteen bits after the point
    return (sums + (1 << 15) >> 16).astype(np.uint8)[..., None]


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
