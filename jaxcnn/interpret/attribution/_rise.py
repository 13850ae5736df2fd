"""RISE: the mean of random masks, each weighted by the score of the image behind it.

    map = Σ_k s(x · M_k) · M_k / (masks · share)

A mask is a coarse grid of zeros and ones, ones with probability `share`, enlarged linearly to one cell more than the image has
and cut out at a random place. Reference: Petsiuk, Das & Saenko, RISE (2018).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F
from jaxcnn.geometry import per_axis

from .._attribute import attribute, counted, images
from .._forward import PLAIN
from .._perturb import in_turns, likely, scores_of
from .._target import Target


def rise(
    key: Array,
    model: Any,
    x: Float[Array, "n *space c"],
    target: Target = None,
    *,
    masks: int = 4000,
    grid: int | tuple[int, ...] = 7,
    share: float = 0.5,
    probability: bool = True,
    batch: int = 16,
) -> Float[Array, "n *space"]:
    """How much the score depends on each pixel's being seen, from random masks; all images have the same ones.

    Args:
        key: draws the masks; mask k is the same whatever `masks` and `batch` are.
        model: an NNX module, or a function of images.
        x: images as the model takes them; a hidden pixel is 0.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).
        masks: how many.
        grid: cells of an axis, an int for every axis.
        share: probability of a cell to be seen.
        probability: score the softmax of the outputs, as the paper does, not the outputs.
        batch: images that go through the network at once, which bounds the memory.

    Raises: ValueError for a share outside (0, 1), counts below 1, a grid finer than the image; else as `gradient`.

    >>> f = lambda x: x[:, 0, :1].sum(-1)  # looks at the left pixel alone
    >>> left, right = rise(jax.random.key(0), f, jnp.ones((1, 1, 2, 1)), 0, masks=200, grid=(1, 2), probability=False)[0, 0]
    >>> bool(left > right)
    True
    """
    x = images("rise", x)
    cells = per_axis(grid, x.ndim - 2, what="grid", name="rise", least=1)
    if any(s > n for s, n in zip(cells, x.shape[1:-1])):
        raise ValueError(f"rise: grid={cells} is finer than the image {x.shape[1:-1]}; use at most a cell a pixel")
    if not 0 < share < 1:
        raise ValueError(f"rise: share={share} must lie between 0 and 1")
    counts = {"masks": counted("rise", "masks", masks), "batch": counted("rise", "batch", batch)}
    options = {**counts, "cells": cells, "share": float(share), "probability": bool(probability)}
    return attribute("rise", _rise, model, x, target, key, **options)


def drawn(key: Array, numbers: Array, space: tuple[int, ...], cells: tuple[int, ...], share: float, dtype) -> Array:
    """Masks of these numbers, `(numbers, *space)`."""
    cell = tuple(-(-n // s) for n, s in zip(space, cells))

    def one(number: Array) -> tuple[Array, Array]:
        of_grid, of_place = jax.random.split(jax.random.fold_in(key, number))
        return jax.random.bernoulli(of_grid, share, cells), jax.random.randint(
            of_place, (len(cells),), 0, jnp.array(cell)
        )

    grids, places = jax.vmap(one)(numbers)
    large = tuple((s + 1) * c for s, c in zip(cells, cell))
    enlarged = F.resize(grids.astype(dtype)[..., None], large, method="linear")[..., 0]
    return jax.vmap(lambda mask, place: jax.lax.dynamic_slice(mask, place, space))(enlarged, places)


def _rise(forward, x: Array, score, key: Array, *, masks: int, batch: int, cells, share: float, probability: bool):
    outputs = forward(x, PLAIN)
    score = likely("rise", score, outputs, probability)

    def turn(total: Array, numbers: Array, counts: Array):
        some = drawn(key, numbers, x.shape[1:-1], cells, share, x.dtype)
        found = scores_of(forward, score, some[:, None, ..., None] * x)
        return total + jnp.einsum("kn,k...->n...", jnp.where(counts[:, None], found, 0), some), None

    total, _ = in_turns(turn, jnp.zeros(x.shape[:-1], x.dtype), masks, len(x), batch)
    return total / (masks * share), outputs
