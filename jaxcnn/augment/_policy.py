"""RandAugment (Cubuk et al., 2019) and TrivialAugment (Müller & Hutter, 2021), in torchvision's search spaces.

Each image of a batch gets its own operation. A switch under `vmap` would compute every operation for every image, so they are
gathered into three that have the operation as numbers: one affine map (a matrix), one blend (a reference and a factor), one tone
curve. Pixels from outside are black, the nearest pixel is taken, and pixels are not rounded between operations.

All of the three compute every image, and the results are chosen from. An image and its amount have a derivative only through the
one that is chosen: elsewhere a NaN would come back as 0 · NaN. Saturation leaves images of other than three channels.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxcnn.functional import _check
from jaxcnn.functional._numbers import scalar
from jaxcnn.functional._widened import widened
from jaxcnn.geometry import per_axis

from ._affine import Fill, affine
from ._amounts import amounts, colour, floating_images, has_colours, reach
from ._colour import Images, blend, luma, mean_luma
from ._compose import differentiated_where
from ._meshes import on_meshes
from ._sharpness import smooth
from ._tone import autocontrast, equalize, posterize, solarize

OPERATIONS = (
    "identity", "shear_x", "shear_y", "translate_x", "translate_y", "rotate", "brightness", "saturation", "contrast", "sharpness",
    "posterize", "solarize", "autocontrast", "equalize",
)  # fmt: skip
NUMBER = {name: i for i, name in enumerate(OPERATIONS)}


class Space(NamedTuple):
    """The largest amounts: tangent, pixels down and across, degrees, distance of a factor from 1, bits lost."""

    shear: float
    translate: tuple[float, float]
    degrees: float
    factor: float
    bits: int


@on_meshes
def apply_operation(x: Images, operation: Int[Array, " n"], amount: Float[Array, " n"], *, fill: Fill = 0.0) -> Images:
    """Each image under its own operation, a number in `augment.OPERATIONS`, by its own amount.

    Args:
        amount: tangent of the angle (shear, about the first corner), pixels (translate), degrees counter-clockwise (rotate),
            factor (brightness, saturation, contrast, sharpness), bits kept (posterize), threshold (solarize); else nothing.
        fill: the colour of what comes from outside, one number or one a channel.

    >>> x = jnp.full((2, 5, 7, 3), 0.25)
    >>> y = apply_operation(x, jnp.array([0, OPERATIONS.index("brightness")]), jnp.array([0.0, 2.0]))
    >>> y[:, 0, 0, 0].tolist()
    [0.25, 0.5]
    """
    x = floating_images("apply_operation", x)
    operation = _check.array("apply_operation", "operation", operation)
    if operation.shape not in ((), x.shape[:1]) or not jnp.issubdtype(operation.dtype, jnp.integer):
        raise ValueError(
            f"apply_operation: operation is {_check.describe(operation)}; give integers below {len(OPERATIONS)}, one or "
            f"{x.shape[0]}"
        )
    amount = amounts("apply_operation", "amount", amount, x)
    which = jnp.broadcast_to(operation, x.shape[:1])
    return _applied(x, which, amount, colour("apply_operation", "fill", fill, x))


@on_meshes
def rand_augment(
    key: Array, x: Images, *, count: int = 2, magnitude: float = 9, bins: int = 31, fill: Fill = 0.0
) -> Images:
    """`count` random operations on each image, one after the other, all as strong as `magnitude` of `bins` says.

    Args:
        magnitude: from 0 to bins − 1, one number or one an image; a traced one passes unchecked.
        fill: as `apply_operation`.

    >>> jax.jit(rand_augment)(jax.random.key(0), jnp.ones((2, 8, 9, 3))).shape
    (2, 8, 9, 3)
    """
    key, x = _check.random_key("rand_augment", key), floating_images("rand_augment", x)
    bins = scalar("rand_augment", "bins", bins, low=2)
    most = float("inf") if isinstance(bins, Array) else bins - 1
    magnitude = reach("rand_augment", "magnitude", magnitude, x, low=0, high=most)
    (count,) = per_axis(count, 1, what="count", name="rand_augment", least=0)
    level = jnp.broadcast_to(jnp.asarray(magnitude / (bins - 1), widened(x).dtype), x.shape[:1])
    return _steps(x, jax.random.split(key, count), level, colour("rand_augment", "fill", fill, x))


@on_meshes
def trivial_augment(key: Array, x: Images, *, bins: int = 31, fill: Fill = 0.0) -> Images:
    """One random operation on each image, as strong as chance will have it (TrivialAugmentWide).

    >>> jax.jit(trivial_augment)(jax.random.key(0), jnp.ones((2, 8, 9, 3))).shape
    (2, 8, 9, 3)
    """
    key, x = _check.random_key("trivial_augment", key), floating_images("trivial_augment", x)
    bins = scalar("trivial_augment", "bins", bins, low=2)
    key, level_key = jax.random.split(key)
    which, sign = _drawn(key, x)
    level = jax.random.randint(level_key, which.shape, 0, bins).astype(sign.dtype) / (bins - 1)
    amount = _amount(which, level, sign, Space(0.99, (32, 32), 135, 0.99, 6))
    return _applied(x, which, amount[:, None, None, None], colour("trivial_augment", "fill", fill, x))


def _step(carry: tuple[Array, Array, Array], key: Array) -> tuple[tuple[Array, Array, Array], None]:
    """One random operation on each image, at its level from 0 to 1."""
    x, level, fill = carry
    across = 150 / 331
    space = Space(0.3, (across * x.shape[1], across * x.shape[2]), 30, 0.9, 4)
    which, sign = _drawn(key, x)
    amount = _amount(which, level, sign, space)
    return (_applied(x, which, amount[:, None, None, None], fill), level, fill), None


@jax.jit
def _steps(x: Array, keys: Array, level: Array, fill: Array) -> Array:
    """The function within the scan is always the same: jax compiles it once."""
    return jax.lax.scan(_step, (x, level, fill), keys)[0][0]


@jax.jit
def _applied(x: Array, which: Array, amount: Array, fill: Array) -> Array:
    """The operations `which` (n,) by amounts `(n, 1, 1, 1)`, with the colour `()` or `(1, 1, 1, c)` from outside."""
    maps, (x, dtype) = _maps(which, amount[:, 0, 0, 0], *x.shape[1:3]), (widened(x), x.dtype)
    y = affine(x, *maps, method="nearest", fill=fill.reshape(-1) if fill.ndim else fill)
    # all from x, not one from the other: XLA would compute the map anew for every pixel that a later step looks at
    for names, result in _RESULTS:
        chosen = jnp.isin(which, jnp.array([NUMBER[name] for name in names]))
        x_here, amount_here = (differentiated_where(chosen, v) for v in (x, amount))
        y = jnp.where(chosen[:, None, None, None], result(x_here, which, amount_here), y)
    return y.astype(dtype)


def _drawn(key: Array, x: Array) -> tuple[Array, Array]:
    """An operation and a sign for each image."""
    key, sign_key = jax.random.split(key)
    dtype = widened(x).dtype
    return jax.random.randint(key, x.shape[:1], 0, len(OPERATIONS)), jax.random.rademacher(sign_key, x.shape[:1], dtype)


def _amount(which: Array, level: Array, sign: Array, space: Space) -> Array:
    """What `apply_operation` takes, for levels from 0 to 1."""
    down, across = space.translate
    factor = 1 + space.factor * level * sign
    each = {
        "shear_x": space.shear * level * sign,
        "shear_y": space.shear * level * sign,
        "translate_x": jnp.trunc(across * level) * sign,
        "translate_y": jnp.trunc(down * level) * sign,
        "rotate": space.degrees * level * sign,
        **dict.fromkeys(("brightness", "saturation", "contrast", "sharpness"), factor),
        "posterize": 8 - jnp.round(space.bits * level),
        "solarize": 1 - level,
    }
    return jnp.select([which == NUMBER[name] for name in each], list(each.values()), 0.0)


def _maps(which: Array, amount: Array, h: int, w: int) -> tuple[Array, Array]:
    """Matrices `(n, 2, 2)` and shifts `(n, 2)`; the identity for what does not move pixels."""
    of = lambda name: jnp.where(which == NUMBER[name], amount, 0)
    angle, lean_x, lean_y = jnp.deg2rad(of("rotate")), of("shear_x"), of("shear_y")
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    matrix = jnp.stack([jnp.stack([cosine, sine + lean_y], -1), jnp.stack([lean_x - sine, cosine], -1)], 1)
    down, across = of("translate_y") - lean_y * w / 2, of("translate_x") - lean_x * h / 2
    return matrix, jnp.stack([down, across], -1)


def _blended(x: Array, which: Array, amount: Array) -> Array:
    """One blend for the four, with the reference of each image's own."""
    wide = widened(x)
    reference = jnp.zeros_like(wide)
    references = {"saturation": luma(x) if has_colours(x) else wide, "contrast": mean_luma(x), "sharpness": smooth(x)}
    for name, value in references.items():
        reference = jnp.where((which == NUMBER[name])[:, None, None, None], value, reference)
    return blend(x, reference, amount)


_RESULTS: tuple[tuple[tuple[str, ...], Any], ...] = (
    (("brightness", "saturation", "contrast", "sharpness"), _blended),
    (("posterize",), lambda x, which, amount: posterize(x, amount[:, 0, 0, 0])),
    (("solarize",), lambda x, which, amount: solarize(x, amount[:, 0, 0, 0])),
    (("autocontrast",), lambda x, which, amount: autocontrast(x)),
    (("equalize",), lambda x, which, amount: equalize(x)),
)
