"""A row for each case well behind PyTorch, and how many cores a program keeps busy."""

import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from benchmarks import bounds, profile
from benchmarks.bounds import Options, busy_cores, main
from benchmarks.record import write

from .test_records import record, run


def test_rows_are_those_behind_by_median_and_fastest_run(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(profile, "CALLS", 1)
    behind = record("lenet5/c3/b1", ours=run(2.0), lax=run(1.0), torch=run(1.0))
    luckier = replace(behind.runs["ours"], least_ms=0.1)
    records = [
        behind,
        replace(behind, direction="input_grad", runs=behind.runs | {"ours": luckier}),
        record("lenet5/c3/b32", ours=run(2.0), lax=run(1.0)),
        record("lenet5/c1/b1", ours=run(1.0), lax=run(1.0), torch=run(1.0)),
    ]
    with (tmp_path / "records.jsonl").open("w") as file:
        for one in records:
            write(file, one)
    assert main(Options(tmp_path / "records.jsonl")) == 0
    lines = capsys.readouterr().out.splitlines()
    rows = [line for line in lines if "lenet5" in line]
    assert [row.split("|")[1].strip() for row in rows] == ["lenet5/c3/b1 forward"]
    assert rows[0].count("|") == bounds.HEADER.count("|") == lines[-2].count("|")


@pytest.mark.parametrize(("used", "cores"), [(0.0, 0.0), (0.05, 0.5), (0.19, 1.9)])
def test_busy_cores_are_processor_time_over_wall_time(used, cores, monkeypatch):
    """Each call takes 0.1 s of wall time on a clock that the test moves: real ones depend on what else the machine does."""
    clock = {"wall": 3.0, "processor": 5.0}

    def work():
        clock.update(wall=clock["wall"] + 0.1, processor=clock["processor"] + used)

    monkeypatch.setattr(bounds, "time", SimpleNamespace(perf_counter=lambda: clock["wall"]))
    monkeypatch.setattr(bounds, "_processor", lambda: clock["processor"])
    assert busy_cores(work, seconds=0.25) == pytest.approx(cores)
    assert clock["wall"] == pytest.approx(3.3)


def test_processor_time_is_that_of_the_process():
    first = time.process_time(), bounds._processor(), time.process_time()
    while time.process_time() - first[2] < 0.1:
        pass
    last = time.process_time(), bounds._processor(), time.process_time()
    assert last[0] - first[2] - 0.02 <= last[1] - first[1] <= last[2] - first[0] + 0.02
