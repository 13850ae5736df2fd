"""The largest and the mean number of regions of images: `roi_pool`, `ps_roi_pool`.

The corners of a box are rounded to whole pixels, halves away from 0, and the box of s pixels is divided into bins: bin b of n has
the pixels ⌊b s / n⌋ to ⌈(b + 1) s / n⌉ − 1 of it that lie on the image, so that neighbours may share one. A bin without a pixel
is 0.

torchvision's functions, but boxes are (y, x), and bins are found in whole numbers, where its rounding sometimes adds a row. Its
`ps_roi_pool` leaves out the last row and column of the image, though not in its gradient; here they count.
References: Girshick, Fast R-CNN (2015); Dai et al., R-FCN (2016).
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, Int

from ._accumulated import accumulated
from ._boxes import by_bin, check_sensitive, checked, image_of_box, without_unknown
from ._broadcast import of_rank
from ._numbers import Number
from ._widened import widened
from .engine import placed

FAR = 1 << 20  # corners further out are taken for this, so that whole numbers of 32 bits suffice


def roi_pool(
    x: Float[Array, "n h w c"],
    boxes: Float[Array, "k 4"],
    box_index: Int[Array, " k"],
    output_size: int | Sequence[int],
    *,
    spatial_scale: Number = 1.0,
) -> Float[Array, "k h_out w_out c"]:
    """The largest number of each bin, whose first pixel gets the gradient; a box has at least one pixel, its last one included.

    A NaN is the largest. The arguments are `roi_align`'s; boxes have no gradient.

    Raises: ValueError for shapes that do not fit, numbers out of range and, outside `jit`, a `box_index` that names no image;
        inside `jit` such a box is NaN. TypeError for another dtype.

    >>> x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    >>> roi_pool(x, jnp.array([[0.0, 1.0, 2.0, 3.0]]), jnp.array([0]), 2)[0, :, :, 0].tolist()
    [[6.0, 7.0], [10.0, 11.0]]
    """
    x, boxes, box_index, bins = checked("roi_pool", x, boxes, box_index, output_size, spatial_scale)
    if not len(boxes):
        return jnp.zeros((0, *bins, x.shape[-1]), x.dtype)
    return placed(_largest, boxes, x, box_index, bins=bins)


def ps_roi_pool(
    x: Float[Array, "n h w c·h_out·w_out"],
    boxes: Float[Array, "k 4"],
    box_index: Int[Array, " k"],
    output_size: int | Sequence[int],
    *,
    spatial_scale: Number = 1.0,
) -> Float[Array, "k h_out w_out c"]:
    """The mean of each bin, which has channels of its own: x has the channels (c, h, w), and bin (i, j) reads (c, i, j).

    A box ends before the pixel that its far corner is on, but has at least one. The arguments are `roi_align`'s; boxes have no
    gradient.

    Raises: as `roi_pool`; ValueError for channels that are no multiple of the bins.

    >>> x = jnp.arange(16.0).reshape(1, 2, 2, 4)
    >>> ps_roi_pool(x, jnp.array([[0.0, 0.0, 2.0, 2.0]]), jnp.array([0]), 2)[0, :, :, 0].tolist()
    [[0.0, 5.0], [10.0, 15.0]]
    """
    x, boxes, box_index, bins = checked("ps_roi_pool", x, boxes, box_index, output_size, spatial_scale)
    check_sensitive("ps_roi_pool", x, bins)
    if not len(boxes):
        return jnp.zeros((0, *bins, x.shape[-1] // prod(bins)), x.dtype)
    return placed(_means, boxes, x, box_index, bins=bins)


@partial(jax.jit, static_argnames="bins")
def _largest(boxes: Array, x: Array, box_index: Array, bins: tuple[int, int]) -> Array:
    image, known = image_of_box(box_index, x.shape[0])
    (n, h, w, c), rows = x.shape, image[:, None, None]
    first, count = _bins(boxes, (h, w), bins, last=1)
    pixel = _winner(lax.stop_gradient(x), first, count, rows)  # (k, h_out, w_out, c)
    colour = widened(x).reshape(n, h * w, c)[rows[..., None], jnp.maximum(pixel, 0), np.arange(c)]
    y = jnp.where(pixel >= 0, colour, jnp.zeros_like(colour))
    return without_unknown(y, known).astype(x.dtype)


def _winner(x: Array, first: Array, count: Array, rows: Array) -> Array:
    """The number of the first of the largest pixels of every bin, −1 where it has none."""
    width = jnp.maximum(jnp.max(count[..., 1]), 1)
    steps = jnp.max(count[..., 0]) * width

    def look(step: Array) -> tuple[Array, Array, Array]:
        at = first + of_rank(jnp.stack([step // width, step % width]), first.ndim)  # (k, h_out, w_out, 2)
        inside = jnp.all(at < first + count, -1, keepdims=True)
        y, x_ = at[..., 0], at[..., 1]
        return x.at[rows, y, x_].get(mode="clip"), (y * x.shape[2] + x_)[..., None], inside

    def better(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        step, best, pixel = state
        colour, number, inside = look(step)
        more = inside & ((pixel < 0) | (colour > best) | (jnp.isnan(colour) & ~jnp.isnan(best)))
        return step + 1, jnp.where(more, colour, best), jnp.where(more, number, pixel)

    colour, number, _ = look(jnp.int32(0))
    none = jnp.full_like(number, -1) + jnp.zeros_like(colour, jnp.int32)
    return lax.while_loop(lambda state: state[0] < steps, better, (jnp.int32(0), jnp.zeros_like(colour), none))[2]


@partial(jax.jit, static_argnames="bins")
def _means(boxes: Array, x: Array, box_index: Array, bins: tuple[int, int]) -> Array:
    image, known = image_of_box(box_index, x.shape[0])
    space, images = x.shape[1:3], by_bin(widened(x), bins)
    rows = prod(bins) * image[:, None, None] + np.arange(prod(bins), dtype=image.dtype).reshape(1, *bins)
    first, count = _bins(boxes, space, bins, last=0)

    def term(step: Array) -> Array:
        step = of_rank(step, first.ndim)
        at = first + step  # (k, h_out, w_out, 2)
        colour = images.at[rows, at[..., 0], at[..., 1]].get(mode="clip")
        return jnp.where(jnp.all(step < count, -1, keepdims=True), colour, jnp.zeros_like(colour))

    usual = tuple(
        min(n, -(-n // b) + 1) for n, b in zip(space, bins)
    )  # pixels of a bin of a box that fits on the image
    total: Callable[[tuple[int, ...]], Array] = lambda most: accumulated(
        term, jnp.asarray(list(np.ndindex(*most)), jnp.int32)
    )
    fits = jnp.all(count <= of_rank(np.array(usual, np.int32), count.ndim))
    y = total(space) if usual == space else lax.cond(fits, lambda: total(usual), lambda: total(space))
    y = y / jnp.maximum(jnp.prod(count, -1, keepdims=True, dtype=jnp.int32), 1).astype(y.dtype)
    return without_unknown(y, known).astype(x.dtype)


def _bins(boxes: Array, space: Sequence[int], bins: Sequence[int], last: int) -> tuple[Array, Array]:
    """The first pixel of every bin and how many it has on the image, `(k, h_out, w_out, 2)`."""
    corners = lax.round(lax.stop_gradient(boxes), lax.RoundingMethod.AWAY_FROM_ZERO)
    corners = jnp.clip(corners, -FAR, FAR).astype(jnp.int32)
    starts, counts = [], []
    for axis, (n, b) in enumerate(zip(space, bins)):
        start, side = corners[:, axis, None], jnp.maximum(corners[:, axis + 2] - corners[:, axis] + last, 1)[:, None]
        number = np.arange(b, dtype=np.int32)[None]
        low, high = number * side // b, -(-(number + 1) * side // b)  # (k, b)
        low, high = (jnp.clip(start + v, 0, n) for v in (low, high))
        starts.append(low)
        counts.append(high - low)
    every = lambda pair: jnp.stack(jnp.broadcast_arrays(pair[0][:, :, None], pair[1][:, None, :]), -1)
    return every(starts), every(counts)
