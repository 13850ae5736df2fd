"""Class activation maps weighted by gradients: Grad-CAM, Grad-CAM++, and Grad-CAM times guided backpropagation.

    map = ReLU(Σ_c w_c A_c)
    Grad-CAM     w_c = mean_p g_pc
    Grad-CAM++   w_c = Σ_p α_pc ReLU(g_pc),    α = g² / (2 g² + g³ Σ_p A_pc),    g = ∂s / ∂A

A is a named activation with space. The maps are enlarged to the image. References: Selvaraju et al., Grad-CAM (2017);
Chattopadhay et al., Grad-CAM++ (2018), whose factor exp(s) is left out, because it multiplies a whole map alike.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F

from .._attribute import attribute, images
from .._forward import reached, resolve
from .._target import Target
from ._rectified import _guided, rectified


def grad_cam(
    model: Any,
    x: Float[Array, "n *space c"],
    target: Target = None,
    *,
    layer: str | None = None,
    relu: bool = True,
    resize: str | None = "linear",
) -> Float[Array, "n *space"]:
    """Where in the image a layer speaks for the target.

    Args:
        model: an NNX module with taps, or a function with a word `tap`.
        x: images as the model takes them.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).
        layer: name of the activation, or a pattern of which the deepest match counts; by default the deepest map.
        relu: what speaks against the target is 0.
        resize: how the map is enlarged to the image (`F.resize`'s methods); None keeps the layer's size.

    Raises: ValueError for a layer that is not there or has no space; else as `gradient`.

    >>> f = lambda x, tap: tap("a", 2 * x).sum((1, 2))
    >>> grad_cam(f, jnp.array([[[[1.0], [2.0]]]]), 0).ravel().tolist()
    [2.0, 4.0]
    """
    return cam("grad_cam", _mean_weights, model, x, target, layer, relu, resize)


def grad_cam_plus_plus(
    model: Any,
    x: Float[Array, "n *space c"],
    target: Target = None,
    *,
    layer: str | None = None,
    relu: bool = True,
    resize: str | None = "linear",
) -> Float[Array, "n *space"]:
    """As `grad_cam`, with weights that find several objects of a class; the same arguments and errors.

    >>> f = lambda x, tap: tap("a", x).sum((1, 2))
    >>> grad_cam_plus_plus(f, jnp.array([[[[1.0], [2.0]]]]), 0).ravel().tolist()
    [0.4000000059604645, 0.800000011920929]
    """
    return cam("grad_cam_plus_plus", _curved_weights, model, x, target, layer, relu, resize)


def guided_grad_cam(
    model: Any,
    x: Float[Array, "n *space c"],
    target: Target = None,
    *,
    layer: str | None = None,
    resize: str = "linear",
) -> Float[Array, "n *space c"]:
    """Guided backpropagation times the map of `grad_cam`: fine, and of the class; the arguments and errors of both.

    >>> f = lambda x, tap: jax.nn.relu(tap("a", x)).sum((1, 2))
    >>> guided_grad_cam(f, jnp.array([[[[1.0], [2.0]]]]), 0).ravel().tolist()
    [1.0, 2.0]
    """
    x = images("guided_grad_cam", x)
    layer = resolve("guided_grad_cam", model, x, layer, space=True)
    return attribute("guided_grad_cam", _guided_cam, model, x, target, layer=layer, resize=resize)


def cam(name: str, weights, model, x, target, layer, relu: bool, resize: str | None) -> Array:
    """The map of one layer with the weights `(activation, gradient) -> (n, c)`."""
    x = images(name, x)
    layer = resolve(name, model, x, layer, space=True)
    return attribute(name, _cam, model, x, target, weights=weights, layer=layer, relu=bool(relu), resize=resize)


def enlarged(maps: Array, x: Array, resize: str | None) -> Array:
    """Maps `(n, *space)` at the size of the images."""
    if resize is None:
        return maps
    return F.resize(maps[..., None], x.shape[1:-1], method=resize)[..., 0]


def _cam(forward, x: Array, score, *, weights, layer: str, relu: bool, resize: str | None):
    activation, slope, outputs = _sloped(forward, x, score, layer)
    found = jnp.einsum("n...c,nc->n...", activation, weights(activation, slope))
    return enlarged(jnp.maximum(found, 0) if relu else found, x, resize), outputs


def _guided_cam(forward, x: Array, score, *, layer: str, resize: str):
    maps, outputs = _cam(forward, x, score, weights=_mean_weights, layer=layer, relu=True, resize=resize)
    fine, _ = rectified(forward, x, score, name_of="guided_grad_cam", rule=_guided)
    return fine * maps[..., None], outputs


def _sloped(forward, x: Array, score, layer: str):
    """A named activation, the gradient there, and the outputs."""
    shape = jax.eval_shape(lambda x: reached(forward, x, layer), x)

    def summed(change):
        found: list[Array] = []

        def tap(name: str, value: Array) -> Array:
            if name == layer:
                found.append(value)
                return value + change
            return value

        outputs = forward(x, tap)
        return score(outputs).sum(), (found[0], outputs)

    slope, (activation, outputs) = jax.grad(summed, has_aux=True)(jnp.zeros(shape.shape, shape.dtype))
    return activation, slope, outputs


def _mean_weights(activation: Array, slope: Array) -> Array:
    return slope.mean(tuple(range(1, slope.ndim - 1)))  # (n, c)


def _curved_weights(activation: Array, slope: Array) -> Array:
    axes = tuple(range(1, slope.ndim - 1))
    square = jnp.square(slope)
    below = 2 * square + slope * square * activation.sum(axes, keepdims=True)
    share = jnp.where(below == 0, 0, square / jnp.where(below == 0, 1, below))
    return (share * jnp.maximum(slope, 0)).sum(axes)  # (n, c)
