"""Light and colour of RGB images in [0, 1]: brightness, contrast, saturation, hue, greyscale.

    y = clip(factor · x + (1 − factor) · r, 0, 1)

with r = 0 for brightness, the mean luma of the image for contrast, the luma of each pixel for saturation: Pillow's ImageEnhance,
without its rounding. Luma = 0.299 R + 0.587 G + 0.114 B (ITU-R 601). The hue turns in the HSV cone (Smith, Color gamut
transform pairs, 1978). Images of one channel are grey: saturation and hue leave them. Images of other than one or three channels
have no luma: brightness takes them, contrast takes the mean of all their channels alike, and the others refuse them.

A pixel sees itself; with contrast the whole image, so that a NaN makes its image NaN, and no other.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.functional import _check
from jaxcnn.functional._numbers import concrete
from jaxcnn.functional._widened import widened

from ._amounts import amounts, colours, floating_images, has_colours, reach, sometimes, uniform
from ._clipped import clipped
from ._meshes import on_meshes

Images = Float[Array, "n h w c"]
Amount = float | Float[Array, " n"]
LUMA = (0.299, 0.587, 0.114)
STEPS = ("brightness", "contrast", "saturation", "hue")


@on_meshes
def brightness(x: Images, factor: Amount) -> Images:
    """All colours times `factor`: 0 is black, 1 the image.

    >>> brightness(jnp.full((1, 1, 1, 3), 0.25), 2.0).ravel().tolist()
    [0.5, 0.5, 0.5]
    """
    x = floating_images("brightness", x)
    return blend(x, jnp.zeros((), widened(x).dtype), amounts("brightness", "factor", factor, x))


@on_meshes
def contrast(x: Images, factor: Amount) -> Images:
    """Distances from the mean luma of the image times `factor`: 0 is flat grey, 1 the image.

    Of other than one or three channels the mean is that of all channels alike.

    >>> contrast(jnp.array([0.25, 0.75]).reshape(1, 1, 2, 1), 0.5).ravel().tolist()
    [0.375, 0.625]
    """
    x = floating_images("contrast", x)
    return blend(x, mean_luma(x), amounts("contrast", "factor", factor, x))


@on_meshes
def saturation(x: Images, factor: Amount) -> Images:
    """Distances from the luma of each pixel times `factor`: 0 is grey, 1 the image.

    >>> print(saturation(jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3), 0.0).ravel())
    [0.299 0.299 0.299]
    """
    x = colours("saturation", x)
    wide = widened(x)
    return blend(wide, luma(wide), amounts("saturation", "factor", factor, x)).astype(x.dtype)


@on_meshes
def hue(x: Images, turn: Amount) -> Images:
    """Every hue moved by `turn` of the circle: 1 / 3 makes red green, 0 or 1 is the image.

    >>> hue(jnp.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3), 1 / 3).ravel().round(3).tolist()
    [0.0, 1.0, 0.0]
    """
    x = colours("hue", x)
    turn = amounts("hue", "turn", turn, x)
    if x.shape[-1] == 1:
        return x
    sector, chroma, value = _hue(*_channels(x))
    # each channel falls from the value by the chroma where the hue is far: from 2 sectors off red, green or blue
    sector = sector + (6 * turn[..., 0]) % 6
    far = (at - 6 * jnp.floor(at / 6) for at in (sector + 5, sector + 3, sector + 1))  # % of floats is slow on CPU
    y = jnp.stack([value - chroma * clipped(jnp.minimum(f, 4 - f)) for f in far], -1)
    return clipped(y).astype(x.dtype)


@on_meshes
def greyscale(x: Images) -> Images:
    """The luma of each pixel in every channel.

    >>> print(greyscale(jnp.array([0.0, 1.0, 0.0]).reshape(1, 1, 1, 3)).ravel())
    [0.587 0.587 0.587]
    """
    x = colours("greyscale", x)
    return jnp.broadcast_to(luma(x), x.shape).astype(x.dtype)


@on_meshes
def colour_jitter(
    x: Images,
    *,
    brightness: Amount = 1.0,
    contrast: Amount = 1.0,
    saturation: Amount = 1.0,
    hue: Amount = 0.0,
    order: Sequence[int] | Array = (0, 1, 2, 3),
) -> Images:
    """The four in `order`, in which 0 to 3 mean brightness, contrast, saturation and hue; traced numbers will do.

    Raises: ValueError for a saturation or hue of images that have none, of other than one or three channels.

    >>> colour_jitter(jnp.full((1, 1, 1, 3), 0.25), brightness=2.0).ravel().round(3).tolist()
    [0.5, 0.5, 0.5]
    """
    x = floating_images("colour_jitter", x)
    given = dict(zip(STEPS, (brightness, contrast, saturation, hue)))
    _refuse_colour("colour_jitter", x, saturation=concrete_or(saturation) != 1, hue=concrete_or(hue) != 0)
    factors = [amounts("colour_jitter", what, value, x)[:, 0, 0, 0] for what, value in given.items()]
    order = jnp.asarray(order)
    if order.ndim != 1 or not jnp.issubdtype(order.dtype, jnp.integer):
        raise ValueError(f"colour_jitter: order is {_check.describe(order)}; give integers from 0 to 3 in a row")
    return _jittered(x, jnp.stack(factors), order)


@on_meshes
def random_colour_jitter(
    key: Array,
    x: Images,
    *,
    brightness: float = 0.0,
    contrast: float = 0.0,
    saturation: float = 0.0,
    hue: float = 0.0,
) -> Images:
    """Light and colour of each image changed by its own random amounts, in a random order (one a call).

    Args:
        brightness, contrast, saturation: factors are uniform in 1 ± this, not below 0.
        hue: turns are uniform in ± this, at most 0.5. All four are one number or one an image, and may be traced.

    >>> random_colour_jitter(jax.random.key(0), jnp.ones((2, 5, 7, 3)), brightness=0.4, hue=0.1).shape
    (2, 5, 7, 3)
    """
    name = "random_colour_jitter"
    key, x = _check.random_key(name, key), floating_images(name, x)
    key, order_key = jax.random.split(key)
    given = dict(zip(STEPS, (brightness, contrast, saturation, hue)))
    used, drawn = [], []
    for i, (what, each) in enumerate(zip(STEPS, jax.random.split(key, 4))):
        far = reach(name, what, given[what], x, low=0, high=0.5 if what == "hue" else float("inf"))
        drawn.append(uniform(each, x, -far, far) if what == "hue" else uniform(each, x, *_around_one(far)))
        used += [i] if concrete_or(far) != 0 else []  # what does nothing is not computed
    _refuse_colour(name, x, saturation=2 in used, hue=3 in used)
    if not used:
        return x
    return _jittered(x, jnp.stack(drawn), jax.random.permutation(order_key, jnp.array(used)))


@on_meshes
def random_brightness(key: Array, x: Images, amount: float) -> Images:
    """`brightness` by each image's own factor, uniform in 1 ± `amount`.

    >>> random_brightness(jax.random.key(0), jnp.ones((2, 5, 7, 3)), 0.4).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_brightness", key), floating_images("random_brightness", x)
    return brightness(x, factor_around_one("random_brightness", key, x, amount))


@on_meshes
def random_contrast(key: Array, x: Images, amount: float) -> Images:
    """`contrast` by each image's own factor, uniform in 1 ± `amount`.

    >>> random_contrast(jax.random.key(0), jnp.ones((2, 5, 7, 3)), 0.4).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_contrast", key), floating_images("random_contrast", x)
    return contrast(x, factor_around_one("random_contrast", key, x, amount))


@on_meshes
def random_saturation(key: Array, x: Images, amount: float) -> Images:
    """`saturation` by each image's own factor, uniform in 1 ± `amount`.

    >>> random_saturation(jax.random.key(0), jnp.ones((2, 5, 7, 3)), 0.4).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_saturation", key), colours("random_saturation", x)
    return saturation(x, factor_around_one("random_saturation", key, x, amount))


@on_meshes
def random_hue(key: Array, x: Images, amount: float) -> Images:
    """`hue` by each image's own turn, uniform in ± `amount`.

    >>> random_hue(jax.random.key(0), jnp.ones((2, 5, 7, 3)), 0.1).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_hue", key), colours("random_hue", x)
    amount = reach("random_hue", "amount", amount, x, low=0, high=0.5)
    return hue(x, uniform(key, x, -amount, amount))


@on_meshes
def random_greyscale(key: Array, x: Images, *, probability: float = 0.1) -> Images:
    """Each image made grey with that probability.

    >>> random_greyscale(jax.random.key(0), jnp.ones((2, 5, 7, 3))).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_greyscale", key), colours("random_greyscale", x)
    return sometimes("random_greyscale", key, probability, x, greyscale(x))


def factor_around_one(name: str, key: Array, x: Array, amount: float) -> Array:
    """A factor an image, uniform from max(0, 1 − amount) to 1 + amount."""
    return uniform(key, x, *_around_one(reach(name, "amount", amount, x, low=0)))


def blend(x: Array, reference: Array, factor: Array) -> Array:
    """`reference` at factor 0, x at 1, further away from it above; clipped to [0, 1]."""
    wide = widened(x)
    return clipped(factor * wide + (1 - factor) * reference).astype(x.dtype)


def luma(x: Array) -> Array:
    """`(n, h, w, 1)`, in float32 at least."""
    if x.shape[-1] == 1:
        return widened(x)
    red, green, blue = _channels(x)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[..., None]


def mean_luma(x: Array) -> Array:
    """Its mean over each image, `(n, 1, 1, 1)`; columns are summed first, so that the channels stay innermost."""
    columns, c = widened(x).sum(1), x.shape[-1]  # (n, w, c)
    weights = jnp.array([[LUMA if c == 3 else (1.0,) if c == 1 else (1 / c,) * c]], columns.dtype)  # (1, 1, c)
    return (columns * weights).sum((1, 2))[:, None, None, None] / (x.shape[1] * x.shape[2])


def _channels(x: Array) -> list[Array]:
    """Red, green and blue `(n, h, w)`: XLA:CPU takes many times longer to reduce over three channels."""
    wide = widened(x)  # before it is taken apart, or the gradients of the three would be added in 16 bits
    return [wide[..., i] for i in range(3)]


def _hue(red: Array, green: Array, blue: Array) -> tuple[Array, Array, Array]:
    """Hue in sectors of 60 degrees, chroma and value, each `(n, h, w)`."""
    value = jnp.maximum(jnp.maximum(red, green), blue)
    chroma = value - jnp.minimum(jnp.minimum(red, green), blue)
    safe = jnp.where(chroma > 0, chroma, 1)
    pick = lambda *by: jnp.where(value == red, by[0], jnp.where(value == green, by[1], by[2]))
    return pick(0.0, 2.0, 4.0) + pick(green - blue, blue - red, red - green) / safe, chroma, value


def concrete_or(value: Any) -> Any:
    """The number where one is known, else None, which no number is equal to."""
    return None if np.ndim(value) else concrete(value)


def _around_one(far: Any) -> tuple[Any, Any]:
    return (jnp.maximum(0.0, 1 - far) if isinstance(far, Array) else max(0.0, 1 - far)), 1 + far


def _refuse_colour(name: str, x: Array, **asked: bool) -> None:
    """Refuse what needs colour of images that have none."""
    if any(asked.values()) and not has_colours(x):
        words = " and ".join(word for word, needed in asked.items() if needed)
        raise ValueError(f"{name}: x is {_check.describe(x)}; {words} needs 1 channel (grey) or 3 (red, green, blue)")


def _step(number: int, x: Array, factors: Array) -> Array:
    if number > 1 and not has_colours(x):
        return x
    return (brightness, contrast, saturation, hue)[number](x, factors[number])


_CHOICES = tuple(partial(_step, number) for number in range(len(STEPS)))


def _next(carry: tuple[Array, Array], number: Array) -> tuple[tuple[Array, Array], None]:
    x, factors = carry
    return (jax.lax.switch(number, _CHOICES, x, factors), factors), None


@jax.jit
def _jittered(x: Array, factors: Array, order: Array) -> Array:
    """The steps in that order, by factors `(4, n)`. All functions within are always the same: jax compiles them once."""
    return jax.lax.scan(_next, (x, factors), order)[0][0]
