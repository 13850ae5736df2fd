"""`experiments.digits` as a user runs it: a short run, and every wrong argument in one line."""

import json
import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from flax import nnx

from experiments.digits import Config, builder, resolve, run, size_of
from jaxcnn.data import ImageSet, Split, preparer
from tests.compilation import environment

ROOT = Path(__file__).parent.parent.parent
SHORT = ("--epochs", "2", "--seeds", "2", "--model", "dense", "--batch-size", "128")


def digits(*arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "experiments.digits", *arguments]
    cache = {"JAX_COMPILATION_CACHE_DIR": str(ROOT / ".jax_cache"), "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | environment() | cache)


def test_digits_writes_a_finished_run(tmp_path):
    done = digits(*SHORT, "--runs", str(tmp_path))
    assert done.returncode == 0, done.stderr
    *_, weights, report, lead = done.stdout.strip().splitlines()
    (folder,) = (tmp_path / "digits").iterdir()
    assert report == f"report: {folder / 'report.html'}"
    assert weights == f"weights: {folder / 'weights.safetensors'}"
    assert lead.startswith("test accuracy 0.")
    assert lead.endswith("(2 seeds)")
    files = {file.name for file in folder.iterdir()}
    assert files == {
        "checkpoints", "config.json", "digits.py", "metrics.jsonl", "parameters.safetensors", "report.html", "versions.json",
        "weights.safetensors",
    }  # fmt: skip
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    mean = sum(lines[-1]["test_accuracy"]) / 2
    assert f"test accuracy {mean:.3f} " in lead
    page = (folder / "report.html").read_text()
    assert "data:image/png" in page
    assert not re.search(r"Config\(|PosixPath|None", page.partition("<h2>")[0])


def test_digits_stopped_and_resumed_gives_the_same_answer(tmp_path, capsys, monkeypatch):
    from experiments import digits as experiment
    from jaxcnn.train import Stopped

    options = {"epochs": 3, "seeds": 1, "batch_size": 600}
    experiment.main(experiment.Config(**options, runs=tmp_path / "whole"))
    whole = capsys.readouterr().out.splitlines()[-1]
    real = experiment.progress

    @contextmanager
    def stopping(*arguments):
        with real(*arguments) as (show, move):
            stop = lambda done, total: os.kill(os.getpid(), signal.SIGTERM) if done == 4 else move(done, total)
            yield show, stop

    monkeypatch.setattr(experiment, "progress", stopping)
    with pytest.raises(Stopped, match=r"fit: SIGTERM at step 4 .*; saved in"):
        experiment.main(experiment.Config(**options, runs=tmp_path / "parts"))
    monkeypatch.undo()
    (folder,) = (tmp_path / "parts" / "digits").iterdir()
    capsys.readouterr()
    experiment.main(experiment.Config(**options, runs=tmp_path / "parts", resume=folder))
    assert capsys.readouterr().out.splitlines()[-1] == whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "lenet"), "digits: image_size: there is no model 'lenet'; nearest: lenet5"),
        (("--dataset", "mnits"), "digits: load: there is no data set 'mnits'; nearest: mnist"),
        (
            ("--dataset", "mnist", "--data-dir", "/nowhere"),
            "digits: load: the data directory '/nowhere' does not exist",
        ),
        (("--epochs", "0"), "digits: fit: epochs=0 must be at least 1"),
        (("--batch-size", "5000"), "digits: fit: batch_size=5000 is larger than the 1438 training images"),
        (("--learning-rate", "1e30"), "digits: fit: the loss is"),
        (("--learning-rate", "-1"), "digits: learning_rate=-1.0 must be positive"),
        (("--model", "lenet5_1998", "--dropout", "0.5"), "digits: dropout=0.5: lenet5_1998 has none"),
        (("--seed", "3000000000"), "digits: fit: seed=3000000000 must be from 0"),
        (("--dataset", ""), "digits: load: there is no data set ''"),
        (("--runs", "/proc/none"), "digits: run_folder: cannot write to /proc/none/digits"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # TFDS's own
def test_digits_refuses_in_one_line(arguments, message, tmp_path):
    with pytest.raises(SystemExit) as caught:
        run([*SHORT, "--runs", str(tmp_path), *arguments])
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert not [folder for folder in tmp_path.glob("digits/*") if folder.suffix != ".unfinished"]


def test_digits_names_an_unknown_option(capsys):
    with pytest.raises(SystemExit, match="2"):
        run(["--epoch", "3"])
    assert "--epoch" in capsys.readouterr().err


def test_digits_help_shows_every_option_with_its_unit(capsys):
    with pytest.raises(SystemExit, match="0"):
        run(["--help"])
    text = capsys.readouterr().out
    for option in ("--dataset", "--data-dir", "--model", "--epochs", "--batch-size", "--learning-rate", "--seeds"):
        assert option in text
    for unit in ("Passes over", "Images a step", "Peak learning rate", "Networks trained"):
        assert unit in text


def test_digits_takes_images_larger_than_the_model():
    images = np.zeros((4, 40, 32, 3), np.uint8)
    part = Split(images, np.arange(4, dtype=np.int32) % 2)
    data = ImageSet("toy", part, part, ("a", "b"), "made here")
    config = resolve(Config(), data)
    assert size_of(config, data) == (40, 32)
    model = builder(config, data)(nnx.Rngs(0))
    assert model(preparer(data, (40, 32))(images), train=False).shape == (4, 2)
    assert (config.epochs, config.augment) == (30, True)


@pytest.mark.slow
def test_digits_reads_digits(tmp_path):
    done = digits("--runs", str(tmp_path))
    accuracy = float(done.stdout.strip().splitlines()[-1].split()[2])
    assert accuracy >= 0.985
