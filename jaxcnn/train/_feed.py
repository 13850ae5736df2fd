"""Where the images of a run come from, with the program that trains on them: the device's memory, or a stream."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from jaxcnn.data import ImageSet, Stream, StreamedSet

from ._programs import Programs
from ._step import TrainState

Advanced = tuple[TrainState, np.ndarray, np.ndarray]  # with loss and right answers of every step, (members, steps)


class Resident:
    """The whole set on the device, shuffled there, for every member in an order of its own; the state knows its position."""

    def __init__(self, programs: Programs, data: ImageSet):
        self.programs = programs
        self.train = programs.place(data.train.images), programs.place(data.train.labels)

    def compile(self, state: TrainState, steps: int) -> None:
        """Compiles what `advance` will call."""
        self.programs.compiled(steps, state, *self.train)

    def advance(self, state: TrainState, steps: int) -> Advanced:
        """Does so many steps of this epoch; `state` is donated."""
        state, metrics = self.programs.compiled(steps, state, *self.train)(state, *self.train)
        return state, np.asarray(metrics.loss), np.asarray(metrics.correct)

    def position(self) -> dict[str, Any]:
        """What a checkpoint must hold of it."""
        return {}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Goes on from there."""

    def close(self) -> None:
        """Ends what it started."""


class Streaming:
    """Batches of a stream, the same for every member, each process with its own part; read while the device computes."""

    def __init__(self, programs: Programs, data: StreamedSet, seed: int):
        self.programs, self.ahead, self.image_shape = programs, data.ahead, data.image_shape
        options = {
            "workers": data.workers,
            "ahead": data.ahead,
            "sharding": programs.raw_sharding,
            "classes": len(data.class_names),
        }
        self.stream = Stream(data.train, programs.batch_size, seed=seed, **options)

    def compile(self, state: TrainState, steps: int) -> None:
        """Compiles the program of one batch."""
        self.programs.compiled_batch(state, self.image_shape)

    def advance(self, state: TrainState, steps: int) -> Advanced:
        """As `Resident.advance`; no more than `ahead` steps wait for the device, so that their images fit there."""
        program, metrics = self.programs.compiled_batch(state, self.image_shape), []
        for number in range(steps):
            state, one = program(state, *next(self.stream))
            metrics.append(one)
            if number >= self.ahead:
                jax.block_until_ready(metrics[number - self.ahead].loss)
        loss, correct = (np.stack([np.asarray(value) for value in values], 1) for values in zip(*metrics))
        return state, loss, correct

    def position(self) -> dict[str, Any]:
        """Of the stream, behind the last batch that was trained on."""
        return {"stream": self.stream.state()}

    def restore(self, position: Mapping[str, Any]) -> None:
        """Goes on behind that batch."""
        self.stream.restore(position["stream"])

    def close(self) -> None:
        """Ends the stream's workers."""
        self.stream.close()


def feed_of(programs: Programs, data: ImageSet | StreamedSet, seed: int) -> Resident | Streaming:
    """The feed for this kind of set; `seed` is that of a stream's order."""
    return Streaming(programs, data, seed) if isinstance(data, StreamedSet) else Resident(programs, data)
