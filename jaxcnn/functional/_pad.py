"""Padding of the spatial axes: `pad`.

`mode` says what the new pixels hold; for an axis `a b c d` padded by two on each side:

    zeros       0 0 a b c d 0 0        reflect     c b a b c d c b
    replicate   a a a b c d d d        circular    c d a b c d a b
    symmetric   b a a b c d d c
"""

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer
from jaxtyping import Num, Shaped

from jaxcnn.geometry import Padding, Window

from . import _check, _numbers
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
    x: Shaped[Array, "n *space c"],
    padding: Padding,
    *,
    mode: str = "zeros",
    value: float | Num[Array | np.ndarray, "..."] = 0.0,
) -> Shaped[Array, "n *padded c"]:
    """Adds pixels around each image, or crops it.

    Args:
        padding: an int for every side, or one entry a spatial axis: an int or a `(low, high)` pair. A negative number crops, in
            every mode before anything is added.
        mode: "zeros", "reflect", "replicate", "circular" or "symmetric", see the module.
        value: what "zeros" fills with: a number or one a channel `(c,)`, rounded to the dtype of x. It may be an array, traced,
            and has a derivative. Whole numbers only, within their range, fill images of whole numbers.

    Returns: the images, each spatial axis longer by its low and high padding; same dtype.

    Raises: ValueError for an unknown mode, an image cropped to nothing, more padding than the mode has pixels for (reflect:
        n − 1, circular and symmetric: n) or a value that x cannot hold, TypeError for a value that is no number.

    >>> pad(jnp.arange(4.0)[None, :, None], 2, mode="reflect")[0, :, 0].tolist()
    [2.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 1.0]
    """
    x = _check.images("pad", x)
    _check.one_of("pad", "mode", mode, MODES)
    if isinstance(padding, str) or (isinstance(padding, Sequence) and any(isinstance(p, str) for p in padding)):
        raise ValueError(f"pad: padding={padding!r} has no meaning without a window; use an int or (low, high) pairs")
    fill = _fill(x, value)
    if mode != "zeros" and (isinstance(fill, Tracer) or np.any(fill)):
        given = _given("value", value)
        raise ValueError(f'pad: {given} fills nothing with mode="{mode}"; it belongs to mode="zeros"')
    pairs = Window.resolve(1, x.shape[1:-1], padding=padding, name="pad").padding
    return pad_pairs("pad", x, pairs, mode, fill)


def pad_pairs(
    name: str, x: Array, pairs: Sequence[tuple[int, int]], mode: str = "zeros", value: float | np.ndarray | Array = 0.0
) -> Array:
    """`pad` with resolved pairs, for the operations that have a `padding_mode`."""
    word = "mode" if name == "pad" else "padding_mode"
    x, pairs = cropped(x, pairs)
    for axis, ((low, high), n) in enumerate(zip(pairs, x.shape[1:-1])):
        if mode in _ROOM and max(low, high) > n + _ROOM[mode]:
            raise ValueError(
                f'{name}: {word} "{mode}" cannot pad spatial axis {axis} of {n} pixels by ({low}, {high}); '
                f"at most {n + _ROOM[mode]}"
            )
    widths = [(0, 0), *pairs, (0, 0)]
    if not any(low or high for low, high in pairs):
        return x
    if mode == "zeros" and (np.ndim(value) or isinstance(value, Tracer)):
        return placed(_filled, widened(x), value, pairs=pairs).astype(x.dtype)
    if mode == "zeros":
        return jnp.pad(x, widths, constant_values=jnp.asarray(value, x.dtype))
    # widened first: going back the copies of a pixel are added up
    return placed(jnp.pad, widened(x), pad_width=widths, mode=_NUMPY[mode]).astype(x.dtype)


def cropped(x: Array, pairs: Sequence[tuple[int, int]]) -> tuple[Array, tuple[tuple[int, int], ...]]:
    """x without the pixels that negative pairs crop, and what is left to pad."""
    if all(low >= 0 and high >= 0 for low, high in pairs):
        return x, tuple((low, high) for low, high in pairs)
    parts = [kept(n, pair) for n, pair in zip(x.shape[1:-1], pairs)]
    return placed(_part, x, parts=parts), tuple((max(low, 0), max(high, 0)) for low, high in pairs)


def kept(n: int, pair: tuple[int, int]) -> slice:
    """The pixels of an axis that are left where a pair is negative."""
    return slice(max(-pair[0], 0), n - max(-pair[1], 0))


def _part(x: Array, *, parts: Sequence[slice]) -> Array:
    return x[:, *parts]


def _filled(x: Array, value: Array, *, pairs: Sequence[tuple[int, int]]) -> Array:
    """Padded with a number that has a derivative, or with one a channel: the sum going back is over the new pixels alone."""
    new = np.zeros((1,) * x.ndim, bool)
    for axis, ((low, _), n, total) in enumerate(zip(pairs, x.shape[1:-1], _padded_size(x, pairs)), start=1):
        places = np.arange(total).reshape([-1 if a == axis else 1 for a in range(x.ndim)])
        new = new | (places < low) | (places >= low + n)
    zeros = lax.pad(x, np.zeros((), x.dtype), [(0, 0, 0), *((low, high, 0) for low, high in pairs), (0, 0, 0)])
    each = jnp.asarray(value, x.dtype).reshape((1,) * (x.ndim - 1) + (-1,))  # (1, …, 1, 1 or c)
    return jnp.where(new, jnp.broadcast_to(each, zeros.shape), zeros)


def _padded_size(x: Array, pairs: Sequence[tuple[int, int]]) -> list[int]:
    return [n + low + high for n, (low, high) in zip(x.shape[1:-1], pairs)]


def _fill(x: Array, value: Any) -> Any:
    """What fills: a Python number, or an array `()` or `(c,)`; what is known is a number of x's dtype."""
    if jnp.issubdtype(x.dtype, jnp.floating):
        if np.ndim(value):
            fill = _numbers.one_or_each("pad", "value", value, x.shape[-1], "channels", widened(x).dtype, nan=True)
        else:
            fill = _numbers.scalar("pad", "value", value, nan=True)
        with np.errstate(over="ignore"):
            lost = not isinstance(fill, Tracer) and np.isfinite(fill) & ~np.isfinite(np.asarray(fill).astype(x.dtype))
    else:
        fill = _counted(x, value)
        lost = not isinstance(fill, Tracer) and fill != np.asarray(fill).astype(x.dtype)
    if np.any(lost):
        raise ValueError(f"pad: {_given('value', value)} is no {x.dtype} number; cast x, or choose another value")
    return fill


def _counted(x: Array, value: Any) -> Any:
    """A value for images of whole, complex or truth values, as an array."""
    fill = value if isinstance(value, jax.Array) else np.asarray(value)
    if not (jnp.issubdtype(fill.dtype, jnp.number) or fill.dtype == bool):
        raise TypeError(f"pad: {_given('value', value)} must be a number")
    if fill.shape not in ((), (x.shape[-1],)):
        raise ValueError(
            f"pad: value is {_check.describe(fill)}; give one number, or {x.shape[-1]}, one for each of the channels"
        )
    if isinstance(fill, Tracer) and _numbers.kind(fill.dtype) > _numbers.kind(x.dtype):
        raise TypeError(
            f"pad: value is {_check.describe(fill)}, which {x.dtype} cannot hold (x is {_check.describe(x)})"
        )
    return fill


def _given(what: str, value: Any) -> str:
    """A value as an error shows it, in one line."""
    known = not isinstance(value, Tracer) and np.ndim(value) == 0
    return f"{what}={value!r}" if known else f"{what} is {_check.describe(jnp.asarray(value))}"
