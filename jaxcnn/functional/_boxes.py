"""What every operation on boxes checks, and where a box's image and bins are."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from jaxcnn.geometry import per_axis

from . import _check, _numbers
from ._numbers import Number
from ._widened import widened


def checked(
    name: str, x: Array, boxes: Array, box_index: Array, output_size: int | Sequence[int], spatial_scale: Number
) -> tuple[Array, Array, Array, tuple[int, ...]]:
    """Images, boxes in pixels of x (in float32 at least) and their images as arrays, and bins an axis.

    Raises: ValueError and TypeError in the name of the operation.
    """
    x = _check.images(name, x, 2)
    boxes, box_index = _check.array(name, "boxes", boxes), _check.array(name, "box_index", box_index)
    _check_boxes(name, x, boxes, box_index)
    bins = per_axis(output_size, 2, what="output_size", name=name, least=1)
    boxes = widened(boxes)
    scale = _numbers.of_dtype(name, "spatial_scale", spatial_scale, boxes.dtype, above=0)
    return x, boxes * scale, box_index, bins


def check_sensitive(name: str, x: Array, bins: tuple[int, ...]) -> None:
    """Refuse channels that are no multiple of the bins."""
    if x.shape[-1] % (bins[0] * bins[1]):
        raise ValueError(
            f"{name}: x is {_check.describe(x)}; its channels must be a multiple of the {bins[0] * bins[1]} bins "
            f"of output_size={bins}"
        )


def image_of_box(box_index: Array, images: int) -> tuple[Array, Array]:
    """The image of each box, some image where there is none, and whether there is one."""
    box_index = box_index.astype(jnp.int32) if box_index.dtype.itemsize < 4 else box_index
    known = (box_index >= 0) & (box_index < images)
    return jnp.where(known, box_index, 0), known


def without_unknown(y: Array, known: Array) -> Array:
    """y `(k, h, w, c)` with NaN for the boxes that lie on no image; outside `jit` there are none, so no NaN is written there."""
    return jnp.where(known[:, None, None, None], y, jnp.nan) if isinstance(known, Tracer) else y


def by_bin(x: Array, bins: tuple[int, ...]) -> Array:
    """Position-sensitive maps apart: bin b of image i is image i · bins + b of `(n · bins, h, w, c / bins)`."""
    n, h, w, c = x.shape
    count = bins[0] * bins[1]
    return jnp.moveaxis(x.reshape(n, h, w, c // count, count), -1, 1).reshape(n * count, h, w, c // count)


def _check_boxes(name: str, x: Array, boxes: Array, box_index: Array) -> None:
    _check.floating(name, x)
    _check.floating(name, boxes, "boxes")
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name}: boxes is {_check.describe(boxes)}; it must have the axes (k, 4), y0, x0, y1, x1")
    if not jnp.issubdtype(box_index.dtype, jnp.integer):
        raise TypeError(f"{name}: box_index is {_check.describe(box_index)}; it must hold integers")
    if box_index.shape != boxes.shape[:1]:
        raise ValueError(
            f"{name}: box_index is {_check.describe(box_index)}; it must have the shape ({len(boxes)},), one image a box"
        )
    if len(boxes) and not len(x):
        raise ValueError(
            f"{name}: x is {_check.describe(x)} without an image, but boxes has {len(boxes)}; both need some"
        )
    if isinstance(box_index, Tracer) or not len(boxes):
        return
    known = np.asarray(box_index)  # concrete also where a function under jit closes over it
    low, high = int(known.min()), int(known.max())
    if low < 0 or high >= len(x):
        raise ValueError(
            f"{name}: box_index reaches from {low} to {high}; x has {len(x)} images, use 0 to {len(x) - 1}"
        )
