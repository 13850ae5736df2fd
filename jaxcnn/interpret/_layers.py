"""The layers of a function as its jaxpr shows them: a convolution or product, and what follows it number by number.

Bias and batch normalisation are operations of their own in a jaxpr. Those that follow a weighted sum, read nothing else
that depends on the image and are read by the next one alone belong to its layer: they make y = a · (W u) + c, with a
and c numbers for each output.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.extend.core import Literal

from ._kinds import ACTIVATIONS, WEIGHTED
from ._replay import bound, call_name, replay

SCALING = frozenset({"mul", "div", "neg", "sub"})  # a difference may turn the sign
AFFINE = SCALING | {"add", "convert_element_type", "copy", "copy_p", "jaxcnn_stored"}


@partial(jax.tree_util.register_dataclass, data_fields=["output", "bias", "kernel", "factor"], meta_fields=["apply"])
@dataclass
class Parts:
    """A layer taken apart: y = factor · apply(u, kernel) + bias; the factor is None where it is 1."""

    output: Array
    bias: Array
    kernel: Array
    factor: Array | None
    apply: Callable[[Array, Array], Array]

    def weigh(self, v: Array, gamma: float = 0.0) -> Array:
        """W v, or (W + γ W⁺) v."""
        if not gamma:
            y = self.apply(v, self.kernel)
            return y if self.factor is None else self.factor * y
        more, less = (self.kernel + gamma * part(self.kernel, 0) for part in (jnp.maximum, jnp.minimum))
        return self._by_sign(v, more, less)

    def signed(self, v: Array, sign: int) -> Array:
        """W⁺ v for 1, W⁻ v for −1."""
        above, below = jnp.maximum(self.kernel, 0), jnp.minimum(self.kernel, 0)
        return self._by_sign(v, *((above, below) if sign > 0 else (below, above)))

    def _by_sign(self, v: Array, positive: Array, negative: Array) -> Array:
        """With the first kernel where the factor is positive, with the second one where it turns the weights' sign."""
        y = self.apply(v, positive)
        return y if self.factor is None else self.factor * jnp.where(self.factor > 0, y, self.apply(v, negative))


@dataclass
class Layer:
    """The equations of a layer, the place of its input among the first one's operands, and what each was evaluated with."""

    number: int
    place: int
    equations: list[Any]
    operands: dict[int, Sequence[Any]] = field(default_factory=dict)

    def parts(self, u: Array) -> Parts:
        """The layer's output for u, and its bias, kernel and factor for each output."""
        first = self.equations[0]
        kernel = self.operands[id(first)][1 - self.place]
        apply = partial(_bilinear, first, self.place)
        z = apply(u, kernel)
        if all(one.primitive.name not in SCALING for one in self.equations):
            return Parts(self._behind(z), self._behind(jnp.zeros_like(z)), kernel, None, apply)
        bias, factor = jax.jvp(self._behind, (jnp.zeros_like(z),), (jnp.ones_like(z),))
        return Parts(self._behind(z), bias, kernel, factor, apply)

    def _behind(self, z: Array) -> Array:
        """What follows the weighted sum."""
        for before, equation in zip(self.equations, self.equations[1:]):
            same = [atom is before.outvars[0] for atom in equation.invars]
            known = self.operands[id(equation)]
            z = bound(equation, [z if flag else one for flag, one in zip(same, known)])[0]
        return z


def _bilinear(equation: Any, place: int, u: Array, kernel: Array) -> Array:
    return bound(equation, [u, kernel] if place == 0 else [kernel, u])[0]


def layers_of(function: Callable[[Array], Any], x: Array) -> tuple[Any, dict[int, Layer], Any]:
    """The function as a flat jaxpr, the layer of each equation (by its id) that belongs to one, and the shapes of its outputs.

    Raises: ValueError for weights that depend on x.
    """
    keep = lambda equation, operands, flags: bound(equation, operands) if call_name(equation) in ACTIVATIONS else None
    closed, shape = jax.make_jaxpr(replay(function, keep), return_shape=True)(x)
    jaxpr = closed.jaxpr
    moved, readers = set(jaxpr.invars), {}
    for equation in jaxpr.eqns:
        for atom in equation.invars:
            if not isinstance(atom, Literal):
                readers.setdefault(atom, []).append(equation)
        if any(_in(atom, moved) for atom in equation.invars):
            moved.update(equation.outvars)
    layers: dict[int, Layer] = {}
    weighted = (one for one in jaxpr.eqns if one.primitive.name in WEIGHTED and any(_in(a, moved) for a in one.invars))
    for number, equation in enumerate(weighted):
        flags = [_in(atom, moved) for atom in equation.invars]
        if sum(flags) != 1 or len(flags) != 2:
            raise ValueError(f"lrp: a {equation.primitive.name} of two arrays that depend on x has no rule")
        layer = Layer(number, flags.index(True), [equation])
        while (following := _following(layer.equations[-1], readers, moved, jaxpr.outvars)) is not None:
            layer.equations.append(following)
        layers.update({id(one): layer for one in layer.equations})
    return closed, layers, shape


def _following(equation: Any, readers: dict[Any, list[Any]], moved: set[Any], outvars: Sequence[Any]) -> Any | None:
    """The one equation that reads the result, if it belongs to the layer."""
    result = equation.outvars[0]
    found = readers.get(result, [])
    if len(found) != 1 or any(result is one for one in outvars) or found[0].primitive.name not in AFFINE:
        return None
    (reader,) = found
    others = [atom for atom in reader.invars if atom is not result]
    fits = reader.outvars[0].aval.shape == result.aval.shape and len(others) == len(reader.invars) - 1
    divides = reader.primitive.name == "div" and reader.invars[0] is not result
    return reader if fits and not divides and not any(_in(atom, moved) for atom in others) else None


def _in(atom: Any, moved: set[Any]) -> bool:
    return not isinstance(atom, Literal) and atom in moved
