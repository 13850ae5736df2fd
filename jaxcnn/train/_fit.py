"""`fit`: trains an ensemble of one model, epoch by epoch, and reports after each.

Every member is the same program with its own key (and its own `hyper` numbers). A set that lives on the device is trained on in
one compiled call an epoch, or several of `steps_per_call` steps with the same bits; a streamed one in a call a batch. After
`steps_per_call` steps the run can be saved and stopped.
Then the losses of these steps come back to the host: one that is not finite stops the run and names the step. In a sweep over
`hyper` it is a warning, and the run stops when no member is left.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import optax
from flax import nnx
from jax import Array
from jax.sharding import Mesh

from jaxcnn.augment import Augment
from jaxcnn.data import ImageSet, Prepare, StreamedSet
from jaxcnn.geometry import per_axis
from jaxcnn.nn import Frozen

from ._checkpoint import Checkpoints
from ._losses import cross_entropy
from ._programs import Programs, members_of
from ._runner import EpochRecord, Runner
from ._signals import Stopped, agreed, stop_request
from ._step import Build, Mix, Optimiser, TrainState, Views, graph_of


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
    data: ImageSet | StreamedSet,
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
    save_steps: int | None = None,
    best: bool = False,
    on_epoch: Callable[[EpochRecord], None] = lambda record: None,
    on_steps: Callable[[int, int], None] = lambda done, total: None,
) -> Fitted:
    """Trains `seeds` models from keys that start at `seed`, for every value of `hyper`.

    Args:
        build: makes the model from `nnx.Rngs`.
        data: an `ImageSet` goes to the device whole, where every member has an order of its own; a `StreamedSet` is read while
            the model trains, the same batches for all members, each process its own part.
        prepare: uint8 images → what the model takes, within the step.
        optimiser: an optax chain, or with `hyper` a function of its names that makes one.
        epochs: passes over the training images.
        batch_size: images a step; those that do not fill the last batch sit out.
        seeds: members for each value of `hyper`.
        seed: the first member's.
        hyper: name → one value a variant, all of one length m: m · seeds members, the seeds of a variant side by side.
        loss: of logits and labels.
        augment: `(key, images) → images`, every batch, of prepared images. What expects [0, 1], as all of `jaxcnn.augment` but
            moves and flips does, goes in as `prepare.augmenting(augment)` where `prepare` is a `preparer`.
        mix: `(key, images, labels) → images, labels or shares`, after it.
        compute_dtype: of the model's arithmetic, such as bfloat16; parameters keep theirs.
        ema: decay of a moving average of the parameters, which is then what is evaluated.
        views: of a test image whose logits are averaged (`mirrored`).
        patience: stop after so many epochs without a better mean test accuracy: hold out a part of the training images
            for it, not the images that the result is reported on.
        mesh: devices that share every batch, by its axis "data", and its rows, by "space" where it has one: of
            `device_mesh` or `jax.make_mesh`.
        steps_per_call: steps until losses are looked at and the run can stop; None: a whole epoch up to 100 steps, else 100.
        checkpoints: where the run is saved after each epoch, and when it is asked to stop; a run that is there goes on.
        save_steps: so many steps after the last save it is saved within an epoch too, at the end of a call.
        best: give the members of the epoch with the highest mean test accuracy, which `checkpoints` must keep, not the last
            ones: hold out a part of the training images for it, as for `patience`.
        on_epoch: hears of every epoch when it ends.
        on_steps: hears how many steps of the run are done after each call.

    Returns: the trained members; with `best` their records go on to the last epoch all the same.

    Raises: DivergedError at the first step whose loss is not finite (with `hyper` when every member has come to that; a
        DivergedWarning names each before, and its records are NaN from then on); Stopped after Ctrl-C or SIGTERM, saved first;
        CheckpointError; ValueError if a count is below 1 or the batch is larger than the set.
    """
    _check_kinds(data, optimiser, hyper, checkpoints, mesh, best=best)
    counts = {"epochs": epochs, "seeds": seeds, "batch_size": batch_size}
    _check(data, seed=seed, patience=patience, per_call=steps_per_call, save_steps=save_steps, **counts)
    programs = Programs(
        graph_of(build), optimiser, prepare, batch_size, loss=loss, compute_dtype=compute_dtype, ema=ema, augment=augment,
        mix=mix, views=views, mesh=mesh,
    )  # fmt: skip
    keys, numbers = members_of(seeds, seed, hyper)
    state = programs.initialise(build, keys, numbers)
    identity = {}
    if checkpoints is not None:  # it reads all images
        identity = _identity(data, batch_size, seeds, seed, hyper) | {"ema": ema, "compute_dtype": _name(compute_dtype)}
    run = Runner(programs, data, state, epochs, steps_per_call, seed=seed, identity=identity)
    with closing(run.feed):
        if checkpoints is not None:
            run.resume(checkpoints)
        _train(run, epochs, patience, checkpoints, save_steps, on_epoch, on_steps)
        if checkpoints is not None and best and checkpoints.best is not None:
            run.go_back(checkpoints, checkpoints.best)
    return Fitted(programs.graphdef, run.state, run.logits(), tuple(run.records))


def _train(
    run: Runner,
    epochs: int,
    patience: int | None,
    checkpoints: Checkpoints | None,
    save_steps: int | None,
    on_epoch,
    on_steps,
) -> None:
    """Goes on to the end, or to where it is asked to stop."""
    saved = run.step
    with stop_request() as request:
        while run.epoch < epochs and not run.out_of(patience):
            run.advance()
            on_steps(run.step, epochs * run.steps)
            if run.at_end_of_epoch:
                on_epoch(run.finish_epoch())
            asked = agreed(request)
            due = run.at_end_of_epoch or (save_steps is not None and run.step - saved >= save_steps)
            if checkpoints is not None and (due or asked):
                run.save(checkpoints, wait=bool(asked))
                saved = run.step
            if asked:
                _stop(asked, run, checkpoints)
    if checkpoints is not None:
        checkpoints.wait()


def _identity(
    data: ImageSet | StreamedSet, batch_size: int, seeds: int, seed: int, hyper: Mapping | None
) -> dict[str, Any]:
    """What a checkpoint must share with the run that takes it up, besides the shapes of its arrays."""
    values = {name: list(map(float, given)) for name, given in (hyper or {}).items()}
    streamed = {"streamed": True} if isinstance(data, StreamedSet) else {}
    return {
        "data": data.name, "images": len(data.train), "batch_size": batch_size, "seeds": seeds, "seed": seed, "hyper": values,
        "classes": list(data.class_names), "checksum": _checksum(data.train),
    } | streamed  # fmt: skip


def _checksum(images: Any) -> int:
    """Of labels and pixels, as far as they lie in memory."""
    arrays = [np.ascontiguousarray(getattr(images, name)) for name in ("labels", "images") if hasattr(images, name)]
    return zlib.crc32(b"".join(zlib.crc32(array.data).to_bytes(4, "big") for array in arrays))


def _name(dtype: Any) -> str | None:
    return None if dtype is None else np.dtype(dtype).name


def _check_kinds(data: Any, optimiser: Any, hyper: Any, checkpoints: Any, mesh: Any, *, best: bool) -> None:
    """What is not of the kind that an argument takes, before anything is called on it."""
    if not isinstance(data, (ImageSet, StreamedSet)):
        raise TypeError(f"fit: data is of type {type(data).__name__}; give an ImageSet (data.load(…)) or a StreamedSet")
    if not callable(optimiser) and not isinstance(optimiser, optax.GradientTransformation):
        raise TypeError(f"fit: optimiser={optimiser!r} is no optax chain; train.optimiser('adamw', rate) makes one")
    for what, value, kind in (("checkpoints", checkpoints, Checkpoints), ("mesh", mesh, Mesh)):
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"fit: {what}={value!r} is of type {type(value).__name__}; it must be a {kind.__name__}")
    if best and (checkpoints is None or not checkpoints.keep_best):
        raise ValueError("fit: best=True needs checkpoints that keep one, Checkpoints(path, keep_best=1)")
    for name, values in (hyper or {}).items():
        if np.ndim(values) != 1 or np.asarray(values).dtype.kind not in "fiu":
            raise TypeError(f"fit: hyper has {name}={values!r}; give a list of numbers, one a variant")
    if hyper and isinstance(optimiser, optax.GradientTransformation):
        raise ValueError(f"fit: hyper={tuple(hyper)} needs a function of these names that makes the chain, not a chain")


def _check(
    data: ImageSet | StreamedSet,
    *,
    seeds: int,
    seed: int,
    patience: int | None,
    per_call: int | None,
    save_steps: int | None,
    **counts: int,
) -> None:
    given = {**counts, "seeds": seeds, "patience": patience, "steps_per_call": per_call, "save_steps": save_steps}
    for what, value in given.items():
        if value is not None:
            per_axis(value, 1, what=what, name="fit", least=1)
    if not 0 <= seed <= 2**31 - 1 - seeds:
        raise ValueError(f"fit: seed={seed} must be from 0 to {2**31 - 1 - seeds}")
    if counts["batch_size"] > len(data.train):
        raise ValueError(f"fit: batch_size={counts['batch_size']} is larger than the {len(data.train)} training images")


def _stop(signal: str, run: Runner, checkpoints: Checkpoints | None) -> None:
    where = "nothing was saved" if checkpoints is None else f"saved in {checkpoints.path}"
    raise Stopped(f"fit: {signal} at step {run.step} (epoch {run.epoch}); {where}")
