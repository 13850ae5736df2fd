"""Named activations of a model, through its `tap`."""

from typing import Any

from jax import Array


def capture(model: Any, x: Array, *, train: bool = False) -> tuple[Array, dict[str, Array]]:
    """The output and every named activation, in the order of computation; works under jit.

    Raises: ValueError if the model gives two activations one name.

    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> from jaxcnn.models import LeNet5
    >>> logits, activations = capture(LeNet5(rngs=nnx.Rngs(0)), jnp.ones((1, 28, 28, 1)))
    >>> list(activations)
    ['conv1', 'pool1', 'conv2', 'pool2', 'dense1', 'dense2', 'logits']
    """
    activations: dict[str, Array] = {}

    def tap(name: str, value: Array) -> Array:
        if name in activations:
            raise ValueError(
                f"capture: the model has two activations named {name!r}; every tap needs a name of its own"
            )
        activations[name] = value
        return value

    return model(x, train=train, tap=tap), activations
