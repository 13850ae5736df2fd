"""Preprocessing is Pillow's and torchvision's, bit by bit, on real photographs and odd shapes, on the host and compiled."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import weights

Image = pytest.importorskip("PIL.Image")
FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}
CARDS = (
    "resnet50.torchvision_V1",
    "efficientnet_b1.torchvision_V1",
    "inception_v3.torchvision_V1",
    "squeezenet1_1.iandola",
    "tflite_mobilenet_v1_025.google_coral",
)
PHOTOS = ("photos/neural_style__tubingen.jpg", "photos/set5__butterfly.bmp", "photos/pytorch_examples__udnie.jpg",
          "imagenet_sample/n02110185_Siberian_husky.JPEG", "cats_dogs/dog/dog.33.jpg")  # fmt: skip


def by_pillow(card, pixels):
    """Resized by Pillow as torchvision's `resize` asks it, the middle cut out as by its `center_crop`.

    With a central fraction that middle is brought to the card's size, whatever its proportions.
    """
    h, w, _ = pixels.shape
    if card.central_fraction:
        inner = [max(1, int(size * card.central_fraction)) for size in (w, h)]
        left, top = (w - inner[0]) // 2, (h - inner[1]) // 2
        middle = Image.fromarray(pixels).crop((left, top, left + inner[0], top + inner[1]))
        return np.asarray(middle.resize(card.image_size[::-1], FILTERS[card.interpolation]))
    short, s = card.resize, card.image_size[0]
    to = (int(short * w / h), short) if h <= w else (short, int(short * h / w))  # width, height
    whole = np.asarray(Image.fromarray(pixels).resize(to, FILTERS[card.interpolation]))
    top, left = (int(round((size - s) / 2.0)) for size in whole.shape[:2])
    return whole[top : top + s, left : left + s]


@pytest.mark.parametrize("name", CARDS)
@pytest.mark.parametrize("photo", PHOTOS)
def test_cut_is_pillows(name, photo, shared):
    card = weights.card(name)
    pixels = np.asarray(Image.open(shared / "data" / photo).convert("RGB"))
    np.testing.assert_array_equal(weights.cut(card, pixels[None])[0], by_pillow(card, pixels))


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 1), (37, 23), (227, 228), (230, 640), (900, 31), (640, 230)])
@pytest.mark.parametrize("interpolation", FILTERS)
@pytest.mark.parametrize("part", [{"image_size": (31, 31)}, {"image_size": (31, 45), "central_fraction": 0.7}])
def test_cut_on_a_device_is_pillows(shape, interpolation, part):
    card = dataclasses.replace(weights.card(CARDS[0]), interpolation=interpolation, resize=33, **part)
    pixels = np.random.default_rng(0).integers(0, 256, (2, *shape, 3), np.uint8)
    found = jax.jit(lambda x: weights.cut(card, x))(pixels)
    assert isinstance(found, jax.Array)
    for image, expected in zip(np.asarray(found), pixels):
        np.testing.assert_array_equal(image, by_pillow(card, expected))
    np.testing.assert_array_equal(weights.cut(card, pixels), found)


@pytest.mark.parametrize(
    ("w", "oh", "ow"), [(50, 70, 36), (50, 72, 36), (50, 73, 36), (40, 71, 60), (40, 120, 60), (90, 71, 60)]
)
def test_cut_goes_along_the_axis_that_pillow_takes_first(w, oh, ow):
    """Two roundings in another order differ; of 100 rows and w columns the order turns where 2 (w − ow) = 100 − oh."""
    card = weights.Card("a", "a", image_size=(oh, ow), central_fraction=1.0)
    pixels = np.random.default_rng(0).integers(0, 256, (100, w, 3), np.uint8)
    np.testing.assert_array_equal(weights.cut(card, pixels[None])[0], by_pillow(card, pixels))


def test_cut_of_a_very_long_picture_stays_small():
    card = weights.card(CARDS[0])
    pixels = np.random.default_rng(0).integers(0, 256, (1, 1, 60_000, 3), np.uint8)  # resized whole: 12 GB
    assert weights.cut(card, pixels).shape == (1, 224, 224, 3)


def test_cut_adds_black_where_the_cut_is_larger():
    card = dataclasses.replace(weights.card(CARDS[0]), resize=3, image_size=(7, 6))
    found = weights.cut(card, np.full((1, 3, 4, 3), 9, np.uint8))[0, :, :, 0]
    expected = np.zeros((7, 6))
    expected[2:5, 1:5] = 9
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("resnet50.torchvision_V1", [(10 / 255 - 0.485) / 0.229, (20 / 255 - 0.456) / 0.224, (30 / 255 - 0.406) / 0.225]),
        ("inception_v3.torchvision_V1", [10 / 127.5 - 1, 20 / 127.5 - 1, 30 / 127.5 - 1]),
        ("squeezenet1_1.iandola", [30 - 104, 20 - 117, 10 - 123]),
        ("tflite_mobilenet_v2.google_coral", [(10 - 128) / 128, (20 - 128) / 128, (30 - 128) / 128]),
    ],
)  # fmt: skip
def test_preprocess_normalises_as_the_card_says(name, expected):
    images = np.broadcast_to(np.array([10, 20, 30], np.uint8), (1, 400, 300, 3))
    found = weights.preprocess(weights.card(name), images)
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), rtol=1e-5)


@pytest.mark.parametrize(
    "images", [np.zeros((2, 2, 3), np.uint8), np.zeros((1, 2, 2, 1), np.uint8), np.zeros((1, 2, 2, 3)),
               np.zeros((1, 0, 2, 3), np.uint8)]
)  # fmt: skip
def test_preprocess_refuses(images):
    with pytest.raises(ValueError, match=r"preprocess: the images are .*; they must be uint8 RGB \(n, h, w, 3\)"):
        weights.preprocess(weights.card(CARDS[0]), images)
