"""Winograd's minimal filtering: its matrices, its bound beside the direct sum's, and runs of tiles."""

import numpy as np
import pytest

from jaxcnn.functional.lowering import _winograd, winograd, winograd4

from . import oracle
from .cases import case

TRANSFORMS = {"winograd": winograd.TRANSFORM, "winograd4": winograd4.TRANSFORM}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_matrices_filter_a_line_exactly(name):
    t = TRANSFORMS[name]
    random = np.random.default_rng(3)
    x, k = random.standard_normal(t.m + 2), random.standard_normal(3)
    np.testing.assert_allclose(t.at @ ((t.g @ k) * (t.bt @ x)), np.correlate(x, k, "valid"), rtol=0, atol=1e-13)


@pytest.mark.parametrize("direction", ["conv", "input_grad", "kernel_grad"])
def test_small_tiles_stay_within_the_direct_bound_and_large_ones_do_not(direction):
    wide = case((56, 56), 64, 64, 3, padding=1).replace(direction=direction)
    assert _winograd.within_direct(wide, winograd.TRANSFORM)
    assert not _winograd.within_direct(wide, winograd4.TRANSFORM)


def test_few_channels_exceed_the_direct_bound():
    assert not _winograd.within_direct(case((56, 56), 32, 64, 3, padding=1), winograd.TRANSFORM)


@pytest.mark.parametrize("direction", ["conv", "input_grad", "kernel_grad"])
def test_runs_of_rows_and_of_images_agree_with_the_sum(direction, monkeypatch):
    monkeypatch.setattr(_winograd, "RUN", 4 << 10)
    rows = case((13, 9), 5, 7, 3, n=2, padding=[(2, 0), (1, 3)]).replace(direction=direction)
    images = case((4, 3), 3, 2, 3, n=6, padding=1).replace(direction=direction)
    assert _winograd.plan_of(rows, winograd.TRANSFORM).runs > 1
    assert 1 < _winograd.plan_of(images, winograd.TRANSFORM).images < 6 or direction == "kernel_grad"
    for each in (rows, images):
        a, b = oracle.operands(each)
        error = np.abs(np.asarray(getattr(winograd, direction)(a, b, each)) - oracle.EXACT[direction](a, b, each)).max()
        assert error <= winograd.error(each) * 2.0**-24 * np.linalg.norm(a) * np.linalg.norm(b)
