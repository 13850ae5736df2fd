"""Stochastic pooling: `stochastic_pool`, also 1d, 2d and 3d (Zeiler & Fergus, Stochastic pooling for regularization, 2013).

    p_t = max(x_t, 0) / Σ max(x, 0)       over the pixels of the window, channel by channel
    y   = x_t  with t drawn by p          in training
    y   = Σ p_t x_t                       in evaluation

made for activations that are not negative. What the paper leaves open:

    a negative pixel among positive ones is never drawn; without a positive pixel all are drawn alike;
    inf or NaN in the window are drawn alike and hide the rest; -inf and padding count for nothing;
    a window of nothing else gives 0.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from jaxcnn.geometry import Padding, Window

from . import _check
from ._fold import TAPS, over_runs, over_taps
from ._pad import pad_pairs
from ._pool import resolve
from ._widened import widened
from .engine import extreme, placed, take, tap_dtype, total

Ints = int | Sequence[int]


def stochastic_pool(
    key: Array | None,
    x: Float[Array, "n *space c"],
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    ceil_mode: bool = False,
    train: bool = True,
) -> Float[Array, "n *outputs c"]:
    """A pixel of each window, drawn with the share that it has in the window's sum; in evaluation its mean.

    The other arguments are described in `max_pool`'s module. In training the gradient goes to the pixel that was drawn, in
    evaluation it is that of the formula, where max(x, 0) has derivative 0 at 0.

    Args:
        key: a random key; None in evaluation.
        train: draw, or average.

    Raises: as `max_pool`; TypeError for integers and what is no key.

    >>> x = jnp.array([0.0, 2, 0, 0, 1, 3])[None, :, None]
    >>> stochastic_pool(jax.random.key(0), x[:, :4], 2)[0, :, 0].tolist()
    [2.0, 0.0]
    >>> print(stochastic_pool(None, x, 2, train=False)[0, :, 0].round(4))
    [2.  0.  2.5]
    """
    drawn_with = _check.random_key("stochastic_pool", key) if train else None
    x, full, _ = resolve("stochastic_pool", x, window, stride, padding, padding_mode, dilation, ceil_mode)
    _check.floating("stochastic_pool", x)
    wide = widened(x)
    if drawn_with is not None:
        u = jax.random.uniform(drawn_with, (x.shape[0], *full.output_size(x.shape[1:-1]), x.shape[-1]), wide.dtype)
        return take(x, placed(_drawn, lax.stop_gradient(wide), u, window=full), full)
    return placed(_mean, wide, window=full).astype(x.dtype)


stochastic_pool1d, stochastic_pool2d, stochastic_pool3d = (
    _check.ranked(stochastic_pool, rank, position=1) for rank in (1, 2, 3)
)


def _padded(x: Array, window: Window) -> tuple[Array, Window, Array]:
    """The padded image, the window on it, and the largest pixel of each window as a constant.

    It is padded within what is compiled, because `jax.debug_infs` would stop at -inf that is seen from outside.
    """
    x, window = pad_pairs("stochastic_pool", x, window.padding, value=-np.inf), window.unpadded()
    return x, window, extreme(lax.stop_gradient(x), window, largest=True)


def _share(x: Array, largest: Array) -> Array:
    """p up to a factor of the window, from 0 to 1."""
    proper = (largest > 0) & (largest < np.inf)
    share = jnp.where(x > 0, x, 0) / jnp.where(proper, largest, 1)
    alike = jnp.where(largest <= 0, x > -np.inf, (x != x) | (x == np.inf))
    return jnp.where(proper, share, alike.astype(x.dtype))


def _total(x: Array, window: Window, largest: Array) -> Array:
    """Σ p of each window, up to the same factor."""
    if window.taps > TAPS:
        return _powers(x, window, largest)[0]
    return over_taps(lambda total, pixels: total + _share(pixels, largest), jnp.zeros_like(largest), x, window)


def _powers(x: Array, window: Window, largest: Array) -> tuple[Array, Array]:
    """Σ p and Σ p x of windows of many taps, up to the same factor, the first in shares of the largest pixel."""
    positive = jnp.where((x > 0) & (x < np.inf), x, 0)
    scale = lax.stop_gradient(positive)
    share = positive / jnp.where(scale > 0, scale, 1)  # 1, with a derivative
    _, sums, squares = over_runs([scale, share, jnp.square(share)], window, _joined, (0, 0, 0))
    finite, special = x > -np.inf, (x != x) | (x == np.inf)
    proper = (largest > 0) & (largest < np.inf)
    count = lambda one, other: jnp.where(largest <= 0, total(one, window), total(other, window))
    alike = count(finite.astype(x.dtype), special.astype(x.dtype))
    mean = count(jnp.where(finite & (x <= 0), x, 0), jnp.where(special, x, 0))
    return jnp.where(proper, sums, alike), jnp.where(proper, squares * jnp.where(proper, largest, 1), mean)


def _joined(a: list[Array], b: list[Array], _: int) -> list[Array]:
    """Sums of shares and of their squares of two runs side by side, carried over to the larger of their scales."""
    scale = jnp.maximum(a[0], b[0])
    whole = jnp.where(scale > 0, scale, 1)
    (p, sums, squares), (q, more, others) = ((s / whole, *rest) for s, *rest in (a, b))
    return [scale, p * sums + q * more, p * p * squares + q * q * others]


@partial(jax.jit, static_argnames="window")
def _drawn(x: Array, u: Array, window: Window) -> Array:
    """The number of the tap drawn: how many have a running sum of shares up to u times the whole, u in [0, 1)."""
    x, window, largest = _padded(x, window)
    total, dtype = _total(x, window, largest), tap_dtype(window)
    bar = u * total

    def step(carry, pixels):
        running, passed = carry
        running += _share(pixels, largest)
        return running, passed + (running <= bar).astype(dtype)

    start = (jnp.zeros_like(total), jnp.zeros(total.shape, dtype))
    if window.taps <= TAPS:
        return over_taps(step, start, x, window)[1]
    return _drawn_in_turn(x, window, largest, bar)


def _drawn_in_turn(x: Array, window: Window, largest: Array, bar: Array) -> Array:
    """The same in a loop over the taps. Its sum is rounded otherwise than the bar, so the last tap with a share is the last."""
    dtype, outputs = tap_dtype(window), window.output_size(x.shape[1:-1])
    spans = [(o - 1) * s + 1 for o, s in zip(outputs, window.stride)]

    def step(tap, carry):
        running, passed, last = carry
        at = [i * d for i, d in zip(jnp.unravel_index(tap, window.size), window.dilation)]
        pixels = lax.dynamic_slice(x, (0, *at, 0), (x.shape[0], *spans, x.shape[-1]))
        pixels = pixels[:, *(slice(None, None, s) for s in window.stride)]
        share = _share(pixels, largest)
        running += share
        return running, passed + (running <= bar).astype(dtype), jnp.where(share > 0, tap.astype(dtype), last)

    none = jnp.full(largest.shape, window.taps, dtype)
    _, passed, last = lax.fori_loop(0, window.taps, step, (jnp.zeros_like(bar), jnp.zeros_like(none), none))
    return jnp.minimum(passed, last)


@partial(jax.jit, static_argnames="window")
def _mean(x: Array, window: Window) -> Array:
    x, window, largest = _padded(x, window)
    if window.taps > TAPS:
        whole, mean = _powers(x, window, largest)
        return mean / jnp.where(whole == 0, 1, whole)
    total = _total(x, window, largest)
    whole = jnp.where(total == 0, 1, total)
    part = lambda pixels: _share(pixels, largest) / whole * jnp.where(pixels == -np.inf, 0, pixels)
    return over_taps(lambda mean, pixels: mean + part(pixels), jnp.zeros_like(total), x, window)
