"""Order of the axes: channels last `(n, *space, c)`, as everything here wants it, and channels first `(n, c, *space)`."""

import jax.numpy as jnp
from jax import Array
from jaxtyping import Shaped

from . import _check


def to_channels_last(x: Shaped[Array, "..."], *, batched: bool = True) -> Shaped[Array, "..."]:
    """`(n, c, *space)` to `(n, *space, c)`; a single image `(c, *space)` with `batched=False`.

    Raises: ValueError if there is no spatial axis.

    >>> to_channels_last(jnp.array([[[1, 4], [2, 5], [3, 6]]])).tolist()
    [[[1, 2, 3], [4, 5, 6]]]
    >>> to_channels_last(jnp.ones((3, 5, 7)), batched=False).shape
    (5, 7, 3)
    """
    return jnp.moveaxis(_with_space("to_channels_last", x, batched), int(batched), -1)


def to_channels_first(x: Shaped[Array, "..."], *, batched: bool = True) -> Shaped[Array, "..."]:
    """`(n, *space, c)` to `(n, c, *space)`; a single image `(*space, c)` with `batched=False`.

    Raises: ValueError if there is no spatial axis.

    >>> to_channels_first(jnp.array([[[1, 2, 3], [4, 5, 6]]])).tolist()
    [[[1, 4], [2, 5], [3, 6]]]
    """
    return jnp.moveaxis(_with_space("to_channels_first", x, batched), -1, int(batched))


def _with_space(name: str, x: Array, batched: bool) -> Array:
    x = _check.array(name, "x", x)
    if x.ndim < 2 + batched:
        axes = "a batch axis, a channel axis and a spatial axis" if batched else "a channel axis and a spatial axis"
        raise ValueError(f"{name}: x is {_check.describe(x)}; it needs {axes} at least (batched={batched})")
    return x
