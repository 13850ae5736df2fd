"""What every augmentation checks: images, amounts that are one number or one an image, shares and ranges."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from jaxcnn.functional import _check
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
    if x.shape[-1] not in (1, 3):
        raise ValueError(f"{name}: x is {_check.describe(x)}; it must have 1 channel (grey) or 3 (red, green, blue)")
    return x


def amounts(name: str, what: str, value: Any, x: Array) -> Array:
    """One number, or one for each image of x, as `(n, 1, 1, 1)` in float32 at least."""
    given = jnp.asarray(value)
    if given.shape not in ((), x.shape[:1]):
        raise ValueError(
            f"{name}: {what} is {_check.describe(given)}; give one number, or {x.shape[0]}, one for each image"
        )
    return jnp.broadcast_to(given.astype(widened(x).dtype), x.shape[:1])[:, None, None, None]


def boxes_of(name: str, boxes: Any, x: Array) -> Array:
    """Boxes `(y0, x0, y1, x1)` in pixels, one or one an image, as `(n, 4)` in float32 at least."""
    given = _check.array(name, "boxes", boxes)
    if given.shape not in ((4,), (x.shape[0], 4)):
        raise ValueError(f"{name}: boxes is {_check.describe(given)}; give y0, x0, y1, x1 once or for each image")
    return jnp.broadcast_to(given.astype(widened(x).dtype), (x.shape[0], 4))


def number(name: str, what: str, value: Any, low: float, high: float = math.inf) -> None:
    """Refuse a number outside [low, high]."""
    if not low <= value <= high:
        right = f"from {low:g} to {high:g}" if high < math.inf else f"at least {low:g}"
        raise ValueError(f"{name}: {what}={value} must be {right}")


def interval(name: str, what: str, value: Sequence[float], high: float = math.inf) -> tuple[float, float]:
    """Refuse a pair that is not 0 < first ≤ second ≤ high."""
    if len(value) != 2 or not 0 < value[0] <= value[1] <= high:
        bound = f" ≤ {high:g}" if high < math.inf else ""
        raise ValueError(f"{name}: {what}={tuple(value)} must be two numbers, 0 < first ≤ second{bound}")
    return value[0], value[1]


def uniform(key: Array, x: Array, low: float, high: float) -> Array:
    """A number for each image of x, in float32 at least."""
    return jax.random.uniform(key, x.shape[:1], widened(x).dtype, low, high)


def sometimes(name: str, key: Array, probability: float, x: Array, y: Array) -> Array:
    """Of each image of x and y, y's with that probability."""
    number(name, "probability", probability, 0, 1)
    return jnp.where(jax.random.bernoulli(key, float(probability), x.shape[:1])[:, None, None, None], y, x)
