"""A function run again with other rules for some of its operations, which changes no model.

The function is traced to a jaxpr, and the jaxpr is evaluated. A rule is asked for each operation that depends on the
arguments; it gives the results, or None for the operation as it is. Calls (`jit`, custom derivatives, `remat`) are
entered, and by its name a rule may take a whole call, such as jax.nn's `relu`. Loops and branches stay as they are.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Literal

CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")
ENTERED = (
    "jit",
    "pjit",
    "custom_jvp_call",
    "custom_vjp_call",
    "custom_vjp_call_jaxpr",
    "checkpoint",
    "remat2",
    "closed_call",
)
Rule = Callable[[Any, Sequence[Any], Sequence[bool]], "Sequence[Any] | None"]


def replay(function: Callable[..., Any], rule: Rule) -> Callable[..., Any]:
    """The function with the rule `(equation, operands, which of them depend on the arguments) -> results or None`."""

    def again(*arguments):
        closed, shape = jax.make_jaxpr(function, return_shape=True)(*arguments)
        flat = jax.tree.leaves(arguments)
        results, _ = evaluate(closed, flat, [True] * len(flat), rule)
        return jax.tree.unflatten(jax.tree.structure(shape), results)

    return again


def evaluate(
    closed: Any, arguments: Sequence[Any], depends: Sequence[bool], rule: Rule
) -> tuple[list[Any], list[bool]]:
    """Results of a closed jaxpr, and which of them depend on the arguments that do."""
    jaxpr = closed.jaxpr
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*closed.consts, *arguments]))
    moved = {var for var, flag in zip(jaxpr.invars, depends) if flag}
    read = lambda atom: atom.val if isinstance(atom, Literal) else values[atom]
    of_x = lambda atom: not isinstance(atom, Literal) and atom in moved
    for equation in jaxpr.eqns:
        operands, flags = [read(atom) for atom in equation.invars], [of_x(atom) for atom in equation.invars]
        results, out = _equation(equation, operands, flags, rule)
        values.update(zip(equation.outvars, results))
        moved.update(var for var, flag in zip(equation.outvars, out) if flag)
    return [read(atom) for atom in jaxpr.outvars], [of_x(atom) for atom in jaxpr.outvars]


def _equation(equation: Any, operands: list[Any], flags: list[bool], rule: Rule) -> tuple[Sequence[Any], list[bool]]:
    every = [any(flags)] * len(equation.outvars)
    results = rule(equation, operands, flags) if any(flags) else None
    if results is not None:
        return results, every
    inside = body(equation) if any(flags) else None
    if inside is not None and len(inside.jaxpr.invars) == len(operands):
        return evaluate(inside, operands, flags, rule)
    return bound(equation, operands), every


def bound(equation: Any, operands: Sequence[Any]) -> Sequence[Any]:
    """The results of an operation as it is."""
    results = equation.primitive.bind(*operands, **equation.primitive.get_bind_params(equation.params))
    return results if equation.primitive.multiple_results else [results]


def body(equation: Any) -> Any | None:
    """The program inside of a call as a closed jaxpr; None of what is no call."""
    if equation.primitive.name not in ENTERED:
        return None
    inside = next((equation.params[key] for key in CALLS if key in equation.params), None)
    if inside is None or hasattr(inside, "consts"):
        return inside
    return ClosedJaxpr(inside, ()) if not inside.constvars else None


def call_name(equation: Any) -> str | None:
    """The name of a call, such as jax.nn's "relu"; None of what is no call."""
    if equation.primitive.name not in ENTERED:
        return None
    return str(equation.params.get("name", ""))
