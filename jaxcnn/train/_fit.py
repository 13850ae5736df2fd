"""`fit`: trains an ensemble of one model on a device-resident set, epoch by epoch, and reports after each.

Every member is the same program with its own key, run together under `jax.vmap`. After each epoch the losses of all its steps
come back to the host: a value that is not finite stops the run and names the step.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxcnn.data import ImageSet, Prepare
from jaxcnn.geometry import per_axis

from ._step import Augment, Build, TrainState, graph_of, initialise, make_epoch, make_evaluate, make_step

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
        """Parameters and batch statistics of every member: what a model is restored from."""
        return nnx.merge_state(self.state.parameters, nnx.filter_state(self.state.state, nnx.BatchStat))

    def member(self, index: int) -> Any:
        """The model of one member."""
        parameters, state = jax.tree.map(lambda a: a[index], (self.state.parameters, self.state.state))
        return nnx.merge(self.graphdef, parameters, state)


def fit(
    build: Build,
    data: ImageSet,
    prepare: Prepare,
    optimiser: optax.GradientTransformation,
    *,
    epochs: int,
    batch_size: int,
    seeds: int = 1,
    seed: int = 0,
    augment: Augment | None = None,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
) -> Fitted:
    """Trains `seeds` models from keys that start at `seed`; `on_epoch` hears of every epoch when it ends.

    Raises: DivergedError at the first step whose loss is not finite; ValueError if a count is below 1 or the batch is
        larger than the set.
    """
    for what, value in (("epochs", epochs), ("seeds", seeds), ("batch_size", batch_size)):
        per_axis(value, 1, what=what, name="fit", least=1)
    if not 0 <= seed <= 2**31 - 1 - seeds:
        raise ValueError(f"fit: seed={seed} must be from 0 to {2**31 - 1 - seeds}")
    if batch_size > len(data.train):
        raise ValueError(f"fit: batch_size={batch_size} is larger than the {len(data.train)} training images")
    graphdef = graph_of(build)
    epoch = make_epoch(make_step(graphdef, optimiser), prepare, batch_size, augment=augment)
    run_epoch = jax.jit(jax.vmap(epoch, in_axes=(0, None, None)), donate_argnums=0)
    run_evaluate = jax.jit(jax.vmap(make_evaluate(graphdef, prepare, 1000), in_axes=(0, None)))
    keys = jax.vmap(jax.random.key)(jnp.arange(seed, seed + seeds))
    state = jax.jit(jax.vmap(lambda key: initialise(build, optimiser, key)))(keys)
    train = [jnp.asarray(array) for array in (data.train.images, data.train.labels)]
    test_images = jnp.asarray(data.test.images)
    run_epoch = run_epoch.lower(state, *train).compile()  # so that no record's seconds hold the compiler's
    width = jax.eval_shape(run_evaluate, state, test_images[:1]).shape[-1]
    if width != len(data.class_names):
        raise ValueError(f"fit: the model has {width} outputs; {data.name} has {len(data.class_names)} classes")
    records, logits = [], np.empty(0)
    for number in range(1, epochs + 1):
        start = perf_counter()
        state, metrics = run_epoch(state, *train)
        loss, correct = np.asarray(metrics.loss), np.asarray(metrics.correct)  # (seeds, steps)
        seconds = perf_counter() - start
        _check_finite(loss, number, seed)
        logits = np.asarray(run_evaluate(state, test_images))  # (seeds, n, classes)
        if not np.isfinite(logits).all():
            raise DivergedError(f"fit: the network's output is not finite after epoch {number}; {SMALLER}")
        records.append(_record(number, loss, correct, logits, data, batch_size, seconds))
        on_epoch(records[-1])
    return Fitted(graphdef, state, logits, tuple(records))


def _record(number, loss, correct, logits, data: ImageSet, batch_size: int, seconds: float) -> EpochRecord:
    test = (logits.argmax(-1) == data.test.labels).mean(1)
    train = correct.mean(1) / batch_size
    return EpochRecord(
        number, loss.mean(1).tolist(), train.tolist(), test.tolist(), seconds, loss.size * batch_size / seconds
    )


def _check_finite(loss: np.ndarray, epoch: int, seed: int) -> None:
    bad = np.argwhere(~np.isfinite(loss))
    if len(bad):
        step = bad[:, 1].min()
        member = bad[bad[:, 1] == step][0, 0]
        raise DivergedError(
            f"fit: the loss is {loss[member, step]} at step {(epoch - 1) * loss.shape[1] + step + 1} (epoch {epoch}, "
            f"seed {seed + member}); {SMALLER}"
        )
