"""A network of one's own: trained, saved, and asked about a picture by the command line, as its card says."""

import re
from dataclasses import replace

import numpy as np
import pytest
from flax import nnx

from jaxcnn import models, weights
from jaxcnn.commands import main
from jaxcnn.data import ImageSet, Split, card_for, load, preparer
from jaxcnn.weights import Card

from .pictures import probabilities, random_pictures, write

pytest.importorskip("tyro")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a short run of `experiments.digits`, and its test accuracy, of one seed."""
    import json

    from experiments import digits

    folder = tmp_path_factory.mktemp("runs")
    digits.main(digits.Config(model="dense", epochs=4, seeds=1, batch_size=32, runs=folder))
    (found,) = (folder / "digits").iterdir()
    lines = (found / "metrics.jsonl").read_text().splitlines()
    return found, json.loads(lines[-1])["test_accuracy"][0]


def test_digits_are_classified_by_the_run_that_learned_them(run, tmp_path, capsys):
    folder, accuracy = run
    part = load("digits", split="test")
    for i in range(20):
        write(tmp_path / f"{i:02}.png", part.images[i, ..., 0])
    rows = [f"{i:02}.png,{label}" for i, label in enumerate(part.labels[:20])]
    (tmp_path / "truth.csv").write_text("\n".join(["file,label_index", *rows]))
    file = str(folder / "weights.safetensors")
    main(["classify", str(tmp_path), "--model", "dense", "--weights", file, "--truth", str(tmp_path / "truth.csv")])
    printed = capsys.readouterr().out
    assert "dense, weights weights.safetensors, preprocessing of dense.digits\n" in printed
    assert "converted" not in printed
    assert int(re.search(r"top-1 (\d+) of 20", printed)[1]) >= 16
    assert accuracy > 0.85
    main(["evaluate", "--weights", file, "--dataset", "digits"])
    right = int(re.search(r"top-1 (\d+) of 359", capsys.readouterr().out)[1])
    assert abs(right - accuracy * 359) <= 2  # pixels are rounded to 256 colours


def toy(channels, size=(9, 12)):
    images = np.random.default_rng(0).integers(0, 256, (8, *size, channels), np.uint8)
    part = Split(images, np.arange(8, dtype=np.int32) % 2)
    return ImageSet("toy", part, part, ("left", "right"), "made here")


@pytest.mark.parametrize("channels", [1, 3])
def test_classify_prepares_as_training_did(channels, tmp_path, capsys):
    data = toy(channels)
    prepare = preparer(data, (30, 30))
    options = {"num_classes": 2, "in_features": channels, "image_size": (30, 30)}
    model, file = models.create("lenet5", rngs=nnx.Rngs(0), **options), tmp_path / "own.safetensors"
    weights.save(model, file, card=card_for(data, prepare, model="lenet5"), class_names=data.class_names)
    write(tmp_path / "a.png", data.test.images[0].squeeze())
    main(["classify", str(tmp_path / "a.png"), "--weights", str(file), "--picture", str(tmp_path / "bars.png")])
    printed = capsys.readouterr().out
    assert "converted" not in printed
    expected = np.asarray(nnx.softmax(model(prepare(data.test.images[:1]), train=False)))[0]
    np.testing.assert_allclose(probabilities(printed), np.sort(expected)[::-1], atol=5e-3)
    assert [printed.count(name) for name in data.class_names] == [1, 1]
    write(tmp_path / "b.png", np.full((40, 20, 4 - channels), 99, np.uint8).squeeze())
    main(["classify", str(tmp_path / "b.png"), "--weights", str(file)])
    assert f"1 converted to {'grey (RGB' if channels == 1 else 'RGB (L'}): b.png" in capsys.readouterr().out


def test_flags_stand_for_a_card(tmp_path, capsys):
    model = models.create("lenet5", num_classes=3, image_size=(30, 30), rngs=nnx.Rngs(0))
    weights.save(model, tmp_path / "bare.safetensors")
    (image,) = random_pictures(tmp_path, 1)
    given = "--model lenet5 --input 30 30 --resize 34 --channels L --range 255 --mean 120 --std 60".split()
    main(["classify", str(tmp_path / "0.png"), "--weights", str(tmp_path / "bare.safetensors"), *given])
    printed = capsys.readouterr().out
    assert "lenet5, weights bare.safetensors, preprocessing as given\n" in printed
    options = {"image_size": (30, 30), "resize": 34, "channels": "L", "range": 255, "mean": (120,), "std": (60,)}
    from PIL import Image

    grey = np.asarray(Image.fromarray(image).convert("L"))[None, ..., None]
    logits = model(weights.preprocess(Card("", "", **options), grey), train=False)
    np.testing.assert_allclose(probabilities(printed), np.sort(nnx.softmax(logits)[0])[::-1], atol=6e-5)


def test_flags_replace_what_the_card_says(tmp_path, capsys):
    model = models.create("lenet5", num_classes=3, in_features=3, rngs=nnx.Rngs(0))
    card = Card("lenet5.mine", "lenet5", image_size=(28, 28), resize=32, mean=(0.5,), std=(0.5,))
    weights.save(model, tmp_path / "own.safetensors", card=card)
    (image,) = random_pictures(tmp_path, 1)
    main(
        [
            "classify",
            str(tmp_path / "0.png"),
            "--weights",
            str(tmp_path / "own.safetensors"),
            "--mean",
            "0.1",
            "0.2",
            "0.3",
        ]
    )
    printed = capsys.readouterr().out
    assert "preprocessing of lenet5.mine but for --mean\n" in printed
    logits = model(weights.preprocess(replace(card, mean=(0.1, 0.2, 0.3)), image[None]), train=False)
    np.testing.assert_allclose(probabilities(printed), np.sort(nnx.softmax(logits)[0])[::-1], atol=6e-5)


def test_classify_makes_a_model_for_timms_head_and_channels(tmp_path, capsys):
    model = models.create("mobilenet_v3_small", num_classes=4, in_features=1, rngs=nnx.Rngs(0))
    weights.save(model, tmp_path / "timm.safetensors", names="timm_small")
    random_pictures(tmp_path, 1)
    words = ["classify", str(tmp_path / "0.png"), "--weights", str(tmp_path / "timm.safetensors")]
    words += ["--model", "mobilenet_v3_small"]
    main([*words, "--channels", "L", "--mean", "0.5", "--std", "0.5", "--input", "32", "32"])
    assert len(probabilities(capsys.readouterr().out)) == 4
    with pytest.raises(SystemExit, match="takes images of 1 channels, mobilenet_v3_small.torchvision_V1 prepares 3"):
        main(words)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "no card is known for lenet5: its preprocessing is not; give --mean and --std, or choose one by --card"),
        (("--mean", "0.5"), "no card is known for lenet5"),
        (("--mean", "0.5", "--std", "0"), "Card: mean=(0.5,), std=(0.0,); 'RGB' takes 1 or 3, each std above 0"),
        (("--mean", "0", "--std", "1", "--channels", "CMYK"), "Card: channels='CMYK'"),
        (("--mean", "0", "--std", "1", "--input", "0", "3"), "Card: image_size=(0, 3)"),
        (
            ("--mean", "0", "--std", "1"),
            "bare.safetensors takes images of 1 channels, lenet5.given prepares 3; choose another",
        ),
        (
            ("--card", "resnet50.torchvision_V2", "--channels", "L"),
            "channels=L: resnet50.torchvision_V2 has other channels",
        ),
    ],
)
def test_flags_are_refused_in_one_line(flags, message, tmp_path):
    weights.save(models.create("lenet5", rngs=nnx.Rngs(0)), tmp_path / "bare.safetensors")
    random_pictures(tmp_path, 1)
    for command, more in (("classify", str(tmp_path / "0.png")), ("evaluate", "--dataset=digits")):
        with pytest.raises(SystemExit) as stopped:
            main([command, more, "--model", "lenet5", "--weights", str(tmp_path / "bare.safetensors"), *flags])
        assert str(stopped.value).startswith(f"{command}: {message}")
        assert "\n" not in str(stopped.value)
