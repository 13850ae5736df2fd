"""`Runner`: a run of `fit` between two compiled calls, and what a checkpoint holds of it."""

import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter

import jax
import numpy as np

from jaxcnn.data import ImageSet, StreamedSet

from ._checkpoint import Checkpoints
from ._feed import feed_of
from ._programs import Programs
from ._step import TrainState

SMALLER = "a smaller learning rate is the first thing to try"


class DivergedError(ArithmeticError):
    """The loss stopped being a finite number."""


class DivergedWarning(UserWarning):
    """A member of a sweep over `hyper` diverged; the others go on."""


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch did; lists hold one number a member, NaN where it diverged. `seconds` is training alone."""

    epoch: int
    loss: list[float]
    train_accuracy: list[float]
    test_accuracy: list[float]
    seconds: float
    images_per_second: float


class Runner:
    """A run between two compiled calls: its arrays, the losses of the epoch that it is in, the records of those before."""

    def __init__(
        self,
        programs: Programs,
        data: ImageSet | StreamedSet,
        state: TrainState,
        epochs: int,
        per_call,
        *,
        seed,
        identity,
    ):
        self.programs, self.data, self.state, self.identity = programs, data, state, identity
        self.steps = len(data.train) // programs.batch_size
        self.per_call = min(per_call or 100, self.steps)
        self.test = programs.place(data.test.images)
        width = jax.eval_shape(programs.evaluate, state, self.test[:1]).shape[-1]
        if width != len(data.class_names):
            raise ValueError(f"fit: the model has {width} outputs; {data.name} has {len(data.class_names)} classes")
        self.step, self.seconds, self.records = 0, 0.0, []
        self.losses, self.corrects = [], []  # of the epoch: (members, steps) each
        self.diverged = np.zeros(state.step.shape, bool)  # one a member
        self._logits = None
        self.feed = feed_of(programs, data, seed)
        if epochs:
            self.feed.compile(state, self.per_call)  # no record's seconds hold the compiler's

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return self.step // self.steps

    @property
    def at_end_of_epoch(self) -> bool:
        return self.step % self.steps == 0

    def advance(self) -> None:
        """As many steps as one call has, as far as the end of the epoch at most."""
        length = min(self.per_call, self.steps - self.step % self.steps)
        start = perf_counter()
        self.state, loss, correct = self.feed.advance(self.state, length)
        self.seconds += perf_counter() - start
        self._logits = None
        self._lose(~np.isfinite(loss), lambda member, at: self._where(loss, member, at))
        self.losses.append(loss)
        self.corrects.append(correct)
        self.step += length

    def logits(self) -> np.ndarray:
        """Of the test images, `(members, n, classes)`."""
        if self._logits is None:
            self._logits = np.asarray(self.programs.evaluate(self.state, self.test))
            spoilt = np.any(~np.isfinite(self._logits), (1, 2), keepdims=True)[..., 0]
            self._lose(spoilt, lambda member, at: f"the network's output is not finite after epoch {self.epoch}")
        return self._logits

    def finish_epoch(self) -> EpochRecord:
        """Tests the members and adds a record."""
        loss, correct = np.concatenate(self.losses, 1), np.concatenate(self.corrects, 1)
        size = self.programs.batch_size
        test = (self.logits().argmax(-1) == self.data.test.labels).mean(1)
        told = [np.where(self.diverged, np.nan, a).tolist() for a in (loss.mean(1), correct.mean(1) / size, test)]
        rate = loss.size * size / self.seconds
        record = EpochRecord(self.epoch, told[0], told[1], told[2], self.seconds, rate)
        self.records.append(record)
        self.losses, self.corrects, self.seconds = [], [], 0.0
        return record

    def out_of(self, patience: int | None) -> bool:
        """Whether the mean test accuracy was last bettered `patience` epochs ago or before."""
        means = [float(np.nanmean(record.test_accuracy)) for record in self.records]
        return patience is not None and bool(means) and len(means) - 1 - int(np.argmax(means)) >= patience

    def save(self, checkpoints: Checkpoints, *, wait: bool) -> None:
        """Everything that going on needs; in the background unless `wait`."""
        of_epoch = {name: np.concatenate(parts, 1).tolist() if parts else [] for name, parts in self._parts().items()}
        progress = {
            "step": self.step,
            "seconds": self.seconds,
            "records": [asdict(r) for r in self.records],
            **of_epoch,
            **self.feed.position(),
        }
        accuracy = float(np.nanmean(self.records[-1].test_accuracy)) if self.records and self.at_end_of_epoch else None
        checkpoints.save(self.step, self.state, progress, identity=self.identity, accuracy=accuracy, wait=wait)

    def resume(self, checkpoints: Checkpoints) -> None:
        """Takes up the last checkpoint, if there is one, with the records and losses up to it."""
        found = checkpoints.restore(self.state, identity=self.identity)
        if found is not None:
            state, progress = found
            self.state = self.programs.place(state)
            self.feed.restore(progress)
            self.step, self.seconds = progress["step"], progress["seconds"]
            self.records = [EpochRecord(**record) for record in progress["records"]]
            self.losses = [np.asarray(progress["losses"], np.float32)] if progress["losses"] else []
            self.corrects = [np.asarray(progress["corrects"], np.int32)] if progress["corrects"] else []
            seen = [*self.losses, *(np.asarray(record.test_accuracy)[:, None] for record in self.records[-1:])]
            self.diverged = ~np.isfinite(np.concatenate([np.zeros((len(self.diverged), 1)), *seen], 1)).all(1)

    def _lose(self, bad: np.ndarray, say: Callable[[int, int], str]) -> None:
        """Takes note of members that are `bad` `(members, steps)` for the first time; a sweep goes on while one is left."""
        new = bad.any(1) & ~self.diverged
        if not new.any():
            return
        at = int(bad[new].argmax(1).min())
        member = int(np.flatnonzero(new & bad[:, at])[0])
        hyper = self.state.hyper
        self.diverged |= new
        if hyper is None or self.diverged.all():
            raise DivergedError(f"fit: {say(member, at)}; {SMALLER}")
        told = {name: np.asarray(values) for name, values in hyper.items()}
        numbers = [
            ", ".join(f"{name}={values[one]:.4g}" for name, values in told.items()) for one in np.flatnonzero(new)
        ]
        warnings.warn(
            f"fit: {say(member, at)}; lost, while others go on: {'; '.join(numbers)}", DivergedWarning, stacklevel=5
        )

    def _where(self, loss: np.ndarray, member: int, at: int) -> str:
        epoch = self.step // self.steps + 1
        return f"the loss is {loss[member, at]} at step {self.step + at + 1} (epoch {epoch}, member {member} of {len(loss)})"

    def go_back(self, checkpoints: Checkpoints, step: int) -> None:
        """The members as they were at a checkpoint; the records stay."""
        found = checkpoints.restore(self.state, identity=self.identity, step=step)
        if found is not None:
            self.state, self._logits = self.programs.place(found[0]), None

    def _parts(self) -> dict[str, list]:
        return {"losses": self.losses, "corrects": self.corrects}
