"""Eigen-CAM: what a layer shows most of, whatever the class.

    map = A v,    v the first right singular vector of A (pixels × channels)

The sign of a singular vector is free; it is taken so that the map has a positive sum. Reference: Muhammad & Yeasin,
Eigen-CAM: class activation map using principal components (2020).
"""

from typing import Any

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from .._attribute import attribute, images
from .._forward import PLAIN, reached, resolve
from ._grad_cam import enlarged


def eigen_cam(
    model: Any, x: Float[Array, "n *space c"], *, layer: str | None = None, resize: str | None = "linear"
) -> Float[Array, "n *space"]:
    """A layer's activation along its first principal direction; no target, no gradient.

    Args:
        model: an NNX module with taps, or a function with a word `tap`.
        x: images as the model takes them.
        layer: name of the activation, or a pattern of which the deepest match counts; by default the deepest map.
        resize: how the map is enlarged to the image (`F.resize`'s methods); None keeps the layer's size.

    Raises: ValueError for a layer that is not there or has no space; else as `gradient`.

    >>> f = lambda x, tap: tap("a", x).sum((1, 2))
    >>> eigen_cam(f, jnp.array([[[[3.0, 4.0], [0.0, 0.0]]]])).round(4).ravel().tolist()
    [5.0, 0.0]
    """
    x = images("eigen_cam", x)
    layer = resolve("eigen_cam", model, x, layer, space=True)
    return attribute("eigen_cam", _eigen, model, x, _nothing, layer=layer, resize=resize)


def _nothing(outputs: Any) -> Array:
    raise NotImplementedError  # no score is asked for


def _eigen(forward, x: Array, score, *, layer: str, resize: str | None):
    activation = reached(forward, x, layer)
    rows = activation.reshape(len(x), -1, activation.shape[-1])  # (n, pixels, c)
    u, s, _ = jnp.linalg.svd(rows, full_matrices=False)
    first = u[..., 0] * s[:, :1]  # (n, pixels)
    first = jnp.where(first.sum(1, keepdims=True) < 0, -first, first)
    return enlarged(first.reshape(activation.shape[:-1]), x, resize), forward(x, PLAIN)
