"""`vmap` of `vmap`: stacked problems that are mapped again share what is not mapped, and nothing is copied for it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.functional.lowering import DIRECTIONS

from . import oracle
from .cases import CASES, case
from .test_engine_lowerings import assert_close, family

NESTED = {
    "dense": case((4, 3), 3, 5, (3, 2), stride=(2, 1), padding=1),
    "grouped": case((4, 3), 4, 6, 2, groups=2, padding="same"),
    "line-depthwise": CASES["line-depthwise-strided"],
}
STACK, COUNT, MORE = 2, 3, 2


def stacked(case, *leads):
    """Operands with axes in front."""
    shapes = [v.shape for v in oracle.operands(case)]
    random = np.random.default_rng(7)
    return [jnp.asarray(random.standard_normal((*lead, *s)), jnp.float32) for lead, s in zip(leads, shapes)]


@pytest.mark.parametrize("shared", [0, 1])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", NESTED)
def test_stack_mapped_again_in_one_operand_is_a_loop_without_copies(name, direction, shared):
    case = NESTED[name].replace(direction=direction)
    leads, axes = [(COUNT, STACK), (COUNT, STACK)], [0, 0]
    leads[shared], axes[shared] = (STACK,), None
    a, b = stacked(case, *leads)
    nested = jax.vmap(jax.vmap(lambda a, b: family(case, a, b)), axes)
    for i, s in itertools.product(range(COUNT), range(STACK)):
        one = [v[s] if axis is None else v[i, s] for v, axis in zip((a, b), axes)]
        assert_close(jax.jit(nested)(a, b)[i, s], *one, case)
    assert "broadcast" not in str(jax.make_jaxpr(nested)(a, b))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_stack_mapped_again_in_both_operands_is_a_loop(direction):
    case = NESTED["grouped"].replace(direction=direction)
    a, b = stacked(case, (COUNT, STACK), (STACK, COUNT))
    y = jax.jit(jax.vmap(jax.vmap(lambda a, b: family(case, a, b)), (0, 1)))(a, b)
    for i, s in itertools.product(range(COUNT), range(STACK)):
        assert_close(y[i, s], a[i, s], b[s, i], case)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_three_levels_and_other_axes_are_a_loop(direction):
    case = NESTED["grouped"].replace(direction=direction)
    a, b = stacked(case, (STACK, COUNT), (MORE, STACK))
    nested = jax.vmap(jax.vmap(jax.vmap(lambda a, b: family(case, a, b)), (1, None), 1), (None, -1), -1)
    y = jax.jit(nested)(a, jnp.moveaxis(b, 0, -1))
    for m, c, s in itertools.product(range(MORE), range(COUNT), range(STACK)):
        assert_close(y[s, c, ..., m], a[s, c], b[m, s], case)
