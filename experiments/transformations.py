"""What is done to a picture to see whether the answer stays: it is moved, turned, scaled, seen from the side, lit otherwise.

The first four are homographies. The output pixel p, counted from the centre of the image, shows the place q of the input with

    (q_y, q_x, 1) ∝ H · (p_y, p_x, 1)

read by cubic or linear interpolation. Beyond its border the image is reflected, because a black frame would be a second change.
All results are rounded to 8 bits, as pictures are.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcnn import augment as A
from jaxcnn import functional as F

CAMERA = 2.0  # distance of the camera from the picture, in widths of the picture


class Transformation(NamedTuple):
    """One change by several amounts: `apply(images, amount, method)` takes and gives uint8 images `(n, h, w, c)`."""

    apply: Callable[[np.ndarray, float, str], np.ndarray]
    amounts: tuple[float, ...]
    unit: str
    identity: float
    logarithmic: bool = False


def moved(pixels: float, width: int) -> np.ndarray:
    """H of a picture moved to the right by `pixels`."""
    del width
    return np.array([[1, 0, 0], [0, 1, -pixels], [0, 0, 1.0]])


def turned(degrees: float, width: int) -> np.ndarray:
    """H of a picture turned counter-clockwise."""
    del width
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])


def scaled(factor: float, width: int) -> np.ndarray:
    """H of a picture enlarged by `factor` about its centre."""
    del width
    return np.diag([1, 1, factor]).astype(float)


def tilted(degrees: float, width: int) -> np.ndarray:
    """H of a picture turned about its vertical axis, its right side away, as a camera sees it from `CAMERA` widths.

    A point (y, x) of the picture is seen at d · (y, x · cos) / (d + x · sin), for a camera at the distance d.
    """
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[cosine, 0, 0], [0, 1, 0], [0, -sine / (CAMERA * width), cosine]])


@partial(jax.jit, static_argnames="method")
def warp(images: Array, homography: Array, method: str) -> Array:
    """uint8 images `(n, h, w, c)` under one homography; a pixel of the result is where the module says."""
    n, h, w, _ = images.shape
    y = jnp.arange(h, dtype=jnp.float32) - (h - 1) / 2
    x = jnp.arange(w, dtype=jnp.float32) - (w - 1) / 2
    p = jnp.stack([*jnp.meshgrid(y, x, indexing="ij"), jnp.ones((h, w), jnp.float32)], -1)  # (h, w, 3)
    q = jnp.einsum("ij,hwj->hwi", homography.astype(jnp.float32), p, precision="highest")
    grid = q[..., :2] / q[..., 2:] * jnp.array([2 / h, 2 / w], jnp.float32)  # (h, w, 2), from -1 to 1
    grid = jnp.broadcast_to(grid[None], (n, h, w, 2))
    return _eight_bits(F.grid_sample(_floats(images), grid, method=method, padding_mode="reflection"))


def geometric(
    homography: Callable[[float, int], np.ndarray], images: np.ndarray, amount: float, method: str
) -> np.ndarray:
    """The images under the homography of that amount."""
    return np.asarray(warp(jnp.asarray(images), jnp.asarray(homography(amount, images.shape[2])), method))


@partial(jax.jit, static_argnums=0)
def lit(change: Callable[[Array, Array], Array], images: Array, amount: Array) -> Array:
    """uint8 images whose colours in [0, 1] are changed by that amount."""
    return _eight_bits(change(_floats(images), amount))


def photometric(change: Callable[[Array, Array], Array], images: np.ndarray, amount: float, method: str) -> np.ndarray:
    """The images with their colours changed by that amount."""
    del method
    return np.asarray(lit(change, jnp.asarray(images), jnp.float32(amount)))


def gamma(x: Array, exponent: Array) -> Array:
    """Colours to that power: below 1 shadows are lifted, above 1 they are deepened."""
    return x**exponent


def _floats(images: Array) -> Array:
    return images.astype(jnp.float32) / 255


def _eight_bits(x: Array) -> Array:
    return jnp.round(jnp.clip(x, 0, 1) * 255).astype(jnp.uint8)


OCTAVES = tuple(2.0**i for i in (-2, -1, -0.5, 0, 0.5, 1, 2))
DEGREES = (0, 15, 30, 45, 60, 90, 120, 150, 180)
TRANSFORMATIONS = {
    "translation": Transformation(partial(geometric, moved), tuple(i / 2 for i in range(-8, 9)), "px to the right", 0),
    "rotation": Transformation(partial(geometric, turned), (*(-i for i in DEGREES[:0:-1]), *DEGREES), "degrees", 0),
    "scale": Transformation(partial(geometric, scaled), tuple(2 ** (i / 4) for i in range(-4, 5)), "times", 1, True),
    "viewpoint": Transformation(partial(geometric, tilted), tuple(range(-60, 61, 15)), "degrees of tilt", 0),
    "brightness": Transformation(partial(photometric, A.brightness), OCTAVES, "times", 1, True),
    "gamma": Transformation(partial(photometric, gamma), OCTAVES, "exponent", 1, True),
    "contrast": Transformation(partial(photometric, A.contrast), OCTAVES, "times", 1, True),
}
