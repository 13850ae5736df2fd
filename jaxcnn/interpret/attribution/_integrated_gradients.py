"""Integrated gradients: gradients summed along the straight way from a baseline to the image.

    IG_p = (x_p − x′_p) · Σ_k w_k ∂s / ∂x_p (x′ + a_k (x − x′))

The positions a_k and weights w_k are those of a rule that integrates from 0 to 1. Over all pixels this adds up to s(x)
− s(x′) ("completeness") but for the error of the rule. Reference: Sundararajan, Taly & Yan, Axiomatic attribution for
deep networks (2017).
"""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from .._attribute import attribute, counted, images, like
from .._forward import PLAIN
from .._target import Target
from ._gradient import slope

Path = Literal["gauss_legendre", "trapezoid", "left", "right", "middle"]


def integrated_gradients(
    model: Any,
    x: Float[Array, "n *space c"],
    target: Target = None,
    *,
    baseline: Any = 0.0,
    steps: int = 64,
    path: Path = "gauss_legendre",
    batch: int = 8,
) -> Float[Array, "n *space c"]:
    """The share of each pixel in s(x) − s(baseline).

    `completeness_error` says how far the sum of the shares is from that difference.

    Args:
        model: an NNX module, or a function of images.
        x: images as the model takes them.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).
        baseline: a number, an image or images where the way begins.
        steps: gradients on the way.
        path: the rule that integrates; "gauss_legendre" needs fewest steps.
        batch: positions on the way that are computed at once for all images, which bounds the memory.

    Raises: ValueError for a baseline of another shape, an unknown path or counts below 1; else as `gradient`.

    >>> f = lambda x: (x**2).sum((1, 2))
    >>> integrated_gradients(f, jnp.array([[[[1.0], [2.0]]]]), 0, steps=2).ravel().tolist()
    [1.0, 4.0]
    """
    name = "integrated_gradients"
    if path not in get_args(Path):
        raise ValueError(f"{name}: path={path!r} must be one of {', '.join(get_args(Path))}")
    steps = counted(name, "steps", steps, least=2 if path == "trapezoid" else 1)
    x = images(name, x)
    where, weights = (jnp.asarray(one, x.dtype) for one in _rule(path, steps))
    arrays = (like(name, "baseline", baseline, x), where, weights)
    return attribute(name, _integrated, model, x, target, *arrays, batch=min(counted(name, "batch", batch), steps))


def _integrated(forward, x: Array, score, baseline: Array, where: Array, weights: Array, *, batch: int):
    outputs = forward(x, PLAIN)
    score, way = score.at(outputs), x - baseline
    some = len(where) // batch * batch  # a whole number of batches in a loop, and the rest after it

    def summed(total, some):
        found = jax.vmap(lambda a: slope(forward, baseline + a * way, score)[0])(some[0])  # (batch, n, …)
        return total + jnp.tensordot(some[1], found, 1), None

    chunks = (where[:some].reshape(-1, batch), weights[:some].reshape(-1, batch))
    total, _ = jax.lax.scan(summed, jnp.zeros_like(x), chunks)
    if some < len(where):
        total, _ = summed(total, (where[some:], weights[some:]))
    return way * total, outputs


def _rule(path: Path, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in [0, 1] and weights that add up to 1."""
    if path == "gauss_legendre":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return (nodes + 1) / 2, weights / 2
    if path == "trapezoid":
        inside = np.full(steps, 1 / (steps - 1))
        inside[[0, -1]] /= 2
        return np.linspace(0, 1, steps), inside
    first = {"left": 0.0, "middle": 0.5, "right": 1.0}[path]
    return (np.arange(steps) + first) / steps, np.full(steps, 1 / steps)
