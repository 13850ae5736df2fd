"""Sets too large for the device: decoded on the way, in workers, and on the device before they are asked for.

grain does the reading. Every epoch has its own order, drawn from the seed; each process reads its own part of it, decodes
`batch_size / processes` images a step and puts them where `sharding` says. The position is a few numbers: a stream that is
restored goes on with the batch that would have come next, whatever had been read ahead.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import jax
import numpy as np
from jax import Array
from jaxtyping import Int, UInt8

from jaxcnn.geometry import per_axis

Batch = tuple[UInt8[Array, "n h w c"], Int[Array, " n"]]


class RandomAccess(Protocol):
    """What can be streamed: `source[i]` is `(uint8 (h, w, c), label)`, and workers need it picklable.

    >>> from jaxcnn.data import Split
    >>> isinstance(Split(np.zeros((1, 2, 2, 1), np.uint8), np.zeros(1, np.int32))[0], tuple)
    True
    """

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> tuple[np.ndarray, int]: ...


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
        self._sharding, self._ahead, self._epochs = sharding, ahead, epochs
        rank = jax.process_index() if processes > 1 else 0
        self._batches = _batches(source, batch_size, seed, epochs, workers, rank, processes)
        self._waiting: deque[tuple[Batch, Any]] = deque()
        self._position = self._batches.get_state()

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
            self._waiting.append((self._placed(batch), self._batches.get_state()))
        if not self._waiting:
            raise StopIteration
        batch, self._position = self._waiting.popleft()
        return batch

    def state(self) -> dict[str, Any]:
        """The position, after the last batch that was handed out: plain numbers, for a checkpoint."""
        return {**self._identity, "position": self._position}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on behind the last batch before `state()`.

        Raises: ValueError for the state of another stream.
        """
        for what, value in self._identity.items():
            if state.get(what) != value:
                raise ValueError(f"Stream: the state has {what}={state.get(what)}, this stream {value}; open it alike")
        self._waiting.clear()
        self._position = state["position"]
        self._batches.set_state(self._position)

    def close(self) -> None:
        """End the workers; an iteration that came to its end has none left."""
        self._waiting.clear()
        if hasattr(self._batches, "close"):
            self._batches.close()

    def _placed(self, batch: tuple[np.ndarray, np.ndarray]) -> Batch:
        images, labels = batch[0], batch[1].astype(np.int32)
        if self._sharding is None:
            return jax.device_put(images), jax.device_put(labels)
        spread = lambda local: jax.make_array_from_process_local_data(self._sharding, local)
        return spread(images), spread(labels)


def _batches(source, batch_size: int, seed: int, epochs: int | None, workers: int, rank: int, processes: int) -> Any:
    """grain's iterator of this process's batches."""
    try:
        import grain
        from absl import flags
    except ImportError:
        raise ImportError("Stream: grain reads it; pip install 'jaxcnn[experiments]'") from None
    even = len(source) // processes * processes
    mine = grain.MapDataset.source(source).seed(seed).shuffle()[:even][rank::processes]
    whole = mine.batch(batch_size // processes, drop_remainder=True).repeat(epochs)
    batches = whole.to_iter_dataset(grain.ReadOptions(num_threads=0 if workers else 4, prefetch_buffer_size=8))
    if workers:
        if not flags.FLAGS.is_parsed():  # grain reads absl's flags, which only absl's own programs parse
            flags.FLAGS.mark_as_parsed()
        batches = batches.mp_prefetch(grain.MultiprocessingOptions(num_workers=workers, per_worker_buffer_size=2))
    return iter(batches)
