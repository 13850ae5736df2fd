"""`load`: the embedded digits, TFDS image sets, a folder of pictures, NumPy arrays.

`digits` are the 1,797 handwritten digits of 8×8 pixels that come with scikit-learn (UCI's optical recognition set, test part;
Alpaydin & Kaynak, 1998).
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from jaxcnn.geometry import per_axis

from . import _arrays, _folder, _tfds
from ._decode import RULES
from ._images import ImageSet, Split

NAME = re.compile(r"[a-z]\w*(/[\w.-]+)?(:[\w.]+)?")  # as TFDS writes it: name/config:version
KINDS = 'give "digits", a TFDS name such as "mnist", a folder or a tuple of two arrays'
DIGITS = tuple("0123456789")
Source = str | Path | tuple[Any, Any]
Size = int | Sequence[int] | None


@overload
def load(
    source: Source, *, split: None = None, data_dir: str | Path | None = None, image_size: Size = None, resize: str = "crop",
    channels: int = 3, strict: bool = False, class_names: Sequence[str] | None = None, test_share: float = 0.2, seed: int = 0,
) -> ImageSet: ...  # fmt: skip
@overload
def load(
    source: Source, *, split: str, data_dir: str | Path | None = None, image_size: Size = None, resize: str = "crop",
    channels: int = 3, strict: bool = False, class_names: Sequence[str] | None = None, test_share: float = 0.2, seed: int = 0,
) -> Split: ...  # fmt: skip
def load(
    source: Source,
    *,
    split: str | None = None,
    data_dir: str | Path | None = None,
    image_size: Size = None,
    resize: str = "crop",
    channels: int = 3,
    strict: bool = False,
    class_names: Sequence[str] | None = None,
    test_share: float = 0.2,
    seed: int = 0,
) -> ImageSet | Split:
    """The images of a source, decoded into memory: an `ImageSet`, or the `Split` that `split` names.

    Args:
        source: "digits"; the name of a TFDS set with images and labels, such as "mnist"; the path of a folder
            `train/<class>/*.jpg`, with `test/` or `validation/` beside `train/`, or of one `<class>/*.jpg`; a pair of NumPy
            arrays, images uint8 `(n, h, w, c)` and labels `(n,)`.
        split: "train", "test", …; of a TFDS set also slices, "train[:10%]".
        data_dir: where TFDS sets lie; None means `TFDS_DATA_DIR` or TFDS's own default.
        image_size: height and width, where the pictures have many sizes; an int means both.
        resize: "crop" (short side to the size, then the middle), "pad" (black bars) or "stretch".
        channels: of pictures in a folder: 3 makes all RGB, 1 grey.
        strict: refuse a folder with pictures that cannot be read; else they are skipped with a warning and listed in `skipped`.
        class_names: of arrays; their numbers by default.
        test_share: share of every class that is held out where the source has no test split.
        seed: of that choice.

    Raises: ValueError for an unknown name (with the nearest ones), a set that is not prepared (with what prepares it), a class
        without images, a single class, labels out of range, mixed channels or sizes; ImportError where the package that reads
        it is not installed.

    >>> digits = load("digits")
    >>> digits.train.images.shape, len(digits.test), load("digits", split="test").images.shape
    ((1438, 8, 8, 1), 359, (359, 8, 8, 1))
    """
    if seed < 0:
        raise ValueError(f"load: seed={seed} must not be negative")
    if class_names is not None and not isinstance(source, tuple):
        raise ValueError("load: class_names name the classes of arrays; other sources have their own")
    if image_size is not None and (isinstance(source, tuple) or source == "digits"):
        raise ValueError("load: image_size is for folders and TFDS sets; digits and arrays keep their size")
    size = _size("load", image_size, resize, channels)
    held = (test_share, seed)
    if isinstance(source, tuple):
        data = _pair(source, class_names, held)
    elif is_path(source):
        return _pictures(Path(source).expanduser(), split, (size, resize, channels), strict, held)
    elif not isinstance(source, str) or not NAME.fullmatch(source):
        what = repr(source) if isinstance(source, str) else f"of type {type(source).__name__}"
        raise ValueError(f"load: there is no data set {what}; {KINDS}")
    elif source == "digits":
        data = _digits(held)
    else:
        return _prepared(source, split, data_dir, (size, resize), held)
    return data if split is None else _part(data, split)


def records(
    source: str | Path,
    *,
    split: str = "train",
    data_dir: str | Path | None = None,
    image_size: Size = None,
    resize: str = "crop",
    channels: int = 3,
    strict: bool = False,
    check: bool = True,
) -> _folder.Pictures | _tfds.Records:
    """A folder or TFDS set that is decoded image by image, for a `Stream`; the arguments are those of `load`.

    Args:
        split: a folder `train`, `test`, …, "all" where the classes lie in the root itself; of a TFDS set also slices.
        check: decode every file of a folder once, now, to leave out what cannot be read; without, such a file ends the
            stream with an error that names it.

    Raises: as `load`; ValueError for a folder without `image_size`, and for other sources.

    >>> records("digits")
    Traceback (most recent call last):
    ...
    ValueError: records: 'digits' is small; load("digits", split="train") gives what a Stream takes
    """
    if source == "digits":
        raise ValueError('records: \'digits\' is small; load("digits", split="train") gives what a Stream takes')
    size = _size("records", image_size, resize, channels)
    if not is_path(source):
        return _tfds.records_of(_tfds.builder_of(str(source), data_dir), split, size, resize)
    root = Path(source).expanduser()
    folders, split = _folder.parts(root), _folder.split_named(split)
    if split not in folders or size is None:
        raise ValueError(
            f"records: split={split!r}, image_size={image_size}; {root} has {', '.join(folders)}, and a size is needed"
        )
    names = _folder.class_names(next(iter(folders.values())))
    found = _folder.pictures(folders[split], names, size, resize, channels)
    return _folder.readable(found, strict=strict) if check else found


def classes_of(source: str | Path, *, data_dir: str | Path | None = None) -> tuple[str, ...]:
    """The names of a set's classes, without reading its images; the arguments are those of `load`.

    Raises: as `load`.

    >>> classes_of("digits")
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    if is_path(source):
        return _folder.class_names(next(iter(_folder.parts(Path(source).expanduser()).values())))
    if not isinstance(source, str) or not NAME.fullmatch(source):
        raise ValueError(f"load: there is no data set {source!r}; {KINDS}")
    return DIGITS if source == "digits" else tuple(_tfds.builder_of(source, data_dir).info.features["label"].names)


def is_path(source: Any) -> bool:
    """Whether a source is a folder: a `Path`, or text that looks like one; a bare word is a name.

    >>> is_path("./pets"), is_path("mnist")
    (True, False)
    """
    if isinstance(source, str):
        return source.startswith(("/", ".", "~")) or (("/" in source or "\\" in source) and Path(source).is_dir())
    return isinstance(source, Path)


def _size(name: str, image_size: Size, resize: str, channels: int) -> tuple[int, int] | None:
    if resize not in RULES or channels not in (1, 3):
        raise ValueError(f'{name}: resize={resize!r}, channels={channels}; use "crop", "pad" or "stretch", and 3 or 1')
    if image_size is None:
        return None
    h, w = per_axis(image_size, 2, what="image_size", name=name, least=1)
    return h, w


def _digits(held: tuple[float, int]) -> ImageSet:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError("load: digits come with scikit-learn; pip install 'jaxcnn[experiments]'") from None
    bunch: Any = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]  # 0…16 → 0…255, (1797, 8, 8, 1)
    whole = Split(images, bunch.target.astype(np.int32))
    return _divided("digits", whole, DIGITS, "scikit-learn's load_digits", held)


def _prepared(name: str, split: str | None, data_dir, form, held) -> ImageSet | Split:
    builder = _tfds.builder_of(name, data_dir)
    read = lambda part: _tfds.read(_tfds.records_of(builder, part, *form))
    if split is not None:
        return read(split)
    names, source = tuple(builder.info.features["label"].names), f"TFDS {builder.info.full_name}"
    if "train" not in builder.info.splits:
        raise ValueError(
            f"load: {name} has the splits {', '.join(builder.info.splits)} and no train; name one: split=…"
        )
    part = next((part for part in ("test", "validation") if part in builder.info.splits), None)
    if part is None:
        return _divided(name, read("train"), names, source, held)
    return ImageSet(name, read("train"), read(part), names, source)


def _pictures(root: Path, split: str | None, form, strict: bool, held) -> ImageSet | Split:
    folders = _folder.parts(root)
    first = next(iter(folders.values()))
    names = _folder.class_names(first)
    read = lambda folder: _folder.read(_folder.pictures(folder, names, *form), strict=strict)
    split = split and _folder.split_named(split)
    if split is not None and split in folders:
        return read(folders[split])[0]
    (whole, skipped), others = read(first), [folder for part, folder in folders.items() if part not in ("train", "all")]
    if others:
        test, more = read(others[0])
        data = ImageSet(root.name, whole, test, names, str(root), skipped=skipped + more)
    else:
        data = _divided(root.name, whole, names, str(root), held, skipped)
    return data if split is None else _part(data, split)


def _pair(pair: tuple[Any, Any], class_names: Sequence[str] | None, held: tuple[float, int]) -> ImageSet:
    if len(pair) != 2:
        raise ValueError(f"load: the source is a tuple of {len(pair)}; give (images, labels)")
    whole = _arrays.split_of(*pair)
    return _divided("arrays", whole, _arrays.names_of(whole.labels, class_names), "NumPy arrays", held)


def _divided(name: str, whole: Split, names: tuple[str, ...], source: str, held, skipped=()) -> ImageSet:
    whole.check(f"ImageSet {name}: images", len(names))
    train, test = whole.divide(held[0], seed=held[1])
    return ImageSet(name, train, test, names, source, skipped=skipped)


def _part(data: ImageSet, split: str) -> Split:
    if split not in ("train", "test"):
        raise ValueError(f"load: {data.name} has no split {split!r}; it has train and test")
    return data.train if split == "train" else data.test
