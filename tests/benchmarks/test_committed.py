"""The rule stands as it was measured: what it chooses is what the committed records say, and those are not slower than lax."""

from pathlib import Path

import jax
import pytest

from benchmarks.cases import NETWORKS
from benchmarks.lowerings import chosen
from benchmarks.record import ConvRecord, read

FOLDER = Path(__file__).parents[2] / "benchmarks" / "records"
FILES = sorted(FOLDER.glob("conv_jax_*.jsonl"))
FLOOR = 0.95


def records(path):
    return [record for record in read([path]) if isinstance(record, ConvRecord)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_record_holds_every_layer_and_direction(path):
    measured = [(record.case, record.direction) for record in records(path)]
    assert len(measured) == len(set(measured)) == 3 * len(NETWORKS)
    assert {case for case, _ in measured} == set(NETWORKS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recorded_choices_are_those_of_the_rule(path):
    found = records(path)
    if found[0].machine.jax != jax.__version__:
        pytest.skip(f"recorded with jax {found[0].machine.jax}, here is {jax.__version__}")
    now = {(r.case.name, r.direction): chosen(r.case, r.direction, dtype=r.dtype, platform="cpu") for r in found}
    assert {(r.case.name, r.direction): r.choice for r in found} == now


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_choice_is_slower_than_lax(path):
    """By the median or the fastest run; `direct` is lax's own program, and its ratio is noise."""
    ratios = {}
    for record in records(path):
        speeds = [record.speedup("lax", by=by) for by in ("median_ms", "least_ms")]
        if record.choice != "direct":
            ratios[record.case.name, record.direction] = max(speed for speed in speeds if speed is not None)
    assert len(ratios) > 100
    assert {name: ratio for name, ratio in ratios.items() if ratio < FLOOR} == {}
