"""What an image is to excite: a channel, one unit, a direction, a class, a whole layer.

With a the activation of the layer, at positions p, and v the direction:

    Channel     mean over p of a[p, index]        Unit    a[at, index]
    Direction   mean over p of v · a[p]           Layer   mean over p and channels of a² (DeepDream)
    Logit       the number of a class

Objectives of one kind and layer are optimised together: a channel is the direction of a unit vector, a class that of the
model's output.

References: Olah, Mordvintsev & Schubert, Feature visualization (Distill, 2017); Mordvintsev, Olah & Tyka, Inceptionism (2015).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float


class Channel(NamedTuple):
    """A channel of a layer, wherever in the image.

    >>> Channel("conv1", 3)
    Channel(layer='conv1', index=3)
    """

    layer: str
    index: int


class Unit(NamedTuple):
    """One unit of a layer; `at` is its place (y, x), None the centre.

    >>> Unit("conv1", 3).at is None
    True
    """

    layer: str
    index: int
    at: tuple[int, int] | None = None


class Direction(NamedTuple):
    """A direction in the space of a layer's channels, wherever in the image; its length counts.

    >>> Direction("conv1", (0.5, -0.5)).layer
    'conv1'
    """

    layer: str
    vector: Any


class Logit(NamedTuple):
    """A class: one number of the model's output.

    >>> Logit(7).index
    7
    """

    index: int


class Layer(NamedTuple):
    """A whole layer: whatever it finds is made stronger.

    >>> Layer("conv1").layer
    'conv1'
    """

    layer: str


Objective = Channel | Unit | Direction | Logit | Layer
KINDS = (Channel, Unit, Direction, Logit, Layer)
OUTPUT = ""  # the layer of a class


@dataclass(frozen=True)
class Kind:
    """The static part of an objective: the layer that it reads, and the score that is made large. The layer "" is the output."""

    layer: str
    score: Callable[[Array, Any], Array]


class Data(NamedTuple):
    """Its arrays: a vector of channels, and a place."""

    vector: Float[np.ndarray, " c"]
    at: np.ndarray


def listed(objectives: Objective | Sequence[Objective]) -> list[Objective]:
    """The objectives as a list.

    Raises: TypeError for anything else, ValueError for none.

    >>> listed(Logit(3))
    [Logit(index=3)]
    """
    found = [objectives] if isinstance(objectives, KINDS) else list(objectives)
    for one in found:
        if not isinstance(one, KINDS):
            raise TypeError(f"visualise: {one!r} is no objective; give Channel, Unit, Direction, Logit or Layer")
    if not found:
        raise ValueError("visualise: no objective is given; give a Channel, Unit, Direction, Logit or Layer at least")
    return found


def parted(name: str, objective: Objective, shapes: Mapping[str, tuple[int, ...]]) -> tuple[Kind, Data]:
    """The static part and the arrays of an objective whose layer has its full name; `shapes` has the output under "".

    Raises: ValueError for an index, a place or a vector that the layer does not have.
    """
    layer = OUTPUT if isinstance(objective, Logit) else objective.layer
    shape = shapes[layer]
    where = f"{layer} {list(shape[1:])}" if layer else f"the model's output {list(shape[1:])}"
    if isinstance(objective, Layer):
        return Kind(layer, squares), Data(np.zeros(shape[-1], np.float32), np.zeros(0, np.int32))
    if isinstance(objective, Direction):
        vector = np.asarray(objective.vector, np.float32)
        if vector.shape != shape[-1:] or not np.isfinite(vector).all():
            raise ValueError(f"{name}: a direction of {where} has {shape[-1]} finite numbers, not {list(vector.shape)}")
        return Kind(layer, mean), Data(vector, np.zeros(0, np.int32))
    vector = np.zeros(shape[-1], np.float32)
    vector[_index(name, objective.index, shape[-1], where)] = 1
    if not isinstance(objective, Unit):
        return Kind(layer, mean), Data(vector, np.zeros(0, np.int32))
    space = shape[1:-1]
    at = tuple(n // 2 for n in space) if objective.at is None else tuple(objective.at)
    if len(at) != len(space) or not all(0 <= i < n for i, n in zip(at, space)):
        raise ValueError(f"{name}: at={at} is no place of {where}; use {len(space)} numbers from 0")
    return Kind(layer, unit), Data(vector, np.array(at, np.int32))


def mean(activation: Array, data: Data) -> Array:
    """Of each image the mean over the positions of vector · activation, `(n,)`.

    >>> mean(jnp.ones((2, 3, 3, 1)), Data(jnp.full((2, 1), 5.0), jnp.zeros((2, 0), int))).tolist()
    [5.0, 5.0]
    """
    flat = activation.reshape(len(activation), -1, activation.shape[-1]).astype(jnp.float32)
    return (flat.mean(1) * data.vector).sum(-1)


def unit(activation: Array, data: Data) -> Array:
    """Of each image vector · activation at the place, `(n,)`."""
    return jax.vmap(lambda a, one: a[tuple(one.at)].astype(jnp.float32) @ one.vector)(activation, data)


def squares(activation: Array, data: Data) -> Array:
    """Of each image the mean square, `(n,)`."""
    del data
    return jnp.square(activation.astype(jnp.float32)).mean(tuple(range(1, activation.ndim)))


def _index(name: str, index: Any, count: int, where: str) -> int:
    if not isinstance(index, Integral) or not 0 <= int(index) < count:
        raise ValueError(f"{name}: index={index} is no channel of {where}; use 0 to {count - 1}")
    return int(index)
