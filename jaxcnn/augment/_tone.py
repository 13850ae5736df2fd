"""Tone curves of images in [0, 1], each channel on its own: invert, solarize, posterize, autocontrast, equalize.

The numbers are Pillow's ImageOps on 8-bit images: where a curve needs levels, pixels are rounded to 0 … 255 first.
"""

import jax.numpy as jnp
from jax import Array

from jaxcnn.functional._widened import widened

from ._amounts import amounts, floating_images
from ._clipped import clipped
from ._colour import Amount, Images
from ._meshes import on_meshes

LEVELS = 256


@on_meshes
def invert(x: Images) -> Images:
    """The negative, 1 − x.

    >>> invert(jnp.full((1, 1, 1, 1), 0.25)).item()
    0.75
    """
    return 1 - floating_images("invert", x)


@on_meshes
def solarize(x: Images, threshold: Amount) -> Images:
    """Pixels from the threshold up inverted.

    >>> solarize(jnp.array([0.25, 0.75]).reshape(1, 1, 2, 1), 0.5).ravel().tolist()
    [0.25, 0.25]
    """
    x = floating_images("solarize", x)
    return jnp.where(widened(x) >= amounts("solarize", "threshold", threshold, x), 1 - x, x)


@on_meshes
def posterize(x: Images, bits: Amount) -> Images:
    """Only the first `bits` of the eight bits of each colour kept.

    >>> (posterize(jnp.array([100.0, 200.0]).reshape(1, 1, 2, 1) / 255, 1) * 255).ravel().tolist()
    [0.0, 128.0]
    """
    x = floating_images("posterize", x)
    step = jnp.exp2(8 - amounts("posterize", "bits", bits, x))
    return (jnp.floor(_levels(x) / step) * step / 255).astype(x.dtype)


@on_meshes
def autocontrast(x: Images) -> Images:
    """Each channel of each image stretched from 0 to 1; a flat one stays.

    The darkest and the lightest pixel count, so one that is NaN or infinite may spread over its own channel of its own image.

    >>> autocontrast(jnp.array([0.25, 0.5, 0.75]).reshape(1, 1, 3, 1)).ravel().tolist()
    [0.0, 0.5, 1.0]
    """
    x = floating_images("autocontrast", x)
    wide = widened(x)
    low, high = wide.min((1, 2), keepdims=True), wide.max((1, 2), keepdims=True)
    flat = high == low
    return jnp.where(flat, wide, (wide - low) / jnp.where(flat, 1, high - low)).astype(x.dtype)


@on_meshes
def equalize(x: Images) -> Images:
    """Each channel of each image on the curve that makes its levels about equally frequent; fewer than 256 pixels stay.

    A NaN stays one, and counts as black on the curve of its own channel.

    >>> equalize(jnp.ones((1, 5, 5, 1))).min().item()
    1.0
    """
    x = floating_images("equalize", x)
    n, h, w, c = x.shape
    missing = jnp.isnan(x)
    levels = jnp.where(missing, 0, _levels(x)).astype(jnp.int32)
    row = jnp.arange(n)[:, None, None, None] * c + jnp.arange(c)[None, None, None]  # a histogram an image and channel
    count = jnp.zeros((n * c, LEVELS), jnp.int32).at[row, levels].add(1)
    last = jnp.take_along_axis(count, (LEVELS - 1 - (count[:, ::-1] > 0).argmax(-1))[:, None], 1)
    step = (h * w - last) // 255  # (n · c, 1)
    before = jnp.cumsum(count, -1) - count
    curve = jnp.minimum((before + step // 2) // jnp.maximum(step, 1), 255)
    curve = jnp.where(step == 0, jnp.arange(LEVELS, dtype=curve.dtype)[None], curve)
    return jnp.where(missing, x, (curve[row, levels].astype(widened(x).dtype) / 255).astype(x.dtype))


def _levels(x: Array) -> Array:
    return clipped(jnp.round(widened(x) * 255), 255)
