"""`benchmarks.models`: the rivals of a network are the same network, a wrong one is refused, a record says what was measured."""

import io
import json
from functools import partial
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmarks import models as bench
from benchmarks.drawn import drawn
from benchmarks.machine import Machine
from benchmarks.measure import Effort
from benchmarks.model_flax import TWINS, flax_pools, in_flax
from benchmarks.record import write
from benchmarks.train_networks import FlaxNorm
from jaxcnn import functional as F
from jaxcnn import models, nn

MACHINE = Machine("a cpu", "cpu", 2, "3.11", "0.10", "0.10", None, "", "abc", 100.0)
ROWS = models.mobilenet_v3.SMALL[:1] + models.mobilenet_v3.SMALL[3:4]
SMALL = {
    "mobilenet_v3": partial(models.MobileNetV3, rows=ROWS, hidden_features=8, dropout=0.0, num_classes=7),
    "convnext": partial(models.ConvNeXt, depths=(1, 1), widths=(4, 8), num_classes=7),
    "densenet": partial(models.DenseNet, growth=4, depths=(1, 1), stem_features=8, num_classes=7),
}


class Tiny(nnx.Module):
    """A strided convolution, batch normalisation, pooling and a dense layer."""

    def __init__(self, *, rngs):
        self.conv = nn.Conv(3, 5, 3, stride=2, padding=1, use_bias=False, rngs=rngs)
        self.norm = nn.BatchNorm(5, rngs=rngs)
        self.dense = nn.Dense(5, bench.CLASSES, rngs=rngs)

    def __call__(self, x, *, train):
        y = F.max_pool(jax.nn.relu(self.norm(self.conv(x), train=train)), 3, stride=2, padding=1)
        return self.dense(F.global_avg_pool(y))


def torch_tiny():
    import torch

    class TorchTiny(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm = torch.nn.Conv2d(3, 5, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(5)
            self.dense = torch.nn.Linear(5, bench.CLASSES)

        def forward(self, x):
            y = torch.nn.functional.max_pool2d(torch.relu(self.norm(self.conv(x))), 3, 2, 1)
            return self.dense(y.mean((2, 3)))

    return TorchTiny()


@pytest.fixture
def options(monkeypatch):
    monkeypatch.setattr(bench, "_ours", lambda name: Tiny)
    monkeypatch.setitem(bench.NETWORKS, "tiny", bench.Network(floors={"flax": 1e9}))
    return bench.Options(select=("tiny",), batches=(2,), train_batch=3, side=17, rounds=1, torch=False)


@pytest.mark.parametrize("family", SMALL)
def test_flax_twin_has_the_same_logits(family):
    model = drawn(SMALL[family])
    x = jnp.asarray(np.random.default_rng(1).normal(size=(2, 33, 33, 3)), jnp.float32)
    ours = jax.jit(lambda model, x: model(x, train=False))(model, x)
    twin = in_flax(drawn(SMALL[family]))
    kinds = {type(node) for _, node in nnx.iter_graph(twin)}
    assert not kinds & set(TWINS)
    assert kinds & {nnx.Conv}
    with flax_pools():
        flax = jax.jit(lambda model, x: model(x, train=False))(twin, x)
    np.testing.assert_allclose(flax, ours, rtol=1e-4, atol=1e-5 * np.abs(ours).max())


def test_flax_pools_end_with_their_block():
    pool = F.max_pool
    with flax_pools():
        assert F.max_pool is not pool
        y = F.max_pool(jnp.arange(5.0).reshape(1, 5, 1), 3, stride=2, padding=1)
    assert F.max_pool is pool
    assert y.ravel().tolist() == [1.0, 3.0, 4.0]


def test_in_flax_refuses_what_flax_has_not():
    with pytest.raises(ValueError, match="in_flax: there is no twin of ConvTranspose"):
        in_flax(nnx.List([nn.ConvTranspose(2, 3, 3, rngs=nnx.Rngs(0))]))
    with pytest.raises(ValueError, match="in_flax: nnx.Conv pads no 'reflect' here"):
        in_flax(nnx.List([nn.Conv(2, 3, 3, padding_mode="reflect", rngs=nnx.Rngs(0))]))


def test_measure_gives_a_record_of_each_pass(options):
    wrong = []
    records = list(bench.measure("tiny", options, MACHINE, wrong))
    assert [(r.direction, r.batch) for r in records] == [("forward", 2), ("training", 3)]
    assert not wrong
    for record in records:
        assert set(record.runs) == {"ours", "flax"}
        assert record.rate() == pytest.approx(record.batch / record.runs["ours"].median_ms * 1e3)
        assert "ours compiled in " in bench.lines(record)[1]
    assert "BELOW 1000000000.00" in bench.lines(records[1])[0]
    assert "BELOW" not in bench.lines(records[0])[0]
    file = io.StringIO()
    write(file, records[1])
    assert json.loads(file.getvalue())["benchmark"] == "models"


def test_torch_has_the_same_logits_losses_and_gradients(options, monkeypatch):
    pytest.importorskip("torch")
    from benchmarks import model_torch

    zoo = SimpleNamespace(get_model=lambda name, weights, **more: torch_tiny())
    monkeypatch.setattr(model_torch, "torchvision_models", lambda: zoo)
    monkeypatch.setattr(bench, "Effort", lambda *arguments: Effort(0.0, 1, 1.0))
    wrong = []
    chosen = bench.Options(**{**vars(options), "torch": True, "flax": False})
    records = list(bench.measure("tiny", chosen, MACHINE, wrong))
    assert not wrong
    assert [set(record.runs) for record in records] == [{"ours", "torch"}] * 2
    assert [record.missing for record in records] == [{}, {}]


def test_measure_leaves_a_wrong_rival_out(options, monkeypatch):
    other = lambda layer: FlaxNorm(layer.mean.size, epsilon=0.5, rngs=nnx.Rngs(0))
    monkeypatch.setitem(TWINS, nn.BatchNorm, other)
    wrong = []
    (record,) = bench.measure("tiny", bench.Options(**{**vars(options), "direction": "forward"}), MACHINE, wrong)
    assert set(record.runs) == {"ours"}
    assert "tiny forward b2: flax: error" in wrong[0]


def test_a_rival_that_cannot_run_is_named(options, monkeypatch):
    def broken(*arguments, **more):
        raise RuntimeError("no C++ compiler\nmore lines")

    monkeypatch.setattr(bench, "_torch", broken)
    chosen = bench.Options(**{**vars(options), "direction": "forward", "compiled": True, "flax": False})
    (record,) = bench.measure("tiny", chosen, MACHINE, [])
    assert record.missing == {"compiled": "RuntimeError: no C++ compiler"}
    assert bench.lines(record)[-1].endswith("without compiled: RuntimeError: no C++ compiler")
