"""Classical image filters: edges, lines, smoothing and sharpening, each a small fixed kernel.

`NAME_kernel(...)` gives a kernel as a NumPy array `(kh, kw)`; `NAME(x, ...)` applies it to every channel of images
`(n, h, w, c)`, as a column and a row where the kernel is separable. Kernels are cross-correlated, as in `conv`. Angles are in
degrees, counter-clockwise from the horizontal with y upwards: an edge or line at 90 is vertical, at 45 runs from the lower
left to the upper right. Vertical-edge kernels answer positively to bright left of dark.

Angles, sigmas and amounts are numbers or arrays of one. What is traced has a derivative, and a kernel of a JAX array is one, too.
Edges of the image are replicated by default (`padding="same", padding_mode="replicate"`), so the size stays. 16-bit floats are
filtered in float32, kernels included, and rounded once.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.geometry import Padding, per_axis

from . import _check, _numbers
from ._conv import depthwise_conv
from ._numbers import Number
from ._separable import spatially_separable_conv
from ._widened import widened

SMOOTHING = {"prewitt": (1, 1, 1), "sobel": (1, 2, 1), "scharr": (3, 10, 3)}  # along the edge; across it (1, 0, −1)
ACROSS = (1.0, 0.0, -1.0)
FINITE = {"above": -math.inf, "below": math.inf}

Images = Float[Array, "n h w c"]


def apply(
    x: Images, kernel: np.ndarray | Array, *, padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """Cross-correlates every channel with one kernel `(kh, kw)`.

    Raises: ValueError if the kernel is not 2-D, TypeError if x is not floating point; else as `conv`.

    >>> apply(jnp.arange(9.0).reshape(1, 3, 3, 1), np.eye(3), padding="valid").item()  # 0 + 4 + 8
    12.0
    """
    x = _float_images("apply", x)
    wide = widened(x)
    weights = jnp.asarray(kernel, wide.dtype)
    if weights.ndim != 2:
        raise ValueError(f"apply: kernel is {_check.describe(weights)}; it must be (kh, kw)")
    each = jnp.broadcast_to(weights[:, :, None, None], (*weights.shape, x.shape[-1], 1))
    with _check.named("depthwise_conv", "apply"):
        return depthwise_conv(wide, each, padding=padding, padding_mode=padding_mode).astype(x.dtype)


def apply_separable(
    x: Images,
    column: np.ndarray | Array,
    row: np.ndarray | Array,
    *,
    padding: Padding = "same",
    padding_mode: str = "replicate",
) -> Images:
    """`apply` of the kernel `outer(column, row)`: kh + kw multiplications a pixel instead of kh · kw.

    >>> x = jnp.arange(9.0).reshape(1, 3, 3, 1)
    >>> apply_separable(x, np.ones(3), np.array([1, 0, 0]), padding="valid").item()  # 0 + 3 + 6
    9.0
    """
    x = _float_images("apply_separable", x)
    for what, part in (("column", column), ("row", row)):
        if np.ndim(part) != 1:
            raise ValueError(f"apply_separable: {what} has {np.ndim(part)} axes; it must be a vector of weights")
    c, wide = x.shape[-1], widened(x)
    each = (jnp.broadcast_to(jnp.asarray(v, wide.dtype)[:, None, None], (len(v), min(c, 1), c)) for v in (column, row))
    with _check.named("spatially_separable_conv", "apply_separable"):
        y = spatially_separable_conv(wide, *each, padding=padding, padding_mode=padding_mode, groups=max(c, 1))
    return y.astype(x.dtype)


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


@_check.named(("apply", "apply_separable"), "edge")
def edge(
    x: Images,
    angle: Number = 90.0,
    *,
    operator: str = "prewitt",
    absolute: bool = False,
    padding: Padding = "same",
    padding_mode: str = "replicate",
) -> Images:
    """Response to edges at `angle` degrees; `absolute` for both polarities. Separable at 0 and 90 degrees.

    >>> step = jnp.array([1.0, 1, 0, 0]) * jnp.ones((4, 1))
    >>> edge(step[None, :, :, None], padding="valid")[0, :, :, 0].tolist()
    [[3.0, 3.0], [3.0, 3.0]]
    """
    _check.one_of("edge", "operator", operator, tuple(SMOOTHING))
    angle = _numbers.python_number("edge", "angle", angle, **FINITE)
    along, across = np.array(SMOOTHING[operator], float), np.array(ACROSS)
    if isinstance(angle, jax.Array):
        y = apply(x, edge_kernel(angle, operator=operator), padding=padding, padding_mode=padding_mode)
    elif angle % 180 == 90:
        y = apply_separable(x, along, across, padding=padding, padding_mode=padding_mode) * (
            1 if angle % 360 == 90 else -1
        )
    elif angle % 180 == 0:
        y = apply_separable(x, across, along, padding=padding, padding_mode=padding_mode) * (
            1 if angle % 360 == 0 else -1
        )
    else:
        y = apply(x, edge_kernel(angle, operator=operator), padding=padding, padding_mode=padding_mode)
    return jnp.abs(y) if absolute else y


@_check.named("edge", "prewitt")
def prewitt(x: Images, angle: Number = 90.0, *, padding: Padding = "same", padding_mode: str = "replicate") -> Images:
    """Prewitt's operator: `edge` with smoothing (1, 1, 1).

    >>> prewitt(jnp.arange(9.0).reshape(1, 3, 3, 1), padding="valid").item()  # three rows, each 2 brighter at the right
    -6.0
    """
    return edge(x, angle, operator="prewitt", padding=padding, padding_mode=padding_mode)


@_check.named("edge", "sobel")
def sobel(x: Images, angle: Number = 90.0, *, padding: Padding = "same", padding_mode: str = "replicate") -> Images:
    """Sobel's operator: `edge` with smoothing (1, 2, 1).

    >>> sobel(jnp.arange(9.0).reshape(1, 3, 3, 1), padding="valid").item()  # (1 + 2 + 1) · 2
    -8.0
    """
    return edge(x, angle, operator="sobel", padding=padding, padding_mode=padding_mode)


@_check.named("edge", "scharr")
def scharr(x: Images, angle: Number = 90.0, *, padding: Padding = "same", padding_mode: str = "replicate") -> Images:
    """Scharr's operator: `edge` with smoothing (3, 10, 3), the most even over directions.

    >>> scharr(jnp.arange(9.0).reshape(1, 3, 3, 1), 0, padding="valid").item()  # (3 + 10 + 3) · 6
    -96.0
    """
    return edge(x, angle, operator="scharr", padding=padding, padding_mode=padding_mode)


@_check.named("edge", "gradient_magnitude")
def gradient_magnitude(
    x: Images, *, operator: str = "sobel", padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """Strength of edges of any direction: `√(vertical² + horizontal²)`.

    >>> gradient_magnitude(jnp.ones((1, 5, 5, 1))).max().item()
    0.0
    """
    x = _float_images("gradient_magnitude", x)
    wide = widened(x)
    vertical, horizontal = (
        edge(wide, angle, operator=operator, padding=padding, padding_mode=padding_mode) for angle in (90, 0)
    )
    return jnp.hypot(vertical, horizontal).astype(x.dtype)


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


@_check.named(("line_kernel", "apply"), "line")
def line(
    x: Images, angle: Number = 90.0, *, size: int = 3, padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """Response to bright lines at `angle` degrees.

    >>> line(jnp.eye(5)[None, :, :, None], 135, padding="valid")[0, 1, 1, 0].item()
    3.0
    """
    angle = _numbers.python_number("line", "angle", angle, **FINITE)
    return apply(x, line_kernel(angle, size=size), padding=padding, padding_mode=padding_mode)


def laplacian_kernel(*, diagonal: bool = False) -> np.ndarray:
    """Sum of second differences; `diagonal` counts all eight neighbours.

    >>> laplacian_kernel().tolist()
    [[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]]
    """
    kernel = np.array([[diagonal, 1, diagonal], [1, 0, 1], [diagonal, 1, diagonal]], float)
    kernel[1, 1] = -kernel.sum()
    return kernel


@_check.named("apply", "laplacian")
def laplacian(
    x: Images, *, diagonal: bool = False, padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """Response to spots and ridges: zero on flat and evenly sloping ground.

    >>> laplacian(jnp.ones((1, 3, 3, 1))).max().item()
    0.0
    """
    return apply(x, laplacian_kernel(diagonal=diagonal), padding=padding, padding_mode=padding_mode)


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


@_check.named(("gaussian_kernel", "apply_separable"), "gaussian")
def gaussian(
    x: Images, sigma: Number, *, size: int | None = None, padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """Gaussian blur with `sigma` in pixels, applied separably. A sigma that is traced needs a `size`.

    >>> dot = jnp.zeros((1, 9, 9, 1)).at[0, 4, 4].set(1000)
    >>> gaussian(dot, 1.0)[0, 4, 3:6, 0].round().tolist()  # 1000 / 2π in the middle, e^(−½) of it beside
    [97.0, 159.0, 97.0]
    """
    sigma = _numbers.python_number("gaussian", "sigma", sigma, above=0, below=math.inf)
    kernel = gaussian_kernel(sigma, size=size)
    return apply_separable(x, kernel, kernel, padding=padding, padding_mode=padding_mode)


def box_kernel(size: int) -> np.ndarray:
    """The mean over `size` × `size` pixels.

    Raises: ValueError if `size` is below 1.

    >>> float(box_kernel(2)[0, 0])
    0.25
    """
    (size,) = per_axis(size, 1, what="size", name="box_kernel", least=1)
    return np.full((size, size), 1 / size**2)


@_check.named(("box_kernel", "apply_separable"), "box")
def box(x: Images, size: int, *, padding: Padding = "same", padding_mode: str = "replicate") -> Images:
    """Box blur, applied separably.

    >>> box(jnp.arange(9.0).reshape(1, 3, 3, 1), 3, padding="valid").item()
    4.0
    """
    mean = box_kernel(size)[0] * size
    return apply_separable(x, mean, mean, padding=padding, padding_mode=padding_mode)


@_check.named("laplacian", "sharpen")
def sharpen(x: Images, amount: Number = 1.0, *, padding: Padding = "same", padding_mode: str = "replicate") -> Images:
    """`x − amount · laplacian(x)`.

    >>> sharpen(jnp.ones((1, 3, 3, 1)))[0, 0, 0, 0].item()
    1.0
    """
    x = _float_images("sharpen", x)
    wide = widened(x)
    amount = _finite("sharpen", "amount", amount, dtype=wide.dtype)
    return (wide - amount * laplacian(wide, padding=padding, padding_mode=padding_mode)).astype(x.dtype)


@_check.named("gaussian", "edge_enhance")
def edge_enhance(
    x: Images,
    amount: Number = 1.0,
    *,
    sigma: Number = 1.0,
    size: int | None = None,
    padding: Padding = "same",
    padding_mode: str = "replicate",
) -> Images:
    """Unsharp mask: `x + amount · (x − gaussian(x, sigma))`, sigma and size as there.

    >>> step = jnp.repeat(jnp.array([0.0, 100.0]), 8).reshape(1, 16, 1, 1)
    >>> edge_enhance(step)[0, 6:10, 0, 0].round().tolist()  # darker and brighter at the edge than before
    [-6.0, -30.0, 130.0, 106.0]
    """
    x = _float_images("edge_enhance", x)
    wide = widened(x)
    amount = _finite("edge_enhance", "amount", amount, dtype=wide.dtype)
    smooth = gaussian(wide, sigma, size=size, padding=padding, padding_mode=padding_mode)
    return (wide + amount * (wide - smooth)).astype(x.dtype)


def _float_images(name: str, x: Array) -> Array:
    x = _check.images(name, x, 2)
    _check.floating(name, x)
    return x


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
