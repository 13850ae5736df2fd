"""Crops of any box brought to one size.

A resized crop is what Pillow makes of `image.crop(box).resize(size, BILINEAR)`: a weighted sum an axis with a triangle that is
stretched where the box shrinks, over the pixels of the box alone. A pixel without weight is not seen, so that a missing one
(NaN) is missing where the picture shows it and nowhere else. Reference for the random boxes: Szegedy et al., Going deeper with
convolutions (2014).
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.functional import _check
from jaxcnn.functional._widened import widened

from ._amounts import boxes_of, floating_images, interval
from ._clipped import clipped
from ._crop import Size, sizes
from ._meshes import on_meshes
from ._weighted import weighted

TRIES = 10


@on_meshes
def resized_crop(x: Float[Array, "n h w c"], boxes: Float[Array, "n 4"], size: Size) -> Float[Array, "n oh ow c"]:
    """The boxes (y0, x0, y1, x1) of the images, one or one an image, brought to `size` (height, width).

    Differentiable in the boxes too.

    >>> resized_crop(jnp.arange(16.0).reshape(1, 4, 4, 1), jnp.array([1, 2, 2, 4]), (1, 1)).item()
    6.5
    """
    x = floating_images("resized_crop", x)
    boxes, size = boxes_of("resized_crop", boxes, x), sizes("resized_crop", size)
    (n, h, w, c), wide = x.shape, widened(x)
    rows = _triangles(boxes[:, 0], boxes[:, 2], h, size[0])
    columns = _triangles(boxes[:, 1], boxes[:, 3], w, size[1])
    y = weighted(rows, wide.reshape(n, 1, h, w * c)).reshape(n, size[0], w, c)
    return weighted(columns, y).astype(x.dtype)


@on_meshes
def random_resized_crop(
    key: Array,
    x: Float[Array, "n h w c"],
    size: Size,
    *,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
) -> Float[Array, "n oh ow c"]:
    """From each image a random box brought to `size`: torchvision's RandomResizedCrop.

    Args:
        scale: share of the image's area, uniform. Traced numbers pass unchecked, here and in `ratio`.
        ratio: width / height, uniform in the logarithm. Of ten draws the first that fits counts; if none does, the middle
            of the image in the nearest ratio.

    >>> random_resized_crop(jax.random.key(0), jnp.ones((2, 40, 50, 3)), 32).shape
    (2, 32, 32, 3)
    """
    key, x = _check.random_key("random_resized_crop", key), floating_images("random_resized_crop", x)
    boxes = random_boxes("random_resized_crop", key, x, scale, ratio)
    with _check.named("resized_crop", "random_resized_crop"):
        return resized_crop(x, boxes, size)


def random_boxes(name: str, key: Array, x: Array, scale: Any, ratio: Any, *, whole: bool = True) -> Array:
    """Boxes `(n, 4)` of whole pixels with a random share of the area and width / height.

    Where none of ten draws fits: the middle in the nearest ratio if `whole`, else an empty box.
    """
    n, h, w, _ = x.shape
    low, high = interval(name, "scale", scale, 1)
    flat, tall = interval(name, "ratio", ratio)
    draw = jax.random.uniform(key, (n, TRIES + 1, 2))
    low, high, flat, tall = (v.astype(draw.dtype) if isinstance(v, Array) else v for v in (low, high, flat, tall))
    numpy: Any = jnp if isinstance(flat, Array) or isinstance(tall, Array) else np  # known numbers in double precision
    image = jnp.array([h, w], draw.dtype)
    area = (low + (high - low) * draw[:, :TRIES, 0]) * h * w
    shape = jnp.exp(_number(numpy.log(flat)) + _number(numpy.log(tall / flat)) * draw[:, :TRIES, 1])
    sides = jnp.round(jnp.stack([jnp.sqrt(area / shape), jnp.sqrt(area * shape)], -1))  # (n, tries, 2): height, width
    fits = ((sides >= 1) & (sides <= image[None, None])).all(-1)
    first = jnp.take_along_axis(sides, fits.argmax(1)[:, None, None], 1)[:, 0]
    nearest = numpy.clip(w / h, flat, tall)
    fitted = [numpy.minimum(h, numpy.round(w / nearest)), numpy.minimum(w, numpy.round(h * nearest))]
    middle = jnp.stack([jnp.asarray(v, draw.dtype) for v in fitted]) if whole else jnp.zeros(2, draw.dtype)
    found = fits.any(1)[:, None]
    sides = jnp.where(found, first, middle[None])
    room = image[None] - sides
    random = jnp.floor(draw[:, TRIES] * (room + 1))
    corner = jnp.where(found, jnp.minimum(random, room), jnp.round(room / 2))
    return jnp.concatenate([corner, corner + sides], -1)


def _number(v: Any) -> Any:
    """NumPy's double as Python's, which has no dtype of its own."""
    return v if isinstance(v, Array) else float(v)


def _triangles(start: Array, stop: Array, n: int, m: int) -> Array:
    """Weights (images, m, n) of the n pixels of an axis in the m of the result; each row sums to 1."""
    step = ((stop - start) / m)[:, None, None]
    start, stop = start[:, None, None], stop[:, None, None]
    centre = start + (jnp.arange(m, dtype=step.dtype)[None, :, None] + 0.5) * step  # (images, m, 1)
    pixel = (jnp.arange(n, dtype=step.dtype) + 0.5)[None, None]
    height = 1 - jnp.abs(pixel - centre) / jnp.maximum(step, 1)
    seen = (pixel > start) & (pixel < stop) & (height > 0)
    weights = jnp.where(seen, height, 0)
    total = weights.sum(-1, keepdims=True)
    middle = clipped(centre[..., 0], n - 1).astype(jnp.int32)
    nearest = jax.nn.one_hot(middle, n, dtype=weights.dtype)  # of a box between centres
    weights = jnp.where(total > 0, weights / jnp.where(total > 0, total, 1), nearest)
    # the same once more: the derivative in a weight that cannot differ from 0 goes no further, it may be NaN
    return jnp.where(jnp.where(total > 0, seen, nearest > 0), weights, 0)
