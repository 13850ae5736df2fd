"""Whether the numbers of a map are what the score loses: `completeness_error` and `sensitivity_n`.

    completeness_error = |Σ_p R_p − (s(x) − s(x′))| / |s(x) − s(x′)|
    sensitivity_n = correlation over random sets S of n pixels of  Σ_{p ∈ S} R_p  and  s(x) − s(x with the baseline in S)

References: Sundararajan, Taly & Yan, Axiomatic attribution (2017); Ancona et al., Towards better understanding of
gradient-based attribution methods (2018).
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from .._attribute import attribute, counted, images, like
from .._forward import PLAIN
from .._perturb import in_turns, scores_of
from .._target import Target
from ._maps import maps


def completeness_error(
    model: Any,
    x: Float[Array, "n *space c"],
    attribution: Float[Array, "n *space"],
    target: Target,
    *,
    baseline: Any = 0.0,
) -> Float[Array, " n"]:
    """How far the sum of an attribution is from the difference to the baseline, as a share of it.

    Infinite where the score does not differ from the baseline's and the sum is not 0.

    Args:
        model: an NNX module, or a function of images.
        x: images as the model takes them.
        attribution: maps `(n, *space)`, or with channels.
        target: as for `gradient`.
        baseline: a number, an image or images that the attribution compares with.

    Raises: ValueError for attributions of another shape or with NaN; else as `gradient`.

    >>> f, x = lambda x: x.sum((1, 2)), jnp.array([[[[1.0], [3.0]]]])
    >>> completeness_error(f, x, x, 0).tolist(), completeness_error(f, x, x / 2, 0).tolist()
    ([0.0], [0.5])
    """
    name = "completeness_error"
    x = images(name, x)
    total = maps(name, attribution, x.shape[1:-1], len(x)).sum(tuple(range(1, x.ndim - 1)))
    difference = attribute(name, _differs, model, x, target, like(name, "baseline", baseline, x))
    away = jnp.abs(total - difference)
    return jnp.where(away == 0, 0, away / jnp.abs(difference))


def sensitivity_n(
    key: Array,
    model: Any,
    x: Float[Array, "n *space c"],
    attribution: Float[Array, "n *space"],
    target: Target,
    *,
    sizes: Sequence[int],
    subsets: int = 100,
    baseline: Any = 0.0,
    batch: int = 16,
) -> Float[Array, "n sizes"]:
    """Pearson's correlation of what a map says of random sets of pixels and what the score loses without them.

    0 where one of both does not vary.

    Args:
        key: draws the sets; all images have the same ones.
        model: an NNX module, or a function of images.
        x: images as the model takes them.
        attribution: maps `(n, *space)`, or with channels.
        target: as for `gradient`.
        sizes: pixels of a set, one number or more.
        subsets: sets of each size.
        baseline: a number, an image or images that take the pixels' place.
        batch: images that go through the network at once, which bounds the memory.

    Raises: ValueError for sizes that are not from 1 to the number of pixels; else as `completeness_error`.

    >>> f, x = lambda x: x.sum((1, 2)), jnp.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    >>> sensitivity_n(jax.random.key(0), f, x, x, 0, sizes=(1, 4)).round(4).tolist()
    [[1.0, 1.0]]
    """
    name = "sensitivity_n"
    x = images(name, x)
    values = maps(name, attribution, x.shape[1:-1], len(x))
    pixels = values[0].size
    sizes = tuple(counted(name, "sizes", size) for size in sizes)
    if not sizes or max(sizes) > pixels:
        raise ValueError(f"{name}: sizes={sizes} must be numbers from 1 to {pixels}, the pixels of an image")
    counts = {"subsets": counted(name, "subsets", subsets, least=2), "batch": counted(name, "batch", batch)}
    arrays = (key, values, like(name, "baseline", baseline, x))
    return attribute(name, _correlated, model, x, target, *arrays, sizes=sizes, **counts)


def _differs(forward, x: Array, score, baseline: Array):
    outputs = forward(x, PLAIN)
    score = score.at(outputs)
    return score(outputs) - score(forward(baseline, PLAIN)), outputs


def _correlated(
    forward, x: Array, score, key: Array, values: Array, baseline: Array, *, sizes, subsets: int, batch: int
):
    outputs = forward(x, PLAIN)
    score, space, count = score.at(outputs), values.shape[1:], len(sizes) * subsets

    def of_set(number: Array) -> Array:
        noise = jax.random.uniform(jax.random.fold_in(key, number), (values[0].size,))
        place = jnp.argsort(jnp.argsort(noise))
        return (place < jnp.asarray(sizes)[number // subsets]).reshape(space)

    def turn(carry, numbers: Array, counts: Array):
        chosen = jax.vmap(of_set)(numbers)  # (numbers, *space)
        without = jnp.where(chosen[:, None, ..., None], baseline, x)
        said = jnp.einsum("k...,n...->kn", chosen.astype(values.dtype), values)
        return carry, (said, score(outputs) - scores_of(forward, score, without))

    _, both = in_turns(turn, (), count, len(x), batch)
    said, lost = (one.reshape(len(sizes), subsets, len(x)) for one in both)
    return correlation(said, lost, 1).T, outputs


def correlation(a: Array, b: Array, axis: int) -> Array:
    """Pearson's correlation along an axis; 0 where one does not vary."""
    a, b = (one - one.mean(axis, keepdims=True) for one in (a, b))
    below = jnp.sqrt(jnp.square(a).sum(axis) * jnp.square(b).sum(axis))
    return jnp.where(below > 0, (a * b).sum(axis) / jnp.where(below > 0, below, 1), 0)
