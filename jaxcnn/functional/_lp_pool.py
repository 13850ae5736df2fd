"""Lp pooling: `lp_pool`, also 1d, 2d and 3d.

    y = (Σ |x|^p)^(1/p)       over the pixels of the window, channel by channel

p = 1 is the sum of magnitudes, p = 2 the Euclidean length, p → ∞ the largest magnitude. It is evaluated as

    y = m (Σ (|x| / m)^p)^(1/p)

with m a power of two near the largest magnitude of the window: dividing by it rounds nothing, and nothing overflows or vanishes
that the result could hold. The derivative

    dy = Σ sign(x) (|x| / y)^(p − 1) dx  =  y^(1 − p) Σ sign(x) |x|^(p − 1) dx

is the right-hand side, sums of windows, where every y of the batch is 0 or so far from the ends of the range that no power can
overflow or vanish, as it nearly always is; else the left-hand side, tap by tap.

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
from ._fold import over_runs, over_taps, taps
from ._pad import pad_pairs
from ._pool import resolve
from ._widened import widened
from .engine import LONG, extreme, placed, total

Ints = int | Sequence[int]
TAPS = 25  # of a plane, before its axes go one by one
STEEP = 50  # p from which on a pixel 4 times the scale overflows


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
    if p == inf:
        return extreme(pad_pairs("lp_pool", _magnitude(x), window.padding), window.unpadded(), largest=True)
    return total(_magnitude(x), window) if p == 1 else _length(x, window, p)


@partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _length(x: Array, window: Window, p: float) -> Array:
    """The p-norm of each window."""
    if window.taps > TAPS and sum(k > 1 for k in window.size) > 1:  # a norm of norms
        for axis in reversed(range(window.rank)):
            x = _length(x, window.along(axis), p)
        return x
    x, window = pad_pairs("lp_pool", jnp.abs(x), window.padding), window.unpadded()
    if window.taps > LONG:
        scale = _scaled(x, p)
        scale, sums = over_runs([scale, _power(x / scale, p)], window, partial(_joined, p), (np.finfo(x.dtype).tiny, 0))
        return jnp.where(sums == 0, 0, scale * _root(jnp.where(sums == 0, 1, sums), p))
    largest = extreme(x, window, largest=True)
    scale = _scale(largest, p)
    part = (lambda v: v / scale) if p > STEEP else (lambda v, inverse=1 / scale: v * inverse)
    sums = over_taps(lambda sums, v: sums + _power(part(v), p), jnp.zeros_like(largest), x, window)
    return jnp.where(sums == 0, 0, scale * _root(jnp.where(sums == 0, 1, sums), p))


def _scaled(x: Array, p: float) -> Array:
    """A scale for each pixel; of 0 and NaN one so small that every other is larger."""
    magnitude = lax.stop_gradient(jnp.abs(x))
    return jnp.where(magnitude > 0, _scale(magnitude, p), np.finfo(x.dtype).tiny)


def _joined(power: float, a: list[Array], b: list[Array], _: int) -> list[Array]:
    """The sums of two runs side by side, carried over to the larger of their scales."""
    scale = jnp.maximum(a[0], b[0])
    return [scale, a[1] * _power(a[0] / scale, power) + b[1] * _power(b[0] / scale, power)]


def _scale(largest: Array, p: float) -> Array:
    """A power of two near each magnitude, so that its inverse is exact; the magnitude itself where even 4^p overflows.

    Of 0 it is 1: where XLA knows that beforehand (windows that see padding alone), it would power a large inverse by itself.
    """
    if p > STEEP:
        return jnp.where(jnp.isfinite(largest) & (largest > 0), largest, jnp.ones_like(largest))
    info = np.finfo(largest.dtype)
    bounded = jnp.clip(largest, info.tiny, np.asarray(2.0 ** (info.maxexp - 2), largest.dtype))
    return lax.reduce_precision(jnp.where(largest == 0, 1, bounded), info.nexp, 0)


@_length.defjvp
def _length_jvp(window: Window, p: float, primals, tangents):
    (x,), (t,) = primals, tangents
    y = _length(x, window, p)
    norm, room = lax.stop_gradient(y), 2.0 ** (-np.finfo(x.dtype).minexp / 2 / p)
    fits = (norm == 0) | ((norm >= 1 / room) & (norm <= room))
    safe = fits.all(range(x.ndim - 1)).all()  # channel by channel first: XLA's loop over all at once does not vectorise
    ways = (partial(way, window=window, p=p) for way in (_by_sums, _by_runs if window.taps > LONG else _by_taps))
    return y, lax.cond(safe, *map(jax.checkpoint, ways), x, y, t, safe)  # nothing but x, y and t is kept


def _by_sums(x: Array, y: Array, t: Array, safe: Array, *, window: Window, p: float) -> Array:
    # both branches run under vmap; without pixels of its own this one would then bring 0 · ∞ into the gradient
    x, y = (jnp.where(safe, v, jnp.ones_like(v)) for v in (x, y))
    zero = y == 0
    whole = _power(jnp.where(zero, jnp.ones_like(y), y), p - 1)
    return jnp.where(zero, jnp.zeros_like(y), total(_slope(x, p) * t, window) / whole)


def _by_taps(x: Array, y: Array, t: Array, safe: Array, *, window: Window, p: float) -> Array:
    zero = y == 0
    scale = jnp.where(zero | ~jnp.isfinite(y), jnp.ones_like(y), y)
    unit = jnp.where(scale > 1, 0.25, 4).astype(y.dtype)  # XLA multiplies by an inverse, which must not vanish
    share = _slope(taps(x, window) * unit[..., None, :] / (scale * unit)[..., None, :], p)  # (n, *outputs, taps, c)
    return jnp.where(zero, jnp.zeros_like(y), (share * taps(t, window)).sum(axis=-2))


def _by_runs(x: Array, y: Array, t: Array, safe: Array, *, window: Window, p: float) -> Array:
    x, t, window = (*(pad_pairs("lp_pool", v, window.padding) for v in (x, t)), window.unpadded())
    scale = _scaled(x, p)
    slope = _slope(x / scale, p)
    # the window's y says what inf and NaN come to; their slopes would make NaN of the 0 of a pixel that no window sees
    terms = jnp.where(jnp.isfinite(slope), slope, jnp.ones_like(slope)) * t
    scale, sums = over_runs([scale, terms], window, partial(_joined, p - 1), (np.finfo(x.dtype).tiny, 0))
    zero = y == 0
    return jnp.where(zero, jnp.zeros_like(y), sums * _power(scale / jnp.where(zero, jnp.ones_like(y), y), p - 1))


def _root(x: Array, p: float) -> Array:
    """x^(1/p) of positive x. XLA:CPU's power is slow, its exponential vectorises: a Newton step makes that one exact."""
    if p == 2:
        return jnp.sqrt(x)
    if p != int(p) or p > 16:
        return x ** np.asarray(1 / p, x.dtype)
    root = jnp.exp(jnp.log(x) / p)
    better = root - root * (lax.integer_pow(root, int(p)) / x - 1) / p
    return jnp.where(jnp.isfinite(x), better, root)


def _power(x: Array, p: float) -> Array:
    """x^p of x that are not negative."""
    return lax.integer_pow(x, int(p)) if p == int(p) else x ** np.asarray(p, x.dtype)


def _slope(x: Array, p: float) -> Array:
    """sign(x) |x|^(p − 1), whose derivative at 0 is 0 but for p = 2."""
    if p == int(p):
        power = lax.integer_pow(x, int(p) - 1)
        return power if p % 2 == 0 else power * lax.stop_gradient(jnp.sign(x))
    empty = x == 0
    safe = jnp.where(empty, jnp.ones_like(x), x)
    power = jnp.abs(safe) ** np.asarray(p - 1, x.dtype) * lax.stop_gradient(jnp.sign(safe))
    return jnp.where(empty, jnp.zeros_like(x), power)


def _magnitude(x: Array) -> Array:
    """|x| with derivative 0 at 0, where that of `jnp.abs` is 1."""
    return x * lax.stop_gradient(jnp.sign(x))
