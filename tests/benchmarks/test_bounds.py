"""A row for each case well behind PyTorch, and how many cores a program keeps busy."""

import time
from dataclasses import replace

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


@pytest.mark.parametrize(
    ("work", "least", "most"), [(lambda: time.sleep(0.01), 0.0, 0.5), (lambda: sum(range(10**5)), 0.1, 1.2)]
)
def test_busy_cores_count_processor_time(work, least, most):
    assert least <= busy_cores(work, seconds=0.2) <= most
