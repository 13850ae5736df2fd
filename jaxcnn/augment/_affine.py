"""Affine maps of images on the device: `affine` and `random_affine`.

Output pixel p takes the colour at `centre + matrix · (p − centre − shift)`. Coordinates are (y, x), pixel centres at +0.5, so
the centre of an image of h pixels is h / 2. Bilinear interpolation; beyond the image the border colour goes on.
"""

import jax
import jax.numpy as jnp
from jax import Array
from jax.scipy.ndimage import map_coordinates
from jaxtyping import Float

from jaxcnn.functional import _check


def affine(
    x: Float[Array, "n h w c"], matrix: Float[Array, "n 2 2"], shift: Float[Array, "n 2"]
) -> Float[Array, "n h w c"]:
    """Each image under its own map: output pixel p (from the centre) shows what lies at `matrix · (p − shift)`.

    Args:
        matrix: from output to input coordinates (y, x); the identity leaves the image.
        shift: pixels (y, x) by which the picture moves, after the matrix.

    >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    >>> affine(x, jnp.eye(2)[None], jnp.array([[0.0, 1.0]]))[0, 0, :, 0].tolist()
    [0.0, 0.0, 1.0]
    """
    x = _check.images("affine", x, 2)
    _check.floating("affine", x)
    n, h, w, _ = x.shape
    for what, array, shape in (("matrix", matrix, (n, 2, 2)), ("shift", shift, (n, 2))):
        if _check.array("affine", what, array).shape != shape:
            raise ValueError(f"affine: {what} is {_check.describe(array)}; it must have the shape {shape}")
    centre = jnp.array([h / 2, w / 2], jnp.float32)
    rows, columns = jnp.meshgrid(jnp.arange(h) + 0.5, jnp.arange(w) + 0.5, indexing="ij")
    grid = jnp.stack([rows, columns], -1) - centre  # (h, w, 2)

    def one(image: Array, matrix: Array, shift: Array) -> Array:
        source = jnp.einsum("ij,hwj->ihw", matrix, grid - shift) + (centre - 0.5)[:, None, None]  # (2, h, w)
        sample = lambda channel: map_coordinates(channel, list(source), order=1, mode="nearest")
        return jax.vmap(sample, -1, -1)(image)

    return jax.vmap(one)(x, matrix.astype(jnp.float32), shift.astype(jnp.float32))


def random_affine(
    key: Array,
    x: Float[Array, "n h w c"],
    *,
    degrees: float = 0.0,
    translate: float = 0.0,
    scale: float = 0.0,
    shear: float = 0.0,
) -> Float[Array, "n h w c"]:
    """Each image turned, moved, scaled and sheared by its own random amounts, uniform in ± the arguments.

    Args:
        degrees: of rotation.
        translate: share of the height and width.
        scale: 0.1 means from 1 / 1.1 to 1.1, uniform in the logarithm.
        shear: tangent of the angle by which columns lean.

    >>> random_affine(jax.random.key(0), jnp.ones((2, 5, 7, 1)), degrees=10, scale=0.1).shape
    (2, 5, 7, 1)
    """
    x = _check.images("random_affine", x, 2)
    if not scale > -1:
        raise ValueError(f"random_affine: scale={scale} must be above -1; 0.1 means from 1 / 1.1 to 1.1")
    n, h, w, _ = x.shape
    draw = jax.random.uniform(key, (n, 5), jnp.float32, -1, 1)
    angle, factor = jnp.deg2rad(degrees) * draw[:, 0], (1 + scale) ** draw[:, 1]
    cosine, sine = jnp.cos(angle) / factor, jnp.sin(angle) / factor
    turn = jnp.stack([jnp.stack([cosine, sine], -1), jnp.stack([-sine, cosine], -1)], 1)  # (n, 2, 2)
    lean = jnp.eye(2) + shear * draw[:, 2, None, None] * jnp.array([[0.0, 0.0], [1.0, 0.0]])
    shift = draw[:, 3:] * translate * jnp.array([h, w], jnp.float32)
    with _check.named("affine", "random_affine"):
        return affine(x, turn @ lean, shift)
