"""Parts of images covered: `erase`, random erasing (Zhong et al., 2017) and cutout (DeVries & Taylor, 2017).

What is covered is not seen: a missing pixel (NaN) under a box is gone, and so is its derivative.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxcnn.functional import _check
from jaxcnn.functional._widened import widened
from jaxcnn.geometry import per_axis

from ._amounts import boxes_of, coins, colour, floating_images
from ._meshes import on_meshes
from ._resized_crop import random_boxes

Images = Float[Array, "n h w c"]
Fill = float | Float[Array, " c"]


@on_meshes
def erase(x: Images, boxes: Float[Array, "n 4"], *, fill: Fill | Float[Array, "n h w c"] = 0.0) -> Images:
    """The pixels whose centres lie in the boxes (y0, x0, y1, x1), one or one an image, replaced by `fill`.

    Args:
        fill: one number, one a channel, or images of what to put there; differentiable.

    >>> erase(jnp.ones((1, 2, 3, 1)), jnp.array([0, 0, 1, 2]))[0, ..., 0].tolist()
    [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    """
    x = floating_images("erase", x)
    return _covered(x, inside(boxes_of("erase", boxes, x), x), _filling("erase", fill, x))


@on_meshes
def random_erase(
    key: Array,
    x: Images,
    *,
    probability: float = 0.5,
    scale: tuple[float, float] = (0.02, 0.33),
    ratio: tuple[float, float] = (0.3, 3.3),
    fill: Fill | None = 0.0,
) -> Images:
    """Of each image, with that probability, a random box erased: torchvision's RandomErasing.

    Args:
        probability: a traced one below 0 never erases, above 1 always.
        scale: share of the image's area, uniform.
        ratio: width / height of the box, uniform in the logarithm; where none of ten draws fits nothing is erased.
        fill: one number or one a channel; None means normal noise, one draw a pixel and channel.

    >>> random_erase(jax.random.key(0), jnp.ones((2, 8, 9, 3))).shape
    (2, 8, 9, 3)
    """
    key, x = _check.random_key("random_erase", key), floating_images("random_erase", x)
    key, box_key, noise_key = jax.random.split(key, 3)
    boxes = random_boxes("random_erase", box_key, x, scale, ratio, whole=False)
    chosen = coins("random_erase", key, probability, x)[:, None, None, None]
    noise = fill is None
    what = jax.random.normal(noise_key, x.shape, x.dtype) if noise else _filling("random_erase", fill, x)
    return _covered(x, chosen & inside(boxes.astype(widened(x).dtype), x), what)


@on_meshes
def cutout(x: Images, centre: Float[Array, "n 2"], size: int, *, fill: Fill = 0.0) -> Images:
    """A square of `size` pixels about the point `centre` (y, x), one or one an image, erased; what lies outside is lost.

    Args:
        fill: one number, or one a channel.

    >>> cutout(jnp.ones((1, 2, 3, 1)), jnp.array([[0.0, 1.0]]), 2)[0, ..., 0].tolist()
    [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    """
    return _squares("cutout", floating_images("cutout", x), centre, size, fill)


@on_meshes
def random_cutout(key: Array, x: Images, size: int, *, fill: Fill = 0.0) -> Images:
    """`cutout` about a random point of each image.

    >>> random_cutout(jax.random.key(0), jnp.ones((2, 8, 9, 3)), 4).shape
    (2, 8, 9, 3)
    """
    key, x = _check.random_key("random_cutout", key), floating_images("random_cutout", x)
    room = jnp.array([x.shape[1:3]], widened(x).dtype)
    at = jnp.floor(jax.random.uniform(key, (x.shape[0], 2), room.dtype) * room)
    # an odd square has its centre on a pixel's centre, an even one between pixels
    odd = per_axis(size, 1, what="size", name="random_cutout", least=1)[0] % 2
    return _squares("random_cutout", x, at + 0.5 * odd, size, fill)


def inside(boxes: Array, x: Array) -> Array:
    """Which pixels `(n, h, w, 1)` of x have their centres in the boxes `(n, 4)`."""

    def between(size: int, low: Array, high: Array) -> Array:
        middle = (jnp.arange(size, dtype=boxes.dtype) + 0.5)[None]
        return (middle > low[:, None]) & (middle < high[:, None])

    rows = between(x.shape[1], boxes[:, 0], boxes[:, 2])
    columns = between(x.shape[2], boxes[:, 1], boxes[:, 3])
    return (rows[:, :, None] & columns[:, None, :])[..., None]


def _squares(name: str, x: Array, centre: Any, size: int, fill: Any) -> Array:
    (size,) = per_axis(size, 1, what="size", name=name, least=1)
    centre = jnp.asarray(centre, widened(x).dtype)
    if centre.shape not in ((2,), (x.shape[0], 2)):
        raise ValueError(f"{name}: centre is {_check.describe(centre)}; give y, x once or for each image")
    centre = jnp.broadcast_to(centre, (x.shape[0], 2))
    boxes = jnp.concatenate([centre - size / 2, centre + size / 2], -1)
    return _covered(x, inside(boxes, x), _filling(name, fill, x))


def _filling(name: str, fill: Any, x: Array) -> Array:
    """One number, one a channel, or images, in float32 at least."""
    if getattr(fill, "ndim", 0) == 4:
        images = _check.array(name, "fill", fill)
        if all(given in (1, wanted) for given, wanted in zip(images.shape, x.shape)):
            return images.astype(widened(x).dtype)
        raise ValueError(f"{name}: fill is {_check.describe(images)}; images must have the shape {x.shape}")
    return colour(name, "fill", fill, x)


def _covered(x: Array, where: Array, fill: Array) -> Array:
    """The derivative in one number is a sum over pixels, so the number meets them in float32 and is rounded there."""
    return jnp.where(where, jnp.broadcast_to(fill, x.shape).astype(x.dtype), x)
