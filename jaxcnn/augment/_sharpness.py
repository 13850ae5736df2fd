"""Blur, sharpness and edges.

`sharpness` and `edge_enhance` are Pillow's ImageEnhance.Sharpness and ImageFilter.EDGE_ENHANCE, without their rounding: 3×3
kernels, and the outermost pixels keep their colour. `blur` is a Gaussian; beyond the image the border colour goes on.
"""

import math

import jax.numpy as jnp
from jax import Array

from jaxcnn.functional import _check
from jaxcnn.functional._numbers import concrete
from jaxcnn.functional._pad import pad_pairs
from jaxcnn.functional._widened import widened
from jaxcnn.geometry import per_axis

from ._amounts import amounts, floating_images, interval, reach, uniform
from ._clipped import clipped
from ._colour import Amount, Images, blend, factor_around_one
from ._meshes import on_meshes


@on_meshes
def blur(x: Images, sigma: Amount, size: int) -> Images:
    """A Gaussian of `sigma` pixels (0 leaves the image), its window `size` pixels wide (odd) with weights that sum to 1.

    A pixel whose weight is too small for float32 is not seen. A traced sigma below 0 counts as 0.

    >>> [round(v, 3) for v in blur(jnp.array([0.0, 1.0, 0.0]).reshape(1, 1, 3, 1), 1.0, 3).ravel().tolist()]
    [0.274, 0.452, 0.274]
    """
    x = floating_images("blur", x)
    sigma = amounts("blur", "sigma", sigma, x, low=0)
    (size,) = per_axis(size, 1, what="size", name="blur", least=1)
    if size % 2 == 0:
        raise ValueError(f"blur: size={size} must be odd, so that there is a centre")
    half, y = size // 2, widened(x)
    sigma = jnp.maximum(sigma, 0.01)  # below it the neighbours' weights are 0 as well
    weights = [jnp.exp(-0.5 * (t / sigma) ** 2) for t in range(half + 1)]
    total = weights[0] + 2 * sum(weights[1:])
    for axis in (1, 2):
        n, pairs = x.shape[axis], [(half, half) if a == axis else (0, 0) for a in (1, 2)]
        padded = pad_pairs("blur", y, pairs, "replicate")
        at = lambda start, padded=padded, n=n, axis=axis: (
            padded[:, start : start + n] if axis == 1 else padded[:, :, start : start + n]
        )
        y = weights[0] * at(half) + sum(
            jnp.where(weights[t] > 0, weights[t] * (at(half - t) + at(half + t)), 0) for t in range(1, half + 1)
        )
        y = y / total
    return y.astype(x.dtype)


@on_meshes
def random_blur(key: Array, x: Images, *, sigma: tuple[float, float] = (0.1, 2.0), size: int | None = None) -> Images:
    """`blur` by each image's own sigma, uniform in the interval; `size` reaches 3 of the largest by default.

    Traced sigmas pass unchecked and need a `size`.

    >>> import jax
    >>> random_blur(jax.random.key(0), jnp.ones((2, 5, 7, 3))).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_blur", key), floating_images("random_blur", x)
    low, high = interval("random_blur", "sigma", sigma)
    largest = concrete(high)
    if size is None and largest is None:
        raise ValueError("random_blur: sigma is traced, so the width of its window is unknown; give a size")
    return blur(x, uniform(key, x, low, high), 2 * math.ceil(3 * largest) + 1 if size is None else size)


@on_meshes
def sharpness(x: Images, factor: Amount) -> Images:
    """Distances from the smoothed image times `factor`: 0 is smooth, 1 the image, 2 sharper.

    >>> spot = jnp.zeros((1, 3, 3, 1)).at[0, 1, 1].set(1.0)
    >>> round(sharpness(spot, 0.0).max().item(), 3)
    0.385
    """
    x = floating_images("sharpness", x)
    return blend(x, smooth(x), amounts("sharpness", "factor", factor, x))


@on_meshes
def random_sharpness(key: Array, x: Images, amount: float) -> Images:
    """`sharpness` by each image's own factor, uniform in 1 ± `amount`.

    >>> import jax
    >>> random_sharpness(jax.random.key(0), jnp.ones((2, 5, 7, 3)), 0.5).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_sharpness", key), floating_images("random_sharpness", x)
    return sharpness(x, factor_around_one("random_sharpness", key, x, amount))


@on_meshes
def edge_enhance(x: Images, amount: Amount) -> Images:
    """`x + amount / 2 · Σ (x − neighbour)` over the eight neighbours: 1 is Pillow's EDGE_ENHANCE, 2 its EDGE_ENHANCE_MORE.

    >>> edge_enhance(jnp.full((1, 3, 3, 1), 0.5), 1.0).max().item()
    0.5
    """
    x = floating_images("edge_enhance", x)
    amount, wide = amounts("edge_enhance", "amount", amount, x), widened(x)
    return clipped(wide + amount / 2 * _differences(wide)).astype(x.dtype)


@on_meshes
def random_edge_enhance(key: Array, x: Images, *, amount: float = 1.0) -> Images:
    """`edge_enhance` by each image's own amount, uniform from 0 to `amount`.

    >>> import jax
    >>> random_edge_enhance(jax.random.key(0), jnp.ones((2, 5, 7, 3))).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_edge_enhance", key), floating_images("random_edge_enhance", x)
    amount = reach("random_edge_enhance", "amount", amount, x, low=0)
    return edge_enhance(x, uniform(key, x, 0, amount))


def smooth(x: Array) -> Array:
    """Pillow's ImageFilter.SMOOTH: of 13 parts the pixel has 5, each neighbour 1; in float32 at least."""
    wide = widened(x)
    return wide - _differences(wide) / 13


def _differences(x: Array) -> Array:
    """Sum of the differences from the eight neighbours; 0 for the outermost pixels."""
    _, h, w, _ = x.shape
    if min(h, w) < 3:
        return jnp.zeros_like(x)
    columns = x[:, :, :-2] + x[:, :, 1:-1] + x[:, :, 2:]
    block = columns[:, :-2] + columns[:, 1:-1] + columns[:, 2:]
    return jnp.pad(9 * x[:, 1:-1, 1:-1] - block, ((0, 0), (1, 1), (1, 1), (0, 0)))
