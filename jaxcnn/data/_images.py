"""`ImageSet`: labelled images of one size, as uint8 arrays that fit on the device."""

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Split:
    """Images `(n, h, w, c)` uint8 and their labels `(n,)` int32."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return self.images[index], int(self.labels[index])

    def divide(self, share: float, *, seed: int = 0) -> tuple["Split", "Split"]:
        """Two splits: the second holds `share` of every class (`stratified`)."""
        kept, held = stratified(self.labels, share, seed=seed)
        return Split(self.images[kept], self.labels[kept]), Split(self.images[held], self.labels[held])

    def first_of_each_class(self, count: int) -> "Split":
        """The first `count` images of every class, in their order; all of a class that has fewer."""
        kept = np.sort(
            np.concatenate([np.flatnonzero(self.labels == label)[:count] for label in np.unique(self.labels)])
        )
        return Split(self.images[kept], self.labels[kept])

    def check(self, what: str, classes: int) -> None:
        """Refuse shapes, dtypes and labels that do not fit together, in a line that begins with `what`."""
        images, labels = self.images, self.labels
        if not isinstance(images, np.ndarray) or not isinstance(labels, np.ndarray):
            raise ValueError(f"{what} is made of {type(images).__name__} and {type(labels).__name__}; use NumPy arrays")
        if images.ndim != 4 or images.dtype != np.uint8:
            raise ValueError(f"{what} images are {images.dtype}{list(images.shape)}; they must be uint8 (n, h, w, c)")
        if len(images) != len(labels) or not len(labels):
            raise ValueError(
                f"{what} has {len(images)} images and {len(labels)} labels; there must be as many, and some"
            )
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"{what} labels are {labels.dtype}; they must be integers")
        if labels.min() < 0 or labels.max() >= classes:
            raise ValueError(f"{what} labels run from {labels.min()} to {labels.max()}; there are {classes} classes")


@dataclass(frozen=True)
class ImageSet:
    """A set of images to train on and to test on.

    `source` says where they come from, `skipped` which files could not be read, a line each.

    Raises: ValueError if shapes, dtypes or labels do not fit together.
    """

    name: str
    train: Split
    test: Split
    class_names: tuple[str, ...]
    source: str
    skipped: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        for part, split in (("train", self.train), ("test", self.test)):
            split.check(f"ImageSet {self.name}: {part}", len(self.class_names))
        ours, theirs = self.train.images.shape[1:], self.test.images.shape[1:]
        if ours != theirs:
            raise ValueError(f"ImageSet {self.name}: train images are {ours}, test images {theirs}; they must agree")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        h, w, c = self.train.images.shape[1:]
        return h, w, c

    def class_weights(self) -> np.ndarray:
        """Of the training labels, for a loss in which every class counts alike (`class_weights`)."""
        return class_weights(self.train.labels, len(self.class_names))

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel over the training images, pixels in [0, 1]; a flat channel has 1."""
        counts = np.stack(
            [np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(self.train.images, -1, 0)]
        )
        share = counts / counts.sum(1, keepdims=True)  # (c, 256)
        values = np.arange(256) / 255
        mean = share @ values
        deviation = np.sqrt((share * (values - mean[:, None]) ** 2).sum(1))
        return mean.astype(np.float32), np.where(deviation > 0, deviation, 1).astype(np.float32)


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Weights `(classes,)` that make every class count alike: `n / (classes · n_k)`, whose mean over the labels is 1.

    Raises: ValueError for labels out of range or a class without one.

    >>> class_weights(np.array([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    if not len(labels) or labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"class_weights: {len(labels)} labels {np.unique(labels)[:9]}; they must lie in 0 … {classes - 1}"
        )
    counts = np.bincount(labels, minlength=classes)
    if not counts.all():
        raise ValueError(f"class_weights: class {counts.argmin()} has no label; every one needs one at least")
    return (len(labels) / (classes * counts)).astype(np.float32)


def stratified(labels: np.ndarray, share: float, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Indices of two parts: the second holds `share` of every class, rounded to whole images, at least one.

    Raises: ValueError for a share outside (0, 1) or a class with a single image.

    >>> first, second = stratified(np.array([0, 0, 0, 0, 1, 1, 1, 1]), 0.25)
    >>> len(first), sorted(np.array([0, 0, 0, 0, 1, 1, 1, 1])[second].tolist())
    (6, [0, 1])
    """
    if not 0 < share < 1:
        raise ValueError(f"stratified: share={share} must lie between 0 and 1")
    rng, held = np.random.default_rng(seed), []
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        if len(members) < 2:
            raise ValueError(f"stratified: class {label} has one image; every class needs one on each side")
        held.append(members[: min(max(1, round(share * len(members))), len(members) - 1)])
    second = np.sort(np.concatenate(held))
    return np.setdiff1d(np.arange(len(labels)), second), second
