"""Colours of an image between its pixels: `grid_sample`, `affine_grid`, `rotate`.

    y[p] = Σ_q w(p_y − q_y) · w(p_x − q_x) · x[q]

over the 1, 4 or 16 pixels q around each point p, of a line or a volume alike: w is the box ("nearest", halves to the even pixel),
the triangle ("linear") or Keys' cubic with a = -0.75. Points are (y, x), as everywhere here, in [-1, 1]: -1 and 1 are the outer
edges of the image or, with `align_corners`, the centres of its first and last pixels. Everything but this order is PyTorch's:

    grid = torch_grid[..., ::-1],    theta = torch_theta[:, ::-1, [1, 0, 2]]    of volumes [:, ::-1, [2, 1, 0, 3]]

Beyond the image: "zeros"; "border", where the border pixel goes on; "reflection" about the edges (with `align_corners` about the
centres of the border pixels). Reference: Jaderberg et al., Spatial transformer networks (2015).
"""

import itertools
import math
from collections.abc import Sequence
from functools import reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from jaxcnn.geometry import per_axis

from . import _check
from ._broadcast import of_rank
from ._numbers import one_or_each
from ._widened import widened
from .engine import placed

METHODS = ("nearest", "linear", "cubic")
PADDING_MODES = ("zeros", "border", "reflection")
Tap = tuple[Array, Array, Array]  # pixel number, weight, whether it lies inside; each (n, *outputs)


def affine_grid(
    theta: Float[Array, "n axes axes+1"], size: int | Sequence[int], *, align_corners: bool = False
) -> Float[Array, "n *size axes"]:
    """Points (y, x) in [-1, 1] for `grid_sample`: output pixel (y, x) looks at `theta · (y, x, 1)`, in float32 at least.

    Args:
        theta: rows y and x, columns y, x and shift; `(n, 2, 3)` for planes, `(n, 1, 2)` lines, `(n, 3, 4)` volumes.
        size: of the output, height and width; an int means every axis.
        align_corners: as `grid_sample` will be told.

    Raises: ValueError for another shape of theta or a size below 1. TypeError for theta that is not floating point.

    >>> affine_grid(jnp.array([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.5]]]), (1, 2)).tolist()
    [[[[0.0, 0.0], [0.0, 1.0]]]]
    """
    theta = _check.array("affine_grid", "theta", theta)
    _check.floating("affine_grid", theta, "theta")
    if theta.ndim != 3 or theta.shape[1:] not in ((1, 2), (2, 3), (3, 4)):
        axes = "(n, 2, 3), of a line (n, 1, 2), of a volume (n, 3, 4)"
        raise ValueError(f"affine_grid: theta is {_check.describe(theta)}; it must have the axes {axes}")
    rank = theta.shape[1]
    sizes = per_axis(size, rank, what="size", name="affine_grid", least=1)
    theta = widened(theta).reshape(theta.shape[0], *(1,) * rank, rank, rank + 1)  # (n, 1, …, 1, axes, axes + 1)
    steps = [jnp.arange(n, dtype=theta.dtype) for n in sizes]
    line = [2 * i / max(n - 1, 1) - int(n > 1) if align_corners else (2 * i + 1) / n - 1 for i, n in zip(steps, sizes)]
    points = jnp.meshgrid(*line, indexing="ij")  # one (*size) an axis
    return sum((p[None, ..., None] * theta[..., i] for i, p in enumerate(points)), start=theta[..., rank])


def grid_sample(
    x: Float[Array, "n *space c"],
    grid: Float[Array, "n *outputs axes"],
    *,
    method: str = "linear",
    padding_mode: str = "zeros",
    align_corners: bool = False,
) -> Float[Array, "n *outputs c"]:
    """The colours of each image at its own points, in the dtype of x, differentiable in x and grid.

    A point sees the 1, 4 or 16 pixels around it, those whose weight is 0 because it lies on a pixel's centre too: a NaN
    among them makes it NaN, as PyTorch's does. What it does not see, it does not spread.
    A NaN coordinate gives NaN, as does an infinite one with "reflection". Where the derivative in the grid jumps (at pixel
    centres, at the border) it is that of one side, which need not be PyTorch's; with "nearest" it is 0.

    Args:
        grid: points (y, x) in [-1, 1], of a volume (z, y, x); PyTorch's are (x, y): `grid = torch_grid[..., ::-1]`. Any
            floating dtype, best float32 also for 16-bit images.
        method: "nearest", "linear" or "cubic".
        padding_mode: what lies beyond the image: "zeros", "border" or "reflection".
        align_corners: whether -1 and 1 are the centres of the border pixels instead of their outer edges.

    Raises: ValueError for shapes that do not fit and unknown words. TypeError for what is not floating point.

    >>> x = jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, ..., None]
    >>> grid_sample(x, jnp.array([[[[0.0, 0.0], [-0.5, 0.5]]]]))[..., 0].tolist()
    [[[2.5, 2.0]]]
    """
    x, grid = _check.images("grid_sample", x), _check.array("grid_sample", "grid", grid)
    _check.floating("grid_sample", x)
    _check.floating("grid_sample", grid, "grid")
    rank = x.ndim - 2
    if grid.ndim != x.ndim or grid.shape[0] != x.shape[0] or grid.shape[-1] != rank:
        axes = f"({x.shape[0]}, {', '.join('dhw'[-rank:])}, {rank})"
        raise ValueError(f"grid_sample: grid is {_check.describe(grid)}; it must have the axes {axes}")
    _check.one_of("grid_sample", "method", method, METHODS)
    _check.one_of("grid_sample", "padding_mode", padding_mode, PADDING_MODES)
    size = of_rank(np.asarray(x.shape[1:-1], widened(grid).dtype), grid.ndim)
    at = (widened(grid) + 1) / 2 * (size - 1) if align_corners else ((widened(grid) + 1) * size - 1) / 2
    return sample(x, at, method=method, padding_mode=padding_mode, align_corners=align_corners)


def rotate(
    x: Float[Array, "n h w c"],
    degrees: float | Float[Array, " n"],
    *,
    method: str = "linear",
    fill: float | Float[Array, " c"] = 0.0,
) -> Float[Array, "n h w c"]:
    """Turns the images counter-clockwise about their centre; the size stays, and what comes from outside has the colour `fill`.

    Which pixels a pixel sees is what `grid_sample` says.

    Args:
        degrees: one finite angle, or one an image; differentiable.
        fill: one number, or one a channel; differentiable, and NaN marks what comes from outside.

    Raises: ValueError for an unknown method or shapes that do not fit. TypeError for x that is not floating point.

    >>> rotate(jnp.array([[1.0, 2.0], [3.0, 4.0]])[None, ..., None], 90, method="nearest")[0, ..., 0].tolist()
    [[2.0, 4.0], [1.0, 3.0]]
    """
    x = _check.images("rotate", x, 2)
    _check.floating("rotate", x)
    _check.one_of("rotate", "method", method, METHODS)
    (n, h, w, c), dtype = x.shape, widened(x).dtype
    angle = one_or_each("rotate", "degrees", degrees, n, "images", dtype, above=-math.inf, below=math.inf)
    colour = one_or_each("rotate", "fill", fill, c, "channels", dtype, nan=True)
    angle = jnp.broadcast_to(jnp.deg2rad(angle), (n,))[:, None, None]
    middle = [(h - 1) / 2, (w - 1) / 2]
    row = jnp.arange(h, dtype=dtype)[None, :, None] - middle[0]
    column = jnp.arange(w, dtype=dtype)[None, None] - middle[1]
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    at = jnp.stack([cosine * row + sine * column + middle[0], cosine * column - sine * row + middle[1]], -1)
    return sample(x, at, method=method, padding_mode="zeros", fill=colour)


def sample(
    x: Array,
    at: Array,
    *,
    method: str,
    padding_mode: str,
    align_corners: bool = False,
    fill: Array | float = 0.0,
    image: Array | None = None,
) -> Array:
    """The colours at the points `at` (n, *outputs, axes), in pixels: pixel centres are whole numbers. "zeros" means `fill`:
    one number, or one a channel on its last axis.

    `image` says which of the images each row of points is on, if not each on its own.
    """
    options = {"method": method, "padding_mode": padding_mode, "align_corners": align_corners}
    colour = jnp.asarray(fill, widened(x).dtype)
    colour = colour.reshape(*(1,) * (at.ndim - 1), -1)  # (1, …, 1, c)
    if image is not None:
        return placed(_at_images, at, image, x, colour, **options)
    return placed(_at_points, x, at, colour, **options)


def _at_images(at: Array, image: Array, x: Array, outside: Array, **options) -> Array:
    return _at_points(x, at, outside, image, **options)


def _at_points(
    x: Array,
    at: Array,
    outside: Array,
    image: Array | None = None,
    *,
    method: str,
    padding_mode: str,
    align_corners: bool,
) -> Array:
    wide, axes = widened(x), enumerate(x.shape[1:-1])
    taps = [_taps(at[..., axis], n, method, padding_mode, align_corners) for axis, n in axes]
    y = jnp.zeros((*at.shape[:-1], x.shape[-1]), wide.dtype)
    for pixels, weights, inside in (zip(*corner) for corner in itertools.product(*taps)):
        colour = _picked(wide, image, pixels)  # (n, *outputs, c)
        if padding_mode == "zeros":
            colour = jnp.where(reduce(jnp.logical_and, inside)[..., None], colour, outside)
        y = y + reduce(jnp.multiply, weights).astype(wide.dtype)[..., None] * colour
    return y.astype(x.dtype)


def _picked(x: Array, image: Array | None, pixels: Sequence[Array]) -> Array:
    """The pixels of each image, mapped so that a batch split over devices is not gathered; or of the images `image`."""
    if image is not None:
        return x.at[image.reshape(-1, *(1,) * (pixels[0].ndim - 1)), *pixels].get(mode="clip")
    return jax.vmap(lambda x, *pixels: x.at[pixels].get(mode="clip"))(x, *pixels)


def _taps(t: Array, n: int, method: str, padding_mode: str, align_corners: bool) -> list[Tap]:
    """The pixels around each coordinate of one axis."""
    # no tap inside is lost, and no coordinate too large for an integer is left
    t = _fold(t, n, align_corners) if padding_mode == "reflection" else jnp.clip(t, -3, n + 2)
    first = lax.stop_gradient(jnp.round(t) if method == "nearest" else jnp.floor(t))
    taps = []
    for step, weight in _weights(t - first, method):
        pixel = first.astype(jnp.int32) + step
        inside = (pixel >= 0) & (pixel < n)
        pixel = _fold_pixel(pixel, n, align_corners) if padding_mode == "reflection" else jnp.clip(pixel, 0, n - 1)
        taps.append((pixel, weight, inside))
    return taps


def _weights(f: Array, method: str) -> list[tuple[int, Array]]:
    """Steps from the first pixel and their weights, for the part f of a step beyond it."""
    if method == "nearest":
        return [(0, lax.stop_gradient(jnp.where(jnp.isnan(f), f, jnp.ones_like(f))))]
    if method == "linear":
        return [(0, 1 - f), (1, f)]
    a = -0.75
    near = lambda d: ((a + 2) * d - (a + 3)) * d * d + 1
    far = lambda d: (((d - 5) * d + 8) * d - 4) * a
    return [(-1, far(f + 1)), (0, near(f)), (1, near(1 - f)), (2, far(2 - f))]


def _fold(t: Array, n: int, align_corners: bool) -> Array:
    """Reflects a coordinate into the image: about the pixel centres 0 and n - 1, or the edges half a pixel further."""
    low, span = (0.0, n - 1) if align_corners else (-0.5, n)
    if span == 0:
        return jnp.zeros_like(t)
    around = (t - low) % (2 * span)
    return jnp.where(around < span, around, 2 * span - around) + low


def _fold_pixel(pixel: Array, n: int, align_corners: bool) -> Array:
    """The same for whole numbers."""
    period = max(2 * (n - 1), 1) if align_corners else 2 * n
    around = pixel % period
    return jnp.minimum(around, period - around if align_corners else period - 1 - around)
