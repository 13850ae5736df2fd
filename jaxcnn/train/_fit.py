"""`fit`: trains an ensemble of one model on a device-resident set, epoch by epoch, and reports after each.

Every member is the same program with its own key (and its own `hyper` numbers), run together under `jax.vmap`. An epoch is
one compiled call, or several of `steps_per_call` steps with the same bits, between which the run can be saved and stopped.
After each call the losses of its steps come back to the host: one that is not finite stops the run and names the step.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import Mesh

from jaxcnn.data import ImageSet, Prepare
from jaxcnn.geometry import per_axis
from jaxcnn.nn import Frozen

from ._checkpoint import Checkpoints
from ._losses import cross_entropy
from ._programs import Programs, members_of
from ._signals import Stopped, stop_request
from ._step import Augment, Build, Mix, Optimiser, TrainState, Views, graph_of

SMALLER = "a smaller learning rate is the first thing to try"


class DivergedError(ArithmeticError):
    """The loss stopped being a finite number."""


@dataclass(frozen=True)
class EpochRecord:
    """What one epoch did; lists hold one number a member of the ensemble. `seconds` is training alone."""

    epoch: int
    loss: list[float]
    train_accuracy: list[float]
    test_accuracy: list[float]
    seconds: float
    images_per_second: float


@dataclass(frozen=True)
class Fitted:
    """The trained ensemble: its static graph, its arrays (leading axis: member), logits of the test images, the records."""

    graphdef: nnx.GraphDef
    state: TrainState
    test_logits: np.ndarray
    records: tuple[EpochRecord, ...]

    @property
    def variables(self) -> nnx.State:
        """Parameters, frozen ones too, and batch statistics of every member (their moving averages, where kept)."""
        parameters, state = self.state.evaluated
        return nnx.merge_state(parameters, nnx.filter_state(state, nnx.Any(nnx.BatchStat, Frozen)))

    def member(self, index: int) -> Any:
        """The model of one member."""
        return nnx.merge(self.graphdef, *jax.tree.map(lambda a: a[index], self.state.evaluated))


def fit(
    build: Build,
    data: ImageSet,
    prepare: Prepare,
    optimiser: Optimiser,
    *,
    epochs: int,
    batch_size: int,
    seeds: int = 1,
    seed: int = 0,
    hyper: Mapping[str, Sequence[float]] | None = None,
    loss: Callable[[Array, Array], Array] = cross_entropy,
    augment: Augment | None = None,
    mix: Mix | None = None,
    compute_dtype: Any = None,
    ema: float | None = None,
    views: Views | None = None,
    patience: int | None = None,
    mesh: Mesh | None = None,
    steps_per_call: int | None = None,
    checkpoints: Checkpoints | None = None,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    on_steps: Callable[[int, int], None] = lambda done, total: None,
) -> Fitted:
    """Trains `seeds` models from keys that start at `seed`, for every value of `hyper`.

    Args:
        build: makes the model from `nnx.Rngs`.
        data: images on the host; they go to the device once.
        prepare: uint8 images → what the model takes, within the step.
        optimiser: an optax chain, or with `hyper` a function of its names that makes one.
        epochs: passes over the training images.
        batch_size: images a step; those that do not fill the last batch sit out.
        seeds: members for each value of `hyper`.
        seed: the first member's.
        hyper: name → one value a variant, all of one length m: m · seeds members, the seeds of a variant side by side.
        loss: of logits and labels.
        augment: `(key, images) → images`, every batch.
        mix: `(key, images, labels) → images, labels or shares`, after it.
        compute_dtype: of the model's arithmetic, such as bfloat16; parameters keep theirs.
        ema: decay of a moving average of the parameters, which is then what is evaluated.
        views: of a test image whose logits are averaged (`mirrored`).
        patience: stop after so many epochs without a better mean test accuracy: hold out a part of the training images
            for it, not the images that the result is reported on.
        mesh: devices that share every batch, by its axis "data", and its rows, by "space" where it has one (`device_mesh`).
        steps_per_call: steps of one compiled call; None: a whole epoch up to 100 steps, else 100.
        checkpoints: where the run is saved after each epoch, and when it is asked to stop; a run that is there goes on.
        on_epoch: hears of every epoch when it ends.
        on_steps: hears how many steps of the run are done after each call.

    Raises: DivergedError at the first step whose loss is not finite; Stopped after Ctrl-C or SIGTERM, saved first;
        CheckpointError; ValueError if a count is below 1 or the batch is larger than the set.
    """
    _check(
        data, epochs=epochs, seeds=seeds, batch_size=batch_size, seed=seed, patience=patience, per_call=steps_per_call
    )
    programs = Programs(
        graph_of(build), optimiser, prepare, batch_size, loss=loss, compute_dtype=compute_dtype, ema=ema, augment=augment,
        mix=mix, views=views, mesh=mesh,
    )  # fmt: skip
    keys, numbers = members_of(seeds, seed, hyper)
    state = programs.initialise(build, keys, numbers)
    run = _Run(programs, data, state, epochs, steps_per_call, identity=_identity(data, batch_size, seeds, seed, hyper))
    if checkpoints is not None:
        run.resume(checkpoints)
    with stop_request() as request:
        while run.epoch < epochs and not run.out_of(patience):
            run.advance()
            on_steps(run.step, epochs * run.steps)
            if run.at_end_of_epoch:
                on_epoch(run.finish_epoch())
            if checkpoints is not None and (run.at_end_of_epoch or request.name):
                run.save(checkpoints, wait=bool(request.name))
            if request.name:
                _stop(request.name, run, checkpoints)
    if checkpoints is not None:
        checkpoints.wait()
    return Fitted(programs.graphdef, run.state, run.logits(), tuple(run.records))


class _Run:
    """A run between two compiled calls: its arrays, the losses of the epoch that it is in, the records of those before."""

    def __init__(self, programs: Programs, data: ImageSet, state: TrainState, epochs: int, per_call, *, identity):
        self.programs, self.data, self.state, self.identity = programs, data, state, identity
        self.steps = len(data.train) // programs.batch_size
        self.per_call = min(per_call or 100, self.steps)
        self.train, self.test = programs.place(data)
        width = jax.eval_shape(programs.evaluate, state, self.test[:1]).shape[-1]
        if width != len(data.class_names):
            raise ValueError(f"fit: the model has {width} outputs; {data.name} has {len(data.class_names)} classes")
        self.step, self.seconds, self.records = 0, 0.0, []
        self.losses, self.corrects = [], []  # of the epoch: (members, steps) each
        self._logits = None
        if epochs:
            programs.compiled(
                min(self.per_call, self.steps), state, *self.train
            )  # no record's seconds hold the compiler's

    @property
    def epoch(self) -> int:
        """Epochs that are done."""
        return self.step // self.steps

    @property
    def at_end_of_epoch(self) -> bool:
        return self.step % self.steps == 0

    def advance(self) -> None:
        """One compiled call, as far as the end of the epoch at most."""
        length = min(self.per_call, self.steps - self.step % self.steps)
        program = self.programs.compiled(length, self.state, *self.train)
        start = perf_counter()
        self.state, metrics = program(self.state, *self.train)
        loss, correct = np.asarray(metrics.loss), np.asarray(metrics.correct)  # (members, steps)
        self.seconds += perf_counter() - start
        self._logits = None
        _check_finite(loss, self.step, self.steps)
        self.losses.append(loss)
        self.corrects.append(correct)
        self.step += length

    def logits(self) -> np.ndarray:
        """Of the test images, `(members, n, classes)`."""
        if self._logits is None:
            self._logits = np.asarray(self.programs.evaluate(self.state, self.test))
            if not np.isfinite(self._logits).all():
                raise DivergedError(f"fit: the network's output is not finite after epoch {self.epoch}; {SMALLER}")
        return self._logits

    def finish_epoch(self) -> EpochRecord:
        """Tests the members and adds a record."""
        loss, correct = np.concatenate(self.losses, 1), np.concatenate(self.corrects, 1)
        size = self.programs.batch_size
        test = (self.logits().argmax(-1) == self.data.test.labels).mean(1).tolist()
        accuracy, rate = (correct.mean(1) / size).tolist(), loss.size * size / self.seconds
        record = EpochRecord(self.epoch, loss.mean(1).tolist(), accuracy, test, self.seconds, rate)
        self.records.append(record)
        self.losses, self.corrects, self.seconds = [], [], 0.0
        return record

    def out_of(self, patience: int | None) -> bool:
        """Whether the mean test accuracy was last bettered `patience` epochs ago or before."""
        means = [float(np.mean(record.test_accuracy)) for record in self.records]
        return patience is not None and bool(means) and len(means) - 1 - int(np.argmax(means)) >= patience

    def save(self, checkpoints: Checkpoints, *, wait: bool) -> None:
        """Everything that going on needs; in the background unless `wait`."""
        of_epoch = {name: np.concatenate(parts, 1).tolist() if parts else [] for name, parts in self._parts().items()}
        progress = {
            "step": self.step,
            "seconds": self.seconds,
            "records": [asdict(r) for r in self.records],
            **of_epoch,
        }
        accuracy = float(np.mean(self.records[-1].test_accuracy)) if self.records and self.at_end_of_epoch else None
        checkpoints.save(self.step, self.state, progress, identity=self.identity, accuracy=accuracy, wait=wait)

    def resume(self, checkpoints: Checkpoints) -> None:
        """Takes up the last checkpoint, if there is one."""
        found = checkpoints.restore(self.state, identity=self.identity)
        if found is not None:
            state, progress = found
            self.state = self.programs.replicate(state)
            self.step, self.seconds = progress["step"], progress["seconds"]
            self.records = [EpochRecord(**record) for record in progress["records"]]
            self.losses = [np.asarray(progress["losses"], np.float32)] if progress["losses"] else []
            self.corrects = [np.asarray(progress["corrects"], np.int32)] if progress["corrects"] else []

    def _parts(self) -> dict[str, list]:
        return {"losses": self.losses, "corrects": self.corrects}


def _identity(data: ImageSet, batch_size: int, seeds: int, seed: int, hyper: Mapping | None) -> dict[str, Any]:
    """What a checkpoint must share with the run that takes it up, besides the shapes of its arrays."""
    values = {name: list(map(float, given)) for name, given in (hyper or {}).items()}
    return {
        "data": data.name, "images": len(data.train), "batch_size": batch_size, "seeds": seeds, "seed": seed, "hyper": values,
    }  # fmt: skip


def _check(data: ImageSet, *, seeds: int, seed: int, patience: int | None, per_call: int | None, **counts: int) -> None:
    given = {**counts, "seeds": seeds, "patience": patience, "steps_per_call": per_call}
    for what, value in given.items():
        if value is not None:
            per_axis(value, 1, what=what, name="fit", least=1)
    if not 0 <= seed <= 2**31 - 1 - seeds:
        raise ValueError(f"fit: seed={seed} must be from 0 to {2**31 - 1 - seeds}")
    if counts["batch_size"] > len(data.train):
        raise ValueError(f"fit: batch_size={counts['batch_size']} is larger than the {len(data.train)} training images")


def _check_finite(loss: np.ndarray, before: int, steps: int) -> None:
    bad = np.argwhere(~np.isfinite(loss))
    if len(bad):
        step = bad[:, 1].min()
        member = bad[bad[:, 1] == step][0, 0]
        raise DivergedError(
            f"fit: the loss is {loss[member, step]} at step {before + step + 1} (epoch {before // steps + 1}, "
            f"member {member} of {len(loss)}); {SMALLER}"
        )


def _stop(signal: str, run: _Run, checkpoints: Checkpoints | None) -> None:
    where = "nothing was saved" if checkpoints is None else f"saved in {checkpoints.path}"
    raise Stopped(f"fit: {signal} at step {run.step} (epoch {run.epoch}); {where}")
