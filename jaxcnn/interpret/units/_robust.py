"""Transformation robustness: pictures that excite a unit even when they are moved, scaled and turned a little.

Without it an optimisation finds noise of high frequency that excites the unit at exactly those pixels.

Reference: Olah, Mordvintsev & Schubert, Feature visualization (Distill, 2017), and their program Lucid.
"""

from dataclasses import dataclass

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxcnn.augment import random_affine

GREY = 0.5


@dataclass(frozen=True, kw_only=True)
class Robust:
    """Random moves, scales and turns, `(key, images) -> images`; other amounts for each image, the same size (but for `pad`).

    Args:
        pad: grey pixels around the images, which the network sees too. A network with dense layers after a map takes none.
        jitter: share of height and width by which images move at most.
        scale: 0.1 means from 1 / 1.1 to 1.1.
        degrees: of rotation at most.

    >>> import jax
    >>> Robust(pad=2)(jax.random.key(0), jnp.ones((2, 8, 8, 3))).shape
    (2, 12, 12, 3)
    """

    pad: int = 0
    jitter: float = 0.05
    scale: float = 0.1
    degrees: float = 10.0

    def __call__(self, key: Array, images: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        edges = ((0, 0), (self.pad, self.pad), (self.pad, self.pad), (0, 0))
        padded = jnp.pad(images, edges, constant_values=GREY)
        if not (self.degrees or self.jitter or self.scale):
            return padded
        return random_affine(key, padded, degrees=self.degrees, translate=self.jitter, scale=self.scale, fill=GREY)


ROBUST = Robust()


def unchanged(key: Array, images: Array) -> Array:
    """The images as they are.

    >>> import jax
    >>> unchanged(jax.random.key(0), jnp.ones(3)).tolist()
    [1.0, 1.0, 1.0]
    """
    del key
    return images
