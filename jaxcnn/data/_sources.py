"""Sources of images: the embedded digits and every TFDS image set of one image size.

`digits` are the 1,797 handwritten digits of 8×8 pixels that come with scikit-learn (UCI's optical recognition set, test part;
Alpaydin & Kaynak, 1998). TFDS sets are read through `tfds.data_source`, which needs no TensorFlow, from the directory
`data_dir`, `TFDS_DATA_DIR` or TFDS's own default, where they have been prepared.
"""

import logging
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from ._images import ImageSet, Split, stratified

NAME = re.compile(r"[a-z]\w*(/[\w.-]+)?(:[\w.]+)?")  # as TFDS writes it: name/config:version


def load(name: str, *, data_dir: str | Path | None = None, test_share: float = 0.2, seed: int = 0) -> ImageSet:
    """The image set of that name, decoded into memory.

    Args:
        name: "digits", or a TFDS name with images of one size and labels, such as "mnist".
        data_dir: where TFDS sets lie.
        test_share: share of every class that is held out where the source has no test split (as digits).
        seed: of that choice.

    Raises: ValueError for an unknown name (with the nearest ones) or a set that is not prepared (with what prepares it);
        ImportError where the package that reads it is not installed.

    >>> digits = load("digits")
    >>> digits.train.images.shape, len(digits.test)
    ((1438, 8, 8, 1), 359)
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f'load: there is no data set {name!r}; give "digits" or a TFDS name such as "mnist"')
    if seed < 0:
        raise ValueError(f"load: seed={seed} must not be negative")
    if name == "digits":
        return _digits(test_share, seed)
    return _tfds(name, data_dir, test_share, seed)


def _digits(test_share: float, seed: int) -> ImageSet:
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise ImportError("load: digits come with scikit-learn; pip install 'jaxcnn[experiments]'") from None
    bunch: Any = load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]  # 0…16 → 0…255, (1797, 8, 8, 1)
    return _split("digits", images, bunch.target, tuple("0123456789"), "scikit-learn's load_digits", test_share, seed)


def _tfds(name: str, data_dir: str | Path | None, test_share: float, seed: int) -> ImageSet:
    tfds = _import_tfds(name)
    if data_dir is not None and not Path(data_dir).is_dir():
        raise ValueError(f"load: the data directory {str(data_dir)!r} does not exist; give one with prepared TFDS sets")
    try:
        builder = tfds.builder(name, data_dir=data_dir, file_format="array_record")
    except tfds.core.DatasetNotFoundError:
        known = ["digits", *tfds.list_builders(with_community_datasets=False)]
        near = get_close_matches(name, known, n=3) or ["digits", "mnist", "fashion_mnist", "cifar10"]
        raise ValueError(f"load: there is no data set {name!r}; nearest: {', '.join(near)}") from None
    if not builder.is_prepared():
        where = data_dir or os.environ.get("TFDS_DATA_DIR") or "TFDS's default directory"
        raise ValueError(
            f"load: {name} is not prepared in {where}; give --data-dir or TFDS_DATA_DIR where it is, or prepare it: "
            f"tfds.builder({name!r}, file_format='array_record').download_and_prepare()"
        )
    _check_features(name, builder.info)
    class_names = tuple(builder.info.features["label"].names)
    splits, source = builder.info.splits, f"TFDS {builder.info.full_name}"
    train = _read(builder, "train")
    held = next((part for part in ("test", "validation") if part in splits), None)
    if held is None:
        return _split(name, train.images, train.labels, class_names, source, test_share, seed)
    return ImageSet(name, train, _read(builder, held), class_names, source)


def _import_tfds(name: str) -> Any:
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
    if None in image.shape:
        raise ValueError(f"load: the images of {name} are {image.shape}, of many sizes; they must have one size")
    if np.dtype(image.np_dtype) != np.uint8:
        raise ValueError(f"load: the images of {name} are {np.dtype(image.np_dtype)}; they must be uint8")
    if getattr(label, "names", None) is None:
        raise ValueError(f"load: the labels of {name} have no names; they must be classes")
    if "train" not in info.splits:
        raise ValueError(f"load: {name} has the splits {', '.join(info.splits)}; it must have train")


def _read(builder: Any, split: str) -> Split:
    records = builder.as_data_source(split=split)
    images = np.empty((len(records), *builder.info.features["image"].shape), np.uint8)
    labels = np.empty(len(records), np.int32)
    absl = logging.getLogger("absl")
    level = absl.level
    absl.setLevel(logging.ERROR)  # TFDS advises another image decoder at the first record
    for i, record in enumerate(records):
        images[i], labels[i] = record["image"], record["label"]
    absl.setLevel(level)
    return Split(images, labels)


def _split(name, images, labels, class_names, source, test_share, seed) -> ImageSet:
    labels = np.asarray(labels, np.int32)
    kept, held = stratified(labels, test_share, seed=seed)
    return ImageSet(name, Split(images[kept], labels[kept]), Split(images[held], labels[held]), class_names, source)
