"""Pooling by a fraction: `fractional_max_pool` and `fractional_max_pool_with_indices`, each also 1d, 2d and 3d.

On an axis of n pixels, o outputs with windows of k pixels start at (PyTorch's rule; Graham, Fractional max-pooling, 2014)

    ⌊(i + u) α⌋ − ⌊u α⌋    i = 0 … o − 2          α = (n − k) / (o − 1)
    n − k                   i = o − 1

with one random u in [0, 1) an axis, image and channel. Steps between windows are ⌊α⌋ or ⌈α⌉; windows that are longer overlap.

Common arguments:
    key: a random key; None where `samples` are given.
    window: pixels, an int or one an axis.
    output_size: outputs, an int or one an axis.
    ratio: instead of it, outputs a pixel: a number in (0, 1], or one an axis, `⌊n · ratio⌋` outputs.
    samples: the u themselves, `(n, axes, c)`, axes in the order of x; kept in [0, 1). (PyTorch's `_random_samples` are
        `(n, c, axes)`, with the last axis first in 2d.)
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jaxtyping import Float, Int, Shaped

from jaxcnn.geometry import Window, per_axis

from . import _check, _numbers
from ._widened import widened
from .engine import extreme, extreme_winner

Ints = int | Sequence[int]
Ratio = float | Sequence[float]


def fractional_max_pool(
    key: Array | None,
    x: Shaped[Array, "n *space c"],
    window: Ints,
    *,
    output_size: Ints | None = None,
    ratio: Ratio | None = None,
    samples: Float[Array, "n axes c"] | None = None,
) -> Shaped[Array, "n *output_size c"]:
    """Largest pixel of each window, the windows placed at random; NaN if there is one. Gradients go where `max_pool` sends them.

    Raises: ValueError for sizes or samples that do not fit (samples outside [0, 1) inside `jit` are clipped), TypeError for
        complex numbers and what is no key.

    >>> x, u = jnp.arange(10.0)[None, :, None], jnp.full((1, 1, 1), 0.5)
    >>> fractional_max_pool(None, x, 2, output_size=6, samples=u)[0, :, 0].tolist()
    [1.0, 3.0, 5.0, 6.0, 8.0, 9.0]
    """
    x, full, starts = _placed("fractional_max_pool", key, x, window, output_size, ratio, samples)
    return _chosen(extreme(x, full, largest=True), starts)


def fractional_max_pool_with_indices(
    key: Array | None,
    x: Shaped[Array, "n *space c"],
    window: Ints,
    *,
    output_size: Ints | None = None,
    ratio: Ratio | None = None,
    samples: Float[Array, "n axes c"] | None = None,
) -> tuple[Shaped[Array, "n *output_size c"], Int[Array, "n *output_size c"]]:
    """`fractional_max_pool` and the pixel that each output was taken from, as `max_pool_with_indices` counts them.

    Raises: as `fractional_max_pool`; ValueError for an image of more than 2³¹ − 1 pixels.

    >>> x, u = jnp.arange(10.0)[None, :, None], jnp.full((1, 1, 1), 0.5)
    >>> fractional_max_pool_with_indices(None, -x, 2, output_size=6, samples=u)[1][0, :, 0].tolist()
    [0, 2, 4, 5, 7, 8]
    """
    name = "fractional_max_pool_with_indices"
    x, full, starts = _placed(name, key, x, window, output_size, ratio, samples)
    space = x.shape[1:-1]
    if prod(space) > np.iinfo(np.int32).max:
        raise ValueError(
            f"{name}: x is {_check.describe(x)}, more pixels an image than int32 can count; cut it in tiles"
        )
    values, taps = (_chosen(v, starts) for v in extreme_winner(x, full, largest=True))
    rest, flat, weight = taps.astype(jnp.int32), jnp.zeros(taps.shape, jnp.int32), 1
    for axis in reversed(range(full.rank)):
        flat += (starts[axis] + rest % full.size[axis]) * weight
        rest, weight = rest // full.size[axis], weight * space[axis]
    return values, flat


fractional_max_pool1d, fractional_max_pool2d, fractional_max_pool3d = (
    _check.ranked(fractional_max_pool, rank, position=1) for rank in (1, 2, 3)
)
fractional_max_pool1d_with_indices, fractional_max_pool2d_with_indices, fractional_max_pool3d_with_indices = (
    _check.ranked(fractional_max_pool_with_indices, rank, position=1, suffix="_with_indices") for rank in (1, 2, 3)
)


def _placed(name: str, key, x, window, output_size, ratio, samples) -> tuple[Array, Window, list[Array]]:
    """x, the window at stride 1, and where each output's window starts: one array an axis, `(n, 1, …, o, …, 1, c)`."""
    x = _check.images(name, x)
    _check.ordered(name, x)
    full = Window.resolve(window, x.shape[1:-1], name=name)
    sizes = _output_size(name, x, full, output_size, ratio)
    samples, starts = _samples(name, key, x, samples), []
    for axis, (n, o, k) in enumerate(zip(x.shape[1:-1], sizes, full.size)):
        u = samples[:, axis, None]  # (n, 1, c)
        alpha = (jnp.asarray(n - k, u.dtype) / jnp.asarray(max(o - 1, 1), u.dtype)).astype(u.dtype)
        i = jnp.arange(o - 1, dtype=u.dtype)[None, :, None]
        first = jnp.floor((i + u) * alpha) - jnp.floor(u * alpha)  # (n, o − 1, c)
        first = jnp.concatenate([first, jnp.full_like(u, n - k)], axis=1).astype(jnp.int32).clip(0, n - k)
        starts.append(jnp.expand_dims(first, [a for a in range(1, x.ndim - 1) if a != axis + 1]))
    return x, full, starts


def _output_size(name: str, x: Array, full: Window, output_size, ratio) -> tuple[int, ...]:
    space = x.shape[1:-1]
    if (output_size is None) == (ratio is None):
        raise ValueError(f"{name}: output_size={output_size!r} and ratio={ratio!r}: give one of the two")
    if ratio is not None:
        output_size = [int(n * r) for n, r in zip(space, _ratios(name, ratio, len(space)))]
    what = "output_size" if ratio is None else f"ratio={ratio!r}, output_size"
    sizes = per_axis(output_size, len(space), what=what, name=name, least=1)
    for axis, (n, o, k) in enumerate(zip(space, sizes, full.size)):
        if o + k - 1 > n:
            raise ValueError(
                f"{name}: {o} windows of {k} pixels do not start apart on spatial axis {axis} of {n} pixels; use at most "
                f"{n - k + 1} outputs"
            )
    return sizes


def _ratios(name: str, ratio: Ratio, rank: int) -> tuple[float, ...]:
    given: Any = ratio if isinstance(ratio, tuple | list) or np.ndim(ratio) else (ratio,) * rank
    ratios = tuple(_numbers.scalar(name, "ratio", r, above=0, high=1) for r in given)
    if len(ratios) != rank:
        raise TypeError(f"{name}: ratio={ratio!r} must be a number or {rank} numbers")
    known = [_numbers.concrete(r) for r in ratios]
    if None in known:
        raise TypeError(f"{name}: ratio is traced; it decides the size of the result, so it must be a known number")
    return tuple(map(float, known))


def _samples(name: str, key, x: Array, samples) -> Array:
    """The random numbers of every axis, drawn or given, in float64 for such x and float32 else (as PyTorch's)."""
    shape = (x.shape[0], x.ndim - 2, x.shape[-1])
    dtype = jnp.dtype(jnp.float64 if x.dtype == jnp.float64 else jnp.float32)
    if samples is None:
        return jax.random.uniform(_check.random_key(name, key), shape, dtype)
    samples = _check.array(name, "samples", samples)
    _check.floating(name, samples, "samples")
    if samples.shape != shape:
        raise ValueError(f"{name}: samples is {_check.describe(samples)}; it must have the shape {shape}")
    if not isinstance(samples, Tracer) and samples.size:
        known = np.asarray(samples)  # concrete also where a function under jit closes over it
        if not (known.min() >= 0 and known.max() < 1):
            raise ValueError(f"{name}: samples reach from {known.min()} to {known.max()}; they must be in [0, 1)")
    return samples.astype(dtype).clip(0, 1 - jnp.finfo(dtype).epsneg)


def _chosen(v: Array, starts: list[Array]) -> Array:
    """The entries of `v` at the starts. Widened first: going back, what several outputs chose is added up."""
    wide = widened(v)
    for axis, first in enumerate(starts, start=1):
        wide = jnp.take_along_axis(wide, first, axis, mode="promise_in_bounds")
    return wide.astype(v.dtype)
