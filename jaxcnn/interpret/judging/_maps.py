"""What the judges take: maps of images, and the regions that are right, as boxes or masks."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer


def maps(name: str, values: Any, space: tuple[int, ...] | None = None, n: int | None = None) -> Array:
    """Maps `(n, *space)`; channels are added up.

    Raises: TypeError for what is not floating point, ValueError for NaN, infinity or another shape than that of the images.
    """
    known = None if isinstance(values, Tracer) else np.asarray(values)
    values = jnp.asarray(values)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise TypeError(f"{name}: the attribution is {values.dtype}; give floating point")
    if known is not None and not np.isfinite(known).all():
        raise ValueError(f"{name}: the attribution has NaN or infinity; mend the method or the image first")
    rank = 2 if space is None else len(space)
    found = values.sum(-1) if values.ndim == rank + 2 else values
    if found.ndim != rank + 1 or not found.size or (space is not None and found.shape != (n, *space)):
        wanted = "(n, h, w) or (n, h, w, c)" if space is None else f"{[n, *space]}, or with channels behind"
        raise ValueError(f"{name}: the attribution has shape {list(values.shape)}; give {wanted}")
    return found


def boxes(name: str, given: Any, n: int, space: tuple[int, int]) -> Array | None:
    """Boxes `(n, k, 4)` from one box, one an image or several an image; None of what has the shape of masks.

    Raises: ValueError for boxes without area or outside the image.
    """
    known = None if isinstance(given, Tracer) else np.asarray(given)
    given = jnp.asarray(given)
    if given.shape == (n, *space) and given.dtype == bool:
        return None
    if given.ndim not in (1, 2, 3) or given.shape[-1] != 4 or (given.ndim > 1 and len(given) != n):
        wanted = f"[4], [{n}, 4] or [{n}, k, 4], or bool masks {[n, *space]}"
        raise ValueError(f"{name}: the regions are {given.dtype}{list(given.shape)}; give boxes {wanted}")
    given = given.astype(jnp.result_type(float))
    given = given if given.ndim == 3 else given.reshape(-1, 1, 4)
    if known is not None:
        _inside(name, known, space)
    return jnp.broadcast_to(given, (n, *given.shape[1:]))


def _inside(name: str, given: np.ndarray, space: tuple[int, int]) -> None:
    y0, x0, y1, x1 = np.moveaxis(given, -1, 0)
    h, w = space
    wrong = ~((0 <= y0) & (y0 < y1) & (y1 <= h) & (0 <= x0) & (x0 < x1) & (x1 <= w))
    if wrong.any():
        worst = [float(v) for v in given.reshape(-1, 4)[wrong.ravel()][0]]
        limits = f"0 ≤ y0 < y1 ≤ {h} and 0 ≤ x0 < x1 ≤ {w}"
        raise ValueError(f"{name}: box {worst} does not lie in the image of {h}×{w}; give (y0, x0, y1, x1), {limits}")
