"""Every comparison runs on the embedded digits, says its lines, writes its page, and goes on after a stop."""

import importlib
import os
import re
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments import comparison
from experiments.comparison import Options, command, load_part
from jaxcnn.data import ImageSet, Split
from jaxcnn.train import CheckpointError, Stopped

EXPERIMENTS = {  # name: the variant that is run here, the options that its model needs
    "mnist_dense_vs_cnn": ("cnn", {}),
    "fashion_mnist": ("lenet5", {}),
    "pooling_effect": ("blur", {"widths": (4, 4)}),
    "kernel_size": ("one_5x5", {"widths": (4, 4)}),
    "separable": ("separable", {"widths": (4, 4)}),
    "augmentation": ("all", {"widths": (4, 4)}),
    "cifar10_resnet20": ("cifar_resnet8", {"depth": 8}),
}
SHORT = {"dataset": "digits", "train_images": 60, "epochs": 1, "seeds": 2, "batch_size": 20}
LINE = r"{}/{} test accuracy 0\.\d{{3}} ± 0\.\d{{3}} \(2 seeds\), parameters [\d,]+, seconds \d+"


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_comparison_says_its_line_and_writes_its_page(name, tmp_path, capsys, monkeypatch):
    module, (variant, options) = importlib.import_module(f"experiments.{name}"), EXPERIMENTS[name]
    if name == "cifar10_resnet20":
        monkeypatch.setitem(module.models.REGISTRY, variant, (module.models.cifar_resnet.of_depth(8), (32, 32)))
    module.main(module.Config(**SHORT, **options, only=(variant,), runs=tmp_path))
    printed = capsys.readouterr().out
    assert re.search(LINE.format(name, variant), printed)
    (folder,) = (tmp_path / name).iterdir()
    assert f"report: {folder / 'report.html'}" in printed
    assert {"report.html", "config.json", f"{variant}.jsonl", f"{variant}.safetensors"} <= set(os.listdir(folder))
    if name == "pooling_effect":
        assert re.search(r"pooling_effect/blur same answer after a shift by one pixel 0\.\d{3} ± ", printed)


def test_comparison_reads_a_folder_of_pictures_of_many_sizes(tmp_path, capsys):
    from experiments import digits
    from experiments import mnist_dense_vs_cnn as experiment

    _pictures(tmp_path / "pets")
    options = SHORT | {"dataset": str(tmp_path / "pets"), "train_images": None, "runs": tmp_path / "runs"}
    with pytest.raises(ValueError, match="image_size"):
        experiment.main(experiment.Config(**options, only=("cnn",)))
    experiment.main(experiment.Config(**options, only=("cnn",), image_size=32))
    assert re.search(LINE.format("mnist_dense_vs_cnn", "cnn"), capsys.readouterr().out)
    del options["train_images"]
    digits.main(digits.Config(**options, image_size=32))
    assert re.search(r"^test accuracy 0\.\d{3} ± ", capsys.readouterr().out, re.MULTILINE)


def _pictures(root):
    from PIL import Image

    noise = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (root / "train" / label).mkdir(parents=True)
        for i in range(15):
            pixels = noise.integers(0, 256, (40 + i, 50 - i, 3), np.uint8)
            Image.fromarray(pixels).save(root / "train" / label / f"{i}.png")


def test_comparison_stopped_and_resumed_gives_the_same_line(tmp_path, capsys, monkeypatch):
    from experiments import mnist_dense_vs_cnn as experiment

    options = SHORT | {"epochs": 4, "only": ("dense",)}
    experiment.main(experiment.Config(**options, runs=tmp_path / "whole"))
    whole = capsys.readouterr().out.splitlines()[-1]
    real = comparison.progress

    def stopping(*arguments):
        return _Stopping(real(*arguments))

    monkeypatch.setattr(comparison, "progress", stopping)
    with pytest.raises(Stopped, match="saved in"):
        experiment.main(experiment.Config(**options, runs=tmp_path / "parts"))
    monkeypatch.undo()
    (folder,) = (tmp_path / "parts" / "mnist_dense_vs_cnn").iterdir()
    assert folder.suffix == ".unfinished"
    experiment.main(experiment.Config(**options, runs=tmp_path / "parts", resume=folder))
    parts = capsys.readouterr().out.splitlines()[-1]
    assert parts.rsplit(",", 1)[0] == whole.rsplit(",", 1)[0]


class _Stopping:
    """A progress bar that asks the process to stop after the second epoch."""

    def __init__(self, bar):
        self.bar = bar

    def __enter__(self):
        show, move = self.bar.__enter__()

        def stop(record):
            show(record)
            if record.epoch == 2:
                os.kill(os.getpid(), signal.SIGTERM)

        return stop, move

    def __exit__(self, *error):
        return self.bar.__exit__(*error)


def test_load_part_takes_as_many_of_each_class():
    data, made_for = load_part(Options(dataset="digits", train_images=45))
    assert np.bincount(data.train.labels).tolist() == [4] * 10
    assert made_for == {"num_classes": 10, "in_features": 1, "image_size": (28, 28)}


@pytest.mark.parametrize("count", [9, 100_000])
def test_load_part_refuses(count):
    with pytest.raises(ValueError, match=f"train_images={count} must be from 10 to 10 times the smallest class"):
        load_part(Options(dataset="digits", train_images=count))


def test_comparison_refuses_an_unknown_variant(tmp_path):
    from experiments import kernel_size as experiment

    with pytest.raises(ValueError, match="only='3x3' must be one of one_9x9, four_3x3"):
        experiment.main(experiment.Config(**SHORT, only=("3x3",), runs=tmp_path))


@pytest.mark.parametrize(
    ("error", "code"), [(Stopped("asked"), 130), (ValueError("bad"), "demo: bad"), (CheckpointError("x"), "demo: x")]
)
def test_command_ends_in_one_line(error, code, capsys):
    def fail():
        raise error

    with pytest.raises(SystemExit) as exit_:
        command("demo", fail)
    assert exit_.value.code == code
    if code == 130:
        assert capsys.readouterr().err == "demo: asked; go on with the same options and --resume FOLDER\n"


def test_augmentation_draws_each_transform(tmp_path):
    from experiments import augmentation as experiment

    experiment.main(experiment.Config(**SHORT, widths=(4, 4), only=("flip",), runs=tmp_path))
    (folder,) = (tmp_path / "augmentation").iterdir()
    page = (folder / "report.html").read_text()
    assert "<h2>What each transform makes of the first image of every class</h2>" in page
    assert page.count("<img") == 3


def test_augmentation_transforms_of_colour_and_grey():
    from experiments.augmentation import transforms

    for channels in (1, 3):
        images = np.random.default_rng(0).integers(0, 255, (6, 16, 16, channels)).astype(np.uint8)
        part = Split(images, np.arange(6, dtype=np.int32) % 2)
        found = transforms(ImageSet("toy", part, part, ("a", "b"), "made here"))
        assert list(found) == ["flip", "crop", "rotate", "colour_jitter", "edge_enhance", "fancy_pca", "all"]
        x = jnp.asarray(images, jnp.float32) / 255
        for name, pipeline in found.items():
            y = pipeline(jax.random.key(0), x)
            assert y.shape == x.shape, name
            assert not np.array_equal(y, x), name
