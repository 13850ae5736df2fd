"""Optimisers and schedules by name: optax chains with the defaults that CNN recipes share.

Weight decay reaches arrays of two axes and more alone: kernels decay, biases and the scales of normalisation do not (He et
al. 2019, "Bag of tricks"). Rates may be traced numbers, so that `jax.vmap` trains with many at once.
"""

import math
from difflib import get_close_matches
from functools import partial
from typing import Any, Literal, get_args

import jax
import optax
from jax.core import Tracer

from jaxcnn.geometry import per_axis

OptimiserName = Literal["sgd", "adamw", "lion", "muon"]
ScheduleName = Literal["constant", "cosine", "linear", "one_cycle", "step"]


def optimiser(
    name: OptimiserName,
    learning_rate: optax.ScalarOrSchedule,
    *,
    momentum: float = 0.9,
    weight_decay: Any = 0.0,
    clip_norm: float | None = None,
    accumulate: int = 1,
) -> optax.GradientTransformation:
    """The optax chain of that name.

    Args:
        name: "sgd" (Nesterov momentum), "adamw" (Loshchilov & Hutter 2019), "lion" (Chen et al. 2023) or "muon" (Jordan et
            al. 2024: kernels as matrices of fan-in × output channels; AdamW for the rest, at the same rate).
        learning_rate: a number, a traced number, or a schedule from steps (of gradients, also where they accumulate) to a
            number.
        momentum: of sgd and muon.
        weight_decay: of arrays of two axes and more; in sgd it is added to the gradient, as PyTorch does, elsewhere decoupled.
        clip_norm: largest norm of the whole gradient; None lets it be.
        accumulate: gradients that are averaged before each update.

    Raises: ValueError for an unknown name or a number out of range.

    >>> import jax.numpy as jnp
    >>> chain = optimiser("sgd", 0.1, momentum=0.0, weight_decay=0.5)
    >>> kernel = {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}
    >>> updates, _ = chain.update(jax.tree.map(jnp.zeros_like, kernel), chain.init(kernel), kernel)
    >>> round(updates["kernel"].item(), 4), updates["bias"].item() == 0
    (-0.05, True)
    """
    if name not in get_args(OptimiserName):
        raise ValueError(f"optimiser: there is no {name!r}; {_nearest(name, get_args(OptimiserName))}")
    if not _traced(momentum) and not 0 <= momentum < 1:
        raise ValueError(f"optimiser: momentum={momentum} must be at least 0 and below 1")
    if clip_norm is not None and not _traced(clip_norm) and not clip_norm > 0:
        raise ValueError(f"optimiser: clip_norm={clip_norm} must be positive, or None")
    for what, value in (("learning_rate", learning_rate), ("weight_decay", weight_decay)):
        if isinstance(value, (int, float)) and not 0 <= value < float("inf"):
            raise ValueError(f"optimiser: {what}={value} must be a number that is not negative")
    (accumulate,) = per_axis(accumulate, 1, what="accumulate", name="optimiser", least=1)
    if callable(learning_rate) and accumulate > 1:  # the chain counts updates
        learning_rate = partial(_of_updates, learning_rate, accumulate)
    decay: dict[str, Any] = {"weight_decay": weight_decay}
    chains = {
        "sgd": lambda: optax.chain(
            optax.add_decayed_weights(weight_decay, decays),
            optax.sgd(learning_rate, _momentum(momentum), nesterov=True),
        ),
        "adamw": lambda: optax.adamw(learning_rate, **decay, mask=decays),
        "lion": lambda: optax.lion(learning_rate, **decay, mask=decays),
        "muon": lambda: _muon(learning_rate, momentum, weight_decay),
    }
    chain = chains[name]()
    if clip_norm is not None:
        chain = optax.chain(optax.clip_by_global_norm(clip_norm), chain)
    return optax.MultiSteps(chain, accumulate).gradient_transformation() if accumulate > 1 else chain


def schedule(name: ScheduleName, peak: Any, steps: int, *, warmup: float = 0.0, end: float = 0.0) -> optax.Schedule:
    """The learning rate of every step: up to `peak` in a straight line, then down as the name says.

    Args:
        name: "constant", "cosine" (Loshchilov & Hutter 2017), "linear", "one_cycle" (Smith 2018: up a third of the way, then a
            cosine; `warmup` is not used), or "step" (a tenth at one half and again at three quarters, as He et al. 2016).
        peak: the largest rate.
        steps: of the whole run.
        warmup: share of the steps that the rise from zero takes.
        end: last rate, as a share of the peak.

    Raises: ValueError for an unknown name or a number out of range.

    >>> rate = schedule("cosine", 0.4, 100, warmup=0.1)
    >>> [round(float(rate(step)), 3) for step in (0, 5, 10, 55, 100)]
    [0.0, 0.2, 0.4, 0.2, 0.0]
    """
    if name not in get_args(ScheduleName):
        raise ValueError(f"schedule: there is no {name!r}; {_nearest(name, get_args(ScheduleName))}")
    per_axis(steps, 1, what="steps", name="schedule", least=1)
    if isinstance(peak, (int, float)) and not 0 <= peak < float("inf"):
        raise ValueError(f"schedule: peak={peak} must be a number that is not negative")
    if not (0 <= warmup < 1 and 0 <= end <= 1):
        raise ValueError(f"schedule: warmup={warmup} and end={end} are shares; give numbers from 0 to 1")
    rise = round((1 / 3 if name == "one_cycle" else warmup) * steps)
    rest = max(steps - rise, 1)
    fall = {
        "constant": lambda: optax.constant_schedule(peak),
        "cosine": lambda: optax.cosine_decay_schedule(peak, rest, end),
        "one_cycle": lambda: optax.cosine_decay_schedule(peak, rest, end),
        "linear": lambda: optax.linear_schedule(peak, peak * end, rest),
        "step": lambda: _join([peak, peak / 10, peak / 100], [steps / 2 - rise, steps * 3 / 4 - rise]),
    }[name]()
    return optax.join_schedules([optax.linear_schedule(0.0, peak, rise), fall], [rise]) if rise else fall


def decays(parameters: Any) -> Any:
    """True for each array of two axes and more: what weight decay reaches.

    >>> import jax.numpy as jnp
    >>> decays({"kernel": jnp.ones((3, 3, 1, 8)), "bias": jnp.ones(8)})
    {'bias': False, 'kernel': True}
    """
    return jax.tree.map(lambda array: array.ndim >= 2, parameters)


def _join(rates: list, bounds: list[float]) -> optax.Schedule:
    return optax.join_schedules(
        [optax.constant_schedule(rate) for rate in rates], [math.ceil(bound) for bound in bounds]
    )


def _traced(value: Any) -> bool:
    return isinstance(value, Tracer)


def _momentum(value: Any) -> Any:
    return value if _traced(value) or value else None


def _of_updates(rate: optax.Schedule, accumulate: int, count: Any) -> Any:
    return rate(count * accumulate)


def _muon(learning_rate: Any, momentum: float, weight_decay: Any) -> optax.GradientTransformation:
    matrix = lambda array: (
        optax.contrib.MuonDimensionNumbers(tuple(range(array.ndim - 1)), (array.ndim - 1,)) if array.ndim >= 2 else None
    )
    return optax.contrib.muon(
        learning_rate,
        beta=momentum,
        weight_decay=weight_decay,  # of the matrices: the rest goes by its AdamW, which has none
        muon_weight_dimension_numbers=lambda parameters: jax.tree.map(matrix, parameters),
    )


def _nearest(name: object, names: tuple[str, ...]) -> str:
    near = get_close_matches(str(name), names, n=1)
    return f"did you mean {near[0]!r}?" if near else f"give one of {', '.join(names)}"
