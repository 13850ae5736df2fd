"""Local response normalisation: each channel is divided by the energy of its neighbours.

    y[c] = x[c] / (k + alpha / size · Σ x[c']²)^beta,  c' from c − ⌊size / 2⌋ to c + ⌊(size − 1) / 2⌋, inside the channels

PyTorch's formula. AlexNet's has no division by size: its alpha of 1e-4 over 5 channels is alpha=5e-4 here, with k=2.
Reference: Krizhevsky et al., ImageNet classification with deep convolutional neural networks (2012), section 3.3.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxcnn.geometry import per_axis

from . import _check, _numbers
from ._numbers import Number
from ._widened import widened
from .engine import LONG, doubled


def local_response_norm(
    x: Float[Array, "... c"], size: int, *, alpha: Number = 1e-4, beta: Number = 0.75, k: Number = 1.0
) -> Float[Array, "... c"]:
    """Divides each channel by a power of the energy of `size` neighbouring channels; in float32 at least, in the dtype of x.

    Args:
        size: number of channels summed; an even one reaches one further down than up.
        alpha, beta, k: numbers or arrays of one, which may be traced and have a derivative.
        k: with k=0 a neighbourhood of zeros gives NaN, as the formula says.

    Raises: ValueError for a size that is below 1. TypeError for x that is not floating point.

    >>> local_response_norm(jnp.array([[1.0, 1.0, 0.0]]), 3, alpha=3.0, beta=1.0, k=2.0).tolist()
    [[0.25, 0.25, 0.0]]
    """
    x = _check.array("local_response_norm", "x", x)
    _check.floating("local_response_norm", x)
    if x.ndim < 1:
        raise ValueError(f"local_response_norm: x is {_check.describe(x)}; its last axis must be the channels")
    (size,) = per_axis(size, 1, what="size", name="local_response_norm", least=1)
    wide, c = widened(x), x.shape[-1]
    numbers = {"alpha": alpha, "beta": beta, "k": k}
    alpha, beta, k = (_numbers.of_dtype("local_response_norm", *entry, wide.dtype) for entry in numbers.items())
    # further neighbours than there are channels add nothing
    below, above = min(size // 2, max(c - 1, 0)), min((size - 1) // 2, max(c - 1, 0))
    squares = jnp.pad(jnp.square(wide), [(0, 0)] * (x.ndim - 1) + [(below, above)])
    energy = _sums(squares, below + above + 1, c)
    return (wide / (k + alpha / size * energy) ** beta).astype(x.dtype)


def _sums(x: Array, size: int, c: int) -> Array:
    """The sums of `size` neighbours along the last axis, which is padded already."""
    if size > LONG:
        return _sums_by_doubling(x, size, c)
    return sum((x[..., i : i + c] for i in range(1, size)), start=x[..., :c])


@partial(jax.jit, static_argnums=(1, 2))
def _sums_by_doubling(x: Array, size: int, c: int) -> Array:
    return doubled([x], x.ndim - 1, size, 1, 1, c, lambda a, b, _: [a[0] + b[0]])[0]
