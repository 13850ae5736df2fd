"""DeepLIFT with the rescale rule: how far each pixel moved the output away from what it is for a baseline.

A nonlinear function f multiplies what comes back by (f(u) − f(u′)) / (u − u′), where u is its input for the image and
u′ for the baseline, instead of by its derivative. So what is attributed adds up to s(x) − s(x′). A product of two
arrays that depend on x is shared between them by Δ(u v) = Δu (v + v′) / 2 + Δv (u + u′) / 2. A maximum over a window
sends to the winner for x what exceeds the baseline's maximum, and to the winner for x′ the rest, as captum does.

References: Shrikumar, Greenside & Kundaje, Learning important features through propagating activation differences
(2017); Lundberg & Lee, A unified approach to interpreting model predictions (2017) for products.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from .._attribute import attribute, images, like
from .._forward import PLAIN
from .._kinds import MAXIMA, elementwise, scaled, shared, straight
from .._replay import bound, evaluate
from .._target import Target
from ._gradient import slope

CLOSE = 1e-10  # inputs that differ by less have the derivative as multiplier


def deep_lift(
    model: Any, x: Float[Array, "n *space c"], target: Target = None, *, baseline: Any = 0.0
) -> Float[Array, "n *space c"]:
    """Multipliers of DeepLIFT's rescale rule times x − baseline.

    Args:
        model: an NNX module, or a function of images; it is not changed.
        x: images as the model takes them.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).
        baseline: a number, an image or images that are compared with.

    Raises: ValueError for a baseline of another shape; else as `gradient`.

    >>> f = lambda x: jax.nn.relu(x.sum((1, 2)) - 1)
    >>> deep_lift(f, jnp.array([[[[1.0], [3.0]]]]), 0).ravel().tolist()
    [0.75, 2.25]
    """
    x = images("deep_lift", x)
    return attribute("deep_lift", _deep_lift, model, x, target, like("deep_lift", "baseline", baseline, x))


def _deep_lift(forward, x: Array, score, baseline: Array) -> tuple[Array, Any]:
    closed, shape = jax.make_jaxpr(lambda x: forward(x, PLAIN), return_shape=True)(x)
    recorded: list[Sequence[Any]] = []

    def record(equation, operands, flags):
        if not _ruled(equation, operands, flags):
            return None
        recorded.append(operands)
        return bound(equation, operands)

    evaluate(closed, [baseline], [True], record)

    def again(x, tap):
        references = iter(recorded)
        rule = lambda equation, operands, flags: (
            _multiplied(equation, operands, next(references), flags) if _ruled(equation, operands, flags) else None
        )
        outputs, _ = evaluate(closed, [x], [True], rule)
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    multipliers, outputs = slope(again, x, score)
    return (x - baseline) * multipliers, outputs


def _ruled(equation: Any, operands: Sequence[Any], flags: Sequence[bool]) -> bool:
    name = equation.primitive.name
    return (
        name in MAXIMA
        or (name in ("mul", "div") and (all(flags) or (name == "div" and flags[1])))
        or elementwise(equation, operands, flags) is not None
    )


def _multiplied(equation: Any, operands: Sequence[Any], reference: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    name, values = equation.primitive.name, bound(equation, operands)
    if name in MAXIMA:
        return [_maximum(equation, operands[0], reference[0], values[0])]
    function = elementwise(equation, operands, flags)
    if function is not None:
        place = list(flags).index(True)
        return [_rescaled(function, operands[place], reference[place])]
    (u, v), (u0, v0) = operands, reference
    if name == "div":  # u / v is u · (1 / v)
        v, v0 = _rescaled(lambda v: 1 / v, v, v0), 1 / v0
    halves = (v + v0) / 2, (u + u0) / 2
    return [straight(shared, values[0], halves, jnp.asarray(u), v)]


def _rescaled(function, u: Array, reference: Array) -> Array:
    value, slope = jax.jvp(function, (u,), (jnp.ones_like(u),))
    change, near = u - reference, jnp.abs(u - reference) < CLOSE
    ratio = (value - function(reference)) / jnp.where(near, 1, change)
    return straight(scaled, value, jnp.where(near, slope, ratio), u)


def _maximum(equation: Any, u: Array, reference: Array, value: Array) -> Array:
    whole = lambda u: bound(equation, [u])[0]
    of_reference = whole(reference)
    larger = jnp.maximum(value, of_reference)
    known = (u, reference, larger - of_reference, value - larger)
    return straight(partial(_won, whole), value, known, u)


def _won(whole, known: tuple[Array, ...], du: Array) -> Array:
    u, reference, gain, loss = known
    change, near = u - reference, jnp.abs(u - reference) < CLOSE
    towards = lambda at, v: jax.jvp(whole, (at,), (v,))[1]
    share = jnp.where(near, 0, du / jnp.where(near, 1, change))
    return gain * towards(u, share) + loss * towards(reference, share) + towards(u, jnp.where(near, du, 0))
