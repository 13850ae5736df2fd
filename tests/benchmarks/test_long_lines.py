"""Long lines: the rivals compute one function, forward and in training."""

import jax
import numpy as np
import pytest

from benchmarks import long_lines, operations
from benchmarks.cases._problem import PASSES
from benchmarks.measure import checked

SMALL = (
    *long_lines.pools((2, 97, 3), 37, 2),
    *long_lines.pools((1, 41, 43, 2), 35, 1),
    long_lines.unfolded((2, 97, 3), 35, 4),
    long_lines.resized(19, 44),
    long_lines.resized(44, 5, "area"),
)


@pytest.mark.parametrize("problem", long_lines.TABLE, ids=lambda problem: problem.layer.name)
def test_row_has_the_shape_that_its_name_says(problem):
    (n, *_, c) = problem.shapes[0]
    result = jax.eval_shape(problem.ours, *(jax.ShapeDtypeStruct(shape, "float32") for shape in problem.shapes))
    assert (result.shape[0], result.shape[-1]) == (n, c)
    assert problem.layer.family == problem.layer.name.partition("/")[0]


@pytest.mark.parametrize("direction", PASSES)
@pytest.mark.parametrize("problem", SMALL, ids=lambda problem: problem.layer.name)
def test_rivals_agree(problem, direction):
    pytest.importorskip("torch")
    operands = problem.operands()
    g = np.random.default_rng(1).standard_normal(jax.eval_shape(problem.ours, *operands).shape, np.float32)
    programs, wrong = operations._programs(problem, direction, operands, g, torch=True), []
    errors, _ = checked(problem.layer.name, programs, problem.bound, wrong)
    assert wrong == []
    assert set(errors) == {"ours", "torch"}
