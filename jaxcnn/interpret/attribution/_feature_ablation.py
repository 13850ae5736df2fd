"""Feature ablation: what the score loses without a group of pixels, such as a superpixel or an object.

    map_p = s(x) − s(x with the baseline in the group of p)

Reference: the ablation of captum (Kokhlikyan et al. 2020), here for pixels with all their channels.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jaxtyping import Float, Int

from .._attribute import attribute, counted, images, like
from .._forward import PLAIN
from .._perturb import scores
from .._target import Target


def feature_ablation(
    model: Any,
    x: Float[Array, "n *space c"],
    target: Target = None,
    *,
    groups: Int[np.ndarray, "*space"],
    baseline: Any = 0.0,
    batch: int = 16,
) -> Float[Array, "n *space"]:
    """How much the score falls without each group of pixels; a pixel has the number of its group.

    Args:
        model: an NNX module, or a function of images.
        x: images as the model takes them.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).
        groups: integers `(*space)`, or `(n, *space)` where each image has its own; equal ones are a group.
        baseline: a number, an image or images that stand where a group is taken away.
        batch: images that go through the network at once, which bounds the memory.

    Raises: TypeError for groups that are traced or no integers, ValueError for groups of another shape; else as `gradient`.

    >>> f = lambda x: x.sum((1, 2))
    >>> feature_ablation(f, jnp.array([[[[1.0], [2.0], [4.0]]]]), 0, groups=np.array([[7, 7, 9]])).ravel().tolist()
    [3.0, 3.0, 4.0]
    """
    name = "feature_ablation"
    x = images(name, x)
    numbers, count = _numbered(groups, x)
    arrays = (like(name, "baseline", baseline, x), numbers)
    return attribute(name, _ablated, model, x, target, *arrays, count=count, batch=counted(name, "batch", batch))


def _numbered(groups: Any, x: Array) -> tuple[Array, int]:
    """The groups of each image numbered from 0, and how many there are."""
    name, space = "feature_ablation", x.shape[1:-1]
    if isinstance(groups, Tracer):
        raise TypeError(
            f"{name}: groups are traced; give them as NumPy integers, because their number shapes the program"
        )
    groups = np.asarray(groups)
    if groups.dtype.kind not in "iub":
        raise TypeError(f"{name}: groups are {groups.dtype}; give integers, one a pixel")
    if groups.shape not in (space, x.shape[:-1]):
        raise ValueError(
            f"{name}: groups have shape {list(groups.shape)}; give {list(space)}, or {list(x.shape[:-1])} for one set an image"
        )
    found, numbers = np.unique(groups, return_inverse=True)
    return jnp.asarray(np.broadcast_to(numbers.reshape(groups.shape), x.shape[:-1])), len(found)


def _ablated(forward, x: Array, score, baseline: Array, groups: Array, *, count: int, batch: int):
    outputs = forward(x, PLAIN)
    score = score.at(outputs)

    def without(numbers: Array) -> Array:
        taken = groups == numbers.reshape(-1, *(1,) * groups.ndim)  # (changes, n, *space)
        return jnp.where(taken[..., None], baseline, x)

    changed = scores(forward, score, without, count, len(x), batch)
    drops = (score(outputs) - changed).T  # (n, groups)
    return jax.vmap(lambda drops, groups: drops[groups])(drops, groups), outputs
