"""Lp pooling: `lp_pool`, also 1d, 2d and 3d.

    y = (Σ |x|^p)^(1/p)       over the pixels of the window, channel by channel

p = 1 is the sum of magnitudes, p = 2 the Euclidean length, p → ∞ the largest magnitude. With m the largest magnitude of the
window it is evaluated as

    y = m (Σ (|x| / m)^p)^(1/p)

where the sum lies between 1 and the number of taps: nothing overflows or vanishes that the result could hold. y does not
depend on m (it cancels), so m is a constant to every derivative.

Where PyTorch (2.13) differs: it sums x^p without the magnitude, so p = 1 is the plain sum and negative pixels give NaN for
p = 3 and p = 1.5 (pytorch#184037), and it stretches the ragged edge of `ceil_mode` to a full window.
"""

from collections.abc import Sequence
from math import inf

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from jaxcnn.geometry import Padding

from . import _check
from ._fold import taps
from ._pool import resolve
from ._widened import widened

Ints = int | Sequence[int]


def lp_pool(
    x: Float[Array, "n *space c"],
    p: int | float,
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Float[Array, "n *outputs c"]:
    """Lp norm of each window. The other arguments are described in `max_pool`'s module.

    The gradient is sign(x) (|x| / y)^(p − 1); 0 at x = 0 and where the whole window is 0. For p = ∞ it goes to the first of
    equal magnitudes. Second derivatives that do not exist (at x = 0 for p < 2) are 0. Padding is zeros, which add nothing.

    Args:
        p: a number, at least 1, or `inf`.

    Raises: as `max_pool`; TypeError for integers and for a p that is no number, ValueError for p < 1.

    >>> lp_pool(jnp.array([3.0, -4, 0, 0])[None, :, None], 2, 2)[0, :, 0].tolist()
    [5.0, 0.0]
    """
    _check_power(p)
    x, full, _ = resolve("lp_pool", x, window, stride, padding, "zeros", dilation, ceil_mode)
    _check.floating("lp_pool", x)
    seen = taps(widened(x), full)  # (n, *outputs, taps, c)
    return _norm(seen, float(p)).astype(x.dtype)


lp_pool1d, lp_pool2d, lp_pool3d = (_check.ranked(lp_pool, rank) for rank in (1, 2, 3))


def _check_power(p) -> None:
    if isinstance(p, bool) or not isinstance(p, int | float | np.number):
        raise TypeError(f"lp_pool: p={p!r} must be a number, at least 1, or math.inf")
    if not p >= 1:
        raise ValueError(f"lp_pool: p={p!r} gives no norm; use a number of at least 1, or math.inf")


def _norm(x: Array, p: float) -> Array:
    """The p-norm over the last axis but one."""
    size = _magnitude(x)
    if p == inf:
        first = jnp.argmax(size, axis=-2, keepdims=True)
        return jnp.take_along_axis(size, first, axis=-2).squeeze(-2)
    largest = lax.stop_gradient(size.max(axis=-2, keepdims=True))
    ordinary = jnp.isfinite(largest) & (largest > 0)
    scale = jnp.where(ordinary, largest, jnp.ones_like(largest))
    total = _power(x / scale, p).sum(axis=-2)  # 1 to taps
    zero = largest.squeeze(-2) == 0
    root = jnp.where(zero, jnp.ones_like(total), total) ** np.asarray(1 / p, total.dtype)
    return jnp.where(zero, jnp.zeros_like(total), scale.squeeze(-2) * root)


def _power(x: Array, p: float) -> Array:
    """|x|^p whose derivatives at 0 are 0, but for the second of x²."""
    if p == 1:
        return _magnitude(x)
    if p == 2:
        return jnp.square(x)
    empty = x == 0
    safe = jnp.where(empty, jnp.ones_like(x), x)
    return jnp.where(empty, jnp.zeros_like(x), jnp.abs(safe) ** np.asarray(p, x.dtype))


def _magnitude(x: Array) -> Array:
    """|x| with derivative 0 at 0, where that of `jnp.abs` is 1."""
    return x * lax.stop_gradient(jnp.sign(x))
