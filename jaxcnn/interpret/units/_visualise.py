"""Feature visualisation: images that excite a channel, a unit, a direction, a class or a layer most.

Reference: Olah, Mordvintsev & Schubert, Feature visualization (Distill, 2017).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcnn.functional._check import random_key
from jaxcnn.geometry import per_axis

from .._attribute import counted
from .._forward import resolve, shapes
from ._image import Parametrisation
from ._objectives import OUTPUT, Data, Kind, Logit, Objective, listed, mean, parted
from ._optimise import Recipe, Visualised, checked, example, optimise, output_shape
from ._robust import ROBUST, unchanged

Transforms = Callable[[Array, Array], Array]


def visualise(
    key: Array,
    model: Any,
    objectives: Objective | Sequence[Objective],
    *,
    image_size: int | Sequence[int],
    channels: int = 3,
    steps: int = 256,
    learning_rate: float = 0.05,
    parametrisation: Parametrisation = "fourier",
    decorrelate: bool = True,
    transforms: Transforms | None = ROBUST,
    total_variation: float = 0.0,
    l2: float = 0.0,
    diversity: float = 0.0,
    count: int = 1,
    negative: bool = False,
    prepare: Callable[[Array], Array] | None = None,
    at_once: int = 32,
    progress: Callable[[int, int], Any] | None = None,
) -> Visualised:
    """Images in [0, 1], `(objectives, count, h, w, channels)`, that make each objective large, and the numbers that they reach.

    Adam runs in one compiled program for all objectives of one kind and layer, up to `at_once` images at a time.

    Args:
        key: of the first noise and the transformations, which are the same for every objective.
        model: an NNX module, or a function of images.
        objectives: one or many of `Channel`, `Unit`, `Direction`, `Logit`, `Layer`.
        image_size: height and width in pixels, an int for both.
        channels: of the images; 1 means grey.
        steps: of Adam.
        learning_rate: of Adam.
        parametrisation: "fourier" or "pixels" (`_image.py`).
        decorrelate: colours along the axes in which ImageNet's are independent, where there are three.
        transforms: a function of a key and images that the images go through in every step; None for none.
        total_variation: weight of the mean absolute difference between neighbours, taken off the objective.
        l2: weight of the mean squared distance from grey.
        diversity: weight of the mean cosine between the Gram matrices of an objective's images.
        count: images of each objective.
        negative: make the objectives small instead.
        prepare: from images in [0, 1] to what the model takes; the same function each time, or it is compiled anew.
        at_once: images that are in memory together.
        progress: is called with the steps that are done and all of them.

    Raises: ValueError for a layer, channel or place that is not there, a size that the model does not take, or a result that
        is not finite; TypeError for what is no objective.

    >>> from jaxcnn.interpret import Channel
    >>> brighter = lambda x, tap: tap("double", 2 * x)
    >>> made = visualise(jax.random.key(0), brighter, Channel("double", 0), image_size=8, channels=1)
    >>> made.images.shape, bool(made.values[0, 0] > 1.5)
    ((1, 1, 8, 8, 1), True)
    """
    key, wanted = random_key("visualise", key), listed(objectives)
    steps, count, at_once, channels = (
        counted("visualise", what, value)
        for what, value in (("steps", steps), ("count", count), ("at_once", at_once), ("channels", channels))
    )
    h, w = per_axis(image_size, 2, what="image_size", name="visualise", least=2)
    blank = Recipe(
        OUTPUT, mean, (h, w), channels, count, parametrisation, decorrelate, transforms or unchanged,
        prepare, total_variation, l2, diversity, -1.0 if negative else 1.0,
    )  # fmt: skip
    checked("visualise", blank)
    groups = _groups("visualise", model, wanted, example("visualise", model, (h, w), channels, prepare), diversity)
    images: list[Any] = [None] * len(wanted)
    values: list[Any] = [None] * len(wanted)
    for number, (kind, members) in enumerate(groups.items()):
        data = jax.tree.map(lambda *leaves: np.stack(leaves), *(one for _, one in members))
        told = None if progress is None else partial(_told, progress, number, len(groups))
        found = optimise(
            "visualise", key, model, replace(blank, layer=kind.layer, objective=kind.score), data,
            steps=steps, learning_rate=learning_rate, at_once=at_once, progress=told,
        )  # fmt: skip
        for (place, _), one, value in zip(members, *found):
            images[place], values[place] = one, value
    return Visualised(jnp.stack(images), jnp.stack(values))


def _groups(
    name: str, model: Any, wanted: Sequence[Objective], taken: Any, diversity: float
) -> dict[Kind, list[tuple[int, Data]]]:
    """The objectives of each kind and layer, with their places in the list."""
    found: dict[str, tuple[int, ...]] = {OUTPUT: output_shape(model, taken)}
    full: dict[str, str] = {}
    if any(not isinstance(one, Logit) for one in wanted):
        found |= shapes(name, model, taken)
    groups: dict[Kind, list[tuple[int, Data]]] = {}
    for number, one in enumerate(wanted):
        if not isinstance(one, Logit):
            if one.layer not in full:
                full[one.layer] = resolve(name, model, taken, one.layer)
            one = one._replace(layer=full[one.layer])
        kind, data = parted(name, one, found)
        if diversity and len(found[kind.layer]) != len(taken.shape):
            raise ValueError(f"{name}: diversity compares maps; {kind.layer or 'the output'} has no space, use a map")
        groups.setdefault(kind, []).append((number, data))
    return groups


def _told(progress: Callable[[int, int], Any], number: int, groups: int, done: int, total: int) -> None:
    progress(number * total + done, groups * total)
