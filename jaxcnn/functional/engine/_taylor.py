"""How Taylor series pass the primitives, which is what `jax.experimental.jet` asks for: one line a primitive.

A linear one takes every coefficient as it takes the value; a bilinear one multiplies the two series; an extreme takes the
coefficients of the pixel that won, as its tangent does.
"""

from functools import partial, wraps
from typing import Any

import jax
from jax.extend.core import Primitive

try:
    from jax.experimental.jet import JetTracer, jet_rules, zero_series
except ImportError:  # it is experimental: without it there are no series, everything else goes on
    JetTracer, jet_rules, zero_series = (), {}, None


def linear(primitive: Primitive) -> None:
    """Registers a primitive that is linear in its first operand; the others are constants."""
    jet_rules[primitive] = partial(_linear, primitive)


def bilinear(primitive: Primitive) -> None:
    """Registers a primitive of two operands that is linear in each."""
    jet_rules[primitive] = partial(_bilinear, primitive)


def extreme(primitive: Primitive, search: Primitive, take: Primitive, *, winner: bool) -> None:
    """Registers the extreme of windows, with its tap (`winner`) or alone: `search` finds both, `take` what lies there."""
    jet_rules[primitive] = partial(_extreme, search, take, winner)


def through_formula(rule: jax.custom_jvp) -> Any:
    """A function with a tangent of its own, of which a series takes the formula: `jet` fails on such functions by itself."""

    @wraps(rule)
    def call(*args):
        series = any(isinstance(v, JetTracer) for v in args)
        return rule.fun(*args) if series else rule(*args)

    return call


def _linear(primitive: Primitive, primals, series, **params):
    through = lambda v: primitive.bind(v, *primals[1:], **params)
    value, terms = through(primals[0]), [through(term) for term in series[0]]
    return (value, [[term for (term,) in terms]]) if primitive.multiple_results else (value, terms)


def _bilinear(primitive: Primitive, primals, series, **params):
    a, b = ([value, *terms] for value, terms in zip(primals, series))
    product = lambda i, j: primitive.bind(a[i], b[j], **params)
    value, *terms = [sum((product(i, k - i) for i in range(1, k + 1)), start=product(0, k)) for k in range(len(a))]
    return value, terms


def _extreme(search: Primitive, take: Primitive, winner: bool, primals, series, *, largest: bool, **params):
    value, taps = search.bind(primals[0], largest=largest, **params)
    terms = [take.bind(term, taps, **params)[0] for term in series[0]]
    return ([value, taps], [terms, zero_series]) if winner else ([value], [terms])
