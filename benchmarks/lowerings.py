"""Each lowering by force: the one place that knows how the engine lists them and what they are called with.

A lowering is called as the engine calls it, on the bare operands of one direction, so that a record says what it costs and
not what differentiating through it costs. A transposed convolution is the engine's input gradient, and the other way round.
"""

from collections.abc import Callable

from jax import Array

from .cases import Case, Direction

Directed = Callable[[Array, Array, Array], Array]


def forced(case: Case, direction: Direction, *, dtype: str, platform: str) -> dict[str, Directed]:
    """Every lowering that supports the problem, as a function of (x, kernel, g)."""
    from jaxcnn.functional.lowering import LOWERINGS

    problem = _problem(case, direction, dtype, platform)
    able = [name for name, lowering in LOWERINGS.items() if lowering.supports(problem) is None]
    return {name: _call(getattr(LOWERINGS[name], problem.direction), problem, case.transposed) for name in able}


def chosen(case: Case, direction: Direction, *, dtype: str, platform: str) -> str:
    """The name that "auto" stands for here."""
    from jaxcnn.functional.lowering import choose

    return choose(_problem(case, direction, dtype, platform))


def _problem(case: Case, direction: Direction, dtype: str, platform: str):
    from jaxcnn.functional.lowering import Case as Problem

    names = {"forward": "conv", "input_grad": "input_grad", "kernel_grad": "kernel_grad"}
    if case.transposed:
        names |= {"forward": "input_grad", "input_grad": "conv"}
    c_in, c_out = case.kernel[-2] * case.groups, case.kernel[-1]
    shapes = (case.window, case.large, case.x[0], c_in, c_out, case.groups)
    problem = Problem(names[direction], *shapes, dtype=dtype, platform=platform)
    return problem.replace(dtype=problem.widened)


def _call(function: Callable, problem, transposed: bool) -> Directed:
    """The operands that the direction takes, in the dtype that the engine widens them to."""

    def run(x: Array, kernel: Array, g: Array) -> Array:
        large, small = (g, x) if transposed else (x, g)
        pair = {"conv": (large, kernel), "input_grad": (small, kernel), "kernel_grad": (large, small)}[
            problem.direction
        ]
        return function(*(operand.astype(problem.dtype) for operand in pair), problem).astype(x.dtype)

    return run
