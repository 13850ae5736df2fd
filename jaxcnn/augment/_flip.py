"""Mirrored images."""

from jax import Array
from jaxtyping import Shaped

from jaxcnn.functional import _check

from ._amounts import sometimes


def flip_left_right(x: Shaped[Array, "n h w c"]) -> Shaped[Array, "n h w c"]:
    """The images seen in a mirror: columns in the other order.

    >>> import jax.numpy as jnp
    >>> flip_left_right(jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1)).ravel().tolist()
    [2.0, 1.0]
    """
    return _check.images("flip_left_right", x, 2)[:, :, ::-1]


def flip_up_down(x: Shaped[Array, "n h w c"]) -> Shaped[Array, "n h w c"]:
    """The images upside down: rows in the other order.

    >>> import jax.numpy as jnp
    >>> flip_up_down(jnp.array([1.0, 2.0]).reshape(1, 2, 1, 1)).ravel().tolist()
    [2.0, 1.0]
    """
    return _check.images("flip_up_down", x, 2)[:, ::-1]


def random_flip_left_right(
    key: Array, x: Shaped[Array, "n h w c"], *, probability: float = 0.5
) -> Shaped[Array, "n h w c"]:
    """Each image mirrored with that probability.

    >>> import jax, jax.numpy as jnp
    >>> random_flip_left_right(jax.random.key(0), jnp.ones((2, 5, 7, 3))).shape
    (2, 5, 7, 3)
    """
    x = _check.images("random_flip_left_right", x, 2)
    return sometimes("random_flip_left_right", key, probability, x, x[:, :, ::-1])


def random_flip_up_down(
    key: Array, x: Shaped[Array, "n h w c"], *, probability: float = 0.5
) -> Shaped[Array, "n h w c"]:
    """Each image turned upside down with that probability.

    >>> import jax, jax.numpy as jnp
    >>> random_flip_up_down(jax.random.key(0), jnp.ones((2, 5, 7, 3))).shape
    (2, 5, 7, 3)
    """
    x = _check.images("random_flip_up_down", x, 2)
    return sometimes("random_flip_up_down", key, probability, x, x[:, ::-1])
