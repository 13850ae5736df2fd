"""What a user runs: each lowering in each direction as it is compiled for them, and what the compiler computes once.

Everything else about lowerings is held by programs that compile quickly (`tests/compilation.py`).
"""

import re

import jax
import jax.numpy as jnp
import pytest

from jaxcnn import functional as F
from jaxcnn.functional.lowering import DIRECTIONS, LOWERINGS
from jaxcnn.functional.lowering._case import NEWER

from .test_engine_lowerings import RUNS, assert_exact

WIDEST = {(lowering, direction): name for name, direction, lowering in RUNS}  # the last case of each


def test_every_lowering_has_a_case_in_every_direction_it_has():
    has = {(name, way) for name, module in LOWERINGS.items() for way in DIRECTIONS if hasattr(module, way)}
    assert WIDEST.keys() == has


@pytest.mark.parametrize(("lowering", "direction"), WIDEST)
def test_lowering_is_exact_as_it_is_compiled_for_users(lowering, direction):
    assert_exact(WIDEST[lowering, direction], direction, lowering)


@pytest.mark.parametrize("groups", [1, 24], ids=["1×1", "depthwise"])
def test_what_made_an_operand_is_computed_once_for_all_that_read_it(groups):
    """A ReLU before a convolution, read forward and by the kernel gradient; one after it, by both gradients."""
    if groups > 1 and NEWER:
        pytest.skip("from jax 0.12 on the loop over rows is fast on lines of pixels and channels alone")
    x = jnp.ones((2, 96, 96, 24))
    kernel = jnp.ones((1, 1, 24, 24) if groups == 1 else (3, 3, 1, 24))

    def step(x: jax.Array, kernel: jax.Array, g: jax.Array):
        y, back = jax.vjp(lambda x, k: F.conv2d(jnp.maximum(x, 0), k, padding="same", groups=groups), x, kernel)
        return y, back(jnp.minimum(g, 1))

    text = jax.jit(step).lower(x, kernel, x).compile().as_text() or ""
    entry = text[text.index("ENTRY") :]
    for made in ("maximum", "minimum"):
        assert len(re.findall(rf"^ *(?:ROOT )?%\S*{made}\S* = f32", entry, re.MULTILINE)) == 1
