"""Dataset examples: the images that excite each channel of a layer most, least, or drawn at random.

A channel's excitement by an image is its largest activation over the positions. One compiled step joins a batch with the k that
were found so far and keeps k again, for all channels at once. So memory holds k entries a channel, whatever the data set's size,
and the result does not depend on how the data set is cut. Equal ones are ordered as they came.

Reference: Zeiler & Fergus, Visualizing and understanding convolutional networks (2014).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcnn.functional._check import random_key

from .._attribute import counted
from .._forward import Forward, reached, resolve, run
from ._field import box, field_of

Which = Literal["most", "least", "random"]


class Examples(NamedTuple):
    """Examples of each channel, the first the strongest (weakest, of the least).

    Attributes:
        layer: full name of the activation.
        channels: their numbers, `(c,)`.
        indices: of the images, in the order in which they came, `(c, k)`.
        values: the activation there, `(c, k)`.
        positions: of the unit that is excited, `(c, k, rank)`.
        boxes: the pixels that it sees, `(y0, x0, y1, x1)`, cut at the image, `(c, k, 4)`.
        pixels: the images `(c, k, h, w, c)` where they were kept.
        labels: `(c, k)`, where batches are pairs with labels.
        size: images of the data set.

    >>> found = examples(lambda x, tap: tap("pixels", x), jnp.ones((3, 4, 4, 1)), "pixels", k=2, keep=True)
    >>> found.size, found.pixels.shape, found.crops(0)[0].shape
    (3, (1, 2, 4, 4, 1), (1, 1, 1))
    """

    layer: str
    channels: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    positions: np.ndarray
    boxes: np.ndarray
    pixels: np.ndarray | None
    labels: np.ndarray | None
    size: int

    def crops(self, channel: int) -> list[np.ndarray]:
        """What the units see of the kept images, of one row.

        Raises: ValueError if no pixels were kept.
        """
        if self.pixels is None:
            raise ValueError("crops: the images were not kept; call examples with keep=True")
        return [one[y0:y1, x0:x1] for one, (y0, x0, y1, x1) in zip(self.pixels[channel], self.boxes[channel])]


class _Found(NamedTuple):
    """What was found so far: rank (by which they are ordered), value, image, flat position, each `(c, k)`."""

    rank: Array
    value: Array
    index: Array
    place: Array


def examples(
    model: Any,
    images: Any,
    layer: str | None,
    *,
    k: int = 9,
    which: Which = "most",
    key: Array | None = None,
    channels: Sequence[int] | None = None,
    prepare: Callable[[Array], Array] | None = None,
    keep: bool = False,
    batch_size: int = 100,
    progress: Callable[[int], Any] | None = None,
) -> Examples:
    """The k images of a data set, and the units in them, that excite each channel of a layer most, least, or any.

    Args:
        model: an NNX module, or a function of images.
        images: an array `(n, h, w, c)`, or an iterable of batches: arrays, or pairs of arrays and labels (a `data.Stream`).
        layer: name or pattern of an activation; None means the deepest map.
        k: images a channel.
        which: "most", "least" or "random" (each set of k images alike).
        key: of the random ones.
        channels: only these (default: all).
        prepare: from the images as they come to what the model takes; the same function each time, or it is compiled anew.
        keep: keep the images themselves too, k a channel at most.
        batch_size: images of an array that are computed together.
        progress: is called with the images that are done.

    Raises: ValueError for a layer or channel that is not there, k larger than the data set, an activation that is NaN.

    >>> x = jnp.arange(4.0).reshape(4, 1, 1, 1) * jnp.ones((1, 2, 2, 2))
    >>> found = examples(lambda x, tap: tap("pixels", x), x, "pixels", k=2)
    >>> found.indices.tolist(), found.boxes[0, 0].tolist()
    ([[3, 2], [3, 2]], [0, 0, 1, 1])
    """
    k, batch_size = counted("examples", "k", k), counted("examples", "batch_size", batch_size)
    if which not in get_args(Which) or (which == "random") != (key is not None):
        raise ValueError(f'examples: which={which!r} must be most, least or random, and key goes with "random" alone')
    key = jax.random.key(0) if key is None else random_key("examples", key)
    search = None
    for batch, labels in _batches(images, batch_size):
        if search is None:
            search = _Search(model, batch, layer, k, which, key, channels, prepare, keep)
        search.add(batch, labels)
        if progress is not None:
            progress(search.size)
    if search is None or search.size < k:
        raise ValueError(f"examples: k={k} of a data set of {0 if search is None else search.size} images; take fewer")
    return search.result()


class _Search:
    """The state of a search: what was found on the device, and of these the images and labels on the host."""

    def __init__(self, model, batch, layer, k: int, which: str, key: Array, channels, prepare, keep: bool):
        self.model, self.prepare, self.key, self.which, self.keep = model, prepare, key, which, keep
        self.shape, self.dtype, self.step, self.size = batch.shape[1:], batch.dtype, len(batch), 0
        blank: Any = jax.ShapeDtypeStruct(batch.shape, batch.dtype)
        taken: Any = blank if prepare is None else jax.eval_shape(prepare, blank)
        if not jnp.issubdtype(taken.dtype, jnp.floating):
            raise TypeError(f"examples: the images are {taken.dtype}; give prepare, from these to what the model takes")
        self.layer = resolve("examples", model, taken, layer)
        activation = jax.eval_shape(lambda x: run(reached, model, x, layer=self.layer), taken)
        self.space = activation.shape[1:-1]
        self.channels = _channels(channels, activation.shape[-1], self.layer)
        empty, none = jnp.full((len(self.channels), k), -jnp.inf), jnp.full((len(self.channels), k), -1)
        self.found = _Found(empty, empty, none, none)
        self.images: dict[int, np.ndarray] = {}
        self.labels: dict[int, int] = {}

    def add(self, batch: np.ndarray, labels: Any) -> None:
        """Takes in a batch, of at most as many images as the first."""
        for first in range(0, len(batch), self.step):
            self._add(batch[first : first + self.step], None if labels is None else labels[first : first + self.step])

    def _add(self, batch: Any, labels: Any) -> None:
        if batch.shape[1:] != self.shape:
            raise ValueError(
                f"examples: images of {list(batch.shape[1:])} after {list(self.shape)}; they must be alike"
            )
        padded = jnp.concatenate([batch, jnp.zeros((self.step - len(batch), *self.shape), batch.dtype)])
        self.found, bad = run(
            _joined, self.model, padded, self.found, jnp.array(self.channels), jnp.int32(self.size),
            jnp.int32(len(batch)), self.key, layer=self.layer, prepare=self.prepare, which=self.which,
        )  # fmt: skip
        if int(bad) < self.step:
            raise ValueError(
                f"examples: {self.layer} is NaN for image {self.size + int(bad)}; mend the model or the image"
            )
        if self.keep or labels is not None:
            self._remember(batch, labels)
        self.size += len(batch)

    def _remember(self, batch: Any, labels: Any) -> None:
        wanted = set(np.asarray(self.found.index).ravel().tolist())
        new = [index for index in wanted if index >= self.size]
        host = np.asarray(batch) if self.keep and new else ()
        for held in (self.images, self.labels):
            for index in held.keys() - wanted:
                del held[index]
        for index in new:
            if self.keep:
                self.images[index] = np.array(host[index - self.size])  # a copy: a view would keep the batch
            if labels is not None:
                self.labels[index] = int(labels[index - self.size])

    def result(self) -> Examples:
        """Everything on the host."""
        _, values, indices, places = map(np.asarray, self.found)
        positions = (
            np.stack(np.unravel_index(places, self.space), -1) if self.space else np.zeros((*places.shape, 0), int)
        )
        field = field_of(self.model, self.prepare, (1, *self.shape), self.dtype, self.layer)
        at = positions.reshape(places.size, len(self.space))
        boxes = np.array([box(field, tuple(map(int, one)), self.shape[:2]) for one in at]).reshape(*places.shape, 4)
        each = lambda held: np.array([[held[int(i)] for i in row] for row in indices])
        pixels = each(self.images) if self.keep else None
        labels = each(self.labels) if self.labels else None
        return Examples(self.layer, self.channels, indices, values, positions, boxes, pixels, labels, self.size)


def _joined(
    forward: Forward, batch, found: _Found, channels, first, valid, key, *, layer: str, prepare, which: str
) -> tuple[_Found, Array]:
    """The k best of those that were found and those of the batch; the first image with a NaN."""
    x = batch if prepare is None else prepare(batch)
    a = reached(forward, x, layer)
    a = a.reshape(len(a), -1, a.shape[-1])[..., channels].astype(jnp.float32)  # (n, positions, c)
    value, place, index = a.max(1).T, a.argmax(1).T, first + jnp.arange(len(a))
    inside = jnp.arange(len(a)) < valid
    bad = jnp.argmax(jnp.concatenate([jnp.isnan(a).any((1, 2)) & inside, jnp.ones(1, bool)]))
    if which == "random":
        draw = lambda i: jax.random.uniform(jax.random.fold_in(key, i), (len(channels),))
        rank = jax.vmap(draw)(index).T
    else:
        rank = value if which == "most" else -value
    new = _Found(jnp.where(inside, rank, -jnp.inf), value, jnp.broadcast_to(index, value.shape), place)
    both = _Found(*(jnp.concatenate(pair, 1) for pair in zip(found, new)))
    _, chosen = jax.lax.top_k(both.rank, found.rank.shape[1])  # of equal ones the first
    return _Found(*(jnp.take_along_axis(one, chosen, 1) for one in both)), bad


def _batches(images: Any, size: int) -> Iterator[tuple[Any, Any]]:
    """Batches and their labels (None)."""
    if hasattr(images, "ndim"):
        if images.ndim != 4:
            raise ValueError(f"examples: the images have shape {list(images.shape)}; give (n, h, w, c)")
        yield from ((images[first : first + size], None) for first in range(0, len(images), size))
        return
    if not isinstance(images, Iterable):
        raise TypeError(f"examples: images is a {type(images).__name__}; give an array or an iterable of batches")
    for batch in images:
        yield (batch[0], np.asarray(batch[1])) if isinstance(batch, (tuple, list)) else (batch, None)


def _channels(channels: Sequence[int] | None, count: int, layer: str) -> np.ndarray:
    chosen = np.arange(count) if channels is None else np.asarray(channels, int).reshape(-1)
    wrong = chosen[(chosen < 0) | (chosen >= count)]
    if wrong.size or not chosen.size:
        what = f"{wrong[0]} is no channel" if wrong.size else "gives no channel"
        raise ValueError(f"examples: channels: {what} of {layer}, which has {count}; use 0 to {count - 1}")
    return chosen
