"""A transformed program and its single calls do the same work, in every row."""

import numpy as np
import pytest

from benchmarks import loops
from benchmarks.loops import TOLERANCE, comparisons, ours, plain
from benchmarks.machine import Machine
from benchmarks.measure import Effort, WrongResult

MACHINE = Machine("a cpu", "cpu", 2, "3.11", "0.10", "0.10", None, "", "abc", 100.0)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    for name, number in (("STEPS", 3), ("MODELS", 2), ("EXAMPLES", 5), ("PIXELS", 7)):
        monkeypatch.setattr(loops, name, number)


def test_comparisons_loop_and_calls_agree():
    rows = list(comparisons(ours, "separable", 2))
    assert len(rows) == 6
    for row in rows:
        loop, calls = (program.value(program.run()) for program in (row.loop, row.calls))
        assert loop.shape == calls.shape
        assert np.abs(loop - calls).max() <= TOLERANCE * np.abs(calls).max() > 0


def test_measure_gives_a_record_a_row(monkeypatch):
    monkeypatch.setattr(loops, "QUICK", Effort(0.0, 1, 1.0))
    records = list(loops.measure("plain", loops.Options(quick=True, lax=False), MACHINE))
    assert len({record.name for record in records}) == len(records) == 6
    assert all(set(record.runs) == {"ours loop", "ours calls"} for record in records)
    assert all(f"{record.ratio():.2f}" in loops.row(record) for record in records)


def test_measure_refuses_a_wrong_convolution(monkeypatch):
    monkeypatch.setattr(loops, "ours", lambda x, kernel, stride, groups: plain(x, kernel, stride, groups) * 1.1)
    with pytest.raises(WrongResult, match="3 steps in a scan, ours loop"):
        next(loops.measure("plain", loops.Options(quick=True), MACHINE))
