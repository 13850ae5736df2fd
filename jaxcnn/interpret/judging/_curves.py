"""Insertion and deletion: the score as the pixels of an attribution come or go, the most important first.

    deletion_k = s(x with the k/steps most important pixels replaced)
    insertion_k = s(baseline with the k/steps most important pixels of x)

A good map makes the deletion curve fall at once and the insertion curve rise at once. The area is the mean under the curve by
the trapezoid rule. Reference: Petsiuk, Das & Saenko, RISE (2018).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxcnn.functional import filters

from .._attribute import attribute, counted, images, like
from .._forward import PLAIN
from .._perturb import likely, scores
from .._target import Target
from ._maps import maps

SIGMA, SIZE = 5.0, 11  # of the blur that the paper starts insertion from


class Curve(NamedTuple):
    """Scores after each step, `(n, steps + 1)`, and the area under them, `(n,)`.

    >>> Curve(jnp.array([[1.0, 0.0]]), jnp.array([0.5])).area.tolist()
    [0.5]
    """

    values: Float[Array, "n steps"]
    area: Float[Array, " n"]


def deletion(
    model: Any,
    x: Float[Array, "n *space c"],
    attribution: Float[Array, "n *space"],
    target: Target,
    *,
    steps: int = 100,
    baseline: Any = 0.0,
    probability: bool = True,
    batch: int = 16,
) -> Curve:
    """The score while the most important pixels are replaced; small areas are good.

    Args:
        model: an NNX module, or a function of images.
        x: images as the model takes them.
        attribution: maps `(n, *space)`, or with channels, which are added up.
        target: as for `gradient`.
        steps: in each of them an equal share of the pixels goes; of equally important ones the first.
        baseline: a number, an image or images that take their place, or "blur", a Gaussian of 5 pixels.
        probability: score the softmax of the outputs, as the paper does, not the outputs.
        batch: images that go through the network at once, which bounds the memory.

    Raises: ValueError for attributions of another shape or with NaN, a baseline of another shape; else as `gradient`.

    >>> f, x = lambda x: x.sum((1, 2)), jnp.array([[[[1.0], [3.0]]]])
    >>> deletion(f, x, x, 0, steps=2, probability=False).values.tolist()
    [[4.0, 1.0, 0.0]]
    """
    return _curve("deletion", model, x, attribution, target, steps, baseline, probability, batch)


def insertion(
    model: Any,
    x: Float[Array, "n *space c"],
    attribution: Float[Array, "n *space"],
    target: Target,
    *,
    steps: int = 100,
    baseline: Any = "blur",
    probability: bool = True,
    batch: int = 16,
) -> Curve:
    """The score while the most important pixels come into a baseline; large areas are good. Arguments as for `deletion`.

    >>> f, x = lambda x: x.sum((1, 2)), jnp.array([[[[1.0], [3.0]]]])
    >>> insertion(f, x, x, 0, steps=2, baseline=0, probability=False).values.tolist()
    [[0.0, 3.0, 4.0]]
    """
    return _curve("insertion", model, x, attribution, target, steps, baseline, probability, batch)


def _curve(name, model, x, attribution, target, steps, baseline, probability, batch) -> Curve:
    x = images(name, x)
    values = maps(name, attribution, x.shape[1:-1], len(x))
    counts = {"steps": counted(name, "steps", steps), "batch": counted(name, "batch", batch)}
    arrays = (values, like(name, "baseline", _blurred(name, x) if isinstance(baseline, str) else baseline, x))
    options = {**counts, "probability": bool(probability), "of": name}
    return Curve(*attribute(name, _walked, model, x, target, *arrays, **options))


def blurred(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """Images that keep their colours and lose what is smaller than some pixels: what `insertion` begins with.

    Raises: ValueError for what is no plane.

    >>> blurred(jnp.ones((1, 4, 4, 1))).shape
    (1, 4, 4, 1)
    """
    return _blurred("blurred", images("blurred", x))


def _blurred(name: str, x: Array) -> Array:
    if x.ndim != 4:
        raise ValueError(
            f'{name}: baseline="blur" is for images (n, h, w, c), x has shape {list(x.shape)}; give images'
        )
    return filters.gaussian(x, SIGMA, size=SIZE)


def _walked(
    forward, x: Array, score, values: Array, baseline: Array, *, steps: int, batch: int, probability: bool, of: str
):
    outputs = forward(x, PLAIN)
    score = likely(of, score, outputs, probability)
    flat = values.reshape(len(x), -1)
    place = jnp.argsort(jnp.argsort(-flat, -1, stable=True), -1).reshape(values.shape)  # 0 is the most important
    first, second = (x, baseline) if of == "deletion" else (baseline, x)

    def walked(numbers: Array) -> Array:
        gone = place < jnp.round(numbers * (flat.shape[1] / steps)).reshape(-1, *(1,) * place.ndim)
        return jnp.where(gone[..., None], second, first)

    found = scores(forward, score, walked, steps + 1, len(x), batch).T  # (n, steps + 1)
    return (found, (found[:, 1:] + found[:, :-1]).mean(-1) / 2), outputs
