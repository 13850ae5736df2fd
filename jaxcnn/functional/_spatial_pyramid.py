"""Spatial pyramid pooling: `spatial_pyramid_pool`, a vector of one length from images of any size.

Each level l divides the image into l × l windows, `adaptive_max_pool`'s, and the results of all levels are laid side by side:
level after level as given, in a level the windows row by row, of each window its c channels. (He et al. round their windows in
another way where l does not divide the image.) Reference: He et al., Spatial pyramid pooling in deep convolutional networks
for visual recognition (2014).
"""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array
from jaxtyping import Shaped

from jaxcnn.geometry import per_axis

from . import _check
from ._adaptive_pool import adaptive_avg_pool, adaptive_max_pool
from ._widened import widened

POOLS = {"max": adaptive_max_pool, "avg": adaptive_avg_pool}


def spatial_pyramid_pool(
    x: Shaped[Array, "n *space c"], *, levels: Sequence[int] = (1, 2, 4), reduce: str = "max"
) -> Shaped[Array, "n features"]:
    """Maxima or means of ever finer windows as one vector an image, `(n, c · Σ l^rank)` for images of `rank` axes.

    Args:
        levels: windows an axis, one number a level; the 21 windows of (1, 2, 4) are the default.
        reduce: "max" or "avg".

    Raises: ValueError for a level below 1 or an unknown word, TypeError as `adaptive_max_pool` and `adaptive_avg_pool`.

    >>> spatial_pyramid_pool(jnp.arange(12.0).reshape(1, 3, 4, 1), levels=(1, 2)).tolist()
    [[11.0, 5.0, 7.0, 9.0, 11.0]]
    """
    name = "spatial_pyramid_pool"
    x = _check.images(name, x)
    _check.one_of(name, "reduce", reduce, tuple(POOLS))
    if isinstance(levels, str) or not isinstance(levels, Sequence) or not levels:
        raise TypeError(f"{name}: levels={levels!r} must be one int or more, such as (1, 2, 4)")
    counts = [per_axis(level, 1, what="level", name=name, least=1)[0] for level in levels]
    with _check.named(("adaptive_max_pool", "adaptive_avg_pool"), name):
        wide = widened(x)  # what goes back from all levels is added up
        pooled = [POOLS[reduce](wide, count).astype(x.dtype) for count in counts]  # (n, *l, c)
    features = [y.reshape(x.shape[0], count ** (x.ndim - 2) * x.shape[-1]) for y, count in zip(pooled, counts)]
    return jnp.concatenate(features, axis=1)
