"""Fancy PCA: colours moved along the principal components of a set's own pixels.

    y = x + Σ_i alpha_i · λ_i · p_i,     alpha_i ~ N(0, 0.1²), one draw an image

λ_i, p_i: eigenvalues and eigenvectors of the covariance of the RGB pixels of the training set, in [0, 1]. Reference:
Krizhevsky, Sutskever & Hinton, ImageNet classification with deep convolutional neural networks (2012), section 4.1.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.functional import _check
from jaxcnn.functional._widened import widened

from ._amounts import floating_images, reach
from ._clipped import clipped
from ._meshes import on_meshes


class ColourComponents(NamedTuple):
    """Variances `(c,)` along the principal components of the colours, largest first, and these as columns `(c, c)`.

    >>> ColourComponents(np.ones(3), np.eye(3)).vectors.shape
    (3, 3)
    """

    values: np.ndarray
    vectors: np.ndarray


def colour_components(images: np.ndarray) -> ColourComponents:
    """Of the pixels of a set `(n, h, w, c)`: uint8, or floating point in [0, 1]. Computed on the host in float64.

    The sign of a component, which is arbitrary, makes its largest entry positive.

    >>> pixels = np.array([[0, 0, 0], [255, 255, 255]], np.uint8).reshape(2, 1, 1, 3)
    >>> colour_components(pixels).values.round(6).tolist()
    [0.75, 0.0, 0.0]
    """
    given = np.asarray(images)
    if given.ndim != 4 or not given.size or given.dtype.kind not in "uf":
        raise ValueError(f"colour_components: images is {_check.describe(given)}; give uint8 or [0, 1] (n, h, w, c)")
    total, square, count = 0.0, 0.0, 0
    for start in range(0, len(given), 1000):  # a copy in float64 of all of them would be large
        pixels = given[start : start + 1000].reshape(-1, given.shape[-1]).astype(np.float64)
        total, square, count = total + pixels.sum(0), square + pixels.T @ pixels, count + len(pixels)
    mean = total / count
    covariance = (square / count - np.outer(mean, mean)) / (255**2 if given.dtype.kind == "u" else 1)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    largest = np.abs(vectors).argmax(0)
    return ColourComponents(values, vectors * np.sign(vectors[largest, np.arange(len(largest))]))


@on_meshes
def fancy_pca(
    x: Float[Array, "n h w c"], alpha: Float[Array, "n c"], components: ColourComponents
) -> Float[Array, "n h w c"]:
    """Each image with `Σ alpha_i · values_i · vectors_i` added to all its pixels; clipped to [0, 1].

    Images of any number of channels, with the components of as many.

    >>> grey = ColourComponents(np.array([1.0, 0.0, 0.0]), np.full((3, 3), 0.5))
    >>> fancy_pca(jnp.zeros((1, 1, 1, 3)), jnp.array([[0.5, 0.0, 0.0]]), grey).ravel().tolist()
    [0.25, 0.25, 0.25]
    """
    x = floating_images("fancy_pca", x)
    n, channels = x.shape[0], x.shape[-1]
    alpha = _check.array("fancy_pca", "alpha", alpha)
    if alpha.shape != (n, channels):
        raise ValueError(f"fancy_pca: alpha is {_check.describe(alpha)}; it must have the shape {(n, channels)}")
    values, vectors = components
    if np.shape(values) != (channels,) or np.shape(vectors) != (channels, channels):
        raise ValueError(f"fancy_pca: the components are {np.shape(vectors)}; x has {channels} channels")
    wide = widened(x)
    scaled = jnp.asarray(vectors * values[None], wide.dtype)[None]  # (1, c, c)
    added = (alpha.astype(wide.dtype)[:, None] * scaled).sum(-1)  # (n, c)
    return clipped(wide + added[:, None, None]).astype(x.dtype)


@on_meshes
def random_fancy_pca(
    key: Array, x: Float[Array, "n h w c"], components: ColourComponents, *, deviation: float = 0.1
) -> Float[Array, "n h w c"]:
    """`fancy_pca` with each image's own alpha, normal with mean 0 and that standard deviation.

    >>> random_fancy_pca(jax.random.key(0), jnp.ones((2, 5, 7, 3)), ColourComponents(np.ones(3), np.eye(3))).shape
    (2, 5, 7, 3)
    """
    key, x = _check.random_key("random_fancy_pca", key), floating_images("random_fancy_pca", x)
    deviation = reach("random_fancy_pca", "deviation", deviation, x, low=0)
    each = jnp.asarray(deviation)[:, None] if np.ndim(deviation) else deviation
    return fancy_pca(x, each * jax.random.normal(key, (x.shape[0], x.shape[-1]), widened(x).dtype), components)
