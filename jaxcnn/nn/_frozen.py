"""`Frozen`: a parameter that training leaves alone."""

from flax import nnx


class Frozen(nnx.Variable):
    """A parameter that is no `nnx.Param`: whoever takes the gradient of the parameters never asks for this one's.

    `jaxcnn.weights.freeze` makes them.

    >>> import jax, jax.numpy as jnp
    >>> from jaxcnn.nn import Dense
    >>> layer = Dense(2, 3, rngs=nnx.Rngs(0))
    >>> layer.kernel = Frozen(layer.kernel[...])
    >>> [leaf.shape for leaf in jax.tree.leaves(nnx.state(layer, nnx.Param))]
    [(3,)]
    """
