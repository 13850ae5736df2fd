"""Pooling with weights: `weighted_pool`, and `blur_pool` for down-sampling without aliases; each also 1d, 2d and 3d.

    y[n, o, c] = Σ_t w[t, c] · x[n, o · stride − low + t · dilation, c]

It is a depthwise convolution with a pool's arguments, and the engine runs it as one. Weights 1 / taps give `avg_pool`, weights
that differ are learned by differentiating for them. `filters.binomial_kernel` and `filters.gaussian_kernel` make fixed ones.
"""

from collections.abc import Sequence
from functools import reduce

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.geometry import Padding, per_axis
from jaxcnn.geometry import symmetric_same as centred

from . import _check, engine
from ._lowering import check_size
from ._pool import resolve
from ._widened import widened
from .filters import binomial_kernel

Ints = int | Sequence[int]


def weighted_pool(
    x: Float[Array, "n *space c"],
    weights: Float[Array | np.ndarray, "..."],
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Float[Array, "n *outputs c"]:
    """Weighted sum of each window. The other arguments are described in `max_pool`'s module; the window is as large as `weights`.

    Args:
        weights: `(*size)` for all channels alike, `(*size, c)` for each its own, or `(k,)`: the same on every axis, multiplied.
            Used as they are: an average has weights with sum 1. A NumPy array is a constant of any dtype, a JAX array must
            have x's.

    Raises: as `max_pool`; ValueError for weights of another shape, TypeError for integers and for mixed dtypes.

    >>> weighted_pool(jnp.array([3.0, 1, 2, 5])[None, :, None], np.array([0.75, 0.25]))[0, :, 0].tolist()
    [2.5, 2.75]
    """
    x = _check.images("weighted_pool", x)
    _check.floating("weighted_pool", x)
    kernel, dtype = _kernel(x, weights), x.dtype
    x = x.astype(kernel.dtype)
    options, groups = (stride, padding, padding_mode, dilation, ceil_mode), max(x.shape[-1], 1)
    x, window, _ = resolve("weighted_pool", x, kernel.shape[:-2], *options)
    check_size("weighted_pool", engine.case_of("conv", x, kernel, window=window, groups=groups, space=x.shape[1:-1]))
    return engine.conv(x, kernel, window, groups=groups).astype(dtype)


def blur_pool(
    x: Float[Array, "n *space c"], window: Ints, *, stride: Ints = 2, padding_mode: str = "reflect"
) -> Float[Array, "n *outputs c"]:
    """Blurs with binomial weights, then keeps every `stride`-th pixel: `ceil(n / stride)` outputs, with far fewer aliases.

    Output o is centred on pixel `o · stride` (an even window: half a pixel after it). Blur a map before it is strided: a
    strided convolution becomes `conv` and `blur_pool`, a max pool `max_pool(stride=1)` and `blur_pool`. Reference: Zhang, Making
    convolutional networks shift-invariant again (2019), whose windows are 2 (Rect-2), 3 (Tri-3) and 5 (Bin-5).

    Args:
        window: pixels, an int or one an axis. 1 only drops pixels.

    Raises: as `max_pool`; ValueError for an image that "reflect" has too few pixels to pad.

    >>> blur_pool(jnp.array([4.0, 0, 4, 0, 4, 0])[None, :, None], 3)[0, :, 0].tolist()
    [2.0, 2.0, 2.0]
    """
    x = _check.images("blur_pool", x)
    sizes = per_axis(window, x.ndim - 2, what="window size", name="blur_pool", least=1)
    weights = reduce(np.multiply.outer, [binomial_kernel(k) for k in sizes])
    pairs = [centred(n, k) for n, k in zip(x.shape[1:-1], sizes)]
    with _check.named("weighted_pool", "blur_pool"):
        return weighted_pool(x, weights, stride=stride, padding=pairs, padding_mode=padding_mode)


weighted_pool1d, weighted_pool2d, weighted_pool3d = (_check.ranked(weighted_pool, rank) for rank in (1, 2, 3))
blur_pool1d, blur_pool2d, blur_pool3d = (_check.ranked(blur_pool, rank) for rank in (1, 2, 3))


def _kernel(x: Array, weights: Array | np.ndarray) -> Array:
    """The weights as a depthwise kernel `(*size, 1, c)`; fixed ones and products are not rounded to 16 bits."""
    rank, c, given = x.ndim - 2, x.shape[-1], _check.array("weighted_pool", "weights", weights)
    if isinstance(weights, np.ndarray):
        given = jnp.asarray(weights, widened(x).dtype)
    else:
        _check.same_dtype("weighted_pool", x, weights=given)
    if given.ndim == 1:
        given = reduce(jnp.multiply.outer, [widened(given)] * rank)
    if given.ndim == rank:
        given = jnp.broadcast_to(widened(given)[..., None], (*given.shape, c))
    if given.ndim != rank + 1 or given.shape[-1] != c:
        raise ValueError(
            f"weighted_pool: weights is {_check.describe(weights)}; it must be (k,) for every axis, or (*size) or "
            f"(*size, c={c}) with {rank} sizes (x is {_check.describe(x)})"
        )
    kernel = given.reshape(*given.shape[:-1], 1, c)
    return kernel if c else kernel[..., :0, :]  # without channels one group has none
