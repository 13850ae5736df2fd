"""Classes behind a background: the MobileNets of 8-bit weights by the command line, and how their outputs are counted."""

import re
from dataclasses import replace

import numpy as np
import pytest
from flax import nnx

from benchmarks.drawn import blank
from jaxcnn import models, weights
from jaxcnn.commands import main
from jaxcnn.commands._evaluate import Labelled, _numbers
from jaxcnn.commands._known import Known, class_names
from jaxcnn.commands._network import Network, prepared

from .pictures import Image

PUBLISHED = {  # file of weights: side, right at top-1 and top-5 of 36, likeliest of the whole pictures
    "mobilenet_v1_0.25_128": (128, 13, 26, {"cat": (286, 0.1380), "sunflower": (986, 0.6273), "grace_hopper": (401, 0.3602)}),
    "mobilenet_v2_1.0_224": (224, 27, 34, {"cat": (286, 0.7800), "sunflower": (986, 0.9888), "grace_hopper": (653, 0.9275)}),
}  # fmt: skip
NAMES = {286: "Egyptian cat", 986: "daisy", 401: "academic gown, academic robe, judge's robe", 653: "military uniform"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_answers_for_whole_pictures(name, shared):
    folder = shared / "data/weights/mobilenet_quant"
    side, _, _, expected = PUBLISHED[name]
    card = weights.card_with_sha256(weights.sha256_of(folder / f"{name}.npz"))
    model = weights.load(blank(lambda rngs: models.create(card.model, rngs=rngs)), folder / f"{name}.npz")
    known = Known(model, replace(card, central_fraction=1.0), folder / f"{name}.npz", (), card.classes)
    assert (known.outputs, known.background(1001), card.image_size) == (1001, 1, (side, side))
    pictures = [np.asarray(Image.open(folder / f"{picture}.png").convert("RGB")) for picture in expected]
    logits = known.logits()(np.stack([weights.cut(known.card, pixels[None])[0] for pixels in pictures]))
    powers = np.exp(logits.astype(np.float64))
    probabilities = powers / powers.sum(1, keepdims=True)
    assert probabilities.argmax(1).tolist() == [label for label, _ in expected.values()]
    np.testing.assert_allclose(probabilities.max(1), [value for _, value in expected.values()], atol=6e-5)
    names = class_names(known, None, 1001)
    assert [names[label] for label, _ in expected.values()] == [NAMES[label] for label, _ in expected.values()]


@pytest.mark.parametrize("name", PUBLISHED)
def test_classify_counts_imagenets_classes_behind_the_background(name, shared, capsys):
    folder, file = shared / "data/imagenet_sample", shared / f"data/weights/mobilenet_quant/{name}.npz"
    main(["classify", str(folder), "--weights", str(file), "--truth", str(folder / "labels.csv"), "--top", "1"])
    printed = " ".join(capsys.readouterr().out.split())
    _, first, fifth, _ = PUBLISHED[name]
    assert re.search(
        rf"preprocessing of tflite_mobilenet_v\d\w*\.google_coral.* top-1 {first} of 36 .*, top-5 {fifth} of 36",
        printed,
    )
    assert "n07716906_spaghetti_squash.JPEG │ spaghetti squash │" in printed


def with_background(path, own_names=()):
    """What `known` makes of a network of 1,001 outputs with the card of such."""
    card = weights.card("tflite_mobilenet_v2.google_coral")
    return Known(nnx.Module(), card, path / "mobilenet.npz", own_names, card.classes)


IMAGENET = [f"thing {i}" for i in range(1000)]


@pytest.mark.parametrize("file", ["imagenet_labels.txt", "synset_words.txt"])
@pytest.mark.parametrize("first", [["background"], []])
def test_names_are_found_with_and_without_a_background(file, first, tmp_path):
    (tmp_path / file).write_text("\n".join([*first, *IMAGENET]))
    assert class_names(with_background(tmp_path), None, 1001) == ["background", *IMAGENET]
    card = weights.card("resnet50.torchvision_V2")
    assert class_names(Known(nnx.Module(), card, tmp_path / "a.pth", (), "imagenet"), None, 1000) == IMAGENET


@pytest.mark.parametrize(("count", "lines"), [(1001, 999), (1000, 1001), (1000, 999)])
def test_names_of_another_number_are_refused(count, lines, tmp_path):
    (tmp_path / "labels.txt").write_text("\n".join(f"thing {i}" for i in range(lines)))
    with pytest.raises(ValueError, match=f"labels.txt names {lines} classes; the model has {count}"):
        class_names(with_background(tmp_path), None, count)


def test_evaluate_counts_a_thousand_classes_behind_the_background(tmp_path):
    images = Labelled(("n3", "n1"), tuple(f"n{i}" for i in range(1000)), None)  # type: ignore[arg-type]
    known = with_background(tmp_path)
    sized = lambda outputs: type("Sized", (Known,), {"outputs": outputs})(*known)
    assert _numbers("set", images, sized(1001)) == [4, 2]
    assert _numbers("set", images._replace(all=(*images.all, "n1000")), sized(1001)) == [3, 1]
    assert _numbers("set", images, sized(1000)) == [3, 1]
    with pytest.raises(ValueError, match="set has 1000 classes, the model 999"):
        _numbers("set", images, sized(999))
    named = with_background(tmp_path, ("background", *(f"n{i}" for i in range(1000))))
    assert _numbers("set", images, type("Sized", (Known,), {"outputs": 1001})(*named)) == [4, 2]


def test_a_resize_takes_the_place_of_the_central_fraction():
    card = weights.Card("cifar_resnet20.mine", "cifar_resnet20", image_size=(32, 32), central_fraction=0.5)
    pixels = np.zeros((1, 64, 64, 3), np.uint8)
    pixels[:, 16:48, 16:48] = 255  # the fraction sees white alone, the short side's middle all of it
    asked = {(): (32, 32, 1.0), ("resize", 32): (32, 32, 0.25), ("input", (16, 24)): (16, 24, 1.0)}
    for more, (h, w, white) in asked.items():
        found, _ = prepared(Network("a.safetensors", **dict([more] if more else [])), "cifar_resnet20", card)
        seen = weights.cut(found, pixels)
        assert seen.shape == (1, h, w, 3)
        assert abs(seen.mean() / 255 - white) < 0.01
