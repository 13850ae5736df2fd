"""What pictures take: images as they are drawn, and arrays of finite numbers; what else is given is refused in one line."""

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxcnn.functional._check import describe

ROUNDING = 1e-3  # a float image may leave [0, 1] by this much: 16-bit floats and resizing round


def image(name: str, what: str, value: Any) -> np.ndarray:
    """An image as float32 in [0, 1], `(h, w)` if grey or `(h, w, 3)`.

    Raises: TypeError for another dtype than uint8 or floats; ValueError for another shape or other numbers.
    """
    value = _array(name, what, value)
    if value.ndim not in (2, 3) or value.shape[2:] not in ((), (1,), (3,)) or 0 in value.shape:
        batch = f", one of a batch: {what}[0]" if value.ndim == 4 else ""
        raise ValueError(f"{name}: {what} is {describe(value)}; give (h, w), (h, w, 1) or (h, w, 3){batch}")
    if value.dtype == np.uint8:
        pixels = value.astype(np.float32) / 255
    elif jnp.issubdtype(value.dtype, jnp.floating):
        pixels = value.astype(np.float32)
    else:
        raise TypeError(f"{name}: {what} is {describe(value)}; give uint8 in [0, 255], or floats in [0, 1]")
    low, high = float(pixels.min()), float(pixels.max())
    if not (low >= -ROUNDING and high <= 1 + ROUNDING):
        raise ValueError(f"{name}: {what} lies in [{low:.3g}, {high:.3g}]; give floats in [0, 1], or uint8")
    pixels = np.clip(pixels, 0, 1)
    return pixels[..., 0] if pixels.shape[2:] == (1,) else pixels


def images(name: str, what: str, value: Any) -> list[np.ndarray]:
    """One image or several, of any sizes, as a list.

    Raises: as `image`; ValueError for none.
    """
    if not several(value):
        return [image(name, what, value)]
    if not len(value):
        raise ValueError(f"{name}: {what} holds no image; give one at least")
    return [image(name, f"{what}[{i}]", one) for i, one in enumerate(value)]


def several(value: Any) -> bool:
    """Whether it is a list of images or a batch, not one image."""
    return isinstance(value, list | tuple) or np.ndim(value) == 4


def numbers(name: str, what: str, value: Any, axes: Sequence[str]) -> np.ndarray:
    """An array of finite numbers, in float64, that has one of the lists of axes, such as "(h, w)".

    Raises: TypeError if it holds no real numbers; ValueError for other axes, no number at all, NaN or infinity.
    """
    value = _array(name, what, value)
    ranks = {len(text.strip("(),").split(",")) for text in axes}
    if value.ndim not in ranks or 0 in value.shape:
        raise ValueError(f"{name}: {what} is {describe(value)}; give {' or '.join(axes)}, each axis at least 1")
    if not (
        jnp.issubdtype(value.dtype, jnp.floating) or jnp.issubdtype(value.dtype, jnp.integer) or value.dtype == bool
    ):
        raise TypeError(f"{name}: {what} is {describe(value)}; it must hold real numbers")
    value = value.astype(np.float64)
    bad = value.size - int(np.isfinite(value).sum())
    if bad:
        raise ValueError(f"{name}: {what} has {bad} of {value.size} numbers NaN or infinite; give finite ones")
    return value


def at_least_one(name: str, **counts: int) -> None:
    """Refuses a number of columns or tiles below 1."""
    for what, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int | np.integer):
            raise TypeError(f"{name}: {what}={count!r} must be an integer")
        if count < 1:
            raise ValueError(f"{name}: {what}={count} must be at least 1")


def check_percentile(name: str, percentile: float) -> None:
    """Refuses what is no percentile above 0."""
    if not 0 < percentile <= 100:
        raise ValueError(f"{name}: percentile={percentile} must be above 0, and 100 at most")


def _array(name: str, what: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except ValueError:
        raise ValueError(
            f"{name}: {what} is a {type(value).__name__} of rows of several lengths; give one array"
        ) from None
