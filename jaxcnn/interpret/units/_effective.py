"""The effective receptive field: how much a unit depends on each pixel of its theoretical one.

    E[y, x] = mean over images of Σ_c (∂a_unit / ∂x[y, x, c])²

It falls off from the centre about as a Gaussian, and takes up a part of the theoretical field that shrinks with depth.

Reference: Luo, Li, Urtasun & Zemel, Understanding the effective receptive field in deep convolutional neural networks (2016).
"""

from collections.abc import Callable
from math import pi, sqrt
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from .._attribute import counted, finite
from .._attribute import images as checked_images
from .._forward import Forward, reached, resolve, run


def effective_receptive_field(
    model: Any,
    images: Float[Array, "n h w c"],
    layer: str | None,
    *,
    at: tuple[int, ...] | None = None,
    channel: int | None = None,
    prepare: Callable[[Array], Array] | None = None,
    batch_size: int = 32,
) -> Float[Array, "h w"]:
    """Mean squared gradient of a unit with regard to each pixel.

    Args:
        model: an NNX module, or a function of images.
        images: as the model takes them, or as `prepare` does.
        layer: name or pattern of an activation with space; None means the deepest map.
        at: place (y, x) of the unit (default: the centre).
        channel: its channel (default: the mean over all of them).
        prepare: from the images to what the model takes.
        batch_size: images that are computed together.

    Raises: ValueError for a layer, place or channel that is not there, and a gradient that is not finite.

    >>> shift = lambda x, tap: tap("moved", jnp.roll(2 * x, 1, 2))
    >>> effective_receptive_field(shift, jnp.ones((1, 3, 3, 1)), "moved").tolist()
    [[0.0, 0.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    name = "effective_receptive_field"
    x, size = checked_images(name, images), counted(name, "batch_size", batch_size)
    taken: Any = jax.eval_shape(prepare, x[:1]) if prepare is not None else x[:1]
    layer = resolve(name, model, taken, layer, space=True)
    shape = jax.eval_shape(lambda x: run(reached, model, x, layer=layer), taken).shape
    place = tuple(n // 2 for n in shape[1:-1]) if at is None else tuple(at)
    if len(place) != len(shape) - 2 or not all(0 <= i < n for i, n in zip(place, shape[1:-1])):
        raise ValueError(f"{name}: at={place} is no place of {layer} {list(shape[1:])}; use numbers from 0")
    if channel is not None and not 0 <= channel < shape[-1]:
        raise ValueError(
            f"{name}: channel={channel} is no channel of {layer} {list(shape[1:])}; use 0 to {shape[-1] - 1}"
        )
    chosen = np.arange(shape[-1]) if channel is None else np.array([channel])
    total = jnp.zeros(x.shape[1:-1])
    for first in range(0, len(x), size):
        part = x[first : first + size]
        total += run(_squares, model, part, jnp.array(chosen), layer=layer, place=place, prepare=prepare)
    return finite(name, total / (len(x) * len(chosen)))


def _squares(forward: Forward, x: Array, channels: Array, *, layer: str, place: tuple[int, ...], prepare: Any) -> Array:
    """Squared gradients of the unit, added up over images and channels."""
    part = lambda x: reached(forward, x if prepare is None else prepare(x), layer)[(slice(None), *place)]  # (n, c)
    a, back = jax.vjp(part, x)

    def add(total: Array, channel: Array) -> tuple[Array, None]:
        (gradient,) = back(jnp.zeros_like(a).at[:, channel].set(1))
        return total + jnp.square(gradient.astype(jnp.float32)).sum((0, -1)), None

    return jax.lax.scan(add, jnp.zeros(x.shape[1:-1]), channels)[0]


class Ellipse(NamedTuple):
    """Two standard deviations of a map around its centre, in pixels.

    Attributes:
        centre: (y, x), pixel centres at +0.5.
        radii: half of the long and the short axis, two standard deviations each.
        angle: of the long axis, degrees counter-clockwise from the x axis.

    >>> Ellipse((8.0, 8.0), (4.0, 2.0), 0.0).radii
    (4.0, 2.0)
    """

    centre: tuple[float, float]
    radii: tuple[float, float]
    angle: float

    @property
    def area(self) -> float:
        """Square pixels.

        >>> round(Ellipse((0.0, 0.0), (2.0, 1.0), 0.0).area, 3)
        6.283
        """
        return pi * self.radii[0] * self.radii[1]

    @property
    def side(self) -> float:
        """From two deviations below the centre to two above, in the geometric mean of both axes.

        >>> Ellipse((0.0, 0.0), (4.0, 1.0), 0.0).side
        4.0
        """
        return 2 * sqrt(self.radii[0] * self.radii[1])


def two_sigma_area(map: Float[Array, "h w"]) -> Ellipse:
    """The ellipse of the second moments of a map that is nowhere negative.

    Raises: ValueError for a map without anything on it, with something negative, or without two axes.

    >>> two_sigma_area(jnp.ones((1, 3))).radii[1], round(two_sigma_area(jnp.ones((1, 3))).radii[0] ** 2, 4)
    (0.0, 2.6667)
    """
    weight = np.asarray(map, np.float64)
    if weight.ndim != 2 or not np.isfinite(weight).all() or weight.min(initial=0) < 0 or not weight.sum():
        raise ValueError(
            f"two_sigma_area: the map is {list(weight.shape)}; give (h, w) of finite numbers from 0, not all 0"
        )
    weight = weight / weight.sum()
    grid = np.indices(weight.shape) + 0.5
    centre = (grid * weight).sum((1, 2))
    apart = grid - centre[:, None, None]
    covariance = np.einsum("ihw,jhw,hw->ij", apart, apart, weight)
    variances, axes = np.linalg.eigh(covariance)
    short, long = 2 * np.sqrt(np.maximum(variances, 0))
    angle = float(np.degrees(np.arctan2(-axes[0, 1], axes[1, 1])) % 180)
    return Ellipse((float(centre[0]), float(centre[1])), (float(long), float(short)), angle)
