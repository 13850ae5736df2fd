"""Lp pooling: `lp_pool`, also 1d, 2d and 3d.

    y = (Σ |x|^p)^(1/p)       over the pixels of the window, channel by channel

p = 1 is the sum of magnitudes, p = 2 the Euclidean length, p → ∞ the largest magnitude. With m the largest magnitude of the
window it is evaluated as

    y = m (Σ (|x| / m)^p)^(1/p)

where the sum lies between 1 and the number of taps: nothing overflows or vanishes that the result could hold. y does not
depend on m (it cancels), so m is a constant to every derivative. Where every m of the batch is 0 or so far from the ends of the
range that this cannot happen, as it nearly always is, the sums are those of `sum_pool`, without m.

Where PyTorch (2.13) differs: it sums x^p without the magnitude, so p = 1 is the plain sum and negative pixels give NaN for
p = 3 and p = 1.5 (pytorch#184037), and it stretches the ragged edge of `ceil_mode` to a full window.
"""

from collections.abc import Sequence
from functools import partial
from math import inf

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from jaxcnn.geometry import Padding, Window

from . import _check
from ._fold import taps
from ._pad import pad_pairs
from ._pool import resolve
from ._widened import widened
from .engine import extreme, placed, total

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
    return placed(_norm, widened(x), window=full, p=float(p)).astype(x.dtype)


lp_pool1d, lp_pool2d, lp_pool3d = (_check.ranked(lp_pool, rank) for rank in (1, 2, 3))


def _check_power(p) -> None:
    if isinstance(p, bool) or not isinstance(p, int | float | np.number):
        raise TypeError(f"lp_pool: p={p!r} must be a number, at least 1, or math.inf")
    if not p >= 1:
        raise ValueError(f"lp_pool: p={p!r} gives no norm; use a number of at least 1, or math.inf")


@partial(jax.jit, static_argnames=("window", "p"))  # `lax.cond` traces anew at every call outside jit
def _norm(x: Array, window: Window, p: float) -> Array:
    """The p-norm of each window: without scaling where no power can overflow or vanish, which is nearly always."""
    if p == inf:
        return extreme(pad_pairs("lp_pool", _magnitude(x), window.padding), window.unpadded(), largest=True)
    if p == 1:
        return total(_magnitude(x), window)
    largest = jnp.maximum(extreme(lax.stop_gradient(jnp.abs(x)), window, largest=True), 0)
    room = 2.0 ** (-np.finfo(x.dtype).minexp / 2 / p)
    fits = (largest == 0) | ((largest >= 1 / room) & (largest <= room))
    safe = fits.all(range(x.ndim - 1)).all()  # channel by channel first: XLA's loop over all at once does not vectorise
    # both branches run under vmap; without pixels of its own the plain one would then bring 0 · ∞ into the gradient
    plain = _plain(jnp.where(safe, x, jnp.ones_like(x)), window, p)
    scaled = jax.checkpoint(lambda _, x, largest: _scaled(x, largest, window, p))
    return lax.cond(safe, lambda plain, *_: plain, scaled, plain, x, largest)


def _plain(x: Array, window: Window, p: float) -> Array:
    sums = total(_power(x, p), window)
    zero = sums == 0
    return jnp.where(zero, jnp.zeros_like(sums), _root(jnp.where(zero, jnp.ones_like(sums), sums), p))


def _scaled(x: Array, largest: Array, window: Window, p: float) -> Array:
    """The same with every pixel divided by the largest magnitude of its window."""
    scale = jnp.where(jnp.isfinite(largest) & (largest > 0), largest, jnp.ones_like(largest))
    seen = taps(x, window)  # (n, *outputs, taps, c)
    sums = _power(seen / scale[..., None, :], p).sum(axis=-2)  # 1 to taps
    zero = largest == 0
    return jnp.where(zero, jnp.zeros_like(sums), scale * _root(jnp.where(zero, jnp.ones_like(sums), sums), p))


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def _root(x: Array, p: float) -> Array:
    """x^(1/p) of positive x. XLA:CPU's power is slow, its exponential vectorises: a Newton step makes that one exact."""
    if p == 2:
        return jnp.sqrt(x)
    if p != int(p) or p > 16:
        return x ** np.asarray(1 / p, x.dtype)
    root = jnp.exp(jnp.log(x) / p)
    better = root - root * (lax.integer_pow(root, int(p)) / x - 1) / p
    return jnp.where(jnp.isfinite(x), better, root)


@_root.defjvp
def _root_jvp(p: float, primals, tangents):
    (x,), (t,) = primals, tangents
    root = _root(x, p)
    return root, root / (p * x) * t


def _power(x: Array, p: float) -> Array:
    """|x|^p whose derivatives at 0 are 0, but for the second of x²."""
    if p == int(p):
        return lax.integer_pow(x, int(p)) if p % 2 == 0 else _magnitude(x) * lax.integer_pow(x, int(p) - 1)
    empty = x == 0
    safe = jnp.where(empty, jnp.ones_like(x), x)
    return jnp.where(empty, jnp.zeros_like(x), jnp.abs(safe) ** np.asarray(p, x.dtype))


def _magnitude(x: Array) -> Array:
    """|x| with derivative 0 at 0, where that of `jnp.abs` is 1."""
    return x * lax.stop_gradient(jnp.sign(x))
