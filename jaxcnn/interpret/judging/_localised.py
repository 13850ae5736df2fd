"""Whether a map points at the object: `pointing_game` and `energy_in_box`.

References: Zhang et al., Top-down neural attention by excitation backprop (2016); Wang et al., Score-CAM (2020), for the
energy.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Bool, Float

from ._maps import boxes, maps


def pointing_game(values: Float[Array, "n h w"], regions: Any, *, tolerance: float = 15.0) -> Bool[Array, " n"]:
    """Whether the largest number of each map lies on the object, or near it; the mean over images is the accuracy.

    The first of equal numbers counts. Distances are Euclidean, from the pixel's centre.

    Args:
        values: maps `(n, h, w)`, or `(n, h, w, c)`, of which the channels are added up.
        regions: boxes `(y0, x0, y1, x1)` in pixels, one, one an image `(n, 4)` or several an image `(n, k, 4)` of which one
            has to be met; or masks, bool `(n, h, w)`.
        tolerance: pixels beside the object that still count.

    Raises: ValueError for maps with NaN, and boxes without area or outside the image.

    >>> values = jnp.zeros((1, 40, 40)).at[0, 30, 5].set(1)
    >>> box = (0, 0, 20, 20)
    >>> bool(pointing_game(values, box)[0]), bool(pointing_game(values, box, tolerance=10)[0])
    (True, False)
    """
    values = maps("pointing_game", values)
    n, h, w = values.shape
    if not tolerance >= 0:
        raise ValueError(f"pointing_game: tolerance={tolerance} must be 0 pixels or more")
    given = boxes("pointing_game", regions, n, (h, w))
    y, x = jnp.unravel_index(values.reshape(n, -1).argmax(-1), (h, w))
    if given is None:
        away = jnp.square(jnp.arange(h)[:, None] - y[:, None, None]) + jnp.square(jnp.arange(w) - x[:, None, None])
        return (jnp.asarray(regions) & (away <= tolerance**2)).any((1, 2))
    y0, x0, y1, x1 = jnp.moveaxis(given, -1, 0)  # (n, k) each
    aside = lambda p, low, high: jnp.maximum(jnp.maximum(low - (p[:, None] + 0.5), p[:, None] + 0.5 - high), 0)
    return (jnp.square(aside(y, y0, y1)) + jnp.square(aside(x, x0, x1)) <= tolerance**2).any(-1)


def energy_in_box(values: Float[Array, "n h w"], regions: Any) -> Float[Array, " n"]:
    """The share of what is positive in each map that lies on the object; 0 for a map without anything positive.

    A pixel that a box cuts counts with the part that lies inside, one in several boxes once.

    Args:
        values: maps `(n, h, w)`, or `(n, h, w, c)`, of which the channels are added up.
        regions: as for `pointing_game`.

    Raises: as `pointing_game`.

    >>> energy_in_box(jnp.array([[[3.0, 1.0], [-5.0, 0.0]]]), (0, 0, 2, 1)).tolist()
    [0.75]
    """
    values = jnp.maximum(maps("energy_in_box", values), 0)
    n, h, w = values.shape
    given = boxes("energy_in_box", regions, n, (h, w))
    if given is None:
        share = jnp.asarray(regions).astype(values.dtype)
    else:
        y0, x0, y1, x1 = jnp.moveaxis(given, -1, 0)
        on = lambda low, high, size: jax.vmap(jax.vmap(lambda a, b: _covered(a, b, size)))(low, high)  # (n, k, size)
        share = (on(y0, y1, h)[..., :, None] * on(x0, x1, w)[..., None, :]).max(1).astype(values.dtype)
    total = values.sum((1, 2))
    return (values * share).sum((1, 2)) / jnp.where(total > 0, total, 1)


def _covered(low: Array, high: Array, size: int) -> Array:
    """The part of each pixel of an axis between two places."""
    pixels = jnp.arange(size)
    return jnp.clip(jnp.minimum(high, pixels + 1) - jnp.maximum(low, pixels), 0, 1)
