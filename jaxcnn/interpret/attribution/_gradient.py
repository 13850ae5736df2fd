"""Gradients of one output: plain, and times the input.

    gradient(x)_p = ∂s / ∂x_p        input_x_gradient(x)_p = x_p · ∂s / ∂x_p

References: Simonyan, Vedaldi & Zisserman, Deep inside convolutional networks (2013); Shrikumar et al., Not just a black
box (2016).
"""

from typing import Any

import jax
from jax import Array
from jaxtyping import Float

from .._attribute import attribute
from .._forward import PLAIN
from .._target import Target


def gradient(model: Any, x: Float[Array, "n *space c"], target: Target = None) -> Float[Array, "n *space c"]:
    """How much the target's number changes with each pixel.

    Args:
        model: an NNX module, or a function of images.
        x: images as the model takes them.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).

    Raises: TypeError for integer images, ValueError for a target out of range or a gradient that is not finite.

    >>> import jax.numpy as jnp
    >>> gradient(lambda x: 3 * x.sum((1, 2)), jnp.ones((1, 2, 2, 1)), 0).ravel().tolist()
    [3.0, 3.0, 3.0, 3.0]
    """
    return attribute("gradient", slope, model, x, target)


def input_x_gradient(model: Any, x: Float[Array, "n *space c"], target: Target = None) -> Float[Array, "n *space c"]:
    """Each pixel times the gradient there; the arguments and errors of `gradient`.

    >>> import jax.numpy as jnp
    >>> input_x_gradient(lambda x: 3 * x.sum((1, 2)), jnp.array([[[[1.0], [2.0]]]]), 0).ravel().tolist()
    [3.0, 6.0]
    """
    return attribute("input_x_gradient", _times_x, model, x, target)


def slope(forward, x: Array, score) -> tuple[Array, Any]:
    """Gradient of the scores with regard to x, and the outputs."""

    def summed(x):
        outputs = forward(x, PLAIN)
        return score(outputs).sum(), outputs

    return jax.grad(summed, has_aux=True)(x)


def _times_x(forward, x: Array, score) -> tuple[Array, Any]:
    found, outputs = slope(forward, x, score)
    return x * found, outputs
