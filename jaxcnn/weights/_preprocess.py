"""From a picture's pixels to what a network takes, exactly as the authors of its weights did it: `preprocess(card, images)`.

The short side is resized to `card.resize`, the middle cut out, then `(pixel · range / 255 − mean) / std` in the card's order of
channels. Resizing is Pillow 13's, to the bit: antialiased, one axis after the other, each pass in fixed point with 22 bits after
the point, rounded half up and clipped to 0 … 255. The sums are integers below 2³¹. On the host they are one product in float64,
which holds them exactly; on a device three products in float32, of the weights' upper 8 and two times 7 lower bits, are each
exact and put together in integers. Only what is cut out is computed. A card with a `central_fraction` has that share of height
and width cut out first, and brought to its size whatever the proportions.

References: Pillow, `src/libImaging/Resample.c`; torchvision, `transforms.functional.resize` and `center_crop`.
"""

from collections.abc import Callable
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Float, UInt8

from jaxcnn.functional._resize import resampling_weights

from ._cards import METHODS, Card

BITS = 22  # after the point, in Pillow's weights
LOW = 7  # bits of a lower part


def preprocess(card: Card, images: UInt8[Array | np.ndarray, "n h w c"]) -> Float[Array, "n oh ow c"]:
    """What the card's network takes, float32: a pure function, for the host (NumPy in, JAX out) and inside a compiled step.

    Raises: ValueError for images that are not uint8 RGB `(n, h, w, 3)`, of a grey card `(n, h, w, 1)`, or without a pixel.

    >>> from jaxcnn.weights import card
    >>> preprocess(card("resnet50.torchvision_V1"), np.zeros((2, 300, 500, 3), np.uint8)).shape
    (2, 224, 224, 3)
    """
    return normalise(card, cut(card, images))


def normalise(card: Card, images: UInt8[Array | np.ndarray, "n h w c"]) -> Float[Array, "n h w c"]:
    """`(pixel · range / 255 − mean) / std` of images that have their size already, in the card's order of channels.

    >>> from jaxcnn.weights import card
    >>> normalise(card("squeezenet1_1.iandola"), np.full((1, 1, 1, 3), 255, np.uint8))[0, 0, 0].tolist()
    [151.0, 138.0, 132.0]
    """
    x = jnp.asarray(images).astype(jnp.float32)
    x = x[..., ::-1] if card.channels == "BGR" else x
    x = x / 255 if card.range == 1 else x * (card.range / 255)
    return (x - jnp.asarray(card.mean, jnp.float32)) / jnp.asarray(card.std, jnp.float32)


def preparation(card: Card) -> Callable[[UInt8[Array, "n h w c"]], Float[Array, "n oh ow c"]]:
    """`preprocess` with the card given: the `prepare` of `jaxcnn.train`.

    >>> from jaxcnn.weights import card
    >>> preparation(card("cifar_resnet20.idelbayev"))(jnp.zeros((1, 32, 32, 3), jnp.uint8)).shape
    (1, 32, 32, 3)
    """
    return lambda images: preprocess(card, images)


def cut(card: Card, images: UInt8[Array | np.ndarray, "n h w c"]) -> UInt8[Any, "n oh ow c"]:
    """Resized and cut out, still uint8, RGB or grey; a NumPy array stays one.

    Raises: ValueError as `preprocess`.

    >>> from jaxcnn.weights import card
    >>> cut(card("cifar_resnet20.idelbayev"), np.full((1, 1, 1, 3), 7, np.uint8)).shape
    (1, 32, 32, 3)
    """
    count = card.in_features
    if images.ndim != 4 or images.shape[-1] != count or images.dtype != np.uint8 or not prod(images.shape[1:]):
        right = f"uint8 {'grey' if count == 1 else 'RGB'} (n, h, w, {count})"
        raise ValueError(f"preprocess: the images are {images.dtype}{list(images.shape)}; they must be {right}")
    if card.central_fraction:
        images = _central(images, card.central_fraction)
    _, h, w, _ = images.shape
    sizes = card.image_size if card.central_fraction else short_side(h, w, card.resize)
    for axis in _passes(h, w, *sizes):
        start, count = _middle(sizes[axis - 1], card.image_size[axis - 1])
        if sizes[axis - 1] == images.shape[axis]:
            images = _padded(images, axis, start, count)
        else:
            inside = np.arange(max(start, 0), min(start + count, sizes[axis - 1]))
            weights = _fixed_point(images.shape[axis], sizes[axis - 1], METHODS[card.interpolation], inside)
            images = _contract(images, weights, axis)
            images = _padded(images, axis, min(start, 0), count)
    return images


def _passes(h: int, w: int, oh: int, ow: int) -> tuple[int, int]:
    """The axes in the order of Pillow's passes: columns first where the height loses more than twice what the width does.

    Before version 13 Pillow went along the rows first always, which differs by one level here and there.
    """
    return (1, 2) if oh < h and 2 * (w - ow) < h - oh else (2, 1)


def _central(images: Any, fraction: float) -> Any:
    """The middle of images: `⌊fraction · n⌋` pixels of n, at least one, of which the left half of an odd rest is the smaller."""
    for axis in (1, 2):
        n = images.shape[axis]
        count = max(1, int(fraction * n))
        images = _padded(images, axis, (n - count) // 2, count)
    return images


def short_side(h: int, w: int, size: int) -> tuple[int, int]:
    """Height and width with the short side `size`, the other in proportion, rounded down.

    >>> short_side(375, 500, 256)
    (256, 341)
    """
    return (size, size * w // h) if h <= w else (size * h // w, size)


def _middle(size: int, wanted: int) -> tuple[int, int]:
    """Where the middle starts, and its length; negative where it is longer than what there is (black is added)."""
    return (round((size - wanted) / 2.0), wanted) if size >= wanted else (-((wanted - size) // 2), wanted)


def _padded(x: Any, axis: int, start: int, count: int) -> Any:
    """`x[start : start + count]` along an axis, zeros outside."""
    low, high = max(0, -start), max(0, start + count - x.shape[axis])
    part = x[(slice(None),) * axis + (slice(max(start, 0), start + count),)]
    if not low and not high:
        return part
    widths = [(low, high) if a == axis else (0, 0) for a in range(x.ndim)]
    return np.pad(part, widths) if isinstance(x, np.ndarray) else jnp.pad(part, widths)


def _fixed_point(n: int, m: int, method: str, rows: np.ndarray) -> np.ndarray:
    """Rows of Pillow's weights `(m, n)` as integers: 2²² times, rounded half away from zero."""
    exact = resampling_weights(n, m, method, antialias=True, align_corners=False, rows=rows) * (1 << BITS)
    return np.trunc(exact + np.copysign(0.5, exact)).astype(np.int64)


def _contract(x: Any, weights: np.ndarray, axis: int) -> Any:
    formula = "nhwc,zw->nhzc" if axis == 2 else "nhwc,zh->nzwc"
    half = 1 << (BITS - 1)
    if isinstance(x, np.ndarray):
        y = np.einsum(formula, x.astype(np.float64), weights.astype(np.float64), optimize=True)
        return np.clip((y.astype(np.int64) + half) >> BITS, 0, 255).astype(np.uint8)
    total = jnp.full((), half, jnp.int32)
    for shift, part in _parts(weights):
        product = jnp.einsum(formula, x.astype(jnp.float32), part, precision=lax.Precision.HIGHEST)
        total = total + (product.astype(jnp.int32) << shift)
    return jnp.clip(total >> BITS, 0, 255).astype(jnp.uint8)


def _parts(weights: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """`Σ part << shift` are the weights; with 8 bits of a pixel and up to 1,000 taps a sum of each part stays below 2²⁴."""
    middle, parts = 1 << (LOW - 1), []
    for shift in (0, LOW):
        low = ((weights + middle) & ((1 << LOW) - 1)) - middle  # −64 … 63
        parts.append((shift, low.astype(np.float32)))
        weights = (weights - low) >> LOW
    return [*parts, (2 * LOW, weights.astype(np.float32))]
