"""Occlusion: what the score loses when a window of the image is covered.

    d_k = s(x) − s(x covered by window k)        map_p = mean of d_k over the windows k that cover p

The window slides over space in steps of the stride, all channels at once. The last window of an axis is cut at the border,
so that every pixel is covered. References: Zeiler & Fergus, Visualizing and understanding convolutional networks (2014);
the averages are captum's.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.geometry import per_axis

from .._attribute import attribute, counted, images, like
from .._forward import PLAIN
from .._local import Local
from .._perturb import in_turns
from .._target import Target


def occlusion(
    model: Any,
    x: Float[Array, "n *space c"],
    target: Target = None,
    *,
    window: int | tuple[int, ...],
    stride: int | tuple[int, ...] | None = None,
    baseline: Any = 0.0,
    batch: int = 16,
) -> Float[Array, "n *space"]:
    """How much the score falls where a window covers the image.

    Args:
        model: an NNX module, or a function of images.
        x: images as the model takes them.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).
        window: pixels of the window, an int for every axis.
        stride: pixels from one window to the next, by default half the window.
        baseline: a number, an image or images that the window shows.
        batch: images that go through the network at once, which bounds the memory.

    Raises: ValueError for a window larger than the image, a stride that is 0 or leaves pixels out, a baseline of another
        shape; else as `gradient`.

    >>> f = lambda x: x.sum((1, 2))
    >>> occlusion(f, jnp.array([[[[1.0], [2.0], [4.0]]]]), 0, window=(1, 2), stride=1).ravel().tolist()
    [3.0, 4.5, 6.0]
    """
    x = images("occlusion", x)
    size, step = _window(x.shape[1:-1], window, stride)
    options = {"size": size, "step": step, "batch": counted("occlusion", "batch", batch)}
    return attribute("occlusion", _occluded, model, x, target, like("occlusion", "baseline", baseline, x), **options)


def _window(space: tuple[int, ...], window: Any, stride: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Window and stride of each axis.

    Raises: ValueError.
    """
    size = per_axis(window, len(space), what="window", name="occlusion", least=1)
    half = tuple(max(k // 2, 1) for k in size)
    step = half if stride is None else per_axis(stride, len(space), what="stride", name="occlusion", least=1)
    if any(k > n for k, n in zip(size, space)):
        raise ValueError(f"occlusion: window={size} is larger than the image {space}; use at most {space}")
    if any(s > k and k < n for s, k, n in zip(step, size, space)):
        raise ValueError(f"occlusion: stride={step} leaves pixels between windows of {size}; use at most {size}")
    return size, step


def starts(n: int, size: int, step: int) -> np.ndarray:
    """First pixel of each window of an axis; the last window reaches the border or beyond."""
    return np.arange(-(-(n - size) // step) + 1) * step


def _occluded(forward, x: Array, score, baseline: Array, *, size, step, batch: int):
    outputs = forward(x, PLAIN)
    score, space = score.at(outputs), x.shape[1:-1]
    firsts = [starts(*axis) for axis in zip(space, size, step)]
    grid = tuple(map(len, firsts))
    corners = np.stack(np.meshgrid(*firsts, indexing="ij"), -1).reshape(-1, len(space))

    def covered(numbers: Array) -> Array:
        inside = jnp.ones((len(numbers), *(1,) * len(space)), bool)
        for axis, (n, k) in enumerate(zip(space, size)):
            away = jnp.arange(n)[None] - jnp.asarray(corners[:, axis])[numbers, None]  # (windows, n)
            inside &= ((away >= 0) & (away < k)).reshape(-1, *(n if a == axis else 1 for a in range(len(space))))
        return jnp.where(inside[:, None, ..., None], baseline, x)  # (windows, n, *space, c)

    local = Local(lambda x: score(forward(x, PLAIN)), x, corners, size)
    turn = lambda carry, numbers, counts: (carry, jax.vmap(local.changed)(numbers, covered(numbers)))
    _, changed = in_turns(turn, (), len(corners), len(x), batch)
    drops = (score(outputs) - changed).T.reshape(len(x), *grid)
    return _averaged(drops, firsts, space, size), outputs


def _averaged(drops: Array, firsts: list[np.ndarray], space, size) -> Array:
    """For each pixel the mean over the windows that cover it, one axis after the other."""
    for axis, (first, n, k) in enumerate(zip(firsts, space, size)):
        away = np.arange(n) - first[:, None]
        covers = ((away >= 0) & (away < k)).astype(np.float64)
        weights = jnp.asarray(covers / covers.sum(0), drops.dtype)  # (windows, n)
        drops = jnp.moveaxis(jnp.tensordot(drops, weights, (axis + 1, 0)), -1, axis + 1)
    return drops
