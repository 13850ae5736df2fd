"""The learning-rate range test: one short run whose rate grows by the same factor every step, and what its losses say.

Below a useful rate the loss stays, then it falls, then it grows without bound; the steepest fall marks a rate to train with.
Reference: Smith, Cyclical learning rates for training neural networks (2017), section 3.3.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from jaxcnn.augment import Augment
from jaxcnn.data import ImageSet, Prepare
from jaxcnn.geometry import per_axis

from ._losses import cross_entropy
from ._members import over_members
from ._programs import members_of
from ._step import Build, graph_of, initialise, make_epoch, make_step


class RangeTest(NamedTuple):
    """Rates `(steps,)`, losses before each of them was used `(steps, seeds)`, their smoothed mean, the rate that is advised."""

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    suggested: float


def range_test(
    build: Build,
    data: ImageSet,
    prepare: Prepare,
    optimiser: Callable[[optax.Schedule], optax.GradientTransformation],
    *,
    low: float = 1e-5,
    high: float = 10.0,
    steps: int = 100,
    batch_size: int = 64,
    seeds: int = 1,
    seed: int = 0,
    loss: Callable[[Array, Array], Array] = cross_entropy,
    augment: Augment | None = None,
) -> RangeTest:
    """Trains `seeds` fresh models for `steps` steps, the rate growing from `low` to `high`, in one compiled call.

    Args:
        build: makes the model from `nnx.Rngs`.
        data: its training images are used, in as many passes as the steps need.
        prepare: uint8 images → what the model takes.
        optimiser: of a schedule, such as `partial(train.optimiser, "adamw")`.
        low, high: first and last rate.
        steps: of each model.
        batch_size: images a step.
        seeds: models, trained together.
        seed: the first one's.
        loss: of logits and labels.
        augment: `(key, images) → images`, every batch.

    Returns: what stands before the loss became infinite or four times its least (smoothed), so that rows may be fewer than
        `steps`.

    Raises: ValueError unless 0 < low < high, a count is at least 1 (steps at least 3) and the batch no larger than the set;
        ArithmeticError if the loss is not finite from the start.

    >>> from functools import partial
    >>> from jaxcnn import data, nn, train
    >>> digits = data.load("digits")
    >>> class Linear(nn.Dense):
    ...     def __call__(self, x, *, train):
    ...         return super().__call__(x.reshape(len(x), -1))
    >>> build, sgd = lambda rngs: Linear(64, 10, rngs=rngs), partial(train.optimiser, "sgd")
    >>> found = range_test(build, digits, data.preparer(digits, (8, 8)), sgd, steps=50)
    >>> 0.001 < found.suggested < 10
    True
    """
    if not 0 < low < high < math.inf:
        raise ValueError(f"range_test: low={low}, high={high}; they must be 0 < low < high")
    for what, value, least in (("steps", steps, 3), ("batch_size", batch_size, 1), ("seeds", seeds, 1)):
        per_axis(value, 1, what=what, name="range_test", least=least)
    if batch_size > len(data.train):
        raise ValueError(f"range_test: batch_size={batch_size} is larger than the {len(data.train)} training images")
    chain = optimiser(lambda step: low * (high / low) ** (step / (steps - 1)))
    epoch = make_epoch(make_step(graph_of(build), chain, loss=loss), prepare, batch_size, augment=augment)
    passes = -(-steps // (len(data.train) // batch_size))
    run = jax.jit(over_members(lambda key, *arrays: _losses(epoch, initialise(build, chain, key), passes, *arrays)))
    keys, _ = members_of(seeds, seed, None)
    losses = np.asarray(run(keys, jnp.asarray(data.train.images), jnp.asarray(data.train.labels)))[:, :steps].T
    return read_range(low * (high / low) ** (np.arange(steps) / (steps - 1)), losses)


def read_range(rates: np.ndarray, losses: np.ndarray, *, memory: float = 0.9) -> RangeTest:
    """The rates up to where the loss grows without bound, and the one at its steepest fall.

    The mean over seeds is smoothed by `s_t = memory · s_(t−1) + (1 − memory) · l_t`, divided by `1 − memory^t`.

    Args:
        rates: `(steps,)`, growing.
        losses: `(steps, seeds)`.

    Raises: ArithmeticError if fewer than three of the first losses are finite.

    >>> rates = 10.0 ** np.linspace(-4, 0, 81)
    >>> round(read_range(rates, 2 - np.tanh(4 * np.log10(rates / 0.01))[:, None], memory=0.0).suggested, 6)
    0.01
    """
    mean = np.asarray(losses, np.float64).mean(1)
    finite = len(mean) if np.isfinite(mean).all() else int(np.argmin(np.isfinite(mean)))
    if finite < 3:
        raise ArithmeticError(f"range_test: the loss is not finite after {finite} steps; begin with a smaller rate")
    smoothed, total = np.empty(finite), 0.0
    for step in range(finite):
        total = memory * total + (1 - memory) * mean[step]
        smoothed[step] = total / (1 - memory ** (step + 1))
    grown = np.flatnonzero(smoothed > 4 * np.minimum.accumulate(smoothed))
    end = max(int(grown[0]) if len(grown) else finite, 3)
    slope = np.gradient(smoothed[:end], np.log(rates[:end]))
    return RangeTest(rates[:end], losses[:end], smoothed[:end], float(rates[slope.argmin()]))


def _losses(epoch: Callable, state: Any, passes: int, images: Array, labels: Array) -> Array:
    """Of every step of so many passes."""
    _, metrics = jax.lax.scan(lambda state, _: epoch(state, images, labels), state, None, passes)
    return metrics.loss.ravel()
