"""What goes by the version of jax is right on either side of the version, whichever one runs."""

import jax
import numpy as np
import pytest

from jaxcnn.functional.lowering import DIRECTIONS, LOWERINGS, _conditions, patches, row_loop
from jaxcnn.functional.lowering._choice import choose

from . import oracle
from .cases import CASES
from .test_engine_lowerings import assert_close

LOOPED = [name for name, case in CASES.items() if row_loop.supports(case.replace(direction="kernel_grad")) is None]


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("name", LOOPED)
def test_row_loop_is_exact_on_rows_and_on_lines_of_pixels_and_channels(name, newer, monkeypatch):
    monkeypatch.setattr(row_loop, "NEWER", newer)
    case = CASES[name].replace(direction="kernel_grad")
    x, g = oracle.operands(case)
    assert_close(jax.jit(lambda x, g: row_loop.kernel_grad(x, g, case))(x, g), x, g, case)


@pytest.mark.parametrize("halves", [1, 1024, 4096])
def test_sums_over_rows_are_exact_from_any_number_of_them(halves, monkeypatch):
    monkeypatch.setattr(patches, "HALVES", halves)
    x, g = (np.random.default_rng(i).integers(-4, 5, (1030, c)).astype(np.float32) for i, c in enumerate((5, 3)))
    np.testing.assert_array_equal(jax.jit(patches.summed)(x, g), x.T @ g)


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", CASES)
def test_the_rule_of_either_version_chooses_what_runs(name, direction, newer, monkeypatch):
    monkeypatch.setattr(_conditions, "NEWER", newer)
    case = CASES[name].replace(direction=direction, platform="cpu")
    assert LOWERINGS[choose(case)].supports(case) is None
