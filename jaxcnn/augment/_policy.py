"""RandAugment (Cubuk et al., 2019) and TrivialAugment (Müller & Hutter, 2021), in torchvision's search spaces.

Each image of a batch gets its own operation. A switch under `vmap` would compute every operation for every image, so they are
gathered into three that have the operation as numbers: one affine map (a matrix), one blend (a reference and a factor), one tone
curve. Pixels from outside are black, the nearest pixel is taken, and pixels are not rounded between operations.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxcnn.functional import _check
from jaxcnn.functional._widened import widened

from ._affine import affine
from ._amounts import amounts, colours, number
from ._colour import Images, blend, luma, mean_luma
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


def apply_operation(x: Images, operation: Int[Array, " n"], amount: Float[Array, " n"], *, fill: float = 0.0) -> Images:
    """Each image under its own operation, a number in `augment.OPERATIONS`, by its own amount.

    Args:
        amount: tangent of the angle (shear, about the first corner), pixels (translate), degrees counter-clockwise (rotate),
            factor (brightness, saturation, contrast, sharpness), bits kept (posterize), threshold (solarize); else nothing.
        fill: the colour of what comes from outside.

    >>> x = jnp.full((2, 5, 7, 3), 0.25)
    >>> y = apply_operation(x, jnp.array([0, OPERATIONS.index("brightness")]), jnp.array([0.0, 2.0]))
    >>> y[:, 0, 0, 0].tolist()
    [0.25, 0.5]
    """
    x = colours("apply_operation", x)
    operation = _check.array("apply_operation", "operation", operation)
    if operation.shape not in ((), x.shape[:1]) or not jnp.issubdtype(operation.dtype, jnp.integer):
        raise ValueError(
            f"apply_operation: operation is {_check.describe(operation)}; give integers below {len(OPERATIONS)}, one or "
            f"{x.shape[0]}"
        )
    amount = amounts("apply_operation", "amount", amount, x)
    which = jnp.broadcast_to(operation, x.shape[:1])
    y = affine(x, *_maps(which, amount[:, 0, 0, 0], *x.shape[1:3]), method="nearest", fill=fill)
    # all from x, not one from the other: XLA would compute the map anew for every pixel that a later step looks at
    results = {**_blends(x, which, amount), **_tones(x, amount)}
    for names, result in results.items():
        chosen = jnp.isin(which, jnp.array([NUMBER[name] for name in names]))
        y = jnp.where(chosen[:, None, None, None], result, y)
    return y


def rand_augment(
    key: Array, x: Images, *, count: int = 2, magnitude: float = 9, bins: int = 31, fill: float = 0.0
) -> Images:
    """`count` random operations on each image, one after the other, all as strong as `magnitude` of `bins` says.

    >>> jax.jit(rand_augment)(jax.random.key(0), jnp.ones((2, 8, 9, 3))).shape
    (2, 8, 9, 3)
    """
    x = colours("rand_augment", x)
    number("rand_augment", "bins", bins, 2)
    number("rand_augment", "magnitude", magnitude, 0, bins - 1)
    number("rand_augment", "count", count, 0)
    across = 150 / 331
    space = Space(0.3, (across * x.shape[1], across * x.shape[2]), 30, 0.9, 4)

    def step(x: Array, key: Array) -> tuple[Array, None]:
        which, sign = _drawn(key, x)
        amount = _amount(which, jnp.full(sign.shape, magnitude / (bins - 1), sign.dtype), sign, space)
        return apply_operation(x, which, amount, fill=fill), None

    return jax.lax.scan(step, x, jax.random.split(key, count))[0]


def trivial_augment(key: Array, x: Images, *, bins: int = 31, fill: float = 0.0) -> Images:
    """One random operation on each image, as strong as chance will have it (TrivialAugmentWide).

    >>> jax.jit(trivial_augment)(jax.random.key(0), jnp.ones((2, 8, 9, 3))).shape
    (2, 8, 9, 3)
    """
    x = colours("trivial_augment", x)
    number("trivial_augment", "bins", bins, 2)
    key, level_key = jax.random.split(key)
    which, sign = _drawn(key, x)
    level = jax.random.randint(level_key, which.shape, 0, bins).astype(sign.dtype) / (bins - 1)
    amount = _amount(which, level, sign, Space(0.99, (32, 32), 135, 0.99, 6))
    return apply_operation(x, which, amount, fill=fill)


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


def _blends(x: Array, which: Array, amount: Array) -> dict[tuple[str, ...], Array]:
    """One blend for the four, with the reference of each image's own."""
    reference = jnp.zeros_like(widened(x))
    references = {"saturation": luma(x), "contrast": mean_luma(x), "sharpness": smooth(x)}
    for name, value in references.items():
        reference = jnp.where((which == NUMBER[name])[:, None, None, None], value, reference)
    return {("brightness", *references): blend(x, reference, amount)}


def _tones(x: Array, amount: Array) -> dict[tuple[str, ...], Array]:
    flat = amount[:, 0, 0, 0]
    return {
        ("posterize",): posterize(x, flat),
        ("solarize",): solarize(x, flat),
        ("autocontrast",): autocontrast(x),
        ("equalize",): equalize(x),
    }
