"""The time of an operation is its own, and a profile names the instructions of the compiled program."""

import jax.numpy as jnp
import pytest

from benchmarks import profile
from benchmarks.measure import build
from benchmarks.profile import Options, main, operations, own_times


def test_own_times_take_away_what_lies_within_at_any_depth_and_order():
    spans = [("leaf", 2.0, 1.0), ("body", 1.0, 5.0), ("loop", 0.0, 10.0), ("after", 12.0, 3.0), ("body", 6.0, 4.0)]
    assert own_times(spans) == [("loop", 1.0), ("body", 4.0), ("leaf", 1.0), ("body", 4.0), ("after", 3.0)]


def test_operations_count_each_instruction_once_a_call():
    program = build(lambda a: jnp.sort(a @ a, axis=0), jnp.ones((64, 64)))
    found = operations(program.run, calls=3)
    assert found
    assert all(operation.times == 1 for operation in found)
    assert any("sort" in operation.name for operation in found)
    assert [o.ms for o in found] == sorted((o.ms for o in found), reverse=True)


def test_main_prints_the_floors_and_every_program(capsys, monkeypatch):
    monkeypatch.setattr(profile, "CALLS", 1)
    assert main(Options("lenet5/c3/b1", "kernel_grad", ("patches",), top=2)) == 0
    printed = capsys.readouterr().out
    assert "lenet5/c3/b1 1×14×14×6 · 5×5→16 kernel_grad: arithmetic" in printed
    assert [line.split(":")[0].strip() for line in printed.splitlines() if line.endswith(" ms") and ":" in line][
        1:
    ] == [
        "lax",
        "ours",
        "patches",
    ]


def test_main_refuses_a_lowering_that_cannot_run():
    with pytest.raises(SystemExit, match="fold cannot run lenet5/c3/b1 forward; one of"):
        main(Options("lenet5/c3/b1", lowering=("fold",)))
