"""What is wrong with files beside the weights is said before these are read, in one line, with an exit code that is not 0."""

import re

import numpy as np
import pytest
from flax import nnx

from jaxcnn import models, weights
from jaxcnn.commands import _known, main
from jaxcnn.weights import Card

from .pictures import random_pictures, write

pytest.importorskip("tyro")


@pytest.fixture
def words(tmp_path):
    """A picture and weights that must not be read."""
    random_pictures(tmp_path, 1)
    return ["classify", str(tmp_path / "0.png"), "--weights", str(tmp_path / "none.safetensors")]


def refusal(words):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert "\n" not in str(stopped.value)
    return str(stopped.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must have the columns file and label_index, and a row"),
        (b"name,label\n0.png,1", "must have the columns file and label_index"),
        (b"file,label_index\n", "and a row for each picture"),
        (b"file,label_index\n1.png,1", "has no row for "),
        (b"file,label_index\na/0.png,1\nb/0.png,1", "has no row for "),
        (b"\x89PNG\xff\xfe", "is no text in UTF-8"),
        (b"file,label_index\n\n0.png", "has the label '' for "),
        (b"file,label_index\n0.png,-1", "has the label '-1' for "),
        (b"file,label_index\n0.png,10", "has the label '10' for .* there are 10 classes, from 0"),
        (b"file,label_index\n0.png," + b"9" * 5000, "has the label '999"),
    ],
)
def test_truth_is_looked_at_before_pictures_are_classified(resnet, words, content, message, tmp_path, monkeypatch):
    (tmp_path / "truth.csv").write_bytes(content)
    monkeypatch.setattr(_known.Known, "logits", None)  # nothing is computed
    rows_are_read_first = "label '" not in message
    words[3] = str(tmp_path / "none.npz") if rows_are_read_first else str(resnet[1])
    found = refusal([*words, "--model", "cifar_resnet20", "--truth", str(tmp_path / "truth.csv")])
    assert found.startswith(f"classify: {tmp_path}/truth.csv ")
    assert re.search(message, found)


def test_truth_with_a_mark_of_its_encoding_is_read(resnet, words, tmp_path, capsys):
    (tmp_path / "truth.csv").write_bytes("file,label_index\n0.png,1".encode("utf-8-sig"))
    words[3] = str(resnet[1])
    main([*words, "--model", "cifar_resnet20", "--truth", str(tmp_path / "truth.csv")])
    assert " of 1 (" in capsys.readouterr().out


def test_labels_are_looked_at_before_pictures_are_classified(resnet, words, tmp_path, monkeypatch):
    monkeypatch.setattr(_known.Known, "logits", None)
    (tmp_path / "labels.bin").write_bytes(b"\xff\xfe")
    assert "labels.bin is no text in UTF-8" in refusal([*words, "--labels", str(tmp_path / "labels.bin")])
    assert "labels.txt cannot be read: No such file" in refusal([*words, "--labels", str(tmp_path / "labels.txt")])
    (tmp_path / "three.txt").write_text("a\nb\nc\n")
    words[3] = str(resnet[1])
    found = refusal([*words, "--model", "cifar_resnet20", "--labels", str(tmp_path / "three.txt")])
    assert found == f"classify: {tmp_path}/three.txt names 3 classes; the model has 10"


def test_pictures_are_looked_at_before_the_weights(words, tmp_path, capsys):
    (tmp_path / "0.png").write_text("not a picture")
    (tmp_path / "1.png").write_bytes(b"")
    assert refusal([words[0], str(tmp_path), *words[2:]]) == "1"
    assert capsys.readouterr().err.splitlines() == [
        f"classify: {tmp_path}/0.png: it is no picture of a kind that Pillow knows",
        f"classify: {tmp_path}/1.png: the file is empty",
    ]


def test_a_picture_that_is_cut_short_does_not_stop_the_others(resnet, tmp_path, capsys):
    write(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, (90, 90, 3), np.uint8))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:9000])
    assert refusal(["classify", str(tmp_path), "--weights", str(resnet[1]), "--model", "cifar_resnet20"]) == "1"
    printed = capsys.readouterr()
    assert printed.err.startswith(f"classify: {tmp_path}/b.png: ")
    assert "a.png" in printed.out


@pytest.mark.parametrize(
    ("name", "message"), [("x/bars.png", "the folder"), ("bars.xyz", ".xyz is no kind of picture; use ")]
)
def test_the_place_of_the_picture_is_looked_at_first(words, tmp_path, name, message):
    found = refusal([*words, "--picture", str(tmp_path / name)])
    assert found.startswith(f"classify: picture={tmp_path / name}: {message}")


def test_sha256_is_compared_before_the_weights_are_read(words, tmp_path):
    (tmp_path / "none.safetensors").write_bytes(b"no weights at all")
    found = refusal([*words, "--model", "cifar_resnet20", "--sha256", "00"])
    assert found.startswith("classify: load: the sha256 of ")
    assert found.endswith("; it must begin with '00'")


def test_weights_of_another_network_are_refused_as_such(resnet, words, tmp_path):
    weights.save(models.create("lenet5", rngs=nnx.Rngs(0)), tmp_path / "lenet.safetensors")
    with pytest.raises(SystemExit, match=r"classify: load: lenet.safetensors does not fit CifarResNet: \d+ missing"):
        main([*words[:3], str(tmp_path / "lenet.safetensors"), "--model", "cifar_resnet20"])


def test_a_network_that_gives_no_classes_is_refused(tmp_path):
    model = models.create("unet", widths=(1, 2, 4, 8, 16), rngs=nnx.Rngs(0))
    with pytest.raises(ValueError, match=r"unet gives \[36, 36, 2\] numbers for a picture, not one for each class"):
        _ = _known.Known(model, Card("", "unet", image_size=(224, 224), channels="L"), tmp_path, ()).outputs
