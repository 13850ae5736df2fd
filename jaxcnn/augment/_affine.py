"""Affine maps of images on the device: `affine`, `random_affine`, `random_rotate`.

Output pixel p takes the colour at `centre + matrix · (p − centre − shift)`. Coordinates are (y, x), pixel centres at +0.5, so
the centre of an image of h pixels is h / 2. Beyond the image the border colour goes on, or the colour `fill` stands.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.functional import _check, rotate
from jaxcnn.functional._grid_sample import METHODS, sample
from jaxcnn.functional._widened import widened

from ._amounts import colour, floating_images, reach, uniform
from ._meshes import on_meshes

Fill = float | Float[Array, " c"]


@on_meshes
def affine(
    x: Float[Array, "n h w c"],
    matrix: Float[Array, "n 2 2"],
    shift: Float[Array, "n 2"],
    *,
    method: str = "linear",
    fill: Fill | None = None,
) -> Float[Array, "n h w c"]:
    """Each image under its own map: output pixel p (from the centre) shows what lies at `matrix · (p − shift)`.

    A pixel sees the 1, 4 or 16 around that place, with "linear" and "cubic" also those whose weight is 0, as
    `functional.grid_sample` does.

    Args:
        matrix: from output to input coordinates (y, x); the identity leaves the image.
        shift: pixels (y, x) by which the picture moves, after the matrix.
        method: "nearest", "linear" or "cubic".
        fill: the colour beyond the image, one number or one a channel; None means that the border's goes on.

    >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    >>> affine(x, jnp.eye(2)[None], jnp.array([[0.0, 1.0]]))[0, 0, :, 0].tolist()
    [0.0, 0.0, 1.0]
    """
    x = floating_images("affine", x)
    _check.one_of("affine", "method", method, METHODS)
    n, h, w, _ = x.shape
    for what, array, shape in (("matrix", matrix, (n, 2, 2)), ("shift", shift, (n, 2))):
        if _check.array("affine", what, array).shape != shape:
            raise ValueError(f"affine: {what} is {_check.describe(array)}; it must have the shape {shape}")
    dtype = widened(x).dtype
    matrix, shift = matrix.astype(dtype)[:, None, None], shift.astype(dtype)[:, None, None]
    middle = [(size - 1) / 2 for size in (h, w)]
    y = jnp.arange(h, dtype=dtype)[None, :, None] - middle[0] - shift[..., 0]  # (n, h, 1)
    along = jnp.arange(w, dtype=dtype)[None, None] - middle[1] - shift[..., 1]  # (n, 1, w)
    at = [matrix[..., axis, 0] * y + matrix[..., axis, 1] * along + middle[axis] for axis in (0, 1)]
    mode = "border" if fill is None else "zeros"
    outside = 0.0 if fill is None else colour("affine", "fill", fill, x)
    return sample(x, jnp.stack(at, -1), method=method, padding_mode=mode, fill=outside)


@on_meshes
def random_affine(
    key: Array,
    x: Float[Array, "n h w c"],
    *,
    degrees: float = 0.0,
    translate: float = 0.0,
    scale: float = 0.0,
    shear: float = 0.0,
    method: str = "linear",
    fill: Fill | None = None,
) -> Float[Array, "n h w c"]:
    """Each image turned, moved, scaled and sheared by its own random amounts, uniform in ± the arguments.

    Args:
        degrees: of rotation. This and the next three are one number or one an image.
        translate: share of the height and width.
        scale: 0.1 means from 1 / 1.1 to 1.1, uniform in the logarithm. A traced one passes unchecked.
        shear: tangent of the angle by which columns lean.
        method, fill: as `affine`.

    >>> random_affine(jax.random.key(0), jnp.ones((2, 5, 7, 1)), degrees=10, scale=0.1).shape
    (2, 5, 7, 1)
    """
    key, x = _check.random_key("random_affine", key), _check.images("random_affine", x, 2)
    n, h, w, _ = x.shape
    draw = jax.random.uniform(key, (n, 5), jnp.float32, -1, 1)
    degrees, scale, shear, translate = (
        _single(reach("random_affine", what, value, x, **limits))
        for what, value, limits in (
            ("degrees", degrees, {}),
            ("scale", scale, {"above": -1}),
            ("shear", shear, {}),
            ("translate", translate, {}),
        )
    )
    angle, factor = jnp.deg2rad(degrees) * draw[:, 0], (1 + scale) ** draw[:, 1]
    cosine, sine = jnp.cos(angle) / factor, jnp.sin(angle) / factor
    turn = jnp.stack([jnp.stack([cosine, sine], -1), jnp.stack([-sine, cosine], -1)], 1)  # (n, 2, 2)
    lean = (shear * draw[:, 2])[:, None, None] * jnp.array([[[0, 0], [1, 0]]], jnp.float32)
    lean = jnp.eye(2, dtype=jnp.float32)[None] + lean
    far = jnp.asarray(translate)[:, None] if np.ndim(translate) else translate
    shift = draw[:, 3:] * far * jnp.array([[h, w]], jnp.float32)
    with _check.named("affine", "random_affine"):
        return affine(x, jnp.matmul(turn, lean, precision="highest"), shift, method=method, fill=fill)


@on_meshes
def random_rotate(
    key: Array, x: Float[Array, "n h w c"], degrees: float, *, method: str = "linear", fill: Fill = 0.0
) -> Float[Array, "n h w c"]:
    """Each image turned about its centre by its own angle, uniform in ± `degrees`; else as `functional.rotate`.

    >>> random_rotate(jax.random.key(0), jnp.ones((2, 5, 7, 1)), 0).min().item()
    1.0
    """
    key, x = _check.random_key("random_rotate", key), floating_images("random_rotate", x)
    degrees = reach("random_rotate", "degrees", degrees, x)
    with _check.named("rotate", "random_rotate"):
        return rotate(x, uniform(key, x, -degrees, degrees), method=method, fill=fill)


def _single(value: Any) -> Any:
    """An array in float32, in which the maps are drawn."""
    return value.astype(jnp.float32) if isinstance(value, Array) else value
