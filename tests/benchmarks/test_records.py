"""A record holds every fact, survives JSON, and is judged by the floors."""

import io
import json
from dataclasses import asdict, fields, replace

import pytest

from benchmarks import report
from benchmarks.cases import NETWORKS
from benchmarks.machine import Disturbance, Machine
from benchmarks.measure import Program, Timing
from benchmarks.record import ConvRecord, LoopRecord, Run, read, write

MACHINE = Machine("a cpu", "cpu", 2, "3.11", "0.10", "0.10", "2.13", "--flag", "abc", 100.0)
CASES = {case.name: case for case in NETWORKS}


def run(milliseconds, *, compile_ms=100.0, temp_bytes=0):
    program = Program(lambda: None, trace_ms=50.0, compile_ms=compile_ms, temp_bytes=temp_bytes)
    return Run.of(program, Timing(milliseconds, milliseconds * 0.9, milliseconds * 1.1, milliseconds / 2, 5), 1e-7)


def record(name="resnet50/layer1.1.conv2/b1", **runs):
    case = CASES[name]
    facts = ("float32", case.multiply_adds, 4 * case.elements, 1e-5, 0.25)
    return ConvRecord(case, "forward", *facts, runs, MACHINE)


def test_record_line_has_every_field():
    file = io.StringIO()
    write(file, record(ours=run(1.0), lax=run(2.0)))
    values = json.loads(file.getvalue())
    assert set(values) == {field.name for field in fields(ConvRecord)}
    assert set(values["machine"]) == {field.name for field in fields(Machine)}
    assert set(values["case"]) == {field.name for field in fields(CASES["lenet5/c1/b1"])}
    assert set(values["runs"]["ours"]) == {field.name for field in fields(Run)}
    assert (values["benchmark"], values["machine"]["commit"]) == ("conv", "abc")


def test_record_survives_json(tmp_path):
    one, path = record(ours=run(1.0), lax=run(2.0)), tmp_path / "records.jsonl"
    loop = LoopRecord("scan", "plain", 1.1, None, {"ours loop": run(3.0), "ours calls": run(2.0)}, MACHINE)
    with path.open("w") as file:
        write(file, one)
        write(file, loop)
    assert read([path]) == [one]
    assert loop.ratio() == 1.5


def test_record_ratios_and_rates():
    one = record(ours=run(2.0), lax=run(5.0))
    assert (one.speedup("lax"), one.speedup("torch")) == (2.5, None)
    assert one.gflops() == pytest.approx(2 * one.multiply_adds / 2e-3 / 1e9)


@pytest.mark.parametrize(
    ("name", "runs", "reasons"),
    [
        ("resnet50/conv1/b1", {"ours": run(1.0), "lax": run(0.96)}, []),
        ("resnet50/conv1/b1", {"ours": run(1.0), "lax": run(0.94)}, ["0.94× lax (0.94× by the fastest runs) < 0.95"]),
        (
            "convnext_t/stages.0.dw/b1",
            {"ours": run(1.0), "lax": run(1.9)},
            ["1.90× lax (1.90× by the fastest runs) < 2.0"],
        ),
        (
            "convnext_t/stages.0.dw/b1",
            {"ours": run(1.0), "lax": run(9.0), "torch": run(0.4)},
            ["0.40× torch (0.40× by the fastest runs) < 0.5"],
        ),
        (
            "resnet50/conv1/b1",
            {"ours": run(1.0), "lax": run(1.0), "torch": run(0.6)},
            ["0.60× torch (0.60× by the fastest runs) < 0.7, needs a reason"],
        ),
        ("lenet5/c1/b1", {"ours": run(1.0, compile_ms=440.0), "lax": run(1.0)}, []),
        (
            "lenet5/c1/b1",
            {"ours": run(1.0, compile_ms=460.0), "lax": run(1.0)},
            ["builds in 510 ms, 3.4× lax's time; the limit is 2× or 500 ms"],
        ),
        ("lenet5/c1/b1", {"ours": run(1.0, temp_bytes=60 * 2**20), "lax": run(1.0)}, []),
        ("vgg16/conv1_2/b4", {"ours": run(1.0, temp_bytes=250 * 2**20), "lax": run(1.0)}, []),
    ],
)
def test_floors(name, runs, reasons):
    assert report.missed([record(name, **runs)]) == [f"below a floor: {name} forward: {reason}" for reason in reasons]


def test_floor_of_temporary_memory():
    (line,) = report.missed([record("lenet5/c1/b1", ours=run(1.0, temp_bytes=65 * 2**20), lax=run(1.0))])
    assert "needs 65 MiB" in line
    assert line.endswith("the limit is 3× or 64 MiB")


def test_summary_ends_with_the_worst_case():
    good, bad = record(ours=run(1.0), lax=run(8.0)), record("resnet50/conv1/b1", ours=run(1.0), lax=run(2.0))
    lines = report.summary([good, bad, replace(good, runs={"lax": run(1.0)})])
    assert any(line.startswith("dense (2)") and "4.00 (2.00)" in line for line in lines)
    assert "1 without ours" in lines
    assert lines[-1].startswith("worst against lax: 2.00× resnet50/conv1/b1 forward")


def test_lowering_summary_names_a_poor_choice():
    one = replace(record(lax=run(3.0), direct=run(2.0), patches=run(1.0)), choice="direct")
    two = replace(record(ours=run(9.0), direct=run(4.0), patches=run(8.0)), choice="direct")
    lines = report.lowering_summary([one, two])
    assert "direct loses 2.00× to patches: resnet50/layer1.1.conv2/b1 forward" in lines
    assert lines[-2] == "fastest: patches 1, direct 1"
    assert lines[-1] == '"auto" over the fastest: geometric mean 1.414, at worst 2.00'
    assert report.ranking(one).endswith("patches 1.000 · direct* 2.000 · lax 3.000")


def test_report_prints_a_file(tmp_path, capsys):
    path = tmp_path / "records.jsonl"
    with path.open("w") as file:
        write(file, record(ours=run(1.0), lax=run(2.0)))
    report.main([str(path)])
    out = capsys.readouterr().out
    assert "1×56×56×64 · 3×3→64" in out
    assert "25% of the machine" in out


def test_disturbance_is_a_share():
    share = Disturbance().share()
    assert share is None or 0 <= share <= 1


def test_run_of_a_program_that_compiles_nothing():
    one = Run.of(Program(lambda: None), Timing(1.0, 1.0, 1.0, 1.0, 1), 0.0)
    assert (one.trace_ms, one.compile_ms, one.temp_bytes, one.build_ms) == (None, None, None, 0.0)
    assert asdict(one)["median_ms"] == 1.0
