"""Classical image filters: edges, lines, smoothing and sharpening, each a small fixed kernel.

`NAME_kernel(...)` gives a kernel as a NumPy array `(kh, kw)`; `NAME(x, ...)` applies it to every channel of images
`(n, h, w, c)`, as a column and a row where the kernel is separable. Kernels are cross-correlated, as in `conv`. Angles are in
degrees, counter-clockwise from the horizontal with y upwards: an edge or line at 90 is vertical, at 45 runs from the lower
left to the upper right. Vertical-edge kernels answer positively to bright left of dark.

Edges of the image are replicated by default (`padding="same", padding_mode="replicate"`), so the size stays. 16-bit floats are
filtered in float32, kernels included, and rounded once.
"""

import math

import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.geometry import Padding, per_axis

from . import _check
from ._conv import depthwise_conv
from ._separable import spatially_separable_conv
from ._widened import widened

SMOOTHING = {"prewitt": (1, 1, 1), "sobel": (1, 2, 1), "scharr": (3, 10, 3)}  # along the edge; across it (1, 0, −1)
ACROSS = (1.0, 0.0, -1.0)

Images = Float[Array, "n h w c"]


def apply(
    x: Images, kernel: np.ndarray | Array, *, padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """Cross-correlates every channel with one kernel `(kh, kw)`.

    Raises: ValueError if the kernel is not 2-D, TypeError if x is not floating point; else as `conv`.

    >>> apply(jnp.ones((1, 5, 5, 3)), box_kernel(3)).shape
    (1, 5, 5, 3)
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
    x: Images, column: np.ndarray, row: np.ndarray, *, padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """`apply` of the kernel `outer(column, row)`: kh + kw multiplications a pixel instead of kh · kw.

    >>> apply_separable(jnp.ones((1, 5, 5, 3)), np.ones(3), np.ones(3)).shape
    (1, 5, 5, 3)
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


def edge_kernel(angle: float = 90.0, *, operator: str = "prewitt") -> np.ndarray:
    """3×3 detector of edges at `angle` degrees; `operator` is "prewitt", "sobel" or "scharr".

    The kernel is steered: `sin(angle) · vertical + cos(angle) · horizontal`. 90 is vertical, 0 horizontal, 45 oblique.

    Raises: ValueError for an unknown operator.

    >>> edge_kernel(90, operator="sobel").tolist()
    [[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]
    """
    _check.one_of("edge_kernel", "operator", operator, tuple(SMOOTHING))
    _finite("edge_kernel", "angle", angle)
    vertical = np.outer(SMOOTHING[operator], ACROSS)
    sine, cosine = _exact(math.sin(math.radians(angle))), _exact(math.cos(math.radians(angle)))
    return sine * vertical + cosine * vertical.T


@_check.named(("apply", "apply_separable"), "edge")
def edge(
    x: Images,
    angle: float = 90.0,
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
    _finite("edge", "angle", angle)
    along, across = np.array(SMOOTHING[operator], float), np.array(ACROSS)
    if angle % 180 == 90:
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
def prewitt(x: Images, angle: float = 90.0, *, padding: Padding = "same", padding_mode: str = "replicate") -> Images:
    """Prewitt's operator: `edge` with smoothing (1, 1, 1).

    >>> prewitt(jnp.ones((1, 5, 5, 1))).shape
    (1, 5, 5, 1)
    """
    return edge(x, angle, operator="prewitt", padding=padding, padding_mode=padding_mode)


@_check.named("edge", "sobel")
def sobel(x: Images, angle: float = 90.0, *, padding: Padding = "same", padding_mode: str = "replicate") -> Images:
    """Sobel's operator: `edge` with smoothing (1, 2, 1).

    >>> sobel(jnp.ones((1, 5, 5, 1)), padding="valid").shape
    (1, 3, 3, 1)
    """
    return edge(x, angle, operator="sobel", padding=padding, padding_mode=padding_mode)


@_check.named("edge", "scharr")
def scharr(x: Images, angle: float = 90.0, *, padding: Padding = "same", padding_mode: str = "replicate") -> Images:
    """Scharr's operator: `edge` with smoothing (3, 10, 3), the most even over directions.

    >>> scharr(jnp.ones((1, 5, 5, 1)), 0).shape
    (1, 5, 5, 1)
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
    vertical, horizontal = (
        edge(widened(x), angle, operator=operator, padding=padding, padding_mode=padding_mode) for angle in (90, 0)
    )
    return jnp.hypot(vertical, horizontal).astype(x.dtype)


def line_kernel(angle: float = 90.0, *, size: int = 3) -> np.ndarray:
    """A line of one pixel's width through the centre at `angle` degrees, in a `size` × `size` kernel (odd).

    Weights fall linearly to 0 one pixel off the line, counted along the axis that the line is steeper against.

    Raises: ValueError for an even size.

    >>> line_kernel(90).tolist(), line_kernel(45).tolist()
    ([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    """
    reach = _odd_reach("line_kernel", size)
    _finite("line_kernel", "angle", angle)
    y, x = np.mgrid[reach : -reach - 1 : -1, -reach : reach + 1]
    sine, cosine = _exact(math.sin(math.radians(angle))), _exact(math.cos(math.radians(angle)))
    off = np.abs(x * sine - y * cosine) / max(abs(sine), abs(cosine))
    return np.maximum(0.0, 1.0 - off).round(12)


@_check.named(("line_kernel", "apply"), "line")
def line(
    x: Images, angle: float = 90.0, *, size: int = 3, padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """Response to bright lines at `angle` degrees.

    >>> line(jnp.eye(5)[None, :, :, None], 135, padding="valid")[0, 1, 1, 0].item()
    3.0
    """
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


def gaussian_kernel(sigma: float, *, size: int | None = None) -> np.ndarray:
    """`(size,)` samples of a Gaussian of `sigma` pixels with sum 1; `size` is odd, by default it reaches 4 sigma.

    Raises: ValueError for a sigma that is not positive or an even size.

    >>> gaussian_kernel(1.0, size=3).round(3).tolist()
    [0.274, 0.452, 0.274]
    """
    _finite("gaussian_kernel", "sigma", sigma)
    if sigma <= 0:
        raise ValueError(f"gaussian_kernel: sigma={sigma} must be positive, in pixels")
    reach = math.ceil(4 * sigma) if size is None else _odd_reach("gaussian_kernel", size)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


def binomial_kernel(size: int) -> np.ndarray:
    """`(size,)` binomial coefficients with sum 1: the mean of two neighbours, `size − 1` times over; nearly a Gaussian.

    Raises: ValueError if `size` is below 1.

    >>> binomial_kernel(3).tolist()
    [0.25, 0.5, 0.25]
    """
    (size,) = per_axis(size, 1, what="size", name="binomial_kernel", least=1)
    return np.array([math.comb(size - 1, k) / 2 ** (size - 1) for k in range(size)])


@_check.named(("gaussian_kernel", "apply_separable"), "gaussian")
def gaussian(
    x: Images, sigma: float, *, size: int | None = None, padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """Gaussian blur with `sigma` in pixels, applied separably.

    >>> gaussian(jnp.ones((1, 9, 9, 1)), 1.0).shape
    (1, 9, 9, 1)
    """
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

    >>> box(jnp.ones((1, 5, 5, 1)), 3).shape
    (1, 5, 5, 1)
    """
    mean = box_kernel(size)[0] * size
    return apply_separable(x, mean, mean, padding=padding, padding_mode=padding_mode)


@_check.named("laplacian", "sharpen")
def sharpen(x: Images, amount: float = 1.0, *, padding: Padding = "same", padding_mode: str = "replicate") -> Images:
    """`x − amount · laplacian(x)`.

    >>> sharpen(jnp.ones((1, 3, 3, 1)))[0, 0, 0, 0].item()
    1.0
    """
    x = _float_images("sharpen", x)
    wide = widened(x)
    return (wide - amount * laplacian(wide, padding=padding, padding_mode=padding_mode)).astype(x.dtype)


@_check.named("gaussian", "edge_enhance")
def edge_enhance(
    x: Images, amount: float = 1.0, *, sigma: float = 1.0, padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """Unsharp mask: `x + amount · (x − gaussian(x, sigma))`.

    >>> edge_enhance(jnp.zeros((1, 9, 9, 1))).shape
    (1, 9, 9, 1)
    """
    x = _float_images("edge_enhance", x)
    wide = widened(x)
    return (wide + amount * (wide - gaussian(wide, sigma, padding=padding, padding_mode=padding_mode))).astype(x.dtype)


def _float_images(name: str, x: Array) -> Array:
    x = _check.images(name, x, 2)
    _check.floating(name, x)
    return x


def _finite(name: str, what: str, value: float) -> None:
    if not isinstance(value, (int, float, np.number)) or not math.isfinite(value):
        raise ValueError(f"{name}: {what}={value!r} must be a finite number")


def _odd_reach(name: str, size: int) -> int:
    (size,) = per_axis(size, 1, what="size", name=name, least=1)
    if size % 2 == 0:
        raise ValueError(f"{name}: size={size} must be odd, so that there is a centre")
    return size // 2


def _exact(value: float) -> float:
    return round(value, 12) + 0.0
