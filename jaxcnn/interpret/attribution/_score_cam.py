"""Score-CAM: the channels of a layer, weighted by what the network says of the image behind each of them.

    map = ReLU(Σ_c w_c A_c),     w = softmax_c (s(x · H_c) − s(baseline)),     H_c = A_c enlarged and scaled to [0, 1]

The baseline's score is the same for every channel, and a softmax does not see what is added to all; it is not computed.
Reference: Wang et al., Score-CAM: score-weighted visual explanations for convolutional neural networks (2020).
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F

from .._attribute import attribute, counted, images
from .._forward import PLAIN, reached, resolve
from .._perturb import likely, scores
from .._target import Target
from ._grad_cam import enlarged


def score_cam(
    model: Any,
    x: Float[Array, "n *space c"],
    target: Target = None,
    *,
    layer: str | None = None,
    probability: bool = False,
    resize: str | None = "linear",
    batch: int = 16,
) -> Float[Array, "n *space"]:
    """Where in the image a layer speaks for the target, without a gradient: one pass through the network a channel.

    Args:
        model: an NNX module with taps, or a function with a word `tap`.
        x: images as the model takes them; a hidden pixel is 0.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).
        layer: name of the activation, or a pattern of which the deepest match counts; by default the deepest map.
        probability: score the softmax of the outputs, not the outputs; the weights are then almost alike.
        resize: how the map is enlarged to the image (`F.resize`'s methods); None keeps the layer's size.
        batch: images that go through the network at once, which bounds the memory.

    Raises: ValueError for a layer that is not there or has no space; else as `gradient`.

    >>> f = lambda x, tap: tap("a", x).sum((1, 2))
    >>> score_cam(f, jnp.array([[[[1.0], [2.0]]]]), 0).ravel().tolist()
    [1.0, 2.0]
    """
    x = images("score_cam", x)
    layer = resolve("score_cam", model, x, layer, space=True)
    options = {"layer": layer, "probability": bool(probability), "resize": resize}
    return attribute("score_cam", _scored, model, x, target, batch=counted("score_cam", "batch", batch), **options)


def _scored(forward, x: Array, score, *, layer: str, probability: bool, resize: str | None, batch: int):
    outputs, activation = forward(x, PLAIN), reached(forward, x, layer)
    score, axes = likely("score_cam", score, outputs, probability), tuple(range(1, x.ndim - 1))

    def behind(numbers: Array) -> Array:
        maps = F.resize(activation[..., numbers], x.shape[1:-1], method="linear")  # (n, *space, channels)
        low, high = maps.min(axes, keepdims=True), maps.max(axes, keepdims=True)
        scaled = (maps - low) / jnp.where(high > low, high - low, 1)
        return jnp.moveaxis(scaled, -1, 0)[..., None] * x

    found = scores(forward, score, behind, activation.shape[-1], len(x), batch)  # (channels, n)
    total = jnp.einsum("n...c,cn->n...", activation, jax.nn.softmax(found, 0))
    return enlarged(jnp.maximum(total, 0), x, resize), outputs
