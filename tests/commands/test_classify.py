"""`python -m jaxcnn classify` as a user runs it: its numbers, its table, its names of classes."""

import io
import re
import sys
from dataclasses import replace

import jax
import numpy as np
import pytest
from flax import nnx
from rich.console import Console

from jaxcnn import models, weights
from jaxcnn.commands import main
from jaxcnn.commands._known import Known, class_names, known
from jaxcnn.commands._network import Network

from .pictures import Image, logits_of, probabilities, random_pictures, write

pytest.importorskip("tyro")


def classify(file, *more):
    main(["classify", *map(str, more[:1]), "--model", "cifar_resnet20", "--weights", str(file), *map(str, more[1:])])


def test_classify_shows_the_five_likeliest_of_each(resnet, tmp_path, capsys):
    model, file = resnet
    pixels = random_pictures(tmp_path / "some")
    classify(file, tmp_path / "some", "--picture", tmp_path / "bars.png")
    printed = capsys.readouterr().out
    expected = np.sort(jax.nn.softmax(logits_of(model, pixels)), 1)[:, :-6:-1]
    np.testing.assert_allclose(np.reshape(probabilities(printed), (3, 5)), expected, atol=6e-5)
    likeliest = np.argsort(-logits_of(model, pixels), 1)[:, :5]
    assert re.findall(r"│ (class \d) +│", printed) == [f"class {i}" for i in likeliest.ravel()]
    assert all(name in printed for name in ("0.png", "1.png", "2.png"))
    assert "converted" not in printed
    with Image.open(tmp_path / "bars.png") as image:
        assert image.size[0] > 500


def test_classify_reads_standard_input(resnet, tmp_path, capsys, monkeypatch):
    model, file = resnet
    pixels = random_pictures(tmp_path, 1)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO((tmp_path / "0.png").read_bytes())))
    classify(file, "-", "--top", "1")
    printed = capsys.readouterr().out
    assert "standard input" in printed
    np.testing.assert_allclose(probabilities(printed), jax.nn.softmax(logits_of(model, pixels)).max(), atol=6e-5)


def test_classify_converts_other_modes_and_says_so_once(resnet, tmp_path, capsys):
    _, file = resnet
    rng = np.random.default_rng(0)
    write(tmp_path / "grey.png", rng.integers(0, 256, (9, 7), np.uint8))
    write(tmp_path / "alpha.png", rng.integers(0, 256, (9, 7, 4), np.uint8))
    write(tmp_path / "pixel.png", np.full((1, 1, 3), 7, np.uint8))
    classify(file, tmp_path)
    printed = " ".join(capsys.readouterr().out.split())
    assert len(probabilities(printed)) == 15
    assert printed.count("converted") == 1
    assert "2 converted to RGB (L, RGBA; what is transparent is shown on white): alpha.png, grey.png" in printed


def test_classify_goes_on_after_a_file_that_is_no_picture(resnet, tmp_path, capsys):
    _, file = resnet
    random_pictures(tmp_path, 2)
    (tmp_path / "1.png").write_text("not a picture")
    with pytest.raises(SystemExit) as stopped:
        classify(file, tmp_path)
    printed = capsys.readouterr()
    assert stopped.value.code == 1
    assert printed.err == f"classify: {tmp_path}/1.png: it is no picture of a kind that Pillow knows\n"
    assert len(probabilities(printed.out)) == 5


def test_classify_counts_against_a_list(resnet, tmp_path, capsys):
    model, file = resnet
    answers = logits_of(model, random_pictures(tmp_path)).argmax(1)
    rows = [f"{i}.png,{answer if i else (answer + 1) % 10}" for i, answer in enumerate(answers)]
    (tmp_path / "truth.csv").write_text("\n".join(["file,label_index", *rows]))
    classify(file, tmp_path, "--truth", tmp_path / "truth.csv")
    assert "top-1 2 of 3 (0.6667), top-5 " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["0.png,0"], "has 2 rows for .*; say more of their paths|has no row for"),
        (["a/0.png,1", "b/0.png,10"], "has the label '10' for .*b/0.png; there are 10 classes"),
        (["a/0.png,1", "b/0.png,x"], "has the label 'x' for"),
        (["a/0.png,1"], "has no row for .*b/0.png"),
    ],
)
def test_classify_tells_pictures_of_one_name_apart(resnet, tmp_path, capsys, rows, message):
    model, file = resnet
    answers = [logits_of(model, random_pictures(tmp_path / part, 1) if part == "a" else other).argmax(1)[0]
               for part, other in (("a", None), ("b", np.full((1, 40, 33, 3), 9, np.uint8)))]  # fmt: skip
    (tmp_path / "b").mkdir()
    write(tmp_path / "b/0.png", np.full((40, 33, 3), 9, np.uint8))
    truth = tmp_path / "truth.csv"
    truth.write_text("\n".join(["file,label_index", f"a/0.png,{answers[0]}", f"b/0.png,{answers[1]}"]))
    classify(file, tmp_path, "--truth", truth)
    assert "top-1 2 of 2" in capsys.readouterr().out
    truth.write_text("\n".join(["file,label_index", *rows]))
    if rows == ["0.png,0"]:
        classify(file, tmp_path, "--truth", truth)  # one row for all pictures of that name
        return
    with pytest.raises(SystemExit, match=message):
        classify(file, tmp_path, "--truth", truth)


def test_classify_knows_a_network_that_was_given_other_classes(resnet, tmp_path, capsys):
    model = weights.replace_head(resnet[0], 3, rngs=nnx.Rngs(1))
    card, file = weights.card("cifar_resnet20.idelbayev"), tmp_path / "three.safetensors"
    weights.save(model, file, card=card, class_names=("left [a]", "right", "none"))
    pixels = random_pictures(tmp_path / "some", 1)
    (tmp_path / "some/0.png").rename(tmp_path / "some/x[final].png")
    main(["classify", str(tmp_path / "some"), "--weights", str(file), "--sha256", weights.sha256_of(file)[:9]])
    printed = capsys.readouterr().out
    assert "cifar_resnet20, weights three.safetensors, preprocessing of cifar_resnet20.idelbayev\n" in printed
    assert [word in printed for word in ("x[final].png", "left [a]", "right", "none")] == [True] * 4
    expected = np.sort(np.asarray(jax.nn.softmax(logits_of(model, pixels)))[0])[::-1]
    np.testing.assert_allclose(probabilities(printed), expected, atol=6e-5)
    with pytest.raises(SystemExit, match=r"classify: load: the sha256 of .* must begin with 'ab'"):
        main(["classify", str(tmp_path / "some"), "--weights", str(file), "--sha256", "ab"])


def test_known_builds_a_dense_layer_behind_a_network_of_convolutions(tmp_path):
    model = jax.jit(lambda: models.create("squeezenet1_1", rngs=nnx.Rngs(0)))()
    model = weights.replace_head(model, 2, rngs=nnx.Rngs(1))
    weights.save(model, tmp_path / "pets.safetensors")
    network = Network(str(tmp_path / "pets.safetensors"), model="squeezenet1_1")
    read = lambda card: known(replace(network, card=card), Console(quiet=True))
    with pytest.raises(
        ValueError, match="the cards of squeezenet1_1 want different preprocessing; choose one by --card: "
    ):
        read(None)
    found = read("squeezenet1_1.iandola")
    x = jax.random.normal(jax.random.key(0), (1, 40, 40, 3))
    np.testing.assert_allclose(found.model(x, train=False), model(x, train=False), rtol=1e-4, atol=1e-6)
    assert class_names(found, None, 2) == ["class 0", "class 1"]


def test_classes_of_imagenet_have_names(shared, tmp_path):
    pytest.importorskip("tensorflow_datasets")
    card = weights.card("resnet50.torchvision_V2")
    names = class_names(Known(nnx.Module(), card, tmp_path / "resnet50.pth", ()), None, 1000)
    given = (shared / "data/weights/squeezenet_v1.1/synset_words.txt").read_text().splitlines()
    first = [name.split(",")[0].partition(" (")[0].lower() for name in names]
    assert all(name in line.lower() for name, line in zip(first, given, strict=True))
