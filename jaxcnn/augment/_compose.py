"""Pipelines: functions `(key, x) → images`, one after the other, each with a key of its own."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from jaxcnn.functional import _check

from ._amounts import coins, floating_images
from ._meshes import on_meshes

Augment = Callable[[Array, Array], Array]  # (key, images) → images


def compose(*steps: Augment) -> Augment:
    """The steps in their order. A function of images alone is `lambda key, x: f(x)`; arguments are bound by `functools.partial`
    or a lambda.

    >>> import jax.numpy as jnp
    >>> from jaxcnn.augment import flip_up_down, random_crop, random_flip_left_right
    >>> pipeline = compose(lambda key, x: random_crop(key, x, 32, padding=4), random_flip_left_right)
    >>> jax.jit(pipeline)(jax.random.key(0), jnp.ones((2, 32, 32, 3))).shape
    (2, 32, 32, 3)
    """
    wrong = next((step for step in steps if not callable(step)), None)
    if wrong is not None:
        raise TypeError(f"compose: {wrong!r} is no function; give functions of a key and images")

    def pipeline(key: Array, x: Array) -> Array:
        key = _check.random_key("compose", key)
        for number, step in enumerate(steps):
            x = step(jax.random.fold_in(key, number), x)
        return x

    return pipeline


def sometimes(step: Augment, *, probability: float = 0.5) -> Augment:
    """The step for each image with that probability; it must keep the size and take each image on its own.

    The step computes every image. An image that is kept has no derivative through the step, because a NaN inside the step
    would otherwise reach its gradient.

    >>> import jax.numpy as jnp
    >>> from jaxcnn.augment import equalize
    >>> sometimes(lambda key, x: equalize(x))(jax.random.key(0), jnp.ones((2, 32, 32, 3))).shape
    (2, 32, 32, 3)
    """

    def either(key: Array, x: Array) -> Array:
        x, (key, step_key) = floating_images("sometimes", x), jax.random.split(_check.random_key("sometimes", key))
        chosen = coins("sometimes", key, probability, x)
        y = step(step_key, differentiated_where(chosen, x))
        if y.shape != x.shape:
            raise ValueError(f"sometimes: the step makes {y.shape} of {x.shape}; it must keep the shape")
        return _chosen(x, y, chosen)

    return either


@on_meshes
def differentiated_where(chosen: Array, x: Array) -> Array:
    """x, of which only the images that are chosen have a derivative."""
    return jnp.where(chosen.reshape(-1, *(1,) * (x.ndim - 1)), x, jax.lax.stop_gradient(x))


_chosen = on_meshes(lambda x, y, chosen: jnp.where(chosen[:, None, None, None], y, x))
