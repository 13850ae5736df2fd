"""What a file says of itself: a card is read back whole, and one that is none is refused in a line."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import save_file

from jaxcnn import nn, weights
from jaxcnn.weights import Card, WeightFileError

GREY = Card("lenet5.mine", "lenet5", image_size=(28, 30), resize=24, mean=(0.1307,), std=(0.3081,), channels="L")


def dense():
    return nn.Dense(2, 3, rngs=nnx.Rngs(0))


@pytest.mark.parametrize("card", [GREY, Card("a.b", "a"), *list(weights.CARDS.values())[:4], None])
def test_save_keeps_the_card_whole(card, tmp_path):
    weights.save(dense(), tmp_path / "a.safetensors", card=card, class_names=("x", "y", "z"))
    assert weights.description(tmp_path / "a.safetensors") == (card, ("x", "y", "z"), None)


def test_description_reads_the_name_of_a_known_card(tmp_path):
    save_file({"bias": np.zeros(3, np.float32)}, tmp_path / "a.safetensors", {"card": "resnet50.torchvision_V2"})
    assert weights.description(tmp_path / "a.safetensors").card == weights.card("resnet50.torchvision_V2")


def test_description_passes_over_fields_that_there_are_not(tmp_path):
    text = json.dumps(asdict(GREY) | {"colour_space": "linear"})
    save_file({"bias": np.zeros(3, np.float32)}, tmp_path / "a.safetensors", {"card": text})
    assert weights.description(tmp_path / "a.safetensors").card == GREY


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"image_size": [10**9, 10**9]}, "Card: image_size="),
        ({"image_size": [28]}, "Card: image_size="),
        ({"image_size": "28"}, "Card: image_size='28' must be integers"),
        ({"resize": 0.5}, "Card: resize=0.5 must be integers"),
        ({"central_fraction": 1.5}, r"Card: central_fraction=1\.5; give a share from 0 to 1"),
        ({"central_fraction": "all"}, "Card: central_fraction='all' must be finite numbers"),
        ({"std": [0.0]}, "each std above 0"),
        ({"mean": [0.1, 0.2]}, "'L' takes 1, each"),
        ({"mean": [float("nan")]}, r"Card: mean=\[nan\] must be finite numbers"),
        ({"channels": "CMYK"}, "Card: channels='CMYK'"),
        ({"model": ["a"]}, r"Card: model=\['a'\] must be text"),
        ({"model": None}, "missing 1 required positional argument: 'model'"),
        ({"published": [1, 2, 3]}, "too many values"),
    ],
)
def test_a_card_that_is_none_is_refused(changed, message, tmp_path):
    file = tmp_path / "a.safetensors"
    save_file({"bias": np.zeros(3, np.float32)}, file, {"card": json.dumps(asdict(GREY) | changed)})
    with pytest.raises(WeightFileError, match=message) as caught:
        weights.description(file)
    assert str(caught.value).startswith(f"load: {file} has a card that cannot be used: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["{", "{" * 100_000, '{"a": ' * 100_000, "resnet5"])
def test_a_card_that_is_no_text_of_one_is_refused(text, tmp_path):
    save_file({"bias": np.zeros(3, np.float32)}, tmp_path / "a.safetensors", {"card": text})
    with pytest.raises(WeightFileError, match=r"a\.safetensors has a card that cannot be used: "):
        weights.description(tmp_path / "a.safetensors")


def test_a_card_of_ones_own_needs_few_fields():
    card = Card("a.b", "a", image_size=(32, 48))
    assert (card.resize, card.mean, card.std, card.range) == (32, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), 1.0)
    assert Card("a.b", "a", mean=0.5, std=[np.float32(0.25)]).mean == (0.5, 0.5, 0.5)  # type: ignore[arg-type]
    assert replace(card, resize=40).image_size == (32, 48)
    white = np.full((1, 32, 48, 3), 255, np.uint8)
    np.testing.assert_array_equal(weights.preprocess(card, white), np.ones((1, 32, 48, 3)))


def test_grey_pictures_are_prepared_as_they_are():
    image = np.random.default_rng(0).integers(0, 256, (2, 28, 30, 1), np.uint8)
    plain = replace(GREY, resize=28)
    expected = (image / 255 - 0.1307) / 0.3081
    np.testing.assert_allclose(weights.preprocess(plain, image), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(
        ValueError, match=r"the images are uint8\[2, 28, 30, 3\]; they must be uint8 grey \(n, h, w, 1\)"
    ):
        weights.preprocess(plain, image.repeat(3, -1))
