"""Sets too large for the device: decoded on the way, in workers, and on the device before they are asked for.

grain does the reading. Every epoch has its own order, drawn from the seed; each process reads its own part of it, decodes
`batch_size / processes` images a step and puts them where `sharding` says. The position is the number of batches that were
handed out: a stream that is restored goes on with the one that would have come next, whatever had been read ahead.
`StreamedSet` is what `train.fit` takes in place of an `ImageSet`.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jax
import numpy as np
from jax import Array
from jaxtyping import Int, UInt8

from jaxcnn.geometry import per_axis

from ._images import ImageSet, Split, class_weights

Batch = tuple[UInt8[Array, "n h w c"], Int[Array, " n"]]


class RandomAccess(Protocol):
    """What can be streamed: `source[i]` is `(uint8 (h, w, c), label)`, and workers need it picklable.

    >>> from jaxcnn.data import Split
    >>> isinstance(Split(np.zeros((1, 2, 2, 1), np.uint8), np.zeros(1, np.int32))[0], tuple)
    True
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, int]: ...


@dataclass(frozen=True)
class StreamedSet:
    """Labelled images of one size that are read while a model trains on them; the test images lie in memory.

    Args:
        name: of the set.
        train: what a `Stream` reads, such as `records(...)`.
        test: images and labels to test on.
        class_names: one a class.
        workers: see `Stream`.
        ahead: see `Stream`.
        sampled: training images, spread evenly, that `statistics` reads.

    Raises: ValueError if the test images and labels do not fit together, or the training images have another shape.

    >>> from jaxcnn.data import load
    >>> digits = load("digits")
    >>> StreamedSet("digits", digits.train, digits.test, digits.class_names).image_shape
    (8, 8, 1)
    """

    name: str
    train: RandomAccess
    test: Split
    class_names: tuple[str, ...]
    workers: int = field(default=0, kw_only=True)
    ahead: int = field(default=2, kw_only=True)
    sampled: int = field(default=1000, kw_only=True)

    def __post_init__(self) -> None:
        per_axis(self.sampled, 1, what="sampled", name="StreamedSet", least=1)
        self.test.check(f"StreamedSet {self.name}: test", len(self.class_names))
        if not len(self.train):
            raise ValueError(f"StreamedSet {self.name}: train has no image; it must have one at least")
        labels = getattr(self.train, "labels", None)
        if labels is not None and not 0 <= np.min(labels) <= np.max(labels) < len(self.class_names):
            found = f"{np.min(labels)} to {np.max(labels)}"
            raise ValueError(
                f"StreamedSet {self.name}: train labels are {found}; there are {len(self.class_names)} classes"
            )
        first = np.asarray(self.train[0][0])
        if first.dtype != np.uint8:
            raise ValueError(
                f"StreamedSet {self.name}: train images are {first.dtype}; they must be uint8, from 0 to 255"
            )
        ours, theirs = first.shape, self.test.images.shape[1:]
        if ours != theirs:
            raise ValueError(f"StreamedSet {self.name}: train images are {ours}, test images {theirs}; they must agree")

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        h, w, c = self.test.images.shape[1:]
        return h, w, c

    def class_weights(self) -> np.ndarray:
        """Of the training labels, for a loss in which every class counts alike (`class_weights`).

        Raises: ValueError for training images whose labels are not known without reading them (a TFDS set's).
        """
        labels = getattr(self.train, "labels", None)
        if labels is None:
            raise ValueError(
                f"StreamedSet {self.name}: count its labels and give class_weights(labels, classes) to the loss"
            )
        return class_weights(labels, len(self.class_names))

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel over the sampled training images, as `ImageSet.statistics`."""
        chosen = np.linspace(0, len(self.train) - 1, min(self.sampled, len(self.train))).round().astype(int)
        images = np.stack([self.train[int(i)][0] for i in chosen])
        sample = Split(images, np.zeros(len(images), np.int32))
        return ImageSet(self.name, sample, self.test, self.class_names, "a sample").statistics()


class Stream:
    """Batches `(images uint8 (n, h, w, c), labels int32 (n,))` on the device, as an iterator; a remainder sits out.

    Args:
        source: `Split`, or what `records` opens.
        batch_size: images a step, of all processes together.
        seed: of the order.
        epochs: passes over the set; None goes on for ever.
        workers: processes that decode; 0 decodes in threads of this one.
        ahead: batches that wait on the device.
        sharding: of a batch over the devices of all processes; None puts it on the default device.
        classes: labels that there are, from 0; one outside of them is refused when its batch is read. None lets all pass.

    Raises: ValueError if the batch is larger than the set, or cannot be divided among the processes.

    >>> from jaxcnn.data import load
    >>> batches = Stream(load("digits", split="train"), 64, epochs=1)
    >>> len(batches), next(batches)[0].shape
    (22, (64, 8, 8, 1))
    """

    def __init__(
        self,
        source: RandomAccess,
        batch_size: int,
        *,
        seed: int = 0,
        epochs: int | None = None,
        workers: int = 0,
        ahead: int = 2,
        sharding: jax.sharding.Sharding | None = None,
        classes: int | None = None,
    ):
        for what, value, least in (("batch_size", batch_size, 1), ("workers", workers, 0), ("ahead", ahead, 1)):
            per_axis(value, 1, what=what, name="Stream", least=least)
        processes = jax.process_count() if sharding is not None else 1
        if batch_size > len(source) or batch_size % processes:
            raise ValueError(
                f"Stream: batch_size={batch_size} of {len(source)} images in {processes} processes; it must not be larger "
                "than the set, and a multiple of the processes"
            )
        self._identity = {"images": len(source), "batch_size": batch_size, "seed": seed}
        self.steps_per_epoch = len(source) // batch_size
        self._sharding, self._ahead, self._epochs, self._classes = sharding, ahead, epochs, classes
        rank = jax.process_index() if processes > 1 else 0
        self._from = lambda position: _batches(source, batch_size, seed, epochs, workers, rank, processes, position)
        self._batches, self._position = self._from(0), 0
        self._waiting: deque[Batch] = deque()

    def __len__(self) -> int:
        """Steps of all epochs, from the start.

        Raises: TypeError if it goes on for ever.
        """
        if self._epochs is None:
            raise TypeError("Stream: epochs=None goes on for ever; steps_per_epoch says what one has")
        return self.steps_per_epoch * self._epochs

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        while len(self._waiting) < self._ahead:
            batch = next(self._batches, None)
            if batch is None:
                break
            self._waiting.append(self._placed(batch))
        if not self._waiting:
            raise StopIteration
        self._position += 1
        return self._waiting.popleft()

    def state(self) -> dict[str, Any]:
        """The position, behind the last batch that was handed out: plain numbers, for a checkpoint; alike in all processes."""
        return {**self._identity, "position": self._position}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on behind the last batch before `state()`.

        Raises: ValueError for the state of another stream.
        """
        for what, value in self._identity.items():
            if state.get(what) != value:
                raise ValueError(f"Stream: the state has {what}={state.get(what)}, this stream {value}; open it alike")
        self.close()
        self._position = state["position"]
        self._batches = self._from(self._position)

    def close(self) -> None:
        """End the workers; an iteration that came to its end has none left."""
        self._waiting.clear()
        if hasattr(self._batches, "close"):
            self._batches.close()

    def _placed(self, batch: tuple[np.ndarray, np.ndarray]) -> Batch:
        images, labels = batch[0], batch[1].astype(np.int32)
        if self._classes is not None and not 0 <= labels.min() <= labels.max() < self._classes:
            raise ValueError(
                f"Stream: a batch has the labels {labels.min()} to {labels.max()}; there are {self._classes} classes, from 0"
            )
        if self._sharding is None:
            return jax.device_put(images), jax.device_put(labels)
        spread = lambda local: jax.make_array_from_process_local_data(self._sharding, local)
        return spread(images), spread(labels)


def _batches(
    source, batch_size: int, seed: int, epochs: int | None, workers: int, rank: int, processes: int, position: int = 0
) -> Any:
    """grain's iterator of this process's batches from `position` on."""
    try:
        import grain
        from absl import flags
    except ImportError:
        raise ImportError("Stream: grain reads it; pip install 'jaxcnn[experiments]'") from None
    even = len(source) // processes * processes
    mine = grain.MapDataset.source(source).seed(seed).shuffle()[:even][rank::processes]
    whole = mine.batch(batch_size // processes, drop_remainder=True).repeat(epochs)
    batches = whole[position:].to_iter_dataset(
        grain.ReadOptions(num_threads=0 if workers else 4, prefetch_buffer_size=8)
    )
    if workers:
        if not flags.FLAGS.is_parsed():  # grain reads absl's flags, which only absl's own programs parse
            flags.FLAGS.mark_as_parsed()
        batches = batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2))
    return iter(batches)
