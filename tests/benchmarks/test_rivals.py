"""The rivals compute the same thing, whatever the layout, padding and direction; a wrong one is not timed."""

import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks import conv as bench
from benchmarks import rivals
from benchmarks.cases import DIRECTIONS, layer
from benchmarks.lowerings import chosen, forced
from benchmarks.machine import Machine
from benchmarks.measure import QUICK, agree, build, rounding_bound
from benchmarks.rivals import Arrays, directed, plain

MACHINE = Machine("a cpu", "cpu", 2, "3.11", "0.10", "0.10", None, "", "abc", 100.0)
SMALL = {
    "strided": layer("n", "l", "dense", (7, 5), (3, 2, 3, 11), stride=(2, 1), padding=1, batch=2)[1],
    "causal": layer("n", "l", "1d", (13,), (3, 5, 7), padding="causal", dilation=2, batch=2)[1],
    "lopsided": layer("n", "l", "dense", (7, 5), (3, 2, 3, 5), padding=((2, 1), (0, 1)), batch=2)[1],
    "grouped": layer("n", "l", "grouped", (7, 5), (3, 2, 2, 15), padding=1, groups=5, batch=2)[1],
    "volume": layer("n", "l", "3d", (3, 7, 5), (2, 3, 1, 3, 5), padding=(1, 1, 0), batch=2)[1],
    "transposed": layer("n", "l", "transposed", (5, 3), (4, 3, 5, 7), stride=(3, 2), padding=1, output_padding=1)[0],
    "transposed1d": layer("n", "l", "transposed", (5,), (4, 5, 7), stride=2, dilation=2, padding=1)[0],
}


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", SMALL.values(), ids=SMALL)
def test_torch_rival_computes_the_same(case, direction):
    pytest.importorskip("torch")
    from benchmarks.torch_rival import build as build_torch

    arrays = Arrays.of(case)
    baseline = build(directed(plain(case), direction), *map(jnp.asarray, (arrays.x, arrays.kernel, arrays.g)))
    torch = build_torch(case, direction, arrays)
    bound = rounding_bound(case.contraction(direction), "float32", "cpu")
    assert agree("torch", torch.value(torch.run()), baseline.value(baseline.run()), bound) <= bound


@pytest.mark.parametrize("case", SMALL.values(), ids=SMALL)
def test_measure_gives_a_record_a_direction(case, monkeypatch):
    monkeypatch.setattr(bench, "Effort", lambda: QUICK)
    wrong = []
    records = list(bench.measure(case, bench.Options(torch=False), MACHINE, wrong))
    assert [record.direction for record in records] == list(DIRECTIONS)
    assert not wrong
    assert all(run.repeats > 0 and run.error <= record.bound for record in records for run in record.runs.values())


def test_measure_refuses_a_wrong_rival(monkeypatch):
    case = SMALL["strided"]
    monkeypatch.setattr(bench, "ours", lambda case: lambda x, kernel: plain(case)(x, kernel) * 1.001)
    wrong = []
    (record,) = bench.measure(case, bench.Options(quick=True, direction="forward", torch=False), MACHINE, wrong)
    assert set(record.runs) == {"lax"}
    assert len(wrong) == 1
    assert wrong[0].startswith("WRONG: n/l/b2 forward: ours: error 1.0e-03")


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("case", SMALL.values(), ids=SMALL)
def test_forced_lowerings_compute_the_same(case, direction):
    arrays = [jnp.asarray(array) for array in vars(Arrays.of(case)).values()]
    baseline, bound = directed(plain(case), direction)(*arrays), rounding_bound(64, "float32", "cpu")
    functions = forced(case, direction, dtype="float32", platform="cpu")
    assert "direct" in functions
    for name, function in functions.items():
        agree(name, np.asarray(function(*arrays)), np.asarray(baseline), bound)


def test_measure_forces_each_lowering():
    case, options = SMALL["grouped"], bench.Options(quick=True, lowerings=True, direction="kernel_grad")
    (record,) = bench.measure(case, options, MACHINE, [])
    names = forced(case, "kernel_grad", dtype="float32", platform="cpu")
    assert set(record.runs) == {"lax", "ours", *names}
    assert chosen(case, "kernel_grad", dtype="float32", platform="cpu") in names


def test_plain_transpose_refuses_groups():
    case = layer("n", "l", "transposed", (5,), (4, 5, 6), groups=2)[0]
    with pytest.raises(ValueError, match=r"plain: n/l/b1 has groups=2"):
        rivals.plain(case)


def test_ours_knows_what_the_package_has():
    assert rivals.ours(SMALL["strided"]) is not None
    assert (rivals.ours(SMALL["transposed"]) is not None) == hasattr(rivals.F, "conv_transpose")
