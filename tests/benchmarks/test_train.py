"""The networks of `benchmarks.train` are the same in all libraries, their losses agree, and a record says what was measured."""

import io
import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmarks import scaling, train
from benchmarks.machine import Machine
from benchmarks.measure import WrongResult
from benchmarks.record import TrainRecord, write
from benchmarks.train_loops import FlaxLoop, OurLoop
from benchmarks.train_networks import FLAX, LENET, OURS, RESNET, ResNet18
from jaxcnn.data import ImageSet, Split

MACHINE = Machine("a cpu", "cpu", 2, "3.11", "0.10", "0.10", None, "", "abc", 100.0)
RNG = np.random.default_rng(0)


def images_of(task, count):
    split = Split(RNG.integers(0, 256, (count, *task.image_shape), np.uint8), np.arange(count, dtype=np.int32) % 10)
    return ImageSet(task.dataset, split, split, tuple("0123456789"), "made here")


SMALL = replace(LENET, batch=4, images=12)


def test_resnet18_has_the_published_parameters():
    for kit in (OURS, FLAX):
        model = nnx.eval_shape(lambda kit=kit: ResNet18(kit, rngs=nnx.Rngs(0)))
        assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))) == 11_173_962


def test_resnet18_of_both_kits_agree():
    ours, flax = (ResNet18(kit, widths=(3, 5, 7, 11), rngs=nnx.Rngs(0)) for kit in (OURS, FLAX))
    nnx.update(flax, nnx.state(ours, nnx.Param))
    x = jnp.asarray(RNG.normal(size=(2, 16, 16, 3)), jnp.float32)
    np.testing.assert_allclose(ours(x, train=True), flax(x, train=True), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("members", [1, 2])
def test_loops_have_the_same_losses_in_the_same_order(members):
    data = images_of(SMALL, 13)
    ours = OurLoop(SMALL, data, members)
    order, flax = ours.order(3), FlaxLoop(SMALL, data, ours.weights())
    assert [len(set(order[:, member].ravel())) for member in range(members)] == [12] * members
    losses = ours.run()
    assert losses.shape == (3, members)
    np.testing.assert_allclose(flax.run(order), losses, rtol=1e-4)
    assert ours.run().shape == flax.run().shape == (3, members)


def test_torch_has_the_same_losses():
    train_torch = pytest.importorskip("benchmarks.train_torch")
    data = images_of(SMALL, 13)
    ours = OurLoop(SMALL, data)
    torch = train_torch.TorchLoop("lenet5", ours.weights(), data, SMALL.batch, train.RATE)
    np.testing.assert_allclose(torch.run(ours.order(3)), ours.run(), rtol=1e-4)
    assert torch.run().shape == (3, 1)


def test_torch_resnet18_agrees():
    train_torch = pytest.importorskip("benchmarks.train_torch")
    ours = ResNet18(OURS, widths=(3, 5, 7, 11), rngs=nnx.Rngs(0))
    weights = {path: np.asarray(value[...]) for path, value in nnx.to_flat_state(nnx.state(ours, nnx.Param))}
    twin = train_torch.load(train_torch.ResNet18((3, 5, 7, 11)), weights)
    x = RNG.normal(size=(2, 16, 16, 3)).astype(np.float32)
    y = twin(train_torch.torch.tensor(x).permute(0, 3, 1, 2)).detach().numpy()
    np.testing.assert_allclose(ours(jnp.asarray(x), train=True), y, rtol=1e-4, atol=1e-4)


def test_measure_gives_a_record(monkeypatch):
    monkeypatch.setattr(train, "part", lambda task, data_dir, images: images_of(task, 9))
    monkeypatch.setitem(train.TASKS, "ensemble", replace(SMALL, name="ensemble", floors={"singles": 1e9}))
    monkeypatch.setattr(train, "MEMBERS", 2)
    record = train.measure("ensemble", train.Options(rounds=1), MACHINE)
    assert set(record.runs) == {"ours", "singles", "flax"}
    assert (record.work, record.images, record.members) == (16, 8, 2)
    assert record.rate() == pytest.approx(16 / record.runs["ours"].median_ms * 1e3)
    assert "BELOW 1000000000.00" in train.row(record)
    file = io.StringIO()
    write(file, record)
    assert json.loads(file.getvalue())["benchmark"] == "train"


def test_measure_refuses_other_losses(monkeypatch):
    monkeypatch.setattr(train, "part", lambda task, data_dir, images: images_of(task, 9))
    monkeypatch.setitem(train.TASKS, "lenet5", SMALL)
    monkeypatch.setattr(FlaxLoop, "run", lambda self, order=None: np.ones((len(order), 1), np.float32))
    with pytest.raises(WrongResult, match="lenet5, flax: error"):
        train.measure("lenet5", train.Options(torch=False), MACHINE)


def test_train_record_ratios():
    runs = {"ours": train.Run(2.0, 1.0, 3.0, 1.0, 5, 0.0, None, None, None)}
    runs["flax"] = replace(runs["ours"], median_ms=8.0)
    record = TrainRecord("lenet5", "mnist", 4, 100, 1, {"flax": 4.0}, None, runs, MACHINE)
    assert (record.rate(), record.speedup("flax")) == (50_000.0, 4.0)
    assert train.row(record).endswith("flax 12,500 (33,333–100,000) ×4.00")


def test_part_is_random_where_the_set_is_not_there(tmp_path, capsys):
    data = train.part(LENET, tmp_path, 20)
    assert (data.name, data.train.images.shape) == ("mnist (random)", (20, 28, 28, 1))
    assert "random images instead" in capsys.readouterr().err


TEXT = """
  %all-reduce.1 = (f32[4]{0}, f32[1,3,3,4]{3,2,1,0}, s32[]) all-reduce(%a, %b, %c), channel_id=1
  %all-reduce-start.2 = bf16[7]{0} all-reduce-start(%d), channel_id=2
  %all-reduce-done.2 = bf16[7]{0} all-reduce-done(%all-reduce-start.2)
"""


def test_reduced_bytes_counts_every_all_reduce_once():
    assert scaling.reduced_bytes(TEXT) == 4 * (4 + 36 + 1) + 2 * 7


def test_reduced_bytes_refuses_a_gathered_batch():
    with pytest.raises(ValueError, match=r"the program has an all-gather of f32\[8,2\]"):
        scaling.reduced_bytes("%g = f32[8,2]{1,0} all-gather(%a), channel_id=1")


def test_step_of_one_device_reduces_little_and_runs():
    step = scaling.Step(replace(RESNET, ours=lambda rngs: ResNet18(OURS, widths=(3, 5, 7, 11), rngs=rngs)), 1, 2)
    step.run()
    assert int(step.state.step[0]) == 1
