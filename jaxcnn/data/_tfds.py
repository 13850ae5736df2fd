"""TFDS image sets, read through `tfds.data_source`, which needs no TensorFlow, where they have been prepared."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from ._decode import fitted
from ._images import Split

AT_ONCE = 1000  # records a read


class Records:
    """One split, decoded one at a time: `records[i]` is `(uint8 (h, w, c), label)`. It can be pickled."""

    def __init__(self, source: Any, class_names: tuple[str, ...], size: tuple[int, int] | None, resize: str):
        self.source, self.class_names, self.size, self.resize = source, class_names, size, resize
        self._first = True

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        with quiet() if self._first else nullcontext():
            record = self.source[index]
        self._first = False
        return self.pixels(record), int(record["label"])

    def pixels(self, record: Any) -> np.ndarray:
        """The image of a record, of the size asked for."""
        return record["image"] if self.size is None else fitted(record["image"], self.size, self.resize)


def builder_of(name: str, data_dir: str | Path | None) -> Any:
    """The TFDS builder of a prepared set.

    Raises: ValueError for an unknown name (with the nearest ones), a set that is not prepared (with what prepares it) or that
        has not images and classes; ImportError without tensorflow-datasets.
    """
    tfds = _import(name)
    if data_dir is not None and not Path(data_dir).is_dir():
        raise ValueError(f"load: the data directory {str(data_dir)!r} does not exist; give one with prepared TFDS sets")
    try:
        builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
    except tfds.core.DatasetNotFoundError:
        known = ["digits", *tfds.list_builders(with_community_datasets=False)]
        near = get_close_matches(name, known, n=3) or ["digits", "mnist", "fashion_mnist", "cifar10"]
        folder = f"; for the folder beside you give ./{name}" if Path(name).is_dir() else ""
        raise ValueError(f"load: there is no data set {name!r}; nearest: {', '.join(near)}{folder}") from None
    except Exception as error:
        if "File format is already set" not in str(error):
            raise
        raise ValueError(
            f"load: {name} is prepared in a file format that TensorFlow alone reads; prepare it once more: "
            f"tfds.builder({name!r}, file_format='array_record').download_and_prepare()"
        ) from None
    if not builder.is_prepared():
        where = data_dir or os.environ.get("TFDS_DATA_DIR") or "TFDS's default directory"
        raise ValueError(
            f"load: {name} is not prepared in {where}; give --data-dir or TFDS_DATA_DIR where it is, or prepare it: "
            f"tfds.builder({name!r}, file_format='array_record').download_and_prepare()"
        )
    _check_features(name, builder.info)
    return builder


def records_of(builder: Any, split: str, size: tuple[int, int] | None, resize: str) -> Records:
    """One split of a prepared set, "train" or a slice such as "train[:10%]".

    Raises: ValueError for a split that is not there, or images of many sizes where none is asked for.
    """
    name, shape = builder.info.full_name, builder.info.features["image"].shape
    if size is None and None in shape:
        raise ValueError(f"load: the images of {name} are {shape}, of many sizes; give image_size=(height, width)")
    try:
        with quiet():
            return Records(
                builder.as_data_source(split=split), tuple(builder.info.features["label"].names), size, resize
            )
    except (ValueError, KeyError, AssertionError):
        known = ", ".join(builder.info.splits)
        raise ValueError(
            f'load: {name} has no split {split!r}; it has {known}, and slices such as "train[:10%]"'
        ) from None


def read(records: Records) -> Split:
    """Every record, decoded into two arrays."""
    images = np.empty((len(records), *records[0][0].shape), np.uint8)
    labels = np.empty(len(records), np.int32)
    for start in range(0, len(records), AT_ONCE):
        indices = range(start, min(start + AT_ONCE, len(records)))
        for i, record in zip(indices, records.source.__getitems__(indices)):
            images[i], labels[i] = records.pixels(record), record["label"]
    return Split(images, labels)


@contextmanager
def quiet() -> Iterator[None]:
    """TFDS advises another image decoder at the first record; not here."""
    absl = logging.getLogger("absl")
    level = absl.level
    absl.setLevel(logging.ERROR)
    try:
        yield
    finally:
        absl.setLevel(level)


def _import(name: str) -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise ImportError(f"load: {name} is read by tensorflow-datasets; pip install 'jaxcnn[experiments]'") from None
    return tfds


def _check_features(name: str, info: Any) -> None:
    features = info.features
    if not {"image", "label"} <= set(features):
        raise ValueError(f"load: {name} has the features {', '.join(features)}; it must have image and label")
    image, label = features["image"], features["label"]
    if np.dtype(image.np_dtype) != np.uint8:
        raise ValueError(f"load: the images of {name} are {np.dtype(image.np_dtype)}; they must be uint8")
    if getattr(label, "names", None) is None:
        raise ValueError(f"load: the labels of {name} have no names; they must be classes")
