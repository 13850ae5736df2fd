"""What every attribution does around its formula: checks, one compiled program, and a look at the result."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from ._forward import Forward, run
from ._target import Score, Target, check_range, parted


def attribute(
    name: str, formula: Callable[..., Any], model: Any, x: Array, target: Target, *arrays: Any, **options: Any
):
    """`formula(forward, x, score, *arrays, **options)` compiled; it gives its result and the outputs of the network for x.

    Raises: TypeError, ValueError for images, targets and results that are not sound.
    """
    x = images(name, x)
    kind, classes = parted(name, target)
    result, outputs = run(_scored, model, x, classes, *arrays, name=name, formula=formula, meant=kind, **options)
    check_range(name, outputs, classes)
    finite(name, outputs, "the model's output")
    return finite(name, result)


def images(name: str, x: Any, what: str = "x") -> Array:
    """The images as an array.

    Raises: TypeError for what is not floating point, ValueError without a batch or images.
    """
    x = jnp.asarray(x)
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"{name}: {what} is {x.dtype}{list(x.shape)}; give floating point, prepared as the model takes it"
        )
    if x.ndim < 2 or not x.size:
        raise ValueError(f"{name}: {what} is {x.dtype}{list(x.shape)}; give images (n, *space, c), one at least")
    return x


def like(name: str, what: str, value: Any, x: Array) -> Array:
    """A number, an image or images spread to the shape and dtype of x.

    Raises: ValueError for another shape.
    """
    value = jnp.asarray(value, x.dtype)
    if value.ndim > x.ndim or any(n not in (1, m) for n, m in zip(value.shape[::-1], x.shape[::-1])):
        raise ValueError(
            f"{name}: {what} has shape {list(value.shape)}; give a number, or what fits to x {list(x.shape)}"
        )
    return jnp.broadcast_to(value, x.shape)


def counted(name: str, what: str, value: Any, *, least: int = 1) -> int:
    """A whole number that is not below `least`.

    Raises: ValueError.
    """
    if isinstance(value, bool) or int(value) != value or value < least:
        raise ValueError(f"{name}: {what}={value!r} must be a whole number from {least}")
    return int(value)


def finite(name: str, result: Any, what: str = "the result") -> Any:
    """The result, if it holds no NaN and no infinity; what is traced is not looked at.

    Raises: ValueError.
    """
    for part in jax.tree.leaves(result):
        if isinstance(part, Tracer) or not jnp.issubdtype(part.dtype, jnp.inexact) or bool(jnp.isfinite(part).all()):
            continue
        bad = np.flatnonzero(~np.isfinite(np.asarray(part)).reshape(len(part), -1).all(1)) if part.ndim else [0]
        raise ValueError(
            f"{name}: {what} for image {bad[0]} is not finite; NaN or infinity is in the image, the parameters or the derivative"
        )
    return result


def _scored(forward: Forward, x: Array, classes: Any, *arrays: Any, name: str, formula, meant, **options):
    return formula(forward, x, Score(name, meant, classes), *arrays, **options)
