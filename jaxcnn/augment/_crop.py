"""Crops of one size, and crops of any box brought to one size.

A resized crop is what Pillow makes of `image.crop(box).resize(size, BILINEAR)`: a contraction an axis with a triangle that is
stretched where the box shrinks, over the pixels of the box alone. Reference for the random boxes: Szegedy et al., Going deeper
with convolutions (2014).
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int, Shaped

from jaxcnn.functional import _check
from jaxcnn.functional._pad import MODES, pad_pairs
from jaxcnn.functional._widened import widened
from jaxcnn.geometry import per_axis

from ._amounts import boxes_of, floating_images, interval

Size = int | Sequence[int]


def crop(
    x: Shaped[Array, "n h w c"],
    corner: Int[Array, "n 2"],
    size: Size,
    *,
    padding: Size = 0,
    padding_mode: str = "zeros",
) -> Shaped[Array, "n oh ow c"]:
    """The rectangle of `size` (height, width) whose first pixel is `corner` (y, x), one or one an image.

    A corner too far out is moved to where the rectangle lies inside.

    Args:
        padding: pixels put around the images first, before corners are counted.
        padding_mode: "zeros", "reflect", "replicate" or "circular".

    Raises: ValueError if the rectangle is larger than the padded image. TypeError for corners that are not integers.

    >>> crop(jnp.arange(9.0).reshape(1, 3, 3, 1), jnp.array([1, 0]), (1, 2)).ravel().tolist()
    [3.0, 4.0]
    """
    x, size = _padded("crop", x, size, padding, padding_mode)
    corner = _check.array("crop", "corner", corner)
    if corner.shape not in ((2,), (x.shape[0], 2)):
        raise ValueError(f"crop: corner is {_check.describe(corner)}; give y, x once or for each image")
    if not jnp.issubdtype(corner.dtype, jnp.integer):
        raise TypeError(f"crop: corner is {_check.describe(corner)}; it must hold integers")
    cut = lambda image, at: jax.lax.dynamic_slice(image, (at[0], at[1], 0), (*size, image.shape[-1]))
    return jax.vmap(cut)(x, jnp.broadcast_to(corner, (x.shape[0], 2)))


def center_crop(x: Shaped[Array, "n h w c"], size: Size) -> Shaped[Array, "n oh ow c"]:
    """The middle of the images; half a pixel too far up or left where it does not come out even.

    >>> center_crop(jnp.arange(9.0).reshape(1, 3, 3, 1), 1).item()
    4.0
    """
    x, (h, w) = _padded("center_crop", x, size, 0, "zeros")
    top, left = (x.shape[1] - h) // 2, (x.shape[2] - w) // 2
    return x[:, top : top + h, left : left + w]


def random_crop(
    key: Array, x: Shaped[Array, "n h w c"], size: Size, *, padding: Size = 0, padding_mode: str = "zeros"
) -> Shaped[Array, "n oh ow c"]:
    """From each image a rectangle of `size` at its own random place; else as `crop`.

    >>> random_crop(jax.random.key(0), jnp.ones((2, 32, 32, 3)), 32, padding=4, padding_mode="reflect").shape
    (2, 32, 32, 3)
    """
    x, size = _padded("random_crop", x, size, padding, padding_mode)
    room = jnp.array([x.shape[1] - size[0] + 1, x.shape[2] - size[1] + 1])
    return crop(x, jax.random.randint(key, (x.shape[0], 2), 0, room), size)


def resized_crop(x: Float[Array, "n h w c"], boxes: Float[Array, "n 4"], size: Size) -> Float[Array, "n oh ow c"]:
    """The boxes (y0, x0, y1, x1) of the images, one or one an image, brought to `size` (height, width).

    >>> resized_crop(jnp.arange(16.0).reshape(1, 4, 4, 1), jnp.array([1, 2, 2, 4]), (1, 1)).item()
    6.5
    """
    x = floating_images("resized_crop", x)
    boxes, (h, w) = boxes_of("resized_crop", boxes, x), _size("resized_crop", size)
    rows = _triangles(boxes[:, 0], boxes[:, 2], x.shape[1], h)
    columns = _triangles(boxes[:, 1], boxes[:, 3], x.shape[2], w)
    y = jnp.einsum("noh,nhwc->nowc", rows, widened(x), precision="highest")
    return jnp.einsum("npw,nowc->nopc", columns, y, precision="highest").astype(x.dtype)


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
        scale: share of the image's area, uniform.
        ratio: width / height, uniform in the logarithm. Of ten draws the first that fits counts; if none does, the middle
            of the image in the nearest ratio.

    >>> random_resized_crop(jax.random.key(0), jnp.ones((2, 40, 50, 3)), 32).shape
    (2, 32, 32, 3)
    """
    x = floating_images("random_resized_crop", x)
    boxes = random_boxes("random_resized_crop", key, x, scale, ratio)
    with _check.named("resized_crop", "random_resized_crop"):
        return resized_crop(x, boxes, size)


def random_boxes(
    name: str, key: Array, x: Array, scale: tuple[float, float], ratio: tuple[float, float], *, whole: bool = True
) -> Array:
    """Boxes `(n, 4)` of whole pixels with a random share of the area and width / height.

    Where none of ten draws fits: the middle in the nearest ratio if `whole`, else an empty box.
    """
    (n, h, w, _), tries = x.shape, 10
    low, high = interval(name, "scale", scale, 1)
    flat, tall = interval(name, "ratio", ratio)
    draw = jax.random.uniform(key, (n, tries + 1, 2))
    area = (low + (high - low) * draw[:, :tries, 0]) * h * w
    shape = jnp.exp(math.log(flat) + math.log(tall / flat) * draw[:, :tries, 1])
    sides = jnp.round(jnp.stack([jnp.sqrt(area / shape), jnp.sqrt(area * shape)], -1))  # (n, tries, 2): height, width
    fits = ((sides >= 1) & (sides <= jnp.array([h, w]))).all(-1)
    first = jnp.take_along_axis(sides, fits.argmax(1)[:, None, None], 1)[:, 0]
    nearest = min(max(w / h, flat), tall)
    middle = jnp.array([min(h, round(w / nearest)), min(w, round(h * nearest))], first.dtype) if whole else jnp.zeros(2)
    found = fits.any(1)[:, None]
    sides = jnp.where(found, first, middle)
    room = jnp.array([h, w]) - sides
    random = jnp.floor(draw[:, tries] * (room + 1))
    corner = jnp.where(found, jnp.minimum(random, room), jnp.round(room / 2))
    return jnp.concatenate([corner, corner + sides], -1)


def _triangles(start: Array, stop: Array, n: int, m: int) -> Array:
    """Weights (images, m, n) of the n pixels of an axis in the m of the result; each row sums to 1."""
    step = ((stop - start) / m)[:, None, None]
    centre = start[:, None, None] + (jnp.arange(m)[:, None] + 0.5) * step  # (images, m, 1)
    pixel = jnp.arange(n) + 0.5
    inside = (pixel > start[:, None, None]) & (pixel < stop[:, None, None])
    weights = jnp.where(inside, jnp.maximum(0, 1 - jnp.abs(pixel - centre) / jnp.maximum(step, 1)), 0)
    total = weights.sum(-1, keepdims=True)
    nearest = jax.nn.one_hot(
        jnp.clip(centre[..., 0], 0, n - 1).astype(int), n, dtype=weights.dtype
    )  # of a box between centres
    return jnp.where(total > 0, weights / jnp.where(total > 0, total, 1), nearest)


def _padded(name: str, x: Array, size: Size, padding: Size, padding_mode: str) -> tuple[Array, tuple[int, int]]:
    x, size = _check.images(name, x, 2), _size(name, size)
    edges = per_axis(padding, 2, what="padding", name=name, least=0)
    _check.one_of(name, "padding_mode", padding_mode, MODES)
    x = pad_pairs(name, x, [(edge, edge) for edge in edges], padding_mode)
    if size[0] > x.shape[1] or size[1] > x.shape[2]:
        raise ValueError(f"{name}: size {size} is larger than x, {_check.describe(x)} with its padding {edges}")
    return x, size


def _size(name: str, size: Size) -> tuple[int, int]:
    h, w = per_axis(size, 2, what="size", name=name, least=1)
    return h, w
