"""Eight simulated devices: automatic and explicit axes over batch and rows, and `shard_map`, give the values of one device."""

import os
import subprocess
import sys

import pytest

from tests.compilation import PATIENCE_S, environment


@pytest.fixture(scope="module")
def checks():
    """`{name: (error, all-gathers)}` of every check, from a process of its own: devices are fixed at the first use."""
    command = [sys.executable, "-m", "tests.functional.engine.sharded_program"]
    run = subprocess.run(command, env=os.environ | environment(8), capture_output=True, text=True, timeout=PATIENCE_S)
    assert run.returncode == 0, run.stderr[-3000:]
    rows = [line.rsplit(": ", 1) for line in run.stdout.splitlines()]
    return {name: tuple(float(v) for v in values.split()) for name, values in rows}


def test_sharded_values_are_those_of_one_device(checks):
    assert len(checks) == 6 * 3 + 8 * 6 + 1 + 3 * 5 + 2
    assert {name: error for name, (error, _) in checks.items() if error > 2e-5} == {}


def test_sharded_batch_and_rows_are_not_gathered(checks):
    rows = {name: gathers for name, (_, gathers) in checks.items() if "'data'" in name}
    assert len(rows) == 32
    assert {name: gathers for name, gathers in rows.items() if gathers} == {}
