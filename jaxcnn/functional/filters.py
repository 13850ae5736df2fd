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

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.geometry import Padding

from . import _check, _numbers
from ._conv import depthwise_conv
from ._filter_kernels import ACROSS, FINITE, SMOOTHING, _finite
from ._filter_kernels import binomial_kernel as binomial_kernel
from ._filter_kernels import box_kernel as box_kernel
from ._filter_kernels import edge_kernel as edge_kernel
from ._filter_kernels import gaussian_kernel as gaussian_kernel
from ._filter_kernels import laplacian_kernel as laplacian_kernel
from ._filter_kernels import line_kernel as line_kernel
from ._numbers import Number
from ._separable import spatially_separable_conv
from ._widened import widened

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


@_check.named("apply", "laplacian")
def laplacian(
    x: Images, *, diagonal: bool = False, padding: Padding = "same", padding_mode: str = "replicate"
) -> Images:
    """Response to spots and ridges: zero on flat and evenly sloping ground.

    >>> laplacian(jnp.ones((1, 3, 3, 1))).max().item()
    0.0
    """
    return apply(x, laplacian_kernel(diagonal=diagonal), padding=padding, padding_mode=padding_mode)


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
