"""The optimisation behind `visualise`, `invert` and `caricature`: Adam on the parameters of images, one compiled program.

Objectives lie along the first axis. All begin from the same noise and see the same random transformations, so that a
difference between two images is their objectives', and an objective alone gives what it gives among others. The number of
steps is traced: a program serves any number, and parts of them between two reports of progress. The network is computed up to
the layer that is asked for.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax import Array

from .._attribute import finite
from .._forward import PLAIN, Forward, reached, run
from .._kinds import is_relu
from .._replay import replay
from ._image import KINDS, image, start

REPORTS = 20  # parts between which progress is told


@dataclass(frozen=True)
class Recipe:
    """What is static of an optimisation; `objective(activation, data) -> (n,)` is made large, of `layer` ("": the output)."""

    layer: str
    objective: Callable[[Array, Any], Array]
    size: tuple[int, int]
    channels: int
    count: int
    parametrisation: str
    decorrelate: bool
    transforms: Callable[[Array, Array], Array]
    prepare: Callable[[Array], Array] | None
    total_variation: float
    l2: float
    diversity: float
    sign: float

    def images(self, parameters: Array) -> Array:
        """Images `(objectives, count, h, w, c)` in [0, 1]."""
        return image(parameters, self.size, self.parametrisation, decorrelate=self.decorrelate)

    def prepared(self, images: Array) -> Array:
        """What the network takes."""
        return images if self.prepare is None else self.prepare(images)


class Moving(NamedTuple):
    """What changes from step to step."""

    step: Array
    parameters: Array
    moments: Any


class Visualised(NamedTuple):
    """Images in [0, 1] `(objectives, count, h, w, c)`, and what each reached `(objectives, count)`, without transformations.

    >>> Visualised(jnp.zeros((3, 1, 8, 8, 3)), jnp.zeros((3, 1))).values.shape
    (3, 1)
    """

    images: Array
    values: Array


def optimise(
    name: str, key: Array, model: Any, recipe: Recipe, data: Any, *, steps: int, learning_rate: float, at_once: int,
    progress: Callable[[int, int], Any] | None,
) -> Visualised:  # fmt: skip
    """Optimises for all data `(objectives, …)`, `at_once` images at a time.

    Raises: ValueError where an image or what it reached is not finite.
    """
    count = len(jax.tree.leaves(data)[0])
    each = max(1, min(at_once // recipe.count, count))
    cuts = range(0, count, each)
    told = (lambda done: None) if progress is None else (lambda done: progress(done, len(cuts) * steps))
    parts = []
    for number, first in enumerate(cuts):
        chosen = jnp.minimum(jnp.arange(first, first + each), count - 1)  # the last part repeats: one program for all
        some = jax.tree.map(partial(_rows, chosen), data)
        stretch = steps if progress is None else max(1, -(-steps * len(cuts) // REPORTS))
        moving = run(_begun, model, key, some, recipe=recipe)
        for begin in range(0, steps, stretch):
            end = min(begin + stretch, steps)
            moving = run(_advanced, model, key, moving, some, jnp.int32(end), jnp.float32(learning_rate), recipe=recipe)
            told(number * steps + end)
        parts.append(run(_ended, model, moving.parameters, some, recipe=recipe))
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[:count], *parts)
    return finite(name, Visualised(*joined))


def _rows(chosen: Array, leaf: Any) -> Array:
    return jnp.asarray(leaf)[chosen]


def checked(name: str, recipe: Recipe) -> None:
    """Refuses a recipe that cannot be followed.

    Raises: ValueError.
    """
    if recipe.parametrisation not in KINDS:
        raise ValueError(f"{name}: parametrisation={recipe.parametrisation!r} must be one of {', '.join(KINDS)}")
    for what in ("total_variation", "l2", "diversity"):
        if not getattr(recipe, what) >= 0:
            raise ValueError(f"{name}: {what}={getattr(recipe, what)} must not be negative")
    if recipe.diversity and recipe.count < 2:
        raise ValueError(
            f"{name}: diversity={recipe.diversity} compares images of one objective; give count=2 at least"
        )


def example(name: str, model: Any, size: tuple[int, int], channels: int, prepare: Any) -> Any:
    """Shape and dtype of one image as the network takes it.

    Raises: ValueError for a size that `prepare` or the network does not take.
    """
    blank = jax.ShapeDtypeStruct((1, *size, channels), jnp.float32)
    words = f"{size[0]}×{size[1]}×{channels}"
    try:
        taken = blank if prepare is None else jax.eval_shape(prepare, blank)
    except Exception as error:  # of a function of the user's
        raise ValueError(f"{name}: prepare does not take images of {words}: {_line(error)}") from None
    try:
        jax.eval_shape(lambda x: run(_output, model, x), taken)
    except Exception as error:  # models raise what they like
        raise ValueError(f"{name}: the model does not take images of {words}: {_line(error)}") from None
    return taken


def output_shape(model: Any, taken: Any) -> tuple[int, ...]:
    """Shape of the model's output; () of what is no array."""
    found = jax.eval_shape(lambda x: run(_output, model, x), taken)
    return getattr(found, "shape", ())


def _output(forward: Forward, x: Array) -> Any:
    return forward(x, PLAIN)


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _begun(forward: Forward, key: Array, data: Any, *, recipe: Recipe) -> Moving:
    del forward
    one = start(jax.random.fold_in(key, 0), (recipe.count, *recipe.size, recipe.channels), recipe.parametrisation)
    parameters = jnp.broadcast_to(one, (len(jax.tree.leaves(data)[0]), *one.shape))
    return Moving(jnp.int32(0), parameters, optax.scale_by_adam().init(parameters))


def _advanced(
    forward: Forward, key: Array, moving: Moving, data: Any, end: Array, rate: Array, *, recipe: Recipe
) -> Moving:
    draws = jax.random.fold_in(key, 1)

    def loss(parameters: Array, step: Array) -> Array:
        images = recipe.images(parameters)
        transformed = jax.vmap(recipe.transforms, (None, 0))(jax.random.fold_in(draws, step), images)
        activation = _activation(forward, transformed, recipe, redirect=True)
        wanted = recipe.sign * _scores(activation, data, recipe).sum()
        return _penalties(images, activation, recipe) - wanted

    def body(moving: Moving) -> Moving:
        gradient = jax.grad(loss)(moving.parameters, moving.step)
        updates, moments = optax.scale_by_adam().update(gradient, moving.moments)
        moved = jax.tree.map(lambda p, u: p - rate * u, moving.parameters, updates)
        return Moving(moving.step + 1, moved, moments)

    return jax.lax.while_loop(lambda moving: moving.step < end, body, moving)


def _ended(forward: Forward, parameters: Array, data: Any, *, recipe: Recipe) -> tuple[Array, Array]:
    images = recipe.images(parameters)
    return images, _scores(_activation(forward, images, recipe), data, recipe)


def _activation(forward: Forward, images: Array, recipe: Recipe, *, redirect: bool = False) -> Array:
    """The layer's activation of images `(objectives, count, h, w, c)`, `(objectives · count, …)`."""
    x = recipe.prepared(images.reshape(-1, *images.shape[2:]))
    part = lambda x: reached(forward, x, recipe.layer) if recipe.layer else forward(x, PLAIN)
    if not redirect:
        return part(x)

    def rule(equation, operands, flags):
        hit = is_relu(equation, operands, flags)
        return [_redirected(operands[flags.index(True)])] if hit else None

    return replay(part, rule)(x)


def _scores(activation: Array, data: Any, recipe: Recipe) -> Array:
    repeated = jax.tree.map(lambda leaf: jnp.repeat(leaf, recipe.count, 0), data)
    return recipe.objective(activation, repeated).reshape(-1, recipe.count)


def _penalties(images: Array, activation: Array, recipe: Recipe) -> Array:
    total = jnp.zeros(())
    if recipe.total_variation:
        steps = (jnp.abs(jnp.diff(images, axis=axis)).mean((-3, -2, -1)).sum() for axis in (-3, -2))
        total += recipe.total_variation * sum(steps)
    if recipe.l2:
        total += recipe.l2 * jnp.square(images - 0.5).mean((-3, -2, -1)).sum()
    if recipe.diversity:
        total += recipe.diversity * _likeness(activation.reshape(-1, recipe.count, *activation.shape[1:])).sum()
    return total


def _likeness(activation: Array) -> Array:
    """Mean cosine of the Gram matrices of an objective's images, pair by pair, `(objectives,)` (Olah 2017)."""
    flat = activation.reshape(*activation.shape[:2], -1, activation.shape[-1])
    gram = jnp.einsum("knpi,knpj->knij", flat, flat).reshape(*flat.shape[:2], -1)
    unit = gram * jax.lax.rsqrt(jnp.square(gram).sum(-1, keepdims=True) + 1e-12)
    count = unit.shape[1]
    return (jnp.square(unit.sum(1)).sum(-1) - jnp.square(unit).sum((1, 2))) / (count * (count - 1))


@jax.custom_vjp
def _redirected(x: Array) -> Array:
    """A ReLU whose gradient, for an image where it is zero everywhere, lets pass what would raise x.

    So a unit that no pixel moves yet comes to life. Lucid does so in the first 16 steps; here as long as it is dead.
    """
    return jnp.maximum(x, 0)


def _redirected_back(x: Array, g: Array) -> tuple[Array]:
    plain = jnp.where(x > 0, g, 0)
    raising = jnp.where((x <= 0) & (g > 0), 0, g)  # g is the gradient of a loss: below 0, x should grow
    dead = (plain == 0).all(tuple(range(1, x.ndim)), keepdims=True)
    return (jnp.where(dead, raising, plain),)


_redirected.defvjp(lambda x: (jnp.maximum(x, 0), x), _redirected_back)
