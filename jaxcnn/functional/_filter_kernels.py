"""Kernels of the classical image filters, each an array `(kh, kw)`.

From plain numbers they are NumPy arrays. From an angle or sigma that is a JAX array they are JAX arrays, so that the kernel has a
derivative in it.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from jaxcnn.geometry import per_axis

from . import _check, _numbers
from ._numbers import Number

SMOOTHING = {"prewitt": (1, 1, 1), "sobel": (1, 2, 1), "scharr": (3, 10, 3)}  # along the edge; across it (1, 0, −1)
ACROSS = (1.0, 0.0, -1.0)
FINITE = {"above": -math.inf, "below": math.inf}


def edge_kernel(angle: Number = 90.0, *, operator: str = "prewitt") -> np.ndarray | Array:
    """3×3 detector of edges at `angle` degrees; `operator` is "prewitt", "sobel" or "scharr".

    The kernel is steered: `sin(angle) · vertical + cos(angle) · horizontal`. 90 is vertical, 0 horizontal, 45 oblique.

    Raises: ValueError for an unknown operator.

    >>> edge_kernel(90, operator="sobel").tolist()
    [[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]
    """
    _check.one_of("edge_kernel", "operator", operator, tuple(SMOOTHING))
    sine, cosine = _direction("edge_kernel", angle)
    vertical = np.outer(SMOOTHING[operator], ACROSS).astype(getattr(sine, "dtype", float))
    return sine * vertical + cosine * vertical.T


def line_kernel(angle: Number = 90.0, *, size: int = 3) -> np.ndarray | Array:
    """A line of one pixel's width through the centre at `angle` degrees, in a `size` × `size` kernel (odd).

    Weights fall linearly to 0 one pixel off the line, counted along the axis that the line is steeper against.

    Raises: ValueError for an even size.

    >>> line_kernel(90).tolist(), line_kernel(45).tolist()
    ([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    """
    reach = _odd_reach("line_kernel", size)
    sine, cosine = _direction("line_kernel", angle)
    y, x = np.mgrid[reach : -reach - 1 : -1, -reach : reach + 1].astype(getattr(sine, "dtype", float))
    if isinstance(sine, jax.Array):
        off = jnp.abs(x * sine - y * cosine) / jnp.maximum(jnp.abs(sine), jnp.abs(cosine))
        return jnp.maximum(0.0, 1.0 - off)
    off = np.abs(x * sine - y * cosine) / max(abs(sine), abs(cosine))
    return np.maximum(0.0, 1.0 - off).round(12)


def laplacian_kernel(*, diagonal: bool = False) -> np.ndarray:
    """Sum of second differences; `diagonal` counts all eight neighbours.

    >>> laplacian_kernel().tolist()
    [[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]
    """
    kernel = np.array([[diagonal, 1, diagonal], [1, 0, 1], [diagonal, 1, diagonal]], float)
    kernel[1, 1] = -kernel.sum()
    return kernel


def gaussian_kernel(sigma: Number, *, size: int | None = None) -> np.ndarray | Array:
    """`(size,)` samples of a Gaussian of `sigma` pixels with sum 1; `size` is odd, by default it reaches 4 sigma.

    Raises: ValueError for a sigma that is not positive, one that is traced without a size, or an even size.

    >>> gaussian_kernel(1.0, size=3).round(3).tolist()
    [0.274, 0.452, 0.274]
    """
    sigma = _finite("gaussian_kernel", "sigma", sigma, least=0)
    known = _numbers.concrete(sigma)
    if size is None and known is None:
        raise ValueError("gaussian_kernel: sigma is traced, so how far it reaches is not known; give a size")
    reach = math.ceil(4 * known) if size is None else _odd_reach("gaussian_kernel", size)
    exp = jnp.exp if isinstance(sigma, jax.Array) else np.exp
    weights = exp(-0.5 * (np.arange(-reach, reach + 1).astype(getattr(sigma, "dtype", float)) / sigma) ** 2)
    return weights / weights.sum()


def binomial_kernel(size: int) -> np.ndarray:
    """`(size,)` binomial coefficients with sum 1: the mean of two neighbours, `size − 1` times over; nearly a Gaussian.

    Raises: ValueError if `size` is below 1.

    >>> binomial_kernel(3).tolist()
    [0.25, 0.5, 0.25]
    """
    (size,) = per_axis(size, 1, what="size", name="binomial_kernel", least=1)
    row = [1]  # whole numbers, each from the one before it: `math.comb` makes each anew
    for k in range(size - 1):
        row.append(row[-1] * (size - 1 - k) // (k + 1))
    return np.array([count / 2 ** (size - 1) for count in row])


def box_kernel(size: int) -> np.ndarray:
    """The mean over `size` × `size` pixels.

    Raises: ValueError if `size` is below 1.

    >>> float(box_kernel(2)[0, 0])
    0.25
    """
    (size,) = per_axis(size, 1, what="size", name="box_kernel", least=1)
    return np.full((size, size), 1 / size**2)


def _finite(name: str, what: str, value: Number, *, least: float = -math.inf, dtype=None) -> Number:
    """A number above `least`, as a Python number or as an array of a dtype, in float32 at least."""
    number = _numbers.scalar(name, what, value, above=least, below=math.inf)
    if not isinstance(number, jax.Array):
        return number
    return number.astype(dtype or jnp.promote_types(number.dtype, jnp.float32))


def _direction(name: str, angle: Number) -> tuple[Any, Any]:
    """Sine and cosine of an angle in degrees, exact where they are 0, ½ or 1 and the angle is no JAX array."""
    angle = _finite(name, "angle", angle)
    if isinstance(angle, jax.Array):
        return jnp.sin(jnp.radians(angle)), jnp.cos(jnp.radians(angle))
    return _exact(math.sin(math.radians(angle))), _exact(math.cos(math.radians(angle)))


def _odd_reach(name: str, size: int) -> int:
    (size,) = per_axis(size, 1, what="size", name=name, least=1)
    if size % 2 == 0:
        raise ValueError(f"{name}: size={size} must be odd, so that there is a centre")
    return size // 2


def _exact(value: float) -> float:
    return round(value, 12) + 0.0
