"""`python -m jaxcnn evaluate` as a user runs it: its counts, of sets and of folders."""

import os
import re

import numpy as np
import pytest
from flax import nnx

from jaxcnn import weights
from jaxcnn.commands import main
from jaxcnn.commands._known import Known
from jaxcnn.data import load

from .pictures import logits_of, random_pictures, write

pytest.importorskip("tyro")


def evaluate(file, *more):
    main(["evaluate", "--model", "cifar_resnet20", "--weights", str(file), *more])


def test_evaluate_counts_right_answers(resnet, capsys):
    model, file = resnet
    evaluate(file, "--dataset", "digits", "--batch-size", "300")
    part = load("digits", split="test")
    logits = logits_of(model, np.repeat(part.images, 3, -1))
    order = np.argsort(-logits, 1)
    first, five = ((order[:, :k] == part.labels[:, None]).any(1).sum() for k in (1, 5))
    *_, last = capsys.readouterr().out.splitlines()
    assert last == f"top-1 {first} of 359 ({first / 359:.4f}), top-5 {five} of 359 ({five / 359:.4f})"


def test_evaluate_reads_a_folder_as_classes(resnet, tmp_path, capsys):
    model, file = resnet
    pixels = random_pictures(tmp_path / "some")
    answers = logits_of(model, pixels).argmax(1)
    classes = [f"{answers[0]}", f"{(answers[1] + 1) % 10}"]  # the first is right, the second wrong
    names = [f"c{i}" for i in range(9, -1, -1)]  # not in order of name
    named = tmp_path / "named.safetensors"
    weights.save(model, named, class_names=names)
    for i, label in enumerate(classes):
        for part, name in (("own/test", names[int(label)]), ("numbers", f"class {label}")):
            (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
            write(tmp_path / part / name / f"{i}.png", pixels[i])
    (tmp_path / "own/test" / names[0] / "bad.png").parent.mkdir(exist_ok=True)
    (tmp_path / "own/test" / names[0] / "bad.png").write_text("no picture")
    write(tmp_path / "own/train/x/0.png", pixels[0])
    for dataset, its in (("own", named), ("own/test", named), ("numbers", file)):
        evaluate(its, "--dataset", (tmp_path / dataset).as_posix())
        printed = " ".join(capsys.readouterr().out.split())
        assert "top-1 1 of 2 (0.5000)" in printed
        assert ("1 of 3 cannot be read: " in printed) == (dataset != "numbers")
    with pytest.raises(SystemExit, match="has the class 'x'; the weights have c9, c8"):
        evaluate(named, "--dataset", (tmp_path / "own").as_posix(), "--split", "train")
    with pytest.raises(SystemExit, match="has 3 classes, the model 10; name the folders"):
        evaluate(file, "--dataset", (tmp_path / "own/test").as_posix())
    with pytest.raises(SystemExit, match="has the parts train, test; say one by --split"):
        evaluate(file, "--dataset", (tmp_path / "own").as_posix(), "--split", "validation")


@pytest.mark.parametrize("part", ["val", "Test"])
def test_evaluate_finds_what_is_held_out_and_counts_classes_as_training_did(resnet, tmp_path, capsys, part):
    model, file = resnet
    pixels = random_pictures(tmp_path / "some")
    answers = logits_of(model, pixels).argmax(1)
    names = [f"n{i:02}" for i in range(10)]
    for name in names:
        write(tmp_path / "set/train" / name / "0.png", pixels[0])
    for i, answer in enumerate(answers):  # not every class is there
        write(tmp_path / "set" / part / names[answer] / f"{i}.png", pixels[i])
    evaluate(file, "--dataset", str(tmp_path / "set"))
    assert "top-1 3 of 3" in capsys.readouterr().out
    evaluate(file, "--dataset", str(tmp_path / "set"), "--split", "train")
    assert "top-1 1 of 10" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="has the parts train, (test|validation); say one by --split"):
        evaluate(file, "--dataset", str(tmp_path / "set"), "--split", "all")
    with pytest.raises(SystemExit, match="has no parts; leave --split out"):
        evaluate(file, "--dataset", str(tmp_path / "set/train"), "--split", "train")


def test_evaluate_takes_the_classes_of_a_set_by_name(resnet, tmp_path, capsys):
    model, _ = resnet
    turned = [str((i + 3) % 10) for i in range(10)]
    weights.save(model, tmp_path / "turned.safetensors", class_names=turned)
    evaluate(tmp_path / "turned.safetensors", "--dataset", "digits")
    part = load("digits", split="test")
    answers = (logits_of(model, np.repeat(part.images, 3, -1)).argmax(1) + 3) % 10
    assert f"top-1 {(answers == part.labels).sum()} of 359" in capsys.readouterr().out
    weights.save(model, tmp_path / "other.safetensors", class_names=[f"c{i}" for i in range(10)])
    with pytest.raises(SystemExit, match="evaluate: digits has the class '0'; the weights have c0, c1"):
        evaluate(tmp_path / "other.safetensors", "--dataset", "digits")


def test_evaluate_counts_the_classes_before_it_reads_an_image(resnet, tmp_path, monkeypatch):
    from jaxcnn.commands import _evaluate

    weights.save(weights.replace_head(resnet[0], 7, rngs=nnx.Rngs(0)), tmp_path / "seven.safetensors")
    monkeypatch.setattr(_evaluate, "load", None)
    monkeypatch.setattr(Known, "logits", None)
    with pytest.raises(SystemExit, match="evaluate: digits has 10 classes, the model 7; give weights that name theirs"):
        evaluate(tmp_path / "seven.safetensors", "--dataset", "digits")


def test_evaluate_takes_a_bare_word_for_the_name_of_a_set(resnet, tmp_path, monkeypatch):
    _, file = resnet
    (tmp_path / "mnits/a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="there is no data set 'mnits'"):
        evaluate(file, "--dataset", "mnits")


@pytest.mark.slow
def test_evaluate_of_the_shared_resnet20(shared, capsys):
    folder = os.environ.get("TFDS_DATA_DIR", "")
    if not os.path.isdir(os.path.join(folder, "cifar10")):
        pytest.skip("no prepared CIFAR-10; set TFDS_DATA_DIR")
    file = shared / "data/weights/resnet_cifar10/resnet20-12fca82f.npz"
    main(["evaluate", "--model", "cifar_resnet20", "--weights", str(file), "--dataset", "cifar10"])
    right = int(re.search(r"top-1 (\d+) of 10000", capsys.readouterr().out)[1])
    assert abs(right - 9173) <= 2
