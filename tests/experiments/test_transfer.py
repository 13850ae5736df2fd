"""`transfer` and `xray` run small, say their lines and write their pages."""

import dataclasses
import re

import jax
import numpy as np
import pytest
from flax import nnx

from jaxcnn import functional as F
from jaxcnn import models, nn, weights
from jaxcnn.data import ImageSet, Split

pytest.importorskip("tyro")
CARD = weights.card("cifar_resnet20.idelbayev")


class Small(nnx.Module):
    """A convolution, the mean over the pixels, a dense layer: no statistics of a batch, which few images move far."""

    def __init__(self, *, rngs):
        self.conv, self.logits = nn.Conv(3, 6, 3, rngs=rngs), nn.Dense(6, 10, rngs=rngs)

    def __call__(self, x, *, train, tap=models.identity):
        return tap("logits", self.logits(F.global_avg_pool(tap("conv", jax.nn.relu(self.conv(x))))))


def photographs(count, seed):
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % 2
    images = rng.integers(0, 90, (count, 12, 12, 3), np.uint8)
    images[labels == 1, :6] += 120
    return Split(images, labels)


def toy(channels=3):
    parts = [Split(part.images[..., :channels], part.labels) for part in (photographs(32, 0), photographs(20, 1))]
    return ImageSet("toy", *parts, ("a", "b"), "made here")


def test_transfer_runs_every_option(tmp_path, capsys, monkeypatch):
    from experiments import transfer

    file = tmp_path / "a.safetensors"
    weights.save(Small(rngs=nnx.Rngs(0)), file)
    monkeypatch.setattr(models, "create", lambda name, rngs: Small(rngs=rngs))
    monkeypatch.setattr(weights, "card_with_sha256", lambda sha256: CARD)
    monkeypatch.setattr(transfer, "load", lambda *arguments, **options: toy())
    config = transfer.Config(
        file, counts=(8,), seeds=2, side=12, epochs=1, scratch_epochs=1, batch_size=8, runs=tmp_path / "runs"
    )
    transfer.main(config)
    printed = capsys.readouterr().out
    for name, least in (("scratch", 0.0), ("option_1", 0.9), ("option_2", 0.9)):
        line = rf"transfer/8/{name} test accuracy (\d\.\d{{3}}) ± \d\.\d{{3}} \(2 seeds\), parameters 182, "
        assert float(re.search(line, printed)[1]) >= least
    (folder,) = (tmp_path / "runs/transfer").iterdir()
    assert (folder / "report.html").read_text().count("data:image/png") == 2
    with pytest.raises(ValueError, match="counts=9999 must be from 2 to 2 times the smallest class"):
        transfer.main(dataclasses.replace(config, counts=(9999,)))
    with pytest.raises(ValueError, match="only='none' must be one of scratch, option_1, option_2"):
        transfer.main(dataclasses.replace(config, only=("none",)))


def test_transfer_draws_as_many_of_each_class():
    from experiments.transfer import draw

    split = photographs(32, 0)
    first, again, other = (draw(split, 12, 2, seed) for seed in (0, 0, 1))
    assert np.bincount(first.labels).tolist() == [6, 6]
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)


def test_xray_reports_at_the_threshold(tmp_path, capsys, monkeypatch):
    from experiments import xray

    answers = lambda *arguments, split=None, **options: photographs_of(split)
    photographs_of = lambda split: toy(1) if split is None else Split(toy(1).test.images, toy(1).test.labels)
    monkeypatch.setattr(xray, "load", answers)
    xray.main(xray.Config(epochs=3, seeds=2, batch_size=8, widths=(4,), runs=tmp_path))
    printed = capsys.readouterr().out
    found = re.search(r"sensitivity (\d\.\d{3}), specificity (\d\.\d{3}) on 20 test images", printed)
    assert float(found[1]) >= 0.9  # the validation images are the test images here
    assert re.search(r"xray area \d\.\d{3} \(95 % \d\.\d{3} to \d\.\d{3}\), single networks", printed)
    (folder,) = (tmp_path / "xray").iterdir()
    assert (folder / "report.html").read_text().count("data:image/png") == 2
