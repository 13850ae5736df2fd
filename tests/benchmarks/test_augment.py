"""The augmentation benchmark without its rivals: every row stands, and a wrong result is not timed."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from benchmarks.augment import line, policies, programs, rows
from benchmarks.measure import Timing, WrongResult

KEY, X = jax.random.key(0), np.random.default_rng(0).random((8, 16, 16, 3)).astype(np.float32)


def test_rows_have_ours_and_keep_the_images():
    found = [*rows(16, None, None), *policies()]
    assert len({row.name for row in found}) == len(found) == 13
    for row in found:
        assert jax.eval_shape(row.random["ours"], KEY, X).shape in {(8, 16, 16, 3), (8, 14, 14, 3)}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"random": {"rival": lambda key, x: x}}, "flip, rival: float32"),
        ({"random": {"rival": lambda key, x: x[:1]}}, "flip, rival: float32.1, 16, 16, 3."),
        ({"fixed": {"rival": lambda x: x}}, "flip, rival: error"),
    ],
)
def test_programs_refuse_a_wrong_result(changed, message):
    flip = next(iter(rows(16, None, None)))
    merged = {name: getattr(flip, name) | value for name, value in changed.items()}
    with pytest.raises(WrongResult, match=message):
        programs(replace(flip, **merged), KEY, X)


def test_line_says_how_many_times_longer_a_rival_takes():
    timings = {name: Timing(least, least, least, least, 3) for name, least in (("ours", 2.0), ("dm_pix", 5.0))}
    assert "( 2.50 ×)" in line("blur", timings)
