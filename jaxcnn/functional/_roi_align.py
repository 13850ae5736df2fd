"""Regions of images as maps of one size: `roi_align`, `ps_roi_align`.

The box is divided into h × w bins, and each bin is the mean of a grid of points in it, where point i of g lies at (i + ½) / g of
the bin's side and has the colour of the four pixels around it. Up to a pixel beyond the image the border pixel goes on, and
further out a point counts as 0. torchvision's functions, but boxes are (y, x) and they, too, have a gradient. The
position-sensitive one has channels of its own for each bin: x has the channels (c, h, w), and bin (i, j) reads (c, i, j).
References: He et al., Mask R-CNN (2017); Li et al., Light-head R-CNN (2017).
"""

from collections.abc import Sequence
from functools import partial
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, Int

from jaxcnn.geometry import per_axis

from ._accumulated import accumulated
from ._boxes import by_bin, check_sensitive, checked, image_of_box, without_unknown
from ._broadcast import of_rank
from ._grid_sample import sample
from ._numbers import Number
from ._widened import widened
from .engine import placed


def roi_align(
    x: Float[Array, "n h w c"],
    boxes: Float[Array, "k 4"],
    box_index: Int[Array, " k"],
    output_size: int | Sequence[int],
    *,
    spatial_scale: Number = 1.0,
    sampling_ratio: int | None = None,
    aligned: bool = True,
) -> Float[Array, "k h_out w_out c"]:
    """What each box shows of its image, in the dtype of x.

    Args:
        boxes: `(y0, x0, y1, x1)` in pixels of the original image, edges: the first pixel is 0 to 1. From torchvision
            `boxes[:, [1, 0, 3, 2]]`. Any floating dtype.
        box_index: which of the images each box is on.
        output_size: bins, an int or height and width.
        spatial_scale: pixels of x for one of the original image, such as 1/16; a number or an array of one.
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
    shift = 0.5 if aligned else 0.0
    return _resolved("roi_align", x, boxes, box_index, output_size, spatial_scale, sampling_ratio, shift, False)


def ps_roi_align(
    x: Float[Array, "n h w c·h_out·w_out"],
    boxes: Float[Array, "k 4"],
    box_index: Int[Array, " k"],
    output_size: int | Sequence[int],
    *,
    spatial_scale: Number = 1.0,
    sampling_ratio: int | None = None,
) -> Float[Array, "k h_out w_out c"]:
    """`roi_align` with the channels of each bin its own; arguments as there, pixel centres at +0.5 (torchvision's rule too).

    Raises: as `roi_align`; ValueError for channels that are no multiple of the bins.

    >>> x = jnp.stack([jnp.full((4, 4), bin) for bin in (1.0, 2.0, 3.0, 4.0)], -1)[None]
    >>> ps_roi_align(x, jnp.array([[0.0, 1.0, 2.0, 3.0]]), jnp.array([0]), 2)[0, :, :, 0].tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    return _resolved("ps_roi_align", x, boxes, box_index, output_size, spatial_scale, sampling_ratio, 0.5, True)


def _resolved(
    name: str, x, boxes, box_index, output_size, spatial_scale, ratio, shift: float, sensitive: bool
) -> Array:
    x, boxes, box_index, bins = checked(name, x, boxes, box_index, output_size, spatial_scale)
    if ratio is not None:
        (ratio,) = per_axis(ratio, 1, what="sampling_ratio", name=name, least=1)
    if sensitive:
        check_sensitive(name, x, bins)
    if not len(boxes):
        return jnp.zeros((0, *bins, x.shape[-1] // (prod(bins) if sensitive else 1)), x.dtype)
    options = {"bins": bins, "ratio": ratio, "shift": shift, "sensitive": sensitive}
    return placed(_aligned, boxes, x, box_index, **options)


@partial(jax.jit, static_argnames=("bins", "ratio", "shift", "sensitive"))
def _aligned(boxes: Array, x: Array, box_index: Array, bins, ratio: int | None, shift: float, sensitive):
    edges = boxes - shift
    start, side = edges[:, :2], edges[:, 2:] - edges[:, :2]  # (k, 2)
    side = side if shift else jnp.maximum(side, 1)
    number = edges.dtype
    space, counts = np.array(x.shape[1:3]), np.asarray(bins, number)[None]
    most = -(-space // bins) if ratio is None else np.array([ratio, ratio])
    points = (
        jnp.clip(jnp.ceil(side / counts), 0, most[None].astype(number)) if ratio is None else jnp.full_like(side, ratio)
    )
    image, known = image_of_box(box_index, x.shape[0])
    images = by_bin(widened(x), bins) if sensitive else widened(x)
    image = (
        (prod(bins) * image[:, None] + np.arange(prod(bins), dtype=image.dtype)[None]).ravel() if sensitive else image
    )
    bin_number = jnp.stack(jnp.meshgrid(*(jnp.arange(b, dtype=number) for b in bins), indexing="ij"), -1)[None]
    bin_side = (side / counts)[:, None, None]
    corner = start[:, None, None] + bin_number * bin_side  # (k, h, w, 2)
    last = of_rank(space.astype(number), corner.ndim)

    def term(step: Array) -> Array:
        part = (step.astype(number)[None] + 0.5) / jnp.maximum(points, 1)  # (k, 2) of a bin
        at = corner + part[:, None, None] * bin_side
        near = jnp.all((at >= -1) & (at <= last), -1, keepdims=True)
        seen = near & jnp.all(step.astype(number)[None] < points, -1)[:, None, None, None]
        at = at.reshape(*image.shape, -1, 2)  # (k, h · w, 2), or (k · h · w, 1, 2) of position-sensitive maps
        colour = sample(images, at, image=image, method="linear", padding_mode="border")
        colour = colour.reshape(*seen.shape[:-1], -1)  # (k, h, w, c)
        return jnp.where(seen, colour, jnp.zeros_like(colour))

    total = accumulated(term, jnp.asarray(list(np.ndindex(*most)), jnp.int32))  # (k, h, w, c)
    mean = total / jnp.maximum(prod(jnp.moveaxis(points, -1, 0)), 1).astype(total.dtype)[:, None, None, None]
    return without_unknown(mean, known).astype(x.dtype)
