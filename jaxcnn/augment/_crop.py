"""Crops of one size: the same rectangle, or one an image, random or in the middle. Boxes brought to one size: `_resized_crop`."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Int, Shaped

from jaxcnn.functional import _check
from jaxcnn.functional._pad import MODES, pad_pairs
from jaxcnn.functional._widened import widened
from jaxcnn.geometry import per_axis

from ._meshes import on_meshes

Size = int | Sequence[int]


@on_meshes
def crop(
    x: Shaped[Array, "n h w c"],
    corner: Int[Array, "n 2"],
    size: Size,
    *,
    padding: Size = 0,
    padding_mode: str = "zeros",
) -> Shaped[Array, "n oh ow c"]:
    """The rectangle of `size` (height, width) whose first pixel is `corner` (y, x), one or one an image.

    A corner too far out, on either side, is moved to where the rectangle lies inside.

    Args:
        corner: integers of any dtype; negative ones lie above and to the left of the images.
        padding: pixels put around the images first, before corners are counted.
        padding_mode: "zeros", "reflect", "replicate" or "circular".

    Raises: ValueError if the rectangle is larger than the padded image. TypeError for corners that are not integers.

    >>> crop(jnp.arange(9.0).reshape(1, 3, 3, 1), jnp.array([1, 0]), (1, 2)).ravel().tolist()
    [3.0, 4.0]
    """
    dtype, (x, size) = _check.images("crop", x, 2).dtype, _padded("crop", x, size, padding, padding_mode)
    corner = _corners(corner, x.shape[0], [x.shape[axis + 1] - size[axis] for axis in (0, 1)])
    cut = lambda image, at: jax.lax.dynamic_slice(image, (at[0], at[1], jnp.int32(0)), (*size, image.shape[-1]))
    return jax.vmap(cut)(x, corner).astype(dtype)


@on_meshes
def center_crop(x: Shaped[Array, "n h w c"], size: Size) -> Shaped[Array, "n oh ow c"]:
    """The middle of the images; half a pixel too far up or left where it does not come out even.

    >>> center_crop(jnp.arange(9.0).reshape(1, 3, 3, 1), 1).item()
    4.0
    """
    dtype, (x, (h, w)) = _check.images("center_crop", x, 2).dtype, _padded("center_crop", x, size, 0, "zeros")
    top, left = (x.shape[1] - h) // 2, (x.shape[2] - w) // 2
    return x[:, top : top + h, left : left + w].astype(dtype)


@on_meshes
def random_crop(
    key: Array, x: Shaped[Array, "n h w c"], size: Size, *, padding: Size = 0, padding_mode: str = "zeros"
) -> Shaped[Array, "n oh ow c"]:
    """From each image a rectangle of `size` at its own random place; else as `crop`.

    >>> random_crop(jax.random.key(0), jnp.ones((2, 32, 32, 3)), 32, padding=4, padding_mode="reflect").shape
    (2, 32, 32, 3)
    """
    key = _check.random_key("random_crop", key)
    dtype, (x, size) = _check.images("random_crop", x, 2).dtype, _padded("random_crop", x, size, padding, padding_mode)
    room = jnp.array([[x.shape[1] - size[0] + 1, x.shape[2] - size[1] + 1]])
    return crop(x, jax.random.randint(key, (x.shape[0], 2), 0, room), size).astype(dtype)


def _corners(corner: Any, images: int, room: Sequence[int]) -> Array:
    """Corners `(n, 2)` in int32, from 0 to `room`: `dynamic_slice` would count a negative one from the other side."""
    if isinstance(corner, np.ndarray) and corner.dtype.kind in "iu":  # as a JAX array a large one might wrap around
        corner = np.clip(corner, 0, max(room)).astype(np.int32)
    corner = _check.array("crop", "corner", corner)
    if corner.shape not in ((2,), (images, 2)):
        raise ValueError(f"crop: corner is {_check.describe(corner)}; give y, x once or for each image")
    if not jnp.issubdtype(corner.dtype, jnp.integer):
        raise TypeError(f"crop: corner is {_check.describe(corner)}; it must hold integers")
    corner = corner.astype(jnp.int32) if corner.dtype.itemsize < 4 else corner
    corner = jnp.broadcast_to(corner, (images, 2))
    return jnp.clip(corner, jnp.zeros((1, 2), corner.dtype), jnp.array([room], corner.dtype)).astype(jnp.int32)


def _padded(name: str, x: Array, size: Size, padding: Size, padding_mode: str) -> tuple[Array, tuple[int, int]]:
    """The images with their padding, 16-bit floats in float32: the derivatives of padding and cropping are sums."""
    x, size = _check.images(name, x, 2), sizes(name, size)
    edges = per_axis(padding, 2, what="padding", name=name, least=0)
    _check.one_of(name, "padding_mode", padding_mode, MODES)
    dtype, x = x.dtype, pad_pairs(name, widened(x), [(edge, edge) for edge in edges], padding_mode)
    if size[0] > x.shape[1] or size[1] > x.shape[2]:
        padded = _check.describe(jax.ShapeDtypeStruct(x.shape, dtype))
        raise ValueError(f"{name}: size {size} is larger than x, {padded} with its padding {edges}")
    return x, size


def sizes(name: str, size: Size) -> tuple[int, int]:
    """Height and width."""
    h, w = per_axis(size, 2, what="size", name=name, least=1)
    return h, w
