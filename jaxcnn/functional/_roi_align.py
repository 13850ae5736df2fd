"""Regions of images as maps of one size: `roi_align`.

The box is divided into h × w bins, and each bin is the mean of a grid of points in it, where point i of g lies at (i + ½) / g of
the bin's side and has the colour of the four pixels around it. Up to a pixel beyond the image the border pixel goes on, and
further out a point counts as 0. torchvision's `roi_align`, but boxes are (y, x) and they, too, have a gradient.
Reference: He et al., Mask R-CNN (2017).
"""

from collections.abc import Sequence
from functools import partial
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jaxtyping import Float, Int

from jaxcnn.geometry import per_axis

from . import _check
from ._accumulated import accumulated
from ._grid_sample import sample
from ._widened import widened
from .engine import placed

NAME = "roi_align"


def roi_align(
    x: Float[Array, "n h w c"],
    boxes: Float[Array, "k 4"],
    box_index: Int[Array, " k"],
    output_size: int | Sequence[int],
    *,
    spatial_scale: float = 1.0,
    sampling_ratio: int | None = None,
    aligned: bool = True,
) -> Float[Array, "k h_out w_out c"]:
    """What each box shows of its image, in the dtype of x.

    Args:
        boxes: `(y0, x0, y1, x1)` in pixels of the original image, edges: the first pixel is 0 to 1. From torchvision
            `boxes[:, [1, 0, 3, 2]]`. Any floating dtype.
        box_index: which of the images each box is on.
        output_size: bins, an int or height and width.
        spatial_scale: pixels of x for one of the original image, such as 1/16.
        sampling_ratio: g, points of a bin on each axis. None takes ⌈box / bins⌉ for each box, as torchvision's -1, and at most
            ⌈image / bins⌉, which only a box larger than the image notices; as many points are then visited for every box, so
            a number (2 is usual) is much faster.
        aligned: pixel centres at +0.5. False is torchvision's default: centres at whole numbers, half a pixel off, and boxes
            of at least one pixel.

    Raises: ValueError for shapes that do not fit, numbers out of range and, outside `jit`, a `box_index` that names no image;
        inside `jit` such a box is NaN. TypeError for another dtype.

    >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    >>> roi_align(x, jnp.array([[0.0, 1.0, 2.0, 3.0]]), jnp.array([0]), 2, sampling_ratio=1)[0, :, :, 0].tolist()
    [[1.0, 2.0], [5.0, 6.0]]
    """
    x = _check.images(NAME, x, 2)
    boxes, box_index = _check.array(NAME, "boxes", boxes), _check.array(NAME, "box_index", box_index)
    _check_boxes(x, boxes, box_index)
    bins = per_axis(output_size, 2, what="output_size", name=NAME, least=1)
    if isinstance(spatial_scale, bool) or not isinstance(spatial_scale, int | float | np.number):
        raise TypeError(f"{NAME}: spatial_scale={spatial_scale!r} must be a number")
    if not spatial_scale > 0:
        raise ValueError(f"{NAME}: spatial_scale={spatial_scale!r} must be positive")
    if sampling_ratio is not None:
        (sampling_ratio,) = per_axis(sampling_ratio, 1, what="sampling_ratio", name=NAME, least=1)
    if not len(boxes):
        return jnp.zeros((0, *bins, x.shape[-1]), x.dtype)
    shift = 0.5 if aligned else 0.0
    options = {"bins": bins, "scale": float(spatial_scale), "ratio": sampling_ratio, "shift": shift}
    return placed(_aligned, boxes, x, box_index, **options)


@partial(jax.jit, static_argnames=("bins", "scale", "ratio", "shift"))
def _aligned(boxes: Array, x: Array, box_index: Array, bins, scale: float, ratio: int | None, shift: float) -> Array:
    edges = widened(boxes) * scale - shift
    start, side = edges[:, :2], edges[:, 2:] - edges[:, :2]  # (k, 2)
    side = side if shift else jnp.maximum(side, 1)
    number = edges.dtype
    space, counts = np.array(x.shape[1:3]), np.asarray(bins, number)
    most = -(-space // bins) if ratio is None else np.array([ratio, ratio])
    points = jnp.clip(jnp.ceil(side / counts), 0, most.astype(number)) if ratio is None else jnp.full_like(side, ratio)
    box_index = box_index.astype(jnp.int32) if box_index.dtype.itemsize < 4 else box_index
    known = (box_index >= 0) & (box_index < x.shape[0])
    image = jnp.where(known, box_index, 0)
    bin_number = jnp.stack(jnp.meshgrid(*(jnp.arange(b, dtype=number) for b in bins), indexing="ij"), -1)  # (h, w, 2)
    bin_side = (side / counts)[:, None, None]
    corner = start[:, None, None] + bin_number * bin_side  # (k, h, w, 2)

    def term(step: Array) -> Array:
        part = (step.astype(number) + 0.5) / jnp.maximum(points, 1)  # (k, 2) of a bin
        at = corner + part[:, None, None] * bin_side
        near = jnp.all((at >= -1) & (at <= space.astype(number)), -1, keepdims=True)
        seen = near & jnp.all(step.astype(number) < points, -1)[:, None, None, None]
        colour = sample(widened(x), at, image=image, method="linear", padding_mode="border")
        return jnp.where(seen, colour, jnp.zeros_like(colour))

    total = accumulated(term, jnp.asarray(list(np.ndindex(*most)), jnp.int32))  # (k, h, w, c)
    mean = total / jnp.maximum(prod(jnp.moveaxis(points, -1, 0)), 1).astype(total.dtype)[:, None, None, None]
    return jnp.where(known[:, None, None, None], mean, jnp.nan).astype(x.dtype)


def _check_boxes(x: Array, boxes: Array, box_index: Array) -> None:
    _check.floating(NAME, x)
    _check.floating(NAME, boxes, "boxes")
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{NAME}: boxes is {_check.describe(boxes)}; it must have the axes (k, 4), y0, x0, y1, x1")
    if not jnp.issubdtype(box_index.dtype, jnp.integer):
        raise TypeError(f"{NAME}: box_index is {_check.describe(box_index)}; it must hold integers")
    if box_index.shape != boxes.shape[:1]:
        raise ValueError(
            f"{NAME}: box_index is {_check.describe(box_index)}; it must have the shape ({len(boxes)},), one image a box"
        )
    if len(boxes) and not len(x):
        raise ValueError(
            f"{NAME}: x is {_check.describe(x)} without an image, but boxes has {len(boxes)}; both need some"
        )
    if isinstance(box_index, Tracer) or not len(boxes):
        return
    known = np.asarray(box_index)  # concrete also where a function under jit closes over it
    low, high = int(known.min()), int(known.max())
    if low < 0 or high >= len(x):
        raise ValueError(
            f"{NAME}: box_index reaches from {low} to {high}; x has {len(x)} images, use 0 to {len(x) - 1}"
        )
