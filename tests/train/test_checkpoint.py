"""Checkpoints: the same bits after any stop, nothing lost to a kill, and no damaged or foreign file taken for good."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcnn.data import Split
from jaxcnn.train import CheckpointError, Checkpoints, Stopped, fit
from tests.compilation import environment

from . import _killed
from .toy import DATA, build, prepare

ROOT = Path(__file__).parents[2]
STATE = {"a": jnp.arange(600.0), "half": jnp.ones(3, jnp.bfloat16), "key": jax.random.key(5), "none": None}
RUN = {"data": "toy"}


def files(folder: Path, pattern: str) -> Path:
    """The largest file that the pattern finds."""
    return max((f for f in folder.rglob(pattern) if f.is_file()), key=lambda f: f.stat().st_size)


@pytest.fixture
def kept(tmp_path):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(4, STATE, {"epoch": 1}, identity=RUN)
    return tmp_path


def test_checkpoint_gives_back_bits_dtypes_and_keys(kept):
    with Checkpoints(kept) as checkpoints:
        state, progress = checkpoints.restore(STATE, identity=RUN)
    assert progress == {"epoch": 1}
    assert state["half"].dtype == jnp.bfloat16
    assert jax.random.key_data(state["key"]).tolist() == jax.random.key_data(STATE["key"]).tolist()
    np.testing.assert_array_equal(state["a"], STATE["a"])


def test_checkpoints_keep_the_best_and_the_last(tmp_path):
    with Checkpoints(tmp_path, keep_last=2, keep_best=1) as checkpoints:
        assert checkpoints.restore(STATE, identity=RUN) is None
        for step, accuracy in enumerate((0.5, 0.9, 0.6, 0.7, 0.8)):
            checkpoints.save(step, STATE, {}, identity=RUN, accuracy=accuracy, wait=False)
        checkpoints.wait()
        assert checkpoints.steps == [1, 3, 4]
        assert checkpoints.best == 1
    with Checkpoints(tmp_path, keep_last=2, keep_best=1) as checkpoints:  # another process goes on
        for step in (8, 9):
            checkpoints.save(step, STATE, {}, identity=RUN)
        assert (checkpoints.best, checkpoints.steps) == (1, [1, 8, 9])
        assert checkpoints.restore(STATE, identity=RUN, step=checkpoints.best) is not None


@pytest.mark.parametrize("harm", ["flip", "cut", "empty"])
@pytest.mark.parametrize("part", ["arrays", "facts"])
def test_checkpoint_that_is_damaged_is_named_and_refused(kept, harm, part):
    file = files(kept / "4" / "facts", "metadata") if part == "facts" else files(kept / "4" / "state", "*/d/*")
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle] ^= 0xFF
    file.write_bytes({"flip": bytes(content), "cut": bytes(content[:middle]), "empty": b""}[harm])
    with Checkpoints(kept) as checkpoints:
        with pytest.raises(CheckpointError, match=r"step 4 in .* is damaged: .*; remove .*4$"):
            checkpoints.restore(STATE, identity=RUN)


@pytest.mark.parametrize(
    ("like", "identity", "message"),
    [
        (STATE, {"data": "mnist"}, "is of another run: its data is 'toy', this run's 'mnist'"),
        (STATE, {}, "is of another run: its data is 'toy', this run's None"),
        (STATE | {"a": jnp.zeros(3)}, RUN, r"is of another network: it has \[\"\['a'\]\", \[600\]"),
        ({"a": STATE["a"]}, RUN, "is of another network: it has 3 arrays, this network 1"),
    ],
)
def test_checkpoint_of_another_run_is_refused(kept, like, identity, message):
    with Checkpoints(kept) as checkpoints, pytest.raises(CheckpointError, match=message):
        checkpoints.restore(like, identity=identity)


def test_checkpoints_refuse_what_they_cannot_be(tmp_path):
    with pytest.raises(ValueError, match="keep_last=0 must be at least 1"):
        Checkpoints(tmp_path, keep_last=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"file/x cannot be used: .*; give another folder"):
        Checkpoints(tmp_path / "file" / "x")


FULL = """
import resource, sys, jax.numpy as jnp
from jaxcnn.train import Checkpoints, CheckpointError
with Checkpoints(sys.argv[1]) as kept:
    kept.save(1, {"a": jnp.zeros(9)}, {}, identity={})
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
    noise = jnp.sin(jnp.arange(99_999.0) ** 2)
    try:
        kept.save(2, {"a": noise}, {}, identity={})
    except CheckpointError as error:
        print(error)
with Checkpoints(sys.argv[1]) as kept:
    print(kept.steps, kept.restore({"a": jnp.ones(9)}, identity={})[0]["a"].sum())
"""


@pytest.mark.parametrize(
    "later", ["", ", wait=False); kept.wait(", ', wait=False); kept.save(3, {"a": noise}, {}, identity={}']
)
def test_checkpoint_on_a_full_disk_leaves_the_one_before(later, tmp_path):
    """The limit on a file's size stands in for the full disk: the write fails half-way in the same place.

    What fails in the background is said by the next call, under its own step.
    """
    program = FULL.replace('{"a": noise}, {}, identity={}', f'{{"a": noise}}, {{}}, identity={{}}{later}')
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path], capture_output=True, text=True, cwd=ROOT, timeout=1800
    )
    said = done.stdout.splitlines()
    assert len(said) == 2, done.stderr[-2000:]
    assert said[0].startswith(f"Checkpoints: step 2 was not written to {tmp_path}: ")
    assert said[0].endswith("; the one of step 1 is good")
    assert said[1] == "[1] 0.0"


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_fit_stopped_by_a_signal_goes_on_to_the_same_bits(name, tmp_path, monkeypatch, capsys):
    whole = _killed.train(str(tmp_path / "whole"))

    def interrupt(done, total):
        if done == 10:
            os.kill(os.getpid(), signal.Signals[name])

    monkeypatch.setattr(_killed, "print", lambda done, total, flush: interrupt(done, total), raising=False)
    with pytest.raises(Stopped, match=rf"fit: {name} at step 10 \(epoch 1\); saved in"):
        _killed.train(str(tmp_path / "parts"))
    assert f"{name}: stopping after this call; again to stop at once" in capsys.readouterr().err
    monkeypatch.undo()
    parts = _killed.train(str(tmp_path / "parts"))
    np.testing.assert_array_equal(parts.test_logits, whole.test_logits)
    assert [r.loss for r in parts.records] == [r.loss for r in whole.records]
    again = _killed.train(str(tmp_path / "parts"))
    np.testing.assert_array_equal(again.test_logits, whole.test_logits)


def test_fit_refuses_the_checkpoint_of_another_run(tmp_path):
    options = {"epochs": 1, "batch_size": 8}
    with Checkpoints(tmp_path) as checkpoints:
        fit(build, DATA, prepare, optax.sgd(0.1), **options, checkpoints=checkpoints)
        again = partial(fit, build, prepare=prepare, optimiser=optax.sgd(0.1), checkpoints=checkpoints)
        with pytest.raises(CheckpointError, match="its seed is 0, this run's 1"):
            again(DATA, **options, seed=1)
        with pytest.raises(CheckpointError, match="its compute_dtype is None, this run's 'bfloat16'"):
            again(DATA, **options, compute_dtype=jnp.bfloat16)
        with pytest.raises(CheckpointError, match="its ema is None, this run's 0.5"):
            again(DATA, **options, ema=0.5)
        with pytest.raises(CheckpointError, match="its checksum is "):
            again(replace(DATA, train=Split(DATA.train.images, DATA.train.labels[::-1].copy())), **options)
        with pytest.raises(CheckpointError, match="its classes is "):
            again(replace(DATA, class_names=("x", "b", "c")), **options)


def test_fit_gives_the_best_epoch_and_saves_within_one(tmp_path):
    rate = lambda step: jnp.where(
        step < 6, 0.1, 30.0
    )  # the second epoch of six steps spoils what the first has learned
    options = {"batch_size": 4, "seeds": 2, "steps_per_call": 2}
    first = fit(build, DATA, prepare, optax.sgd(0.1), epochs=1, **options)
    with Checkpoints(tmp_path / "best", keep_last=3) as checkpoints:
        run = partial(fit, build, DATA, prepare, optax.sgd(rate), epochs=2, checkpoints=checkpoints, **options)
        found = run(best=True, save_steps=4)
        assert checkpoints.steps == [6, 10, 12]
        assert checkpoints.best == 6
        spoilt = run()
    np.testing.assert_allclose(found.test_logits, first.test_logits, rtol=1e-4, atol=1e-5)
    assert np.abs(spoilt.test_logits - first.test_logits).max() > 1
    assert len(found.records) == 2
    with pytest.raises(ValueError, match="fit: best=True needs checkpoints that keep one"):
        fit(build, DATA, prepare, optax.sgd(0.1), epochs=1, **options, best=True)


def test_checkpoints_name_what_is_not_theirs(kept):
    with Checkpoints(kept) as checkpoints:
        with pytest.raises(CheckpointError, match=r"has no step 5; it has \[4\]"):
            checkpoints.restore(STATE, identity=RUN, step=5)
        for step in (4, 2):
            with pytest.raises(CheckpointError, match=f"step {step} was not written to .* come after step 4"):
                checkpoints.save(step, STATE, {}, identity=RUN)
    shutil.rmtree(kept / "4" / "facts")
    with (
        Checkpoints(kept) as checkpoints,
        pytest.raises(CheckpointError, match="is none of jaxcnn's; give another folder"),
    ):
        checkpoints.restore(STATE, identity=RUN)


@pytest.mark.parametrize("instants", [4, pytest.param(20, marks=pytest.mark.slow)])
def test_run_killed_at_any_instant_loses_no_checkpoint(tmp_path, instants):
    """SIGKILL at a random instant of a step, a save or the start; after each, what is there is whole and no older."""
    draw, folder = random.Random(0), tmp_path / "run"
    variables = os.environ | environment() | {"JAX_CACHE": str(tmp_path / "cache")}
    start = lambda folder, out: subprocess.Popen(
        [sys.executable, "-m", "tests.train._killed", folder, out],
        cwd=ROOT, env=variables, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    wait = lambda process: (process.communicate(timeout=1800), process.returncode)[1]
    assert wait(start(tmp_path / "whole", tmp_path / "whole.npy")) == 0  # fills the cache, of programs and of files
    kills, newest, done = 0, 0, 0
    while kills < instants:
        with start(folder, tmp_path / "parts.npy") as process:
            for _ in range(draw.randrange(6)):  # calls to wait for, then a moment of the next one or of the save
                said = process.stdout.readline().split()
                done = int(said[0]) if said else done
            time.sleep(draw.random() * 0.02)
            process.kill()
        assert process.returncode in (0, -signal.SIGKILL)  # it may have come to its end before
        kills += process.returncode != 0
        # an epoch is being saved while the next one trains, and the one before it has been
        newest = check_steps(folder, max(newest, (done - 1) // 6 * 6 - 6))
        if newest == 36:
            folder.rename(tmp_path / f"done_{kills}")
            newest, done = 0, 0
    assert wait(start(folder, tmp_path / "parts.npy")) == 0
    np.testing.assert_array_equal(np.load(tmp_path / "parts.npy"), np.load(tmp_path / "whole.npy"))


def check_steps(folder: Path, newest: int) -> int:
    """The last step that is there; none is lost, and what each says of itself can be read."""
    with Checkpoints(folder) as checkpoints:
        steps = checkpoints.steps
    assert max(steps, default=0) >= newest
    for step in steps:
        facts = json.loads(files(folder / str(step) / "facts", "metadata").read_text())
        assert facts["progress"]["step"] == step
    return max(steps, default=0)
