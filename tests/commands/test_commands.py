"""`python -m jaxcnn summary | models`, and every wrong argument of each command in one line."""

import re

import numpy as np
import pytest

from jaxcnn.commands import main

from .pictures import write

pytest.importorskip("tyro")


def test_summary_shows_the_layers(capsys):
    main(["summary", "cifar_resnet20", "--input", "32", "32", "3", "--num-classes", "7"])
    printed = capsys.readouterr().out
    assert re.search(r"layer3\.2 .* 8×8×64 ", printed)
    assert f"{269_722 - 3 * 65:,}" in printed


def test_summary_uses_the_models_own_size(capsys):
    main(["summary", "lenet5_1998"])
    assert "60,000" in capsys.readouterr().out


def test_models_lists_names_and_weights(capsys):
    main(["models", "cifar_*"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert re.fullmatch(r"cifar_resnet20 +32×32 +idelbayev", lines[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["summary", "lenet_5"], "summary: image_size: there is no model 'lenet_5'; nearest: lenet5"),
        (["summary", "lenet5", "--input", "28", "28"], "summary: input=(28, 28), batch=1; give height, width and channels"),
        (["models", "x*"], "models: no model is named like 'x*'"),
        (["classify", "/nowhere.jpg", "--weights", "a"], "classify: the file /nowhere.jpg does not exist"),
        (["classify", "{dir}", "--weights", "a"], "classify: the folder "),
        (["classify", "{file}", "--weights", "/none.npz"], "classify: /none.npz does not exist, and is no name"),
        (["classify", "{file}", "--weights", "resnet50.torchvision_V3"],
         "classify: resnet50.torchvision_V3 does not exist, and is no name of a card; nearest cards: resnet50.torchvision_V"),
        (["classify", "{file}", "--weights", "{file}"], "classify: load: {file} is no weight file; give a"),
        (["classify", "{file}", "--weights", "{bare}"], "classify: {bare} is no file of a known card, and does not say its"),
        (["classify", "{file}", "--weights", "{file}", "--picture", "{file}/a/b.png"],
         "classify: picture={file}/a/b.png: the folder"),
        (["classify", "{file}", "--weights", "{file}", "--model", "cifar_resnet2"],
         "classify: image_size: there is no model 'cifar_resnet2'; nearest: cifar_resnet"),
        (["classify", "{file}", "--weights", "{bare}", "--card", "resnet5"], "classify: card: there are no weights 'resnet5'"),
        (["evaluate", "--weights", "{file}", "--dataset", "digits", "--model", "lenet5"], "evaluate: load: "),
        (["evaluate", "--weights", "{file}", "--dataset", "digits", "--batch-size", "0"], "evaluate: batch_size=0 must be"),
    ],
)  # fmt: skip
def test_commands_refuse_in_one_line(arguments, message, tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    np.savez(tmp_path / "bare.npz", a=np.zeros(3))
    places = {"dir": tmp_path / "empty", "file": tmp_path / "a.png", "bare": tmp_path / "bare.npz"}
    with pytest.raises(SystemExit) as stopped:
        main([word.format(**places) for word in arguments])
    assert str(stopped.value).startswith(message.format(**places))
