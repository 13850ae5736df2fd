"""Layer-wise relevance propagation: the output is handed back, layer by layer, to what made it.

A layer z = W u + b hands its relevance R to its inputs in proportion to what each contributes:

    epsilon      R_u = u · Wᵀ (R / (z + ε sign z))
    gamma        the same with W + γ W⁺ and b + γ b⁺, which favours what speaks for the output
    alpha_beta   R_u = α (u⁺ · W⁺ᵀ + u⁻ · W⁻ᵀ) R / z⁺ − β (u⁺ · W⁻ᵀ + u⁻ · W⁺ᵀ) R / z⁻,    α = 1 + β

z⁺ and z⁻ are the sums of the positive and of the negative contributions, those of the bias too. A layer is a
convolution or matrix product with what follows it number by number and does not depend on the image: bias and batch
normalisation count as part of it. Elementwise functions hand R on as it is, sums and averages in proportion, a max pool
to the winner, and a product of two arrays that depend on the image half to each.

References: Bach et al., On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
propagation (2015); Montavon et al., Layer-wise relevance propagation: an overview (2019).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from .._attribute import attribute
from .._forward import PLAIN
from .._kinds import ACTIVATIONS, elementwise, scaled, shared, straight
from .._layers import Layer, Parts, layers_of
from .._replay import bound, call_name, evaluate
from .._target import Target
from ._gradient import slope

Linear = Callable[[Array], Array]
# operations that hand relevance on as their derivative does: they add up, choose or move numbers
ADDITIVE = frozenset(
    "reshape transpose broadcast_in_dim squeeze expand_dims concatenate pad slice dynamic_slice gather rev split select_n copy "
    "copy_p convert_element_type reduce_precision add sub add_any neg reduce_sum cumsum reduce_max reduce_min reduce_window "
    "reduce_window_sum jaxcnn_total jaxcnn_extreme jaxcnn_take jaxcnn_give jaxcnn_stored stop_gradient optimization_barrier "
    "device_put sharding_constraint".split()
)


@dataclass(frozen=True, kw_only=True)
class LrpRule:
    """How a layer hands relevance on: `epsilon_rule`, `gamma_rule` (with γ) or `alpha_beta_rule` (with β; α = 1 + β).

    >>> LrpRule(gamma=0.25) == gamma_rule(0.25)
    True
    """

    gamma: float = 0.0
    beta: float | None = None
    epsilon: float = 1e-9


def epsilon_rule(epsilon: float) -> LrpRule:
    """The rule with ε > 0, which takes relevance from small sums.

    >>> epsilon_rule(0.1).epsilon
    0.1
    """
    return LrpRule(epsilon=epsilon)


def gamma_rule(gamma: float, *, epsilon: float = 1e-9) -> LrpRule:
    """The rule with γ ≥ 0.

    >>> gamma_rule(0.25).gamma
    0.25
    """
    return LrpRule(gamma=gamma, epsilon=epsilon)


def alpha_beta_rule(beta: float, *, epsilon: float = 1e-9) -> LrpRule:
    """The rule with β ≥ 0 and α = 1 + β; β = 0 hands on what speaks for the output alone.

    >>> alpha_beta_rule(1.0).beta
    1.0
    """
    return LrpRule(beta=beta, epsilon=epsilon)


def lrp(
    model: Any,
    x: Float[Array, "n *space c"],
    target: Target = None,
    *,
    rule: LrpRule | Sequence[LrpRule] = LrpRule(),
) -> Float[Array, "n *space c"]:
    """The relevance of each pixel, which adds up to the target's number but for what biases and ε take.

    Args:
        model: an NNX module, or a function of images; it is not changed.
        x: images as the model takes them.
        target: a class, one class an image, a tuple that indexes the output, or a function of it (default: the likeliest class).
        rule: one for all layers with weights, or one for each, in the order of computation.

    Raises: ValueError for another number of rules, or an operation that has no rule; else as `gradient`.

    >>> f = lambda x: x.reshape(1, -1) @ jnp.array([[2.0], [-1.0]])
    >>> lrp(f, jnp.array([[[[3.0], [1.0]]]]), 0).round(4).ravel().tolist()
    [6.0, -1.0]
    """
    rules = rule if isinstance(rule, LrpRule) else tuple(rule)
    for one in (rules,) if isinstance(rules, LrpRule) else rules:
        if not isinstance(one, LrpRule) or min(one.gamma, one.epsilon, one.beta or 0.0) < 0:
            raise ValueError(
                f"lrp: rule={one!r}; give epsilon_rule(…), gamma_rule(…) or alpha_beta_rule(…) of numbers from 0"
            )
    return attribute("lrp", _lrp, model, x, target, rules=rules)


def _lrp(forward, x: Array, score, *, rules: LrpRule | tuple[LrpRule, ...]) -> tuple[Array, Any]:
    closed, layers, shape = layers_of(lambda x: forward(x, PLAIN), x)
    count = len({id(layer) for layer in layers.values()})
    if not isinstance(rules, LrpRule) and len(rules) != count:
        raise ValueError(
            f"lrp: {len(rules)} rules for the model's {count} layers with weights; give one, or one for each"
        )

    def again(x, tap):
        ruled = lambda equation, operands, flags: _handed(equation, operands, flags, layers, rules)
        outputs, _ = evaluate(closed, [x], [True], ruled)
        return jax.tree.unflatten(jax.tree.structure(shape), outputs)

    ratio, outputs = slope(again, x, score)
    return x * ratio, outputs


def _handed(equation, operands, flags, layers: dict[int, Layer], rules) -> Sequence[Any] | None:
    """Results whose derivative is relevance over value, so that value times derivative is handed back."""
    layer = layers.get(id(equation))
    if layer is not None:
        layer.operands[id(equation)] = operands
        if equation is not layer.equations[-1]:
            return bound(equation, operands)
        rule = rules if isinstance(rules, LrpRule) else rules[layer.number]
        return [_weighted(layer, rule, layer.operands[id(layer.equations[0])][layer.place])]
    name, function = equation.primitive.name, elementwise(equation, operands, flags)
    if function is not None:
        return [_passed(function, operands[flags.index(True)])]
    if name == "mul" and all(flags):
        u, v = operands
        return [straight(shared, bound(equation, operands)[0], (v / 2, u / 2), u, v)]
    by_number = name in ("mul", "div") and flags[0] != flags[1] and not (name == "div" and flags[1])
    if name in ADDITIVE or by_number or (call_name(equation) is not None and call_name(equation) not in ACTIVATIONS):
        return None
    raise ValueError(f"lrp: the model has the operation {name!r} on what depends on x, for which there is no rule")


def _passed(function: Linear, u: Array) -> Array:
    """An elementwise function, whose relevance is that of its input."""
    value, slope = jax.jvp(function, (u,), (jnp.ones_like(u),))
    return straight(scaled, value, jnp.where(u == 0, slope, value / jnp.where(u == 0, 1, u)), u)


def _weighted(layer: Layer, rule: LrpRule, u: Array) -> Array:
    """A layer's output, with the derivative that the rule says."""
    parts = layer.parts(u)
    y, bias = parts.output, parts.bias
    if rule.beta is None:
        z = y if not rule.gamma else parts.weigh(u, rule.gamma) + bias + rule.gamma * jnp.maximum(bias, 0)
        linear = lambda known, du: known[0] * known[1].weigh(du, rule.gamma)
        return straight(linear, y, (_over(y, z, rule.epsilon), parts), u)
    gain = _over(y, _speaking(parts, u, u) + jnp.maximum(bias, 0), rule.epsilon)
    loss = _over(y, _speaking(parts, u, u, -1) + jnp.minimum(bias, 0), rule.epsilon) if rule.beta else None
    return straight(partial(_shares, rule.beta), y, (gain, loss, parts, u), u)


def _speaking(parts: Parts, u: Array, v: Array, sign: int = 1) -> Array:
    """The weights on v where weight times u has the sign."""
    return parts.signed(jnp.where(u > 0, v, 0), sign) + parts.signed(jnp.where(u < 0, v, 0), -sign)


def _shares(beta: float, known, du: Array) -> Array:
    gain, loss, parts, u = known
    won = (1 + beta) * gain * _speaking(parts, u, du)
    return won - beta * loss * _speaking(parts, u, du, -1) if beta else won


def _over(y: Array, z: Array, epsilon: float) -> Array:
    """y / (z + ε sign z), 0 where both are 0."""
    below = z + jnp.where(z < 0, -epsilon, epsilon)
    return jnp.where(below == 0, 0, y / jnp.where(below == 0, 1, below))
