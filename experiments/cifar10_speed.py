"""How soon can a network read CIFAR-10 at 94 %? (L2.10)

The recipe of airbench94, every number of it as published: a whitening first layer, identity starts, alternating flips, SGD with
Nesterov's momentum and fast biases, Lookahead, label smoothing, six views of each test image. The whole run — whitening,
9.9 passes, test — is one compiled program.

    python -m experiments.cifar10_speed --data-dir DIR

Expected: 0.940 on average, as the original (0.9401, n = 1000, 3.83 s on an A100; Jordan, 94% on CIFAR-10 in 3.29 seconds on a
single GPU, 2024). 0.36 PFLOP a run: about an hour on two CPU cores.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from flax import nnx
from jax import Array
from rich.console import Console

from jaxcnn import models
from jaxcnn.augment import alternating_flip_left_right, flip_left_right, random_crop
from jaxcnn.data import ImageSet, preparer
from jaxcnn.interpret import summarise
from jaxcnn.report import Variant, comparison_page, learning_curves
from jaxcnn.train import (
    DivergedError,
    Metrics,
    TrainState,
    cross_entropy,
    graph_of,
    initialise,
    make_evaluate,
    make_step,
    run_folder,
)

from .comparison import Source, command, load_part, seen_size

REPORTS = 20  # lines of progress a run
VIEW_WEIGHTS = (1 / 4, 1 / 4, 1 / 8, 1 / 8, 1 / 8, 1 / 8)


@dataclass(frozen=True)
class Config(Source):
    """The published recipe of airbench94 in one compiled program a seed."""

    dataset: str = "cifar10"
    """Name of a TFDS set of small images, digits, or a folder of pictures, train/<class>/*.jpg."""
    seeds: int = 1
    """Networks, one after the other, each from its own seed."""
    epochs: float = 9.9
    """Passes over the training images; the last may be a part of one."""
    batch_size: int = 1024
    """Images a step."""
    widths: tuple[int, ...] = (64, 256, 256)
    """Channels of each group."""
    compute_dtype: str = "float32"
    """Of the model's arithmetic in training: float32, or bfloat16 on a GPU."""


class Outcome(NamedTuple):
    """What the program returns: the trained arrays, loss and right answers of each step, logits of the test images."""

    state: TrainState
    metrics: Metrics
    logits: Array


class Schedule(NamedTuple):
    """Steps of the run, steps a pass, images a step."""

    steps: int
    per_epoch: int
    batch_size: int


def main(config: Config) -> None:
    """Compiles the run, does it for every seed, writes the page."""
    data, made_for = load_part(config)
    size = seen_size(data, (32, 32))
    build = lambda rngs: models.create("airbench", rngs=rngs, widths=config.widths, **made_for)
    schedule = plan(config, data)
    with run_folder(config.runs, "cifar10_speed", config=config, source=__file__) as run:
        tell = partial(_tell, Console(), schedule)
        program = whole_run(build, preparer(data, size), schedule, jnp.dtype(config.compute_dtype), tell)
        arrays = tuple(map(jnp.asarray, (data.train.images, data.train.labels, data.test.images)))
        keys = [jax.random.key(config.seed + i) for i in range(config.seeds)]
        compiled, outcomes, seconds = jax.jit(program).lower(keys[0], *arrays).compile(), [], 0.0
        for number, key in enumerate(keys):
            start = perf_counter()
            outcome = jax.block_until_ready(compiled(key, *arrays))
            jax.effects_barrier()  # the last line of progress
            seconds += perf_counter() - start
            outcomes.append(_checked(outcome))
            run.write_parameters(outcome.state.evaluated, f"seed{config.seed + number}.safetensors")
        variant = _variant(build, size, data, outcomes, seconds)
        _page(config, data, schedule, variant, outcomes).write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")
    print(f"cifar10_speed/{variant.line}")


def plan(config: Config, data: ImageSet) -> Schedule:
    """How many steps the options make.

    Raises: ValueError for less than one step or seed, or a batch that is larger than the set.
    """
    if not 1 <= config.batch_size <= len(data.train):
        raise ValueError(f"batch_size={config.batch_size} must be from 1 to the {len(data.train)} training images")
    if config.seeds < 1 or not 0 < config.epochs < math.inf:
        raise ValueError(f"seeds={config.seeds} must be at least 1, epochs={config.epochs} positive")
    per_epoch = len(data.train) // config.batch_size
    return Schedule(math.ceil(per_epoch * config.epochs), per_epoch, config.batch_size)


def whole_run(
    build: Callable[[nnx.Rngs], nnx.Module],
    prepare: Callable,
    schedule: Schedule,
    compute_dtype: Any,
    tell: Callable[[Array, Metrics], None],
) -> Callable[[Array, Array, Array, Array], Outcome]:
    """`(key, training images, labels, test images) → Outcome`: whitening, training and test, to be compiled as one.

    The program calls `tell` with the number of steps done and the last one's metrics, about `REPORTS` times in all.
    """
    chain, graphdef = optimiser(schedule), graph_of(build)
    step = make_step(graphdef, chain, loss=partial(cross_entropy, smoothing=0.2), compute_dtype=compute_dtype)
    evaluate = make_evaluate(graphdef, prepare, 1000, views=six_views, weights=VIEW_WEIGHTS)

    def run(key: Array, images: Array, labels: Array, test_images: Array) -> Outcome:
        start_key, order_key, flip_key, crop_key = jax.random.split(key, 4)

        def whitened(rngs: nnx.Rngs) -> nnx.Module:
            model: Any = build(rngs)
            model.filters[...] = models.whitening_filters(prepare(images[:5000]))
            return model

        def one(carry: tuple[TrainState, Any], chosen: Array) -> tuple[tuple[TrainState, Any], Metrics]:
            state, slow = carry
            x = prepare(images[chosen])
            x = alternating_flip_left_right(flip_key, x, chosen, state.step // schedule.per_epoch)
            here = jax.random.fold_in(crop_key, state.step)
            x = random_crop(here, x, x.shape[1:3], padding=2, padding_mode="reflect")
            state, metrics = step(state, x, labels[chosen])
            now = state.step % max(1, schedule.steps // REPORTS) == 0
            jax.lax.cond(now, partial(jax.debug.callback, tell), lambda *_: None, state.step, metrics)
            return lookahead(state, slow, schedule), metrics

        state = initialise(whitened, chain, start_key)
        chosen = orders(order_key, len(labels), schedule)
        (state, _), metrics = jax.lax.scan(one, (state, (state.parameters, state.state)), chosen)
        return Outcome(state, metrics, evaluate(state, test_images))

    return run


def optimiser(schedule: Schedule) -> optax.GradientTransformation:
    """SGD with Nesterov's momentum of 0.85, the rate a triangle; biases of normalisations 64 times faster, decay alike.

    The published numbers are decoupled: rate and decay are divided by 1 + 1 / (1 − 0.85), the size that a step grows to.
    The bias of the whitening layer is trained in the first three passes alone.
    """
    grown = (1 + 1 / (1 - 0.85)) * 1024 / schedule.batch_size
    peak, decay = 11.5 / grown, 0.0153 / grown

    def sgd(faster: float, last: int) -> optax.GradientTransformation:
        rate = lambda step: peak * faster * triangle(step, schedule.steps) * (step < last)
        trace, decayed = optax.trace(0.85, nesterov=True), optax.add_decayed_weights(decay / (peak * faster))
        return optax.chain(decayed, trace, optax.scale_by_learning_rate(rate))

    def kinds(parameters: Any) -> Any:
        kind = lambda path: "norm" if "norm" in path else "whitening" if "whitening" in path else "other"
        return jax.tree_util.tree_map_with_path(lambda path, _: kind(jax.tree_util.keystr(path)), parameters)

    every = schedule.steps
    return optax.multi_transform(
        {"norm": sgd(64, every), "whitening": sgd(1, 3 * schedule.per_epoch), "other": sgd(1, every)}, kinds
    )


def triangle(step: Array | int, steps: int) -> Array:
    """Share of the peak rate: 0.2 at the first step, 1 after 23 % of them, 0.07 after all.

    >>> [round(float(triangle(step, 100)), 3) for step in (0, 23, 100)]
    [0.2, 1.0, 0.07]
    """
    return jnp.interp(step, jnp.array([0, int(0.23 * steps), steps]), jnp.array([0.2, 1.0, 0.07]))


def lookahead(state: TrainState, slow: Any, schedule: Schedule) -> tuple[TrainState, Any]:
    """After a step: every fifth moves slow copies of all arrays to the fast ones, which go on from there (Zhang et al. 2019).

    The copies are taken at the first such step of the fourth pass and keep `0.95⁵ · (step / steps)³` of themselves; at the
    end of each pass the fast ones go back to them.
    """
    step, begin = state.step, 5 * (3 * schedule.per_epoch // 5 + 1)
    kept = 0.95**5 * (step / schedule.steps) ** 3
    moves = (step % 5 == 0) & (step > begin)
    back = (step >= begin) & ((step % schedule.per_epoch == 0) | (step == schedule.steps))
    share = jnp.where(step <= begin, 0.0, jnp.where(moves, kept, 1.0))
    fast = state.parameters, state.state
    slow = jax.tree.map(lambda a, b: share * a + (1 - share) * b, slow, fast)
    taken = jax.tree.map(lambda a, b: jnp.where(moves | back, a, b), slow, fast)
    return state._replace(parameters=taken[0], state=taken[1]), slow


def orders(key: Array, count: int, schedule: Schedule) -> Array:
    """Numbers of the images of each step `(steps, batch_size)`: a new order every pass, the remainder sits out."""
    passes, used = -(-schedule.steps // schedule.per_epoch), schedule.per_epoch * schedule.batch_size
    shuffled = jax.vmap(lambda k: jax.random.permutation(k, count)[:used])(jax.random.split(key, passes))
    return shuffled.reshape(-1, schedule.batch_size)[: schedule.steps]


def six_views(x: Array) -> tuple[Array, ...]:
    """Images as they are, moved up and left by a pixel, moved down and right, each also mirrored; `VIEW_WEIGHTS` are theirs."""
    h, w = x.shape[1:3]
    padded = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    views = x, padded[:, :h, :w], padded[:, 2:, 2:]
    return tuple(seen for view in views for seen in (view, flip_left_right(view)))


def _tell(console: Console, schedule: Schedule, step: Array, metrics: Metrics) -> None:
    accuracy = float(metrics.correct) / schedule.batch_size
    clock = datetime.now().strftime("%H:%M:%S")
    console.print(
        f"{clock} step {int(step)}/{schedule.steps}  loss {float(metrics.loss):.4f}  train {accuracy:.3f}",
        highlight=False,
    )


def _checked(outcome: Outcome) -> Outcome:
    bad = np.flatnonzero(~np.isfinite(np.asarray(outcome.metrics.loss)))
    if len(bad):
        raise DivergedError(f"the loss is not finite from step {bad[0] + 1} on")
    return outcome


def _variant(
    build: Callable, size: tuple[int, int], data: ImageSet, outcomes: list[Outcome], seconds: float
) -> Variant:
    right = [np.mean(np.asarray(one.logits).argmax(-1) == data.test.labels) for one in outcomes]
    summary = summarise(build(nnx.Rngs(0)), (1, *size, data.image_shape[2]))
    none = np.empty((0, len(right)))
    return Variant("airbench94", np.array(right), none, summary.parameters, summary.multiply_adds, seconds)


def _page(config: Config, data: ImageSet, schedule: Schedule, variant: Variant, outcomes: list[Outcome]):
    loss, correct = (np.stack([np.asarray(part) for part in parts], 1) for parts in zip(*(o.metrics for o in outcomes)))
    passes = np.arange(1, schedule.steps + 1) / schedule.per_epoch
    curves = learning_curves(passes.tolist(), loss, correct / schedule.batch_size)
    rate = schedule.steps * schedule.batch_size * config.seeds / variant.seconds
    notes = (
        f"{data.source}: {len(data.train):,} training and {len(data.test):,} test images.",
        f"{schedule.steps} steps a run, {rate:,.0f} images/s with the test; seconds of all seeds, compiled before.",
        f"{config}",
    )
    return comparison_page(
        f"{config.dataset} by the recipe of airbench94",
        notes,
        [variant],
        pictures={"Loss and accuracy of every step": curves},
    )


if __name__ == "__main__":
    command("cifar10_speed", partial(main, tyro.cli(Config, description=__doc__)), advice="")
