"""The pieces of the ten-pass recipe against its formulas written out, and a tiny run that learns."""

import os
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from experiments.cifar10_speed import (
    VIEW_WEIGHTS,
    Config,
    Schedule,
    lookahead,
    main,
    optimiser,
    orders,
    plan,
    six_views,
)
from jaxcnn.data import load
from jaxcnn.train import TrainState

RNG = np.random.default_rng(0)
SCHEDULE = Schedule(steps=17, per_epoch=4, batch_size=512)


def test_optimiser_equals_pytorch():
    """SGD of the published script: rates and decays of its parameter groups, on summed losses of 512 images."""
    torch = pytest.importorskip("torch")
    start = {
        "kernel": RNG.normal(size=(3, 5)),
        "norm1": {"bias": RNG.normal(size=5)},
        "whitening_bias": RNG.normal(size=5),
    }
    grads = [jax.tree.map(lambda a: RNG.normal(size=a.shape), start) for _ in range(17)]
    scale = 1024 * (1 + 1 / (1 - 0.85))
    rate, decay = 11.5 / scale, 0.0153 * 512 / scale
    tensors = [torch.tensor(leaf, requires_grad=True) for leaf in jax.tree.leaves(start)]  # kernel, norm, whitening
    groups = [{"params": [t], "lr": lr, "weight_decay": decay / lr} for t, lr in zip(tensors, (rate, 64 * rate, rate))]
    theirs = torch.optim.SGD(groups, momentum=0.85, nesterov=True, lr=rate)
    share = lambda i: np.interp(i, [0, int(0.23 * 17), 17], [0.2, 1, 0.07])
    schedule = torch.optim.lr_scheduler.LambdaLR(theirs, share)
    chain = optimiser(SCHEDULE)
    ours, state = jax.tree.map(jnp.asarray, start), chain.init(start)
    for step, grad in enumerate(grads):
        for tensor, values in zip(tensors, jax.tree.leaves(grad)):
            tensor.grad = torch.tensor(512 * values)
        if step >= 12:
            tensors[2].grad = None  # after three passes
        theirs.step()
        schedule.step()
        updates, state = chain.update(jax.tree.map(jnp.asarray, grad), state, ours)
        ours = optax.apply_updates(ours, updates)
    for mine, tensor in zip(jax.tree.leaves(ours), tensors):
        np.testing.assert_allclose(mine, tensor.detach().numpy(), rtol=1e-4, atol=1e-5)


def test_lookahead_equals_the_loop_written_out():
    fast, schedule = {"a": np.array([1.0, 2.0])}, Schedule(steps=33, per_epoch=4, batch_size=512)
    state = TrainState(fast, {"mean": np.array([0.5])}, None, jnp.zeros((), jnp.int32), None)
    slow, expected, copy = (state.parameters, state.state), np.array([1.0, 2.0, 0.5]), None
    for step in range(1, 34):
        moved = {"a": state.parameters["a"] + step}, {"mean": state.state["mean"] - step}
        expected = expected + np.array([step, step, -step])
        if step > 12 and step % 5 == 0:
            if copy is None:
                copy = expected
            else:
                kept = 0.95**5 * (step / 33) ** 3
                expected = copy = kept * copy + (1 - kept) * expected
        if step % 4 == 0 or step == 33:
            expected = expected if copy is None else copy
        state, slow = lookahead(
            state._replace(parameters=moved[0], state=moved[1], step=jnp.array(step)), slow, schedule
        )
        np.testing.assert_allclose(np.concatenate([state.parameters["a"], state.state["mean"]]), expected, rtol=1e-5)


def test_orders_take_each_image_once_a_pass():
    schedule = Schedule(steps=10, per_epoch=4, batch_size=7)
    order = np.asarray(orders(jax.random.key(0), 30, schedule))
    assert order.shape == (10, 7)
    for start in (0, 4):
        assert len(set(order[start : start + 4].ravel())) == 28
    assert not np.array_equal(order[:4], order[4:8])


def test_six_views_are_shifts_and_mirrors():
    x = RNG.random((2, 5, 7, 3)).astype(np.float32)
    views = list(map(np.asarray, six_views(jnp.asarray(x))))
    rows, columns = np.array([1, 0, 1, 2, 3]), np.array([1, 0, 1, 2, 3, 4, 5])  # a pixel outside is the one inside
    np.testing.assert_array_equal(views[0], x)
    np.testing.assert_array_equal(views[2], x[:, rows][:, :, columns])
    np.testing.assert_array_equal(views[4], x[:, 4 - rows[::-1]][:, :, 6 - columns[::-1]])
    for i in (0, 2, 4):
        np.testing.assert_array_equal(views[i + 1], views[i][:, :, ::-1])
    assert VIEW_WEIGHTS == (0.25, 0.25, 0.125, 0.125, 0.125, 0.125)


def test_plan_of_the_published_run_and_what_it_refuses():
    data = load("digits")
    assert plan(Config(epochs=9.9, batch_size=29), data) == Schedule(486, 49, 29)  # ⌈9.9 · ⌊1438 / 29⌋⌉
    with pytest.raises(ValueError, match="batch_size=1439 must be from 1 to the 1438 training images"):
        plan(Config(batch_size=1439), data)
    with pytest.raises(ValueError, match="seeds=1 must be at least 1, epochs=0 positive"):
        plan(Config(epochs=0, batch_size=9), data)


def test_tiny_run_learns_and_writes_its_page(tmp_path, capsys):
    main(Config(dataset="digits", widths=(8, 16, 16), epochs=6.5, batch_size=64, runs=tmp_path))
    *told, report, line = capsys.readouterr().out.strip().splitlines()
    steps = [int(found[1]) for found in (re.match(r"\S+ step (\d+)/143  loss \d", line) for line in told) if found]
    assert steps == list(range(7, 144, 7))  # a twentieth of the run each
    found = re.fullmatch(
        r"cifar10_speed/airbench94 test accuracy (0\.\d{3}) ± 0\.000 \(1 seed\), parameters [\d,]+, seconds \d+",
        line,
    )
    assert found
    assert float(found[1]) > 0.6
    (folder,) = (tmp_path / "cifar10_speed").iterdir()
    assert report == f"report: {folder / 'report.html'}"
    assert {"seed0.safetensors", "report.html"} <= set(os.listdir(folder))
