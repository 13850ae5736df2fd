"""Padding of the spatial axes: `pad`.

`mode` says what the new pixels hold; for an axis `a b c d` padded by two on each side:

    zeros       0 0 a b c d 0 0        reflect     c b a b c d c b
    replicate   a a a b c d d d        circular    c d a b c d a b
    symmetric   b a a b c d d c
"""

from collections.abc import Sequence
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Shaped

from jaxcnn.geometry import Padding, Window

from . import _check
from ._widened import widened
from .engine import placed

MODES = ("zeros", "reflect", "replicate", "circular", "symmetric")
_NUMPY: dict[str, Literal["reflect", "edge", "wrap", "symmetric"]] = {
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
    "symmetric": "symmetric",
}
_ROOM = {"reflect": -1, "circular": 0, "symmetric": 0}  # pixels of padding allowed beyond the axis length


def pad(
    x: Shaped[Array, "n *space c"], padding: Padding, *, mode: str = "zeros", value: float = 0.0
) -> Shaped[Array, "n *padded c"]:
    """Adds pixels around each image.

    Args:
        padding: an int for every side, or one entry a spatial axis: an int or a `(low, high)` pair.
        mode: "zeros", "reflect", "replicate", "circular" or "symmetric", see the module.
        value: what "zeros" fills with.

    Returns: the images, each spatial axis longer by its low and high padding; same dtype.

    Raises: ValueError for an unknown mode or more padding than the mode has pixels for (reflect: n − 1, circular and
        symmetric: n).

    >>> pad(jnp.arange(4.0)[None, :, None], 2, mode="reflect")[0, :, 0].tolist()
    [2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0]
    """
    x = _check.images("pad", x)
    _check.one_of("pad", "mode", mode, MODES)
    if isinstance(padding, str) or (isinstance(padding, Sequence) and any(isinstance(p, str) for p in padding)):
        raise ValueError(f"pad: padding={padding!r} has no meaning without a window; use an int or (low, high) pairs")
    if value and mode != "zeros":
        raise ValueError(f'pad: value={value!r} fills nothing with mode="{mode}"; it belongs to mode="zeros"')
    if value != np.asarray(value).astype(x.dtype):
        raise ValueError(f"pad: value={value!r} is no {x.dtype} number; cast x, or choose another value")
    pairs = Window.resolve(1, x.shape[1:-1], padding=padding, name="pad").padding
    return pad_pairs("pad", x, pairs, mode, value)


def pad_pairs(
    name: str, x: Array, pairs: Sequence[tuple[int, int]], mode: str = "zeros", value: float | np.ndarray = 0.0
) -> Array:
    """`pad` with resolved pairs, for the operations that have a `padding_mode`."""
    word = "mode" if name == "pad" else "padding_mode"
    for axis, ((low, high), n) in enumerate(zip(pairs, x.shape[1:-1])):
        if mode in _ROOM and max(low, high) > n + _ROOM[mode]:
            raise ValueError(
                f'{name}: {word} "{mode}" cannot pad spatial axis {axis} of {n} pixels by ({low}, {high}); '
                f"at most {n + _ROOM[mode]}"
            )
    widths = [(0, 0), *pairs, (0, 0)]
    if not any(low or high for low, high in pairs):
        return x
    if mode == "zeros":
        return jnp.pad(x, widths, constant_values=jnp.asarray(value, x.dtype))
    # widened first: going back the copies of a pixel are added up
    return placed(jnp.pad, widened(x), pad_width=widths, mode=_NUMPY[mode]).astype(x.dtype)
