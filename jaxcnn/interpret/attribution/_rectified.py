"""Guided backpropagation and the deconvnet: gradients that a ReLU lets pass by other rules.

    gradient          R = g · [x > 0]
    deconvnet         R = g · [g > 0]
    guided backprop   R = g · [g > 0] · [x > 0]

g is what comes back to the output of the ReLU and x its input. A max pool sends back to the pixel that won
("switches"); overlapping windows add there. The ReLU in ReLU6 is treated so too. Adebayo et al. (2018) found that both
show edges of the image whatever the network has learned.

References: Zeiler & Fergus, Visualizing and understanding convolutional networks (2014); Springenberg et al., Striving
for simplicity (2015).
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from .._attribute import attribute
from .._forward import PLAIN
from .._kinds import ACTIVATIONS, RECTIFIERS, is_relu
from .._replay import bound, call_name, replay
from .._target import Target
from ._gradient import slope


def guided_backprop(model: Any, x: Float[Array, "n *space c"], target: Target = None) -> Float[Array, "n *space c"]:
    """The gradient, of which each ReLU lets pass what is positive, and only where its input was.

    Args:
        model: an NNX module, or a function of images; it is not changed.
        x: images as the model takes them.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).

    Raises: ValueError for a model without ReLU; else as `gradient`.

    >>> f = lambda x: -jax.nn.relu(x).sum((1, 2)) + jax.nn.relu(2 * x).sum((1, 2))
    >>> guided_backprop(f, jnp.array([[[[3.0], [-3.0]]]]), 0).ravel().tolist()
    [2.0, 0.0]
    """
    return attribute("guided_backprop", rectified, model, x, target, name_of="guided_backprop", rule=_guided)


def deconvnet(model: Any, x: Float[Array, "n *space c"], target: Target = None) -> Float[Array, "n *space c"]:
    """The gradient, of which each ReLU lets pass what is positive, whatever its input was.

    As published, one unit of a layer is projected back: `deconvnet(until(model, x, layer), x, (y, x, channel))` times its
    activation. The arguments and errors are those of `guided_backprop`.

    >>> f = lambda x: -jax.nn.relu(x).sum((1, 2)) + jax.nn.relu(2 * x).sum((1, 2))
    >>> deconvnet(f, jnp.array([[[[3.0], [-3.0]]]]), 0).ravel().tolist()
    [2.0, 2.0]
    """
    return attribute("deconvnet", rectified, model, x, target, name_of="deconvnet", rule=_deconvolved)


def rectified(forward, x: Array, score, *, name_of: str, rule: Callable[[Array], Array]) -> tuple[Array, Any]:
    """Gradient of the scores with each ReLU replaced by the rule, and the outputs.

    Raises: ValueError if there is no ReLU.
    """
    seen = []

    def ruled(equation, operands, flags):
        name = call_name(equation)
        if name in ACTIVATIONS - RECTIFIERS:
            return bound(equation, operands)  # hard_silu holds a ReLU6, but is none
        if not is_relu(equation, operands, flags):
            return None
        seen.append(equation)
        return [rule(operands[flags.index(True)])]

    again = replay(lambda x: forward(x, PLAIN), ruled)
    found = slope(lambda x, tap: again(x), x, score)
    if not seen:
        raise ValueError(f"{name_of}: the model has no ReLU for x, so that this is its gradient; use gradient")
    return found


@jax.custom_vjp
def _guided(x: Array) -> Array:
    return jnp.maximum(x, 0)


_guided.defvjp(lambda x: (jnp.maximum(x, 0), x > 0), lambda on, g: (jnp.where(on, jnp.maximum(g, 0), 0),))


@jax.custom_vjp
def _deconvolved(x: Array) -> Array:
    return jnp.maximum(x, 0)


_deconvolved.defvjp(lambda x: (jnp.maximum(x, 0), None), lambda _, g: (jnp.maximum(g, 0),))
