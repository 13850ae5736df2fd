"""The training loss of classification, in nats."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float


def cross_entropy(
    logits: Float[Array, "n k"],
    labels: Array,
    *,
    smoothing: float = 0.0,
    class_weights: Float[Array, " k"] | None = None,
) -> Float[Array, ""]:
    """Mean softmax cross-entropy in nats.

    Args:
        logits: `(n, k)`.
        labels: class indices `(n,)`, or shares of the classes `(n, k)` that add up to 1 (mixup, cutmix).
        smoothing: share of the truth that is spread evenly over all classes (Szegedy et al. 2016), from 0 to 1.
        class_weights: `(k,)`, weight of an image by its class; the mean is over weights, as PyTorch's.

    Returns: a scalar; NaN where a class index is not one of the k.

    Raises: ValueError for a smoothing outside [0, 1), or labels of another shape; TypeError for indices that are not integers.

    >>> round(cross_entropy(jnp.zeros((2, 10)), jnp.array([3, 7])).item(), 4)
    2.3026
    """
    if not 0 <= smoothing < 1:
        raise ValueError(f"cross_entropy: smoothing={smoothing} must be at least 0 and below 1")
    classes = logits.shape[-1]
    if labels.shape not in (logits.shape, logits.shape[:1]):
        raise ValueError(
            f"cross_entropy: labels {labels.shape} of logits {logits.shape}; give indices (n,) or shares (n, k)"
        )
    shares = labels if labels.ndim == logits.ndim else _shares(labels, classes, logits.dtype)
    weights = shares if class_weights is None else shares * class_weights[None]
    total = weights.sum()
    if smoothing:
        every = jnp.ones(classes, logits.dtype) if class_weights is None else class_weights
        weights = (1 - smoothing) * weights + smoothing / classes * every[None]
    return -(weights * jax.nn.log_softmax(logits)).sum() / total


def _shares(labels: Array, classes: int, dtype) -> Array:
    if not jnp.issubdtype(labels.dtype, jnp.integer):
        raise TypeError(
            f"cross_entropy: class indices are {labels.dtype}; they must be integers, labels.astype(jnp.int32)"
        )
    known = (labels >= 0) & (labels < classes)
    return jnp.where(known[:, None], jax.nn.one_hot(labels, classes, dtype=dtype), jnp.nan)
