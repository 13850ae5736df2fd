"""Pooling and image problems: the rivals compute one function, a wrong one is not timed, records survive JSON."""

from dataclasses import replace
from importlib.util import find_spec

import jax
import pytest

from benchmarks import operation_report, operations
from benchmarks.cases import images, pools
from benchmarks.cases._problem import PASSES, select
from benchmarks.machine import Machine
from benchmarks.record import read_operations, write

AVERAGE = pools.avg_pool("n/avg", (2, 7, 5, 3), 3, stride=2, padding=1, count_pad=False)
GLOBAL = pools.global_pool("n/global", (2, 7, 5, 3), largest=True)
MACHINE = Machine("a cpu", "cpu", 2, "3.11", "0.10", "0.10", None, "", "abc", 100.0)
TABLES = {"pool": pools.TABLE, "image": images.TABLE}
EVERY = [pytest.param(problem, id=problem.layer.name) for table in TABLES.values() for problem in table]
SMALL = (
    pools.max_pool("n/max", (2, 7, 5, 3), 3, stride=2, padding=1),
    pools.max_pool("n/ragged", (2, 7, 5, 3), 2, ceil=True),
    AVERAGE,
    pools.lp_pool("n/l3", (2, 7, 5, 3), 3, 2, padding=1),
    pools.adaptive("n/adaptive", (2, 7, 5, 3), 3),
    GLOBAL,
    images.resize("n/antialias", (2, 7, 5, 3), (3, 8), "cubic", antialias=True),
    images.resize("n/nearest", (2, 7, 5, 3), (3, 8), "nearest_exact"),
    images.grid_sample("n/sample", (2, 7, 5, 3), 4),
    images.rotate("n/rotate", (2, 7, 5, 3), 20.0),
    images.pad("n/pad", (2, 7, 5, 3), 2, "circular"),
    images.unfold("n/unfold", (2, 7, 5, 3), 3, stride=2, padding=1),
    images.shuffle("n/shuffle", (2, 3, 5, 12), 2),
    images.shuffle("n/unshuffle", (2, 4, 6, 3), 2, inverse=True),
)


@pytest.mark.parametrize("problem", EVERY)
def test_problem_has_one_result_shape(problem):
    operands = [jax.ShapeDtypeStruct(shape, "float32") for shape in problem.shapes]
    functions = [f for f in (problem.ours, problem.plain) if f is not None]
    assert len({jax.eval_shape(f, *operands).shape for f in functions}) == 1
    if problem.torch is not None and find_spec("torch"):
        import torch

        image, *points = problem.shapes
        meta = [torch.empty(image[0], image[-1], *image[1:-1], device="meta")]
        theirs = problem.torch(torch.nn.functional, *meta, *(torch.empty(p, device="meta") for p in points))
        n, *space, c = (*jax.eval_shape(problem.ours, *operands).shape,)
        assert tuple(theirs.shape) == (n, c, *space)


@pytest.mark.parametrize("problem", SMALL, ids=lambda problem: problem.layer.name)
def test_rivals_agree(problem, tmp_path, capsys):
    wrong = []
    options = operations.Options(quick=True)
    records = list(operations.measure("pool", problem, options, MACHINE, wrong))
    assert [record.direction for record in records] == list(PASSES)
    assert not wrong
    assert {"ours", "lax"} <= set(records[0].runs)
    path = tmp_path / "records.jsonl"
    with path.open("w") as file:
        for record in records:
            write(file, record)
    assert read_operations([path]) == records
    operation_report.main([str(path)])
    assert problem.layer.shape in capsys.readouterr().out


def test_wrong_result_is_not_timed():
    problem, wrong = AVERAGE, []
    lie = replace(problem, ours=lambda x: problem.ours(x) * 1.001, torch=None)
    (record,) = operations.measure("pool", lie, operations.Options(quick=True, direction="training"), MACHINE, wrong)
    assert set(record.runs) == {"lax"}
    assert wrong[0].startswith("WRONG: n/avg training: ours: error 1.0e-03")


def test_report_names_what_is_below_the_floor():
    (record,) = operations.measure(
        "pool", GLOBAL, operations.Options(quick=True, direction="forward", torch=False), MACHINE, []
    )
    slow = replace(record, runs=record.runs | {"ours": replace(record.runs["ours"], median_ms=9e9)})
    assert operation_report.missed([slow])[0].startswith("below a floor: n/global forward: 0.00× lax")


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_table_names_are_unique_and_quick_holds_every_family(table):
    names = [problem.layer.name for problem in table]
    assert len(names) == len(set(names))
    chosen = select(table, quick=True, families=(), pattern="*")
    assert {p.layer.family for p in chosen} == {p.layer.family for p in table}
    with pytest.raises(ValueError, match="select: no case matches 'nothing'"):
        select(table, quick=False, families=(), pattern="nothing")
