"""What training leaves out of feature maps: blocks of pixels and whole channels, `drop_block` and `channel_dropout`.

    drop_block       γ = rate · Π (n / (b (n − b + 1))) over the axes of n pixels, b of them in a block
                     seeds are drawn with γ wherever a block fits; a pixel that some seed's block covers is 0
                     the others are multiplied by all / kept, counted over the whole array
    channel_dropout  a channel of an image is 0 with probability `rate`, else multiplied by 1 / (1 − rate)

torchvision's `drop_block2d` and `drop_block3d`, and `dropout1d` to `dropout3d` of PyTorch.
References: Ghiasi, Lin & Le, DropBlock (2018); Tompson et al., Efficient object localization using convolutional networks (2015).
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxcnn.geometry import per_axis

from . import _check, _numbers
from ._pool import max_pool
from ._widened import widened
from .engine import placed

Rate = float | Float[Array, ""]


def drop_block(
    key: Array | None, x: Float[Array, "n *space c"], rate: Rate, block_size: int | Sequence[int], *, train: bool = True
) -> Float[Array, "n *space c"]:
    """The maps without some blocks of pixels, each channel without its own; in evaluation x.

    Args:
        key: a random key; None in evaluation.
        rate: share of the pixels to leave out, 0 to 1; overlapping blocks leave out somewhat fewer. An array may change in
            training without compiling again.
        block_size: pixels of a block, an int or one an axis; no more than the image has (torchvision: than its shortest axis).
            Even sizes too.

    Raises: ValueError for a rate outside [0, 1] and sizes below 1. TypeError for what is not floating point and what is no key.

    >>> x = jnp.ones((1, 4, 4, 1))
    >>> drop_block(jax.random.key(3), x, 0.25, 2)[0, :, :, 0].tolist()
    [[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]]
    """
    x, rate = _checked("drop_block", x, rate)
    sizes = per_axis(block_size, x.ndim - 2, what="block_size", name="drop_block", least=1)
    if not train:
        return x
    key = _check.random_key("drop_block", key)
    block = tuple(map(min, sizes, x.shape[1:-1]))
    places = tuple(n - b + 1 for n, b in zip(x.shape[1:-1], block))
    share = rate * prod(n / (b * p) for n, b, p in zip(x.shape[1:-1], block, places))
    wide = widened(x)
    seeds = jax.random.uniform(key, (x.shape[0], *places, x.shape[-1]), wide.dtype) < share
    covered = max_pool(seeds.astype(wide.dtype), block, stride=1, padding=[(b - 1, b - 1) for b in block])
    return placed(_uncovered, wide, covered).astype(x.dtype)


def _uncovered(x: Array, covered: Array) -> Array:
    keep = covered == 0
    scale = x.size / jnp.maximum(jnp.sum(keep, dtype=x.dtype), 1)
    return jnp.where(keep, x * scale, jnp.zeros_like(x))


drop_block1d, drop_block2d, drop_block3d = (_check.ranked(drop_block, rank, position=1) for rank in (1, 2, 3))


def channel_dropout(
    key: Array | None, x: Float[Array, "n *space c"], rate: Rate, *, train: bool = True
) -> Float[Array, "n *space c"]:
    """The maps without some of their channels, each image without its own; in evaluation x.

    Args:
        key: a random key; None in evaluation.
        rate: share of the channels to leave out, 0 to 1; may be an array.

    Raises: ValueError for a rate outside [0, 1]. TypeError for what is not floating point and what is no key.

    >>> channel_dropout(jax.random.key(0), jnp.ones((1, 2, 4)), 0.5).tolist()
    [[[2.0, 2.0, 0.0, 0.0], [2.0, 2.0, 0.0, 0.0]]]
    """
    x, rate = _checked("channel_dropout", x, rate)
    if not train:
        return x
    key = _check.random_key("channel_dropout", key)
    wide = widened(x)
    shape = (x.shape[0], *(1,) * (x.ndim - 2), x.shape[-1])
    keep = jax.random.uniform(key, shape, wide.dtype) >= rate
    scale = 1 / jnp.maximum(1 - jnp.asarray(rate, wide.dtype), jnp.finfo(wide.dtype).tiny)
    return jnp.where(keep, wide * scale, jnp.zeros_like(wide)).astype(x.dtype)


channel_dropout1d, channel_dropout2d, channel_dropout3d = (
    _check.ranked(channel_dropout, rank, position=1) for rank in (1, 2, 3)
)


def _checked(name: str, x: Any, rate: Any) -> tuple[Array, Any]:
    x = _check.images(name, x)
    _check.floating(name, x)
    rate = _numbers.scalar(name, "rate", rate, low=0, high=1)
    return x, rate.astype(widened(x).dtype) if isinstance(rate, jax.Array) else float(rate)
