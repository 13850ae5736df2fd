"""What a layer keeps of an image (inversion), and what it makes of it (caricature).

    inversion    min ‖φ(x) − φ(x₀)‖² / ‖φ(x₀)‖² + λ TV(x)        caricature    max Σ_p (φ(x)_p · φ(x₀)_p) · cos(φ(x)_p, φ(x₀)_p)

φ is the layer's activation, p its positions.

References: Mahendran & Vedaldi, Understanding deep image representations by inverting them (2015); Olah, Mordvintsev & Schubert,
Feature visualization (Distill, 2017), and their program Lucid.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxcnn.functional._check import random_key

from .._attribute import counted
from .._attribute import images as checked_images
from .._forward import reached, resolve, run
from ._image import Parametrisation
from ._optimise import Recipe, Visualised, checked, example, optimise
from ._robust import ROBUST, unchanged
from ._visualise import Transforms


def invert(
    key: Array,
    model: Any,
    x: Float[Array, "n h w c"],
    layer: str | None,
    *,
    steps: int = 256,
    learning_rate: float = 0.05,
    parametrisation: Parametrisation = "fourier",
    decorrelate: bool = True,
    transforms: Transforms | None = None,
    total_variation: float = 0.1,
    l2: float = 0.0,
    prepare: Callable[[Array], Array] | None = None,
    at_once: int = 32,
    progress: Callable[[int, int], Any] | None = None,
) -> Visualised:
    """Images in [0, 1], `(n, 1, h, w, c)`, whose activations are those of x, and their squared distance over the norm's square.

    Args:
        x: images in [0, 1]; `prepare` makes what the model takes of them.
        layer: name or pattern of an activation; None means the deepest map.

    The other arguments and the errors are those of `visualise`.

    >>> x = jax.random.uniform(jax.random.key(1), (1, 8, 8, 1))
    >>> found = invert(jax.random.key(0), lambda x, tap: tap("same", x), x, "same", total_variation=0.0, steps=200)
    >>> bool(jnp.abs(found.images[:, 0] - x).max() < 0.05)
    True
    """
    recipe = Like(parametrisation, decorrelate, transforms, total_variation, l2, prepare)
    loop = {"steps": steps, "learning_rate": learning_rate, "at_once": at_once, "progress": progress}
    found = _like("invert", key, model, x, layer, _nearness, recipe, **loop)
    return Visualised(found.images, -found.values)


def caricature(
    key: Array,
    model: Any,
    x: Float[Array, "n h w c"],
    layer: str | None,
    *,
    steps: int = 256,
    learning_rate: float = 0.05,
    parametrisation: Parametrisation = "fourier",
    decorrelate: bool = True,
    transforms: Transforms | None = ROBUST,
    total_variation: float = 0.0,
    l2: float = 0.0,
    prepare: Callable[[Array], Array] | None = None,
    at_once: int = 32,
    progress: Callable[[int, int], Any] | None = None,
) -> Visualised:
    """Images in [0, 1], `(n, 1, h, w, c)`, that exaggerate what the layer sees in x, and the mean product that they reach.

    The arguments and errors are those of `invert`.

    >>> x = jax.random.uniform(jax.random.key(1), (1, 8, 8, 1))
    >>> found = caricature(jax.random.key(0), lambda x, tap: tap("same", x - 0.5), x, "same", transforms=None)
    >>> bool(jnp.corrcoef(found.images.ravel(), x.ravel())[0, 1] > 0.5)
    True
    """
    recipe = Like(parametrisation, decorrelate, transforms, total_variation, l2, prepare)
    loop = {"steps": steps, "learning_rate": learning_rate, "at_once": at_once, "progress": progress}
    return _like("caricature", key, model, x, layer, _sameness, recipe, **loop)


class Like(NamedTuple):
    """What both are told of the image that is made, by the words of `visualise`."""

    parametrisation: Parametrisation
    decorrelate: bool
    transforms: Transforms | None
    total_variation: float
    l2: float
    prepare: Callable[[Array], Array] | None


def _like(name: str, key, model, x, layer, objective, like: Like, *, steps, at_once, **loop) -> Visualised:
    key, x = random_key(name, key), checked_images(name, x)
    if x.ndim != 4 or not 0 <= float(x.min()) <= float(x.max()) <= 1:
        raise ValueError(f"{name}: x is {x.dtype}{list(x.shape)}; give images (n, h, w, c) in [0, 1], and prepare")
    h, w, channels = x.shape[1:]
    steps, at_once = counted(name, "steps", steps), counted(name, "at_once", at_once)
    taken = example(name, model, (h, w), channels, like.prepare)
    recipe = Recipe(
        resolve(name, model, taken, layer), objective, (h, w), channels, 1, like.parametrisation, like.decorrelate,
        like.transforms or unchanged, like.prepare, like.total_variation, like.l2, 0.0, 1.0,
    )  # fmt: skip
    checked(name, recipe)
    wanted = [run(reached, model, recipe.prepared(part), layer=recipe.layer) for part in _parts(x, at_once)]
    return optimise(name, key, model, recipe, jnp.concatenate(wanted), steps=steps, at_once=at_once, **loop)


def _parts(x: Array, size: int) -> list[Array]:
    return [x[first : first + size] for first in range(0, len(x), size)]


def _nearness(activation: Array, wanted: Array) -> Array:
    """Minus the squared distance as a share of the wanted activation's square, `(n,)`."""
    axes = tuple(range(1, activation.ndim))
    norm = jnp.maximum(jnp.square(wanted).sum(axes), jnp.finfo(wanted.dtype).tiny)
    return -jnp.square(activation - wanted).sum(axes) / norm


def _sameness(activation: Array, wanted: Array) -> Array:
    """Mean over the positions of the dot product times the cosine, `(n,)`."""
    a, b = (one.reshape(len(one), -1, one.shape[-1]) for one in (activation, wanted))
    dot, lengths = (a * b).sum(-1), jnp.square(a).sum(-1) * jnp.square(b).sum(-1)
    cosine = dot * jax.lax.rsqrt(lengths + 1e-12)
    return (dot * jnp.maximum(cosine, 0.1)).mean(-1)  # as Lucid, which keeps a gradient where they are opposed
