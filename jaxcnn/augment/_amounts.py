"""What every augmentation checks: images, amounts that are one number or one an image, colours, intervals.

Numbers are checked by `functional._numbers`: a known one in one line, a traced one not at all. A known number stays a Python
number as long as it is one number, so that what is computed of it before it meets an array is computed in double precision.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jaxcnn.functional import _check
from jaxcnn.functional._numbers import concrete, one_or_each, scalar
from jaxcnn.functional._widened import widened


def floating_images(name: str, x: Any) -> Array:
    """`x` as floating-point images `(n, h, w, c)`."""
    x = _check.images(name, x, 2)
    if jnp.issubdtype(x.dtype, jnp.integer):
        raise TypeError(f"{name}: x is {_check.describe(x)}; images are floats in [0, 1], of uint8 pixels x / 255")
    _check.floating(name, x)
    return x


def colours(name: str, x: Any) -> Array:
    """The same with one channel (grey) or three (red, green, blue)."""
    x = floating_images(name, x)
    if not has_colours(x):
        raise ValueError(f"{name}: x is {_check.describe(x)}; it must have 1 channel (grey) or 3 (red, green, blue)")
    return x


def has_colours(x: Array) -> bool:
    """Whether the channels have a luma: one of grey, or red, green and blue."""
    return x.shape[-1] in (1, 3)


def amounts(name: str, what: str, value: Any, x: Array, **limits: Any) -> Array:
    """One number, or one for each image of x, as `(n, 1, 1, 1)` in float32 at least."""
    given = one_or_each(name, what, value, x.shape[0], "image", widened(x).dtype, **limits)
    return jnp.broadcast_to(given, x.shape[:1])[:, None, None, None]


def colour(name: str, what: str, value: Any, x: Array) -> Array:
    """What fills: one number, or one a channel, as `()` or `(1, 1, 1, c)` in float32 at least; NaN is allowed."""
    given = one_or_each(name, what, value, x.shape[-1], "channel", widened(x).dtype, nan=True)
    return given if given.ndim == 0 else given[None, None, None]


def reach(name: str, what: str, value: Any, x: Array, **limits: Any) -> Any:
    """How far a random amount may go: a Python number if one is known, else an array `()` or `(n,)` in float32 at least."""
    if isinstance(value, np.ndarray | jax.Array | list | tuple) and np.ndim(value):
        return one_or_each(name, what, value, x.shape[0], "image", widened(x).dtype, **limits)
    given = scalar(name, what, value, **limits)
    return given.astype(widened(x).dtype) if isinstance(given, jax.Array) else given


def boxes_of(name: str, boxes: Any, x: Array) -> Array:
    """Boxes `(y0, x0, y1, x1)` in pixels, one or one an image, as `(n, 4)` in float32 at least."""
    given = _check.array(name, "boxes", boxes)
    if given.shape not in ((4,), (x.shape[0], 4)):
        raise ValueError(f"{name}: boxes is {_check.describe(given)}; give y0, x0, y1, x1 once or for each image")
    return jnp.broadcast_to(given.astype(widened(x).dtype), (x.shape[0], 4))


def interval(name: str, what: str, value: Any, high: float = math.inf) -> tuple[Any, Any]:
    """Two numbers; refuse a known pair that is not 0 < first ≤ second ≤ high."""
    pair = tuple(value) if isinstance(value, Sequence) or getattr(value, "ndim", 0) == 1 else ()
    pair = tuple(scalar(name, what, v, nan=True) for v in pair)
    known = [v for v in map(concrete, pair) if v is not None]
    if len(pair) != 2 or not all(0 < v <= high for v in known) or known != sorted(known):
        bound = f" ≤ {high:g}" if high < math.inf else ""
        given = tuple("traced" if isinstance(v, Tracer) else v for v in pair) if pair else value
        raise ValueError(f"{name}: {what}={given} must be two numbers, 0 < first ≤ second{bound}")
    return pair[0], pair[1]


def uniform(key: Array, x: Array, low: Any, high: Any) -> Array:
    """A number for each image of x, in float32 at least."""
    return jax.random.uniform(key, x.shape[:1], widened(x).dtype, low, high)


def sometimes(name: str, key: Array, probability: Any, x: Array, y: Array) -> Array:
    """Of each image of x and y, y's with that probability."""
    return jnp.where(coins(name, key, probability, x)[:, None, None, None], y, x)


def coins(name: str, key: Array, probability: Any, x: Array) -> Array:
    """True with that probability, for each image."""
    chance = reach(name, "probability", probability, x, low=0, high=1)
    chance = chance.astype(jnp.result_type(float)) if isinstance(chance, jax.Array) else float(chance)
    return jax.random.bernoulli(key, chance, x.shape[:1])
