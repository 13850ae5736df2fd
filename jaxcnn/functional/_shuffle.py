"""Pixels into channels and back: `pixel_shuffle`, `pixel_unshuffle`, `channel_shuffle`.

Nothing is computed, values only move. With factor r on two axes, output channel c of `pixel_shuffle` reads

    y[n, h r + i, w r + j, c] = x[n, h, w, c r² + i r + j]

which is PyTorch's order of channels with the axes of channels last (TensorFlow's `depth_to_space` has c innermost instead).
"""

from collections.abc import Sequence
from math import prod

import jax.numpy as jnp
from jax import Array
from jaxtyping import Shaped

from jaxcnn.geometry import per_axis

from . import _check
from .engine import placed


def pixel_shuffle(x: Shaped[Array, "n *space c_in"], factor: int | Sequence[int]) -> Shaped[Array, "n *larger c"]:
    """Spreads groups of channels over blocks of `factor` pixels an axis: the image grows, its channels become fewer.

    Args:
        factor: pixels an axis, an int or one an axis.

    Returns: `(n, *[factor · space], c_in / Π factor)`.

    Raises: ValueError if the channels are no multiple of the product of the factors.

    >>> pixel_shuffle(jnp.arange(4.0).reshape(1, 1, 1, 4), 2)[0, :, :, 0].tolist()
    [[0.0, 1.0], [2.0, 3.0]]
    """
    x = _check.images("pixel_shuffle", x)
    *_, c = x.shape
    factor = per_axis(factor, x.ndim - 2, what="factor", name="pixel_shuffle", least=1)
    if c % prod(factor):
        raise ValueError(
            f"pixel_shuffle: factor={factor} needs a multiple of {prod(factor)} channels; x is {_check.describe(x)}"
        )
    return placed(_spread, x, factor=factor)


def _spread(x: Array, factor: tuple[int, ...]) -> Array:
    n, *space, c = x.shape
    rank = len(space)
    x = x.reshape(n, *space, c // prod(factor), *factor)  # (n, h, w, c, r, r)
    pairs = [axis for a in range(rank) for axis in (a + 1, a + 2 + rank)]
    larger = [p * r for p, r in zip(space, factor)]
    return jnp.transpose(x, (0, *pairs, rank + 1)).reshape(n, *larger, c // prod(factor))  # (n, h·r, w·r, c)


def pixel_unshuffle(x: Shaped[Array, "n *space c"], factor: int | Sequence[int]) -> Shaped[Array, "n *smaller c_out"]:
    """Gathers blocks of `factor` pixels an axis into channels: the inverse of `pixel_shuffle`.

    Returns: `(n, *[space / factor], c · Π factor)`.

    Raises: ValueError if an axis is no multiple of its factor.

    >>> pixel_unshuffle(jnp.array([[0.0, 1], [2, 3]])[None, :, :, None], 2).tolist()
    [[[[0.0, 1.0, 2.0, 3.0]]]]
    """
    x = _check.images("pixel_unshuffle", x)
    n, *space, c = x.shape
    factor, rank = per_axis(factor, len(space), what="factor", name="pixel_unshuffle", least=1), len(space)
    if any(p % r for p, r in zip(space, factor)):
        raise ValueError(
            f"pixel_unshuffle: factor={factor} must divide the spatial axes {tuple(space)}; x is {_check.describe(x)}"
        )
    smaller = [p // r for p, r in zip(space, factor)]
    x = x.reshape(n, *[v for pair in zip(smaller, factor) for v in pair], c)  # (n, h, r, w, r, c)
    order = (0, *range(1, 2 * rank, 2), 2 * rank + 1, *range(2, 2 * rank + 1, 2))
    return jnp.transpose(x, order).reshape(n, *smaller, c * prod(factor))  # (n, h, w, c·r·r)


def channel_shuffle(x: Shaped[Array, "n *space c"], groups: int) -> Shaped[Array, "n *space c"]:
    """Deals the channels of `groups` groups out in turn: output channel j · groups + g is channel j of group g.

    Between two grouped convolutions it lets the groups see each other (Zhang et al., 2018, arXiv:1707.01083).

    Raises: ValueError if `groups` does not divide the channels.

    >>> channel_shuffle(jnp.arange(6.0).reshape(1, 1, 6), 2)[0, 0].tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """
    x = _check.images("channel_shuffle", x)
    (count,) = per_axis(groups, 1, what="groups", name="channel_shuffle", least=1)
    if x.shape[-1] % count:
        raise ValueError(f"channel_shuffle: groups={count} must divide c={x.shape[-1]} (x is {_check.describe(x)})")
    x_groups = x.reshape(*x.shape[:-1], count, x.shape[-1] // count)  # (n, *space, groups, c / groups)
    return x_groups.swapaxes(-1, -2).reshape(x.shape)
