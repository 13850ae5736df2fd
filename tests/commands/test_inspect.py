"""`inspect`: a page and a picture of every method, classes by name, and a line for each thing that is wrong."""

import numpy as np
import pytest
from flax import nnx
from PIL import Image

from jaxcnn import models, weights
from jaxcnn.commands import main

NAMES = ("cat", "sea dog", "dog")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """A LeNet-5 of three classes on RGB pictures, with its card."""
    path = tmp_path_factory.mktemp("weights") / "weights.safetensors"
    model = models.create("lenet5", num_classes=3, in_features=3, rngs=nnx.Rngs(0))
    card = weights.Card("lenet5.mine", "lenet5", image_size=(28, 28), mean=(0.5,), std=(0.3,))
    weights.save(model, path, card=card, class_names=NAMES)
    return path


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    path = tmp_path_factory.mktemp("pictures") / "photo.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)).save(path)
    return path


def run(*arguments):
    main(["inspect", *map(str, arguments)])


def test_inspect_writes_a_page_of_chosen_methods(file, picture, tmp_path, capsys):
    page = tmp_path / "page.html"
    methods = ("gradient", "grad_cam", "occlusion", "rise")
    run(picture, "--weights", file, "--method", *methods, "--target", "dog", "--judge", "--picture", page)
    printed = capsys.readouterr().out
    assert f"picture: {page}" in printed
    text = page.read_text()
    assert text.count("data:image/png") == 1
    assert "photo.png: dog " in text
    assert all(f"<td>{name}</td>" in text and name in printed for name in methods)
    assert "class activation maps of pool2" in text


def test_inspect_shows_every_method_and_says_why_one_is_missing(file, picture, tmp_path, capsys, monkeypatch):
    from jaxcnn.commands import _attributions as shown
    from jaxcnn.commands import _inspect

    def refuses(asked):
        raise ValueError("rise: no masks\nand more")

    few = {name: shown.METHODS[name] for name in ("lrp", "eigen_cam")} | {"rise": shown.Method(refuses)}
    monkeypatch.setattr(shown, "METHODS", few)
    monkeypatch.setattr(_inspect, "METHODS", few)
    page = tmp_path / "page.html"
    run(picture, "--weights", file, "--picture", page)
    text = page.read_text()
    assert "rise is not shown. rise: no masks<" in text
    assert "maps of 2 methods for photo.png" in text
    assert "<table" not in text


def test_inspect_writes_a_picture(file, picture, tmp_path):
    target = tmp_path / "maps.png"
    run(picture, "--weights", file, "--method", "deep_lift", "--target", "1", "--picture", target)
    with Image.open(target) as drawn:
        assert drawn.width == 9 * 120


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--target", "sea"), None),
        (("--target", "o"), "target='o' is in 2 names: sea dog; dog"),
        (("--target", "cap"), "target='cap' is no class; nearest: cat"),
        (("--target", "3"), "target=3 is no class of a model with 3; use 0 to 2"),
        (("--method", "grad"), "method='grad' must be one of gradient,"),
        (("--layer", "conv9"), "layer='conv9' is no activation of the model; nearest: conv2, conv1"),
        (("--layer", "dense1"), "which has no space; use one of conv1, pool1, conv2, pool2"),
        (("--picture", "nowhere/page.html"), "the folder"),
        (("--picture", "maps.doc"), ".doc is no kind of picture"),
    ],
)
def test_inspect_says_what_is_wrong_in_one_line(options, message, file, picture, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    method = () if options[0] == "--method" else ("--method", "grad_cam")
    arguments = (picture, "--weights", file, *method, *options)
    if message is None:
        return run(*arguments)
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_inspect_names_pictures_that_it_cannot_read(file, tmp_path):
    (tmp_path / "note.png").write_text("no picture")
    with pytest.raises(SystemExit, match=r"note\.png: it is no picture"):
        run(tmp_path / "note.png", "--weights", file)
