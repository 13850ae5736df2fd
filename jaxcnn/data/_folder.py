"""A folder of the user's own pictures: `train/<class>/*.jpg` and `test/<class>/*.jpg`, or `<class>/*.jpg` alone."""

import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np

from ._decode import UnreadableImage, decode
from ._images import Split

ENDINGS = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".webp", ".avif", ".tif", ".tiff", ".ppm", ".pgm"}
BESIDE = {
    ".txt",
    ".md",
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".xml",
    ".yaml",
    ".yml",
    ".html",
    ".db",
    ".ini",
    ".npy",
    ".npz",
}
HELD_OUT = ("test", "validation")  # the first that is there is tested on
SPLITS = {"train": "train", "training": "train", "test": "test", "testing": "test"}  # a folder's name in small letters
SPLITS |= dict.fromkeys(("validation", "valid", "val"), "validation")
SHOWN = 3


@dataclass(frozen=True)
class Pictures:
    """Files and their labels, decoded one at a time: `pictures[i]` is `(uint8 (h, w, c), label)`. It can be pickled.

    `skipped` has a line for each file that could not be read.
    """

    files: tuple[Path, ...]
    labels: np.ndarray
    class_names: tuple[str, ...]
    size: tuple[int, int] | None
    resize: str
    channels: int
    skipped: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        pixels = decode(self.files[index], size=self.size, resize=self.resize, channels=self.channels)
        return pixels, int(self.labels[index])


def split_named(name: str) -> str:
    """The split that a name means, in letters of any size; what means none is itself.

    >>> split_named("Val"), split_named("all")
    ('validation', 'all')
    """
    return SPLITS.get(name.lower(), name)


def split_folders(root: str | Path) -> dict[str, Path]:
    """The folders of `train`, `test` and `validation`, as far as they are there; `all` where the classes lie in `root` itself.

    The folders may be called training, testing, valid and val too, in letters of any size.

    Raises: ValueError if there is no folder, or two for one split.

    >>> import tempfile
    >>> root = Path(tempfile.mkdtemp())
    >>> for part in ("train", "val"):
    ...     (root / part / "cat").mkdir(parents=True)
    >>> {name: folder.name for name, folder in split_folders(root).items()}
    {'train': 'train', 'validation': 'val'}
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "does not exist"
        raise ValueError(f"load: the folder {str(root)!r} {what}; give one that holds train/<class>/*.jpg")
    found: dict[str, Path] = {}
    for path in sorted(path for path in root.iterdir() if path.is_dir()):
        split = SPLITS.get(path.name.lower())
        if split in found:
            raise ValueError(
                f"load: {root} has the folders {found[split].name} and {path.name}; which one is {split!r}?"
            )
        if split:
            found[split] = path
    return {name: found[name] for name in ("train", *HELD_OUT) if name in found} or {"all": root}


def parts(root: Path) -> dict[str, Path]:
    """`split_folders` of a folder to train on.

    Raises: ValueError as there, and for a part that is held out without a `train`.
    """
    found = split_folders(root)
    if not {"train", "all"} & found.keys():
        held = next(iter(found.values())).name
        raise ValueError(f"load: {root} has the folder {held} and none called train; put the training images there")
    return found


def class_folders(folder: Path) -> tuple[str, ...]:
    """The names of its sub-folders, hidden ones left out, in their order: class 0, class 1, ….

    >>> class_folders(Path("/proc/self/fdinfo"))
    ()
    """
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))


def class_names(folder: Path) -> tuple[str, ...]:
    """`class_folders` of a folder to train on.

    Raises: ValueError if there are fewer than two.
    """
    names = class_folders(folder)
    if len(names) < 2:
        raise ValueError(
            f"load: {folder} has {len(names)} class folder{'s' * (len(names) != 1)} {list(names)}; there must be two at least, "
            "each with pictures of its class"
        )
    return names


def labelled_files(folder: Path, names: Sequence[str]) -> tuple[list[Path], list[int]]:
    """The files of every class, in order of name, and the class of each.

    Raises: ValueError for a class without a picture, or a folder that is none of the classes.

    >>> import tempfile
    >>> labelled_files(Path(tempfile.mkdtemp()), [])
    ([], [])
    """
    stray = sorted(set(class_folders(folder)) - set(names))
    if stray:
        raise ValueError(f"load: {folder} has the class folder {stray[0]!r}, which train has not: {', '.join(names)}")
    files: list[Path] = []
    labels: list[int] = []
    for label, name in enumerate(names):
        found = [p for p in sorted((folder / name).rglob("*")) if _is_tried(p)]
        if not any(p.suffix.lower() in ENDINGS for p in found):
            raise ValueError(
                f"load: the class folder {folder / name} has no image; put {', '.join(sorted(ENDINGS))} there, or remove it"
            )
        files += found
        labels += [label] * len(found)
    return files, labels


def pictures(folder: Path, names: Sequence[str], size: tuple[int, int] | None, resize: str, channels: int) -> Pictures:
    """`labelled_files`, to be decoded."""
    files, labels = labelled_files(folder, names)
    return Pictures(tuple(files), np.array(labels, np.int32), tuple(names), size, resize, channels)


def _is_tried(path: Path) -> bool:
    """All files but hidden ones and those that lie beside pictures; one that is no picture is then counted as skipped."""
    return path.suffix.lower() not in BESIDE and not path.name.startswith(".") and path.is_file()


def read(source: Pictures, *, strict: bool) -> tuple[Split, tuple[str, ...]]:
    """Every picture decoded, several at a time, and a line for each that cannot be read.

    Raises: ValueError if one cannot be read and `strict`, a class has none left, or sizes differ and none was asked for.
    """
    with ThreadPoolExecutor() as pool:
        found: list[Any] = list(pool.map(_attempt, repeat(source), range(len(source))))
    good = _good(source, found, strict)
    shapes = {found[i].shape for i in good}
    if len(shapes) > 1:
        h, w = (sorted({shape[axis] for shape in shapes}) for axis in (0, 1))
        raise ValueError(
            f"load: the images are {h[0]} to {h[-1]} pixels high and {w[0]} to {w[-1]} wide; give image_size=(height, width)"
        )
    return Split(np.stack([found[i] for i in good]), source.labels[good]), tuple(v for v in found if isinstance(v, str))


def readable(source: Pictures, *, strict: bool) -> Pictures:
    """The same without what cannot be read, which takes decoding everything once; else as `read`."""
    with ThreadPoolExecutor() as pool:
        found = list(
            pool.map(lambda i: why if isinstance(why := _attempt(source, i), str) else None, range(len(source)))
        )
    good = _good(source, found, strict)
    skipped = tuple(why for why in found if why is not None)
    return replace(source, files=tuple(source.files[i] for i in good), labels=source.labels[good], skipped=skipped)


def _good(source: Pictures, found: Sequence[Any], strict: bool) -> list[int]:
    """Numbers of the files that can be read, after a word about the others."""
    unreadable = [why for why in found if isinstance(why, str)]
    good = [i for i, why in enumerate(found) if not isinstance(why, str)]
    report(unreadable, len(source), strict=strict)
    missing = np.setdiff1d(source.labels, source.labels[good])
    if len(missing):
        first = int(np.argmax(source.labels == missing[0]))
        raise ValueError(f"load: no image of the class folder {source.files[first].parent} can be read: {found[first]}")
    return good


def report(unreadable: Sequence[str], total: int, *, strict: bool) -> None:
    """Say how many files are skipped and which come first.

    Raises: ValueError instead if `strict`.
    """
    if unreadable:
        rest = f" and {len(unreadable) - SHOWN} more" if len(unreadable) > SHOWN else ""
        text = f"load: {len(unreadable)} of {total} images cannot be read: {'; '.join(unreadable[:SHOWN])}{rest}"
        if strict:
            raise ValueError(f"{text}; mend or remove them, or load with strict=False")
        warnings.warn(f"{text}; they are skipped", stacklevel=2)


def _attempt(source: Pictures, index: int) -> np.ndarray | str:
    try:
        return source[index][0]
    except UnreadableImage as error:
        return str(error)
