"""`filters`: every function of `F.filters` is shown, the worked grids are the lecture's, line detectors and borders by hand."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxcnn import functional as F

pytest.importorskip("tyro")
pytest.importorskip("sklearn")


def test_every_filter_is_shown():
    from experiments.filters import ANSWERS, CHANGES

    known = {name for name, value in vars(F.filters).items() if getattr(value, "__module__", "") == F.filters.__name__}
    known = {name for name in known if not name.startswith("_")}
    shown = {getattr(function, "func", function).__name__ for function in (ANSWERS | CHANGES).values()}
    assert shown == known


def test_worked_grids_are_the_lectures():
    from experiments.filters import WORKED, worked

    assert [row.split()[0] for row in WORKED] == ["L1.1", "L1.2", "L1.3", "L1.4", "L1.5"]
    for row, (grid, kernel, printed) in WORKED.items():
        windows = np.lib.stride_tricks.sliding_window_view(np.array(grid), (3, 3))
        response, difference = worked(row)
        np.testing.assert_array_equal(response, (windows * np.array(kernel)).sum((2, 3)))
        np.testing.assert_array_equal(response, printed)
        assert difference == 0


def test_line_answers_by_hand():
    from experiments.filters import line_answers, mean_free

    kernels = [F.filters.line_kernel(angle) for angle in (90, 0)]
    np.testing.assert_allclose(line_answers(kernels, (90, 0)), [[3, 1], [1, 3]])
    free = line_answers([mean_free(kernel) for kernel in kernels], (90, 0))
    np.testing.assert_allclose(free, [[2, 0], [0, 2]], atol=1e-6)  # own line 3 · 2/3, the other 2/3 − 2 · 1/3


def test_at_border_by_hand():
    from experiments.filters import at_border

    x = jnp.arange(6.0)[None, None, :, None] * jnp.ones((1, 5, 1, 1))  # a slope to the right: Sobel answers 8 inside
    assert at_border(x, "replicate") == pytest.approx((5 * 4 * 2 + 2 * 4 * 8) / 18 / 8)  # half as steep at both ends


def test_pools_are_those_of_a_block():
    from experiments.filters import WINDOW, pools

    x = jnp.arange(36.0).reshape(1, WINDOW, WINDOW, 1) / 36
    chosen = {name: pool(x) for name, pool in pools(jax.random.key(0)).items() if name != "adaptive"}
    found = {name: float(y[0, 0, 0, 0]) for name, y in chosen.items()}
    pixels = np.arange(36) / 36
    by_hand = {"stride": 0, "max": 35 / 36, "min": 0, "average": pixels.mean(), "mixed": (35 / 36 + pixels.mean()) / 2}
    by_hand |= {"l2": np.sqrt((pixels**2).mean()), "soft": (pixels * np.exp(pixels)).sum() / np.exp(pixels).sum()}
    for name, value in by_hand.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name
    assert found["weighted"] == pytest.approx(pixels.mean(), abs=1e-6)  # symmetric weights of a plane
    assert min(abs(found["stochastic"] - pixels)) < 1e-6
    assert min(abs(found["fractional"] - pixels)) < 1e-6


def test_filters_says_its_lines_of_a_photograph(tmp_path, capsys, monkeypatch):
    from experiments import filters

    few = lambda found, *names: {name: found[name] for name in names}
    pools = filters.pools
    monkeypatch.setattr(filters, "ANSWERS", few(filters.ANSWERS, "sobel_90", "line_45"))
    monkeypatch.setattr(filters, "CHANGES", few(filters.CHANGES, "sharpen"))
    monkeypatch.setattr(filters, "pools", lambda key: few(pools(key), "max", "average"))
    pixels = np.random.default_rng(0).integers(0, 256, (40, 56, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    filters.main(filters.Config(image=tmp_path / "photo.png", width=56, runs=tmp_path / "runs"))
    printed = capsys.readouterr().out
    number = lambda pattern: float(re.search(pattern, printed)[1])
    assert number(r"filters/sobel_90 mean size (\d\.\d+), energy") > 0.1
    assert number(r"filters/pool_max pixels 6 × 9, mean (0\.\d+)") > number(
        r"filters/pool_average pixels 6 × 9, mean (0\.\d+)"
    )
    assert number(r"filters/padding_zeros edges at the border over those inside (\d\.\d+)") > 1
    assert number(r"filters/L1\.5 largest difference from the lecture (\S+)") == 0
    assert "filters/L1.6_line_45 own line 3.00, strongest other line 1.00, plain white 3.00, " in printed
    (folder,) = (tmp_path / "runs/filters").iterdir()
    assert (folder / "report.html").read_text().count("data:image/png") == 8


def test_photograph_refuses_what_is_too_small(tmp_path):
    from experiments.pictures import photograph

    Image.new("RGB", (200, 40)).save(tmp_path / "strip.png")
    with pytest.raises(ValueError, match="40 × 200 pixels has fewer than 32 on a side when its long one is 100"):
        photograph(tmp_path / "strip.png", 100)
    assert photograph(tmp_path / "strip.png", 180).shape == (1, 36, 180, 3)
    assert photograph(None, 64).shape == (1, 43, 64, 3)
