"""Mirrored images."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Int, Shaped

from jaxcnn.functional import _check

from ._amounts import sometimes
from ._meshes import on_meshes


@on_meshes
def flip_left_right(x: Shaped[Array, "n h w c"]) -> Shaped[Array, "n h w c"]:
    """The images seen in a mirror: columns in the other order.

    >>> import jax.numpy as jnp
    >>> flip_left_right(jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1)).ravel().tolist()
    [2.0, 1.0]
    """
    return _check.images("flip_left_right", x, 2)[:, :, ::-1]


@on_meshes
def flip_up_down(x: Shaped[Array, "n h w c"]) -> Shaped[Array, "n h w c"]:
    """The images upside down: rows in the other order.

    >>> import jax.numpy as jnp
    >>> flip_up_down(jnp.array([1.0, 2.0]).reshape(1, 2, 1, 1)).ravel().tolist()
    [2.0, 1.0]
    """
    return _check.images("flip_up_down", x, 2)[:, ::-1]


@on_meshes
def random_flip_left_right(
    key: Array, x: Shaped[Array, "n h w c"], *, probability: float = 0.5
) -> Shaped[Array, "n h w c"]:
    """Each image mirrored with that probability.

    >>> import jax, jax.numpy as jnp
    >>> random_flip_left_right(jax.random.key(0), jnp.ones((2, 5, 7, 3))).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_flip_left_right", key), _check.images("random_flip_left_right", x, 2)
    return sometimes("random_flip_left_right", key, probability, x, x[:, :, ::-1])


@on_meshes
def random_flip_up_down(
    key: Array, x: Shaped[Array, "n h w c"], *, probability: float = 0.5
) -> Shaped[Array, "n h w c"]:
    """Each image turned upside down with that probability.

    >>> import jax, jax.numpy as jnp
    >>> random_flip_up_down(jax.random.key(0), jnp.ones((2, 5, 7, 3))).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_flip_up_down", key), _check.images("random_flip_up_down", x, 2)
    return sometimes("random_flip_up_down", key, probability, x, x[:, ::-1])


@on_meshes
def alternating_flip_left_right(
    key: Array, x: Shaped[Array, "n h w c"], index: Int[Array, " n"], epoch: Int[Array, ""] | int
) -> Shaped[Array, "n h w c"]:
    """Each image as it is in one epoch and mirrored in the next: two epochs see every image both ways.

    A coin thrown with `key` for the number of the image in its set decides how it starts, so `key` must stay the same
    from epoch to epoch. Images mirrored at random are seen twice the same way in half of all pairs of epochs. Reference:
    Jordan, 94% on CIFAR-10 in 3.29 seconds on a single GPU (2024), section 3.6.

    Args:
        index: number of each image in its set.
        epoch: passes done before this one.

    Raises: ValueError if there is not one index an image. TypeError for indices that are not integers.

    >>> import numpy as np
    >>> x, index = jnp.arange(10.0).reshape(5, 1, 2, 1), jnp.arange(5)
    >>> one, two, three = (alternating_flip_left_right(jax.random.key(0), x, index, epoch) for epoch in range(3))
    >>> np.array_equal(two, one[:, :, ::-1]), np.array_equal(three, one)
    (True, True)
    """
    key = _check.random_key("alternating_flip_left_right", key)
    x, index = _check.images("alternating_flip_left_right", x, 2), jnp.asarray(index)
    if index.shape != x.shape[:1]:
        found = _check.describe(index)
        raise ValueError(f"alternating_flip_left_right: index is {found}; give {len(x)}, one for each image")
    if not jnp.issubdtype(index.dtype, jnp.integer):
        raise TypeError(f"alternating_flip_left_right: index is {_check.describe(index)}; it must hold integers")
    epoch = jnp.asarray(epoch)
    if epoch.shape or not jnp.issubdtype(epoch.dtype, jnp.integer):
        raise TypeError(f"alternating_flip_left_right: epoch is {_check.describe(epoch)}; it must be one integer")
    mirrored = (_coins(key, index).astype(jnp.int32) + (epoch % 2).astype(jnp.int32)) % 2 == 1
    return jnp.where(mirrored[:, None, None, None], x[:, :, ::-1], x)


@jax.jit
def _coins(key: Array, index: Array) -> Array:
    """A coin for the number of each image, the same in every batch.

    The keys of other generators than threefry make the bits of a whole batch from its first key under `vmap`, so they are
    taken one after the other.
    """
    coin = lambda i: jax.random.bernoulli(jax.random.fold_in(key, i))
    one_by_one = "rbg" in str(jax.random.key_impl(key))
    return jax.lax.map(coin, index) if one_by_one else jax.vmap(coin)(index)
