"""`python -m jaxcnn …` as a user runs it: its numbers, its lines, and every wrong argument in one line."""

import io
import os
import re
import sys

import jax
import numpy as np
import pytest
from flax import nnx
from rich.console import Console

from jaxcnn import models, weights
from jaxcnn.commands import main
from jaxcnn.commands._known import Known, class_names, known
from jaxcnn.data import load

Image = pytest.importorskip("PIL.Image")
pytest.importorskip("tyro")


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """A random CIFAR ResNet-20, and its file."""
    model = jax.jit(lambda: models.create("cifar_resnet20", rngs=nnx.Rngs(0)))()
    file = tmp_path_factory.mktemp("weights") / "random.safetensors"
    weights.save(model, file)
    return model, file


def logits_of(model, images):
    prepared = weights.preprocess(weights.card("cifar_resnet20.idelbayev"), images)
    graphdef, state = nnx.split(model)
    return np.asarray(jax.jit(lambda state, x: nnx.merge(graphdef, state)(x, train=False))(state, prepared))


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


def write(path, pixels):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def random_pictures(folder, count=3):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 40, 33, 3), np.uint8)
    for i, picture in enumerate(pixels):
        write(folder / f"{i}.png", picture)
    return pixels


def classify(file, *more):
    main(["classify", *map(str, more[:1]), "--model", "cifar_resnet20", "--weights", str(file), *map(str, more[1:])])


def probabilities(printed):
    return [float(number) for number in re.findall(r"│ +(\d\.\d{4}) │", printed)]


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
    read = lambda card: known("squeezenet1_1", str(tmp_path / "pets.safetensors"), card, None, Console(quiet=True))
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
    (tmp_path / "own/train/x").mkdir(parents=True)
    for dataset, its in (("own", named), ("own/test", named), ("numbers", file)):
        evaluate(its, "--dataset", (tmp_path / dataset).as_posix())
        printed = " ".join(capsys.readouterr().out.split())
        assert "top-1 1 of 2 (0.5000)" in printed
        assert ("1 of 3 cannot be read: " in printed) == (dataset != "numbers")
    with pytest.raises(SystemExit, match="has the class 'x'; the weights have c9, c8"):
        evaluate(named, "--dataset", (tmp_path / "own").as_posix(), "--split", "train")
    with pytest.raises(SystemExit, match="has 3 classes, the model 10; name the folders"):
        evaluate(file, "--dataset", (tmp_path / "own/test").as_posix())
    with pytest.raises(SystemExit, match="has the parts test, train; say one by --split"):
        evaluate(file, "--dataset", (tmp_path / "own").as_posix(), "--split", "validation")


def test_evaluate_takes_a_bare_word_for_the_name_of_a_set(resnet, tmp_path, monkeypatch):
    _, file = resnet
    (tmp_path / "mnits/a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match="there is no data set 'mnits'"):
        evaluate(file, "--dataset", "mnits")


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
        (["classify", "{file}", "--weights", "{file}"], "classify: {file} is no file of a known card, and does not say its"),
        (["classify", "{file}", "--weights", "{file}", "--picture", "{file}/a/b.png"],
         "classify: picture={file}/a/b.png: the folder"),
        (["classify", "{file}", "--weights", "{file}", "--model", "cifar_resnet2"],
         "classify: create: there is no model 'cifar_resnet2'; nearest: cifar_resnet"),
        (["classify", "{file}", "--weights", "{file}", "--card", "resnet5"], "classify: card: there are no weights 'resnet5'"),
        (["evaluate", "--weights", "{file}", "--dataset", "digits", "--model", "lenet5"], "evaluate: load: "),
        (["evaluate", "--weights", "{file}", "--dataset", "digits", "--batch-size", "0"], "evaluate: batch_size=0 must be"),
    ],
)  # fmt: skip
def test_commands_refuse_in_one_line(arguments, message, tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "a.png", np.zeros((2, 2, 3), np.uint8))
    given = [word.format(dir=tmp_path / "empty", file=tmp_path / "a.png") for word in arguments]
    with pytest.raises(SystemExit) as stopped:
        main(given)
    assert str(stopped.value).startswith(message.replace("{file}", str(tmp_path / "a.png")))


@pytest.mark.slow
def test_evaluate_of_the_shared_resnet20(shared, capsys):
    folder = os.environ.get("TFDS_DATA_DIR", "")
    if not os.path.isdir(os.path.join(folder, "cifar10")):
        pytest.skip("no prepared CIFAR-10; set TFDS_DATA_DIR")
    file = shared / "data/weights/resnet_cifar10/resnet20-12fca82f.npz"
    main(["evaluate", "--model", "cifar_resnet20", "--weights", str(file), "--dataset", "cifar10"])
    right = int(re.search(r"top-1 (\d+) of 10000", capsys.readouterr().out)[1])
    assert abs(right - 9173) <= 2
