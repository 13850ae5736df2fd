"""SmoothGrad and its variance: gradients of noisy copies of the image.

    smooth_grad = mean_k ∂s / ∂x (x + ε_k)        variance = mean_k (∂s / ∂x (x + ε_k))² − smooth_grad²,    ε_k ~ N(0, σ²)

References: Smilkov et al., SmoothGrad: removing noise by adding noise (2017); Adebayo et al., Local explanation methods
for deep neural networks lack sensitivity to parameter values (2018) for the variance.
"""

from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from .._attribute import attribute, counted, images
from .._forward import PLAIN
from .._target import Target
from ._gradient import slope

Kind = Literal["mean", "mean_square", "variance"]


def smooth_grad(
    key: Array,
    model: Any,
    x: Float[Array, "n *space c"],
    target: Target = None,
    *,
    samples: int = 32,
    noise: float = 0.15,
    kind: Kind = "mean",
    batch: int = 8,
) -> Float[Array, "n *space c"]:
    """Mean, mean square or variance of the gradients at noisy copies of each image.

    Without a target each copy is asked about the class that is likeliest for the image itself.

    Args:
        key: random key of the noise.
        model: an NNX module, or a function of images.
        x: images as the model takes them.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).
        samples: noisy copies of each image.
        noise: standard deviation of the noise as a share of the image's range, its largest minus its smallest number.
        kind: "mean" (SmoothGrad), "mean_square" or "variance" (VarGrad).
        batch: copies of all images that are computed at once, which bounds the memory.

    Raises: ValueError for an unknown kind or counts below 1; else as `gradient`.

    >>> f = lambda x: 3 * x.sum((1, 2))
    >>> smooth_grad(jax.random.key(0), f, jnp.array([[[[1.0], [2.0]]]]), 0).ravel().tolist()
    [3.0, 3.0]
    """
    if kind not in get_args(Kind) or not noise >= 0:
        raise ValueError(
            f"smooth_grad: kind={kind!r}, noise={noise}; use {', '.join(get_args(Kind))}, and a noise from 0"
        )
    options = {"samples": counted("smooth_grad", "samples", samples), "batch": counted("smooth_grad", "batch", batch)}
    x, spread = images("smooth_grad", x), jnp.asarray(noise, jnp.asarray(x).dtype)
    return attribute("smooth_grad", _smooth, model, x, target, key, spread, kind=kind, **options)


def _smooth(forward, x: Array, score, key: Array, noise: Array, *, kind: Kind, samples: int, batch: int):
    axes = tuple(range(1, x.ndim))
    outputs = forward(x, PLAIN)
    score = score.at(outputs)
    sigma = noise * (x.max(axes, keepdims=True) - x.min(axes, keepdims=True))

    def one(key):
        return slope(forward, x + sigma * jax.random.normal(key, x.shape, x.dtype), score)[0]

    found = jax.lax.map(one, jax.random.split(key, samples), batch_size=min(batch, samples))  # (samples, n, …)
    if kind == "mean":
        return found.mean(0), outputs
    return (jnp.square(found).mean(0) if kind == "mean_square" else found.var(0)), outputs
