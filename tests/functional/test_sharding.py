"""Every operation on four simulated devices: batch and rows split over automatic and explicit axes, and `shard_map`."""

import os
import subprocess
import sys

import pytest

from tests.compilation import PATIENCE_S, environment

from .operations import OPERATIONS
from .sharded_operations import WAYS, is_split

SPLIT = [name for name, (_, *specs) in OPERATIONS.items() if any(map(is_split, specs))]


@pytest.fixture(scope="module")
def checks():
    """`{name: (error, all-gathers)}` of every check, from a process of its own: devices are fixed at the first use."""
    command = [sys.executable, "-m", "tests.functional.sharded_operations"]
    run = subprocess.run(command, env=os.environ | environment(4), capture_output=True, text=True, timeout=PATIENCE_S)
    assert run.returncode == 0, run.stderr[-3000:]
    print(run.stderr)
    rows = [line.rsplit(": ", 1) for line in run.stdout.splitlines()]
    return {name: tuple(float(v) for v in values.split()) for name, values in rows}


def test_split_values_and_gradients_are_those_of_one_device(checks):
    assert checks.keys() == {f"{name}, {way}" for name in SPLIT for way in WAYS}
    assert {name: error for name, (error, _) in checks.items() if not error <= 1e-12} == {}


def test_batch_is_never_gathered(checks):
    assert {name: gathers for name, (_, gathers) in checks.items() if gathers} == {}
