"""What is attributed: one number of the output for each image.

A target is None (the likeliest class of each image), a class or one class an image (an int or an array of ints `(n,)`,
traced, so that several targets run under one `vmap`), a tuple that indexes an output behind the images, such as `(y, x,
channel)`, or a function of the outputs that gives one number an image.
"""

from collections.abc import Callable
from numbers import Integral
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

Target = int | Array | np.ndarray | tuple[int, ...] | Callable[[Any], Array] | None


def parted(name: str, target: Target) -> tuple[Any, Array | None]:
    """The static part of a target and its array.

    Raises: TypeError for another kind of target.
    """
    if target is None or callable(target):
        return target, None
    if isinstance(target, tuple) and all(isinstance(one, Integral) for one in target):
        return tuple(map(int, target)), None
    if isinstance(target, tuple) or not jnp.issubdtype(jnp.result_type(target), jnp.integer):
        raise TypeError(
            f"{name}: target={target!r} is of no known kind; give a class, one class an image, a tuple of indices, or a function"
        )
    return "classes", jnp.asarray(target)


class Score(NamedTuple):
    """Gives the number of each image that a target means, `(n,)`."""

    name: str
    kind: Any
    classes: Array | None

    def __call__(self, outputs: Any) -> Array:
        """The number of each image.

        Raises: ValueError for outputs that the target does not fit.
        """
        name, kind, classes = self
        if callable(kind):
            values: Any = kind(outputs)
            return _checked(name, values, len(jax.tree.leaves(outputs)[0]))
        shape = jnp.shape(outputs) if isinstance(outputs, jax.Array) else None
        if shape is None:
            raise ValueError(
                f"{name}: the model gives a {type(outputs).__name__}, not an array; make target a function of it"
            )
        if isinstance(kind, tuple):
            if len(kind) != len(shape) - 1 or not all(-n <= i < n for i, n in zip(kind, shape[1:])):
                raise ValueError(f"{name}: target={kind} does not index an output of {list(shape[1:])} an image")
            return outputs[(slice(None), *kind)]
        if len(shape) == 1 and kind is None:
            return outputs
        if len(shape) != 2:
            raise ValueError(
                f"{name}: the model gives {list(shape[1:])} numbers an image, not one a class; give {len(shape) - 1} indices"
            )
        if classes is not None and classes.shape not in ((), shape[:1]):
            raise ValueError(
                f"{name}: target has shape {list(classes.shape)} for {shape[0]} images; give one class, or one an image"
            )
        chosen = outputs.argmax(-1) if classes is None else jnp.broadcast_to(classes, shape[:1])
        return jnp.take_along_axis(outputs, chosen[:, None], -1)[:, 0]  # (n,)

    def at(self, outputs: Any) -> "Score":
        """The same, with the class that is likeliest in these outputs where the target says none."""
        if self.kind is not None or jnp.ndim(outputs) != 2:
            return self
        return Score(self.name, "classes", outputs.argmax(-1))


def check_range(name: str, outputs: Any, classes: Array | None) -> None:
    """Refuses a class that the output does not have.

    Raises: ValueError.
    """
    if classes is None or isinstance(classes, Tracer):
        return
    count, values = outputs.shape[-1], np.asarray(classes)
    wrong = values[(values < 0) | (values >= count)]
    if wrong.size:
        raise ValueError(f"{name}: target={wrong.flat[0]} is no class of a model with {count:,}; use 0 to {count - 1}")


def _checked(name: str, values: Array, n: int) -> Array:
    if jnp.shape(values) != (n,):
        raise ValueError(
            f"{name}: the target function gives {list(jnp.shape(values))}; give one number an image, [{n}]"
        )
    return values
