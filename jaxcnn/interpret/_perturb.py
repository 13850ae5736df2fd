"""Scores of many changed images, some at a time, so that the memory is bounded and one program serves all of them.

The changes are numbered. They run in turns of equal size: 100 changes with room for 16 are 7 turns of 15, the last of which
has five that count for nothing.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from ._forward import PLAIN, Forward

Change = Callable[[Array], Array]


def turns(count: int, n: int, batch: int) -> tuple[int, int]:
    """How many turns, and how many changes of n images in each, where `batch` images go through the network at once."""
    most = max(batch // n, 1)
    number = -(-count // most)
    return number, -(-count // number)


def in_turns(step: Callable[[Any, Array, Array], tuple[Any, Any]], start: Any, count: int, n: int, batch: int):
    """`step(carry, numbers, counts) -> (carry, y)` for all numbers below `count`; `counts` says which of them count.

    Gives the last carry, and y of every number, the turns joined.
    """
    number, size = turns(count, n, batch)
    numbers = jnp.arange(number * size).reshape(number, size)
    carry, y = jax.lax.scan(lambda carry, one: step(carry, jnp.minimum(one, count - 1), one < count), start, numbers)
    return carry, jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:])[:count], y)


def scores_of(forward: Forward, score, images: Array) -> Array:
    """Scores of changed images `(changes, n, *space, c)`, `(changes, n)`."""
    return jax.vmap(lambda x: score(forward(x, PLAIN)))(images)


def scores(forward: Forward, score, change: Change, count: int, n: int, batch: int) -> Array:
    """Scores `(count, n)` of the images `change(numbers)`, which are `(numbers, n, *space, c)`."""
    step = lambda carry, numbers, counts: (carry, scores_of(forward, score, change(numbers)))
    return in_turns(step, (), count, n, batch)[1]


def likely(name: str, score, outputs: Any, probability: bool):
    """The score with the class fixed that is likeliest in these outputs; of their softmax, where `probability`.

    Raises: ValueError where there are no classes to take a softmax of.
    """
    score = score.at(outputs)
    if not probability:
        return score
    if jnp.ndim(outputs) < 2:
        raise ValueError(
            f"{name}: probability=True needs one number a class, the model gives {list(jnp.shape(outputs)[1:])} an image"
        )
    return lambda outputs: score(jax.nn.softmax(outputs))
