"""NumPy arrays as a set of images."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ._images import Split


def split_of(images: Any, labels: Any) -> Split:
    """Images `(n, h, w, c)` or `(n, h, w)`, uint8, and integer labels `(n,)`, each as an array or a list.

    Raises: ValueError if channels or sizes are mixed, for another dtype, or labels out of range.
    """
    if isinstance(images, (list, tuple)):
        images = _stacked(images)
    images, labels = np.asarray(images), np.asarray(labels)
    if images.ndim == 3:
        images = images[..., None]
    if images.dtype != np.uint8:
        low, high = images.min(initial=0), images.max(initial=0)
        right = f"images.astype(np.uint8) where they are from 0 to 255; they are from {low} to {high}"
        if images.dtype.kind == "f":
            right = "np.round(images * 255).astype(np.uint8) for [0, 1]"
        raise ValueError(f"load: the images are {images.dtype}{list(images.shape)}; they must be uint8, {right}")
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"load: the labels are {labels.dtype}{list(labels.shape)}; they must be integers (n,), the class of each"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < 2**31:
        raise ValueError(
            f"load: the labels run from {labels.min()} to {labels.max()}; the first class is 0, each has its number"
        )
    return Split(images, labels.astype(np.int32))


def names_of(labels: np.ndarray, given: Sequence[str] | None) -> tuple[str, ...]:
    """The names of the classes; their numbers where none are given.

    Raises: ValueError for a class without an image, or a single class.
    """
    found = np.unique(labels)
    if given is None and len(found) and len(found) != found[-1] + 1:
        missing = int(np.flatnonzero(found != np.arange(len(found)))[0])
        raise ValueError(
            f"load: no image has the label {missing}, though they run to {found[-1]}; number the classes from 0 "
            "(np.unique(labels, return_inverse=True)[1]), or give class_names"
        )
    names = tuple(str(i) for i in range(int(labels.max(initial=0)) + 1)) if given is None else tuple(given)
    if len(names) < 2:
        raise ValueError(f"load: there is {len(names)} class {list(names)}; a classifier needs two at least")
    return names


def _stacked(images: Sequence[Any]) -> np.ndarray:
    pictures = [np.asarray(image) for image in images]
    shapes = {picture.shape for picture in pictures}
    channels = sorted({shape[2] if len(shape) == 3 else 1 for shape in shapes})
    if len(channels) > 1:
        raise ValueError(f"load: the images have {channels} channels; they must all have as many, 1 (grey) or 3 (RGB)")
    if len(shapes) > 1:
        raise ValueError(f"load: the images have {len(shapes)} sizes, such as {sorted(shapes)[:2]}; they must have one")
    return np.stack(pictures) if pictures else np.empty((0, 1, 1, 1), np.uint8)
