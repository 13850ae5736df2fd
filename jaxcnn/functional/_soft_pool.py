"""Between the maximum and the mean: `soft_pool` and `mixed_pool`, each also 1d, 2d and 3d.

    soft    y = Σ e^x x / Σ e^x              the mean, weighted by e^x
    mixed   y = α max(x) + (1 − α) mean(x)

over the pixels of the window, channel by channel. soft is evaluated with m the largest pixel of the window,

    y = m + Σ e^(x − m) (x − m) / Σ e^(x − m)

where no power exceeds 1 and the denominator is at least 1, so that nothing overflows. y does not depend on m (it cancels),
so m is a constant to every derivative. A window without a pixel on the image gives 0.
"""

from collections.abc import Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float

from jaxcnn.geometry import Padding, Window

from . import _check, _numbers
from ._broadcast import of_rank
from ._fold import TAPS, over_runs, over_taps
from ._pad import pad_pairs
from ._pool import avg_pool, max_pool, resolve
from ._widened import widened
from .engine import extreme, placed

Ints = int | Sequence[int]


def soft_pool(
    x: Float[Array, "n *space c"],
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Float[Array, "n *outputs c"]:
    """Mean of each window, weighted by e^x. The other arguments are described in `max_pool`'s module.

    "zeros" padding counts for nothing, as a pixel of -inf does. A window with NaN gives NaN, else one with inf gives inf and
    passes no gradient on. Reference: Stergiou, Poppe & Kalliatakis, Refining activation downsampling with SoftPool (2021).

    Raises: as `max_pool`; TypeError for integers.

    >>> print(soft_pool(jnp.log(jnp.array([1.0, 3, 2, 2]))[None, :, None], 2)[0, :, 0].round(4))
    [0.824  0.6931]
    """
    x, full, _ = resolve("soft_pool", x, window, stride, padding, padding_mode, dilation, ceil_mode)
    _check.floating("soft_pool", x)
    x, dtype, space = widened(x), x.dtype, x.shape[1:-1]
    y = placed(_weighted_by_exponential, x, window=full)
    return _zero_where_void(y, full, space).astype(dtype)


def mixed_pool(
    x: Float[Array, "n *space c"],
    window: Ints,
    alpha: float | Float[Array | np.ndarray, "..."],
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Float[Array, "n *outputs c"]:
    """`alpha · max_pool + (1 − alpha) · avg_pool` with the same arguments. Reference: Lee, Gallagher & Tu, Generalizing pooling
    functions in convolutional neural networks (2016).

    Args:
        alpha: a number, or an array of shape () or (c,): one a channel. A JAX array (c,) must have x's dtype; it is what is
            learned.

    Raises: as `avg_pool`; ValueError for an alpha of another shape, TypeError for mixed dtypes.

    >>> mixed_pool(jnp.array([3.0, 1, 2, 6])[None, :, None], 2, 0.25)[0, :, 0].tolist()
    [2.25, 4.5]
    """
    x = _check.images("mixed_pool", x)
    _check.floating("mixed_pool", x)
    share, wide = _alpha(x, alpha), widened(x)
    options = {
        "stride": stride,
        "padding": padding,
        "padding_mode": padding_mode,
        "dilation": dilation,
        "ceil_mode": ceil_mode,
    }
    with _check.named(("max_pool", "avg_pool"), "mixed_pool"):
        largest = max_pool(wide, window, **options)
        mean = avg_pool(wide, window, count_include_pad=count_include_pad, **options)
    padded, full, _ = resolve("mixed_pool", x, window, **options)
    largest = _zero_where_void(largest, full, padded.shape[1:-1])
    share = of_rank(share, x.ndim)
    return (share * largest + (1 - share) * mean).astype(x.dtype)


soft_pool1d, soft_pool2d, soft_pool3d = (_check.ranked(soft_pool, rank) for rank in (1, 2, 3))
mixed_pool1d, mixed_pool2d, mixed_pool3d = (_check.ranked(mixed_pool, rank) for rank in (1, 2, 3))


@partial(jax.jit, static_argnames="window")
def _weighted_by_exponential(x: Array, window: Window) -> Array:
    # padded within, because `jax.debug_infs` would stop at -inf that is seen from outside
    x, window = pad_pairs("soft_pool", x, window.padding, value=-np.inf), window.unpadded()
    if window.taps > TAPS:
        largest, total, below = over_runs(_leaves(x), window, _joined, (-np.inf, 0, 0))
        largest = jnp.where(jnp.isnan(total), total, largest)
    else:
        largest = lax.stop_gradient(extreme(lax.stop_gradient(x), window, largest=True))
        total, below = _sums(x, window, jnp.where(jnp.isfinite(largest), largest, 0))
    y = largest + below / jnp.where(total == 0, 1, total)
    return jnp.where(jnp.isinf(largest), largest, y)


def _sums(x: Array, window: Window, largest: Array) -> tuple[Array, Array]:
    """Σ e^(x − m) and Σ e^(x − m) (x − m)."""

    def add(total, pixels):
        weight, below = _term(pixels, largest)
        return total[0] + weight, total[1] + below

    zero = jnp.zeros_like(largest)
    return over_taps(add, (zero, zero), x, window)


def _leaves(x: Array) -> list[Array]:
    """m = x, e^(x − m) and e^(x − m) (x − m) of single pixels; their derivatives are those of the formulas.

    NaN is none of the m, so that all factors of `_joined` are finite: a run that no window sees brings no 0 · NaN back.
    """
    nan, largest = x != x, lax.stop_gradient(x)
    terms = _term(jnp.where(nan, 0, x), jnp.where(jnp.isfinite(largest), largest, 0))
    return [jnp.where(nan, -np.inf, largest), *(jnp.where(nan, x, term) for term in terms)]


def _joined(a: list[Array], b: list[Array], _: int) -> list[Array]:
    """The three of two runs side by side. Each run has its own m, and what it holds is carried over to the larger one."""
    largest = jnp.maximum(a[0], b[0])
    total = below = jnp.zeros_like(largest)
    for m, weight, part in (a, b):
        apart = jnp.where(m == largest, 0, m - largest)
        counts = ~(apart < np.log(np.finfo(m.dtype).tiny))
        apart = jnp.where(counts, apart, 0)
        factor = jnp.where(counts, jnp.exp(apart), 0)
        total, below = total + factor * weight, below + factor * (part + apart * weight)
    return [largest, total, below]


def _term(x: Array, largest: Array) -> tuple[Array, Array]:
    below, least = x - largest, np.log(np.finfo(x.dtype).tiny)  # what lies lower weighs nothing
    counts = ~((below < least) | jnp.isposinf(below))
    below = jnp.where(counts, below, 0)
    weight = jnp.where(counts, jnp.exp(below), 0)
    return weight, weight * below


def _zero_where_void(y: Array, window: Window, space: Sequence[int]) -> Array:
    """0 for windows without a pixel on the image."""
    void = np.zeros((), bool)
    for axis in window.overlap(space):
        void = np.logical_or.outer(void, np.array(axis) == 0)
    return jnp.where(void[..., None], jnp.zeros_like(y), y) if void.any() else y


def _alpha(x: Array, alpha) -> Array:
    c, wide = x.shape[-1], widened(x)
    if isinstance(alpha, jax.Array) and alpha.ndim:
        _check.same_dtype("mixed_pool", x, alpha=alpha)
    return _numbers.one_or_each("mixed_pool", "alpha", alpha, c, "channels", wide.dtype)
