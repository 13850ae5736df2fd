"""`card_for`: a network sees through its card what it saw in training."""

import numpy as np
import pytest

from jaxcnn import weights
from jaxcnn.data import ImageSet, Split, card_for, load, preparer


def made(h, w, channels):
    rng = np.random.default_rng(h)
    images = rng.integers(0, 256, (6, h, w, channels), np.uint8)
    part = Split(images, np.arange(6, dtype=np.int32) % 2)
    return ImageSet("toy", part, part, ("a", "b"), "made here")


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((8, 8, 1), (28, 28)),
        ((28, 28, 1), (32, 32)),
        ((5, 11, 3), (13, 24)),
        ((11, 5, 3), (11, 5)),
        ((9, 7, 1), (40, 19)),
    ],
)
def test_card_prepares_as_training_does(shape, size):
    data = made(*shape)
    prepare = preparer(data, size)
    card = card_for(data, prepare, model="lenet5")
    assert (card.model, card.image_size) == ("lenet5", size)
    ours, theirs = weights.preprocess(card, data.test.images), np.asarray(prepare(data.test.images))
    # half a colour an axis
    rounding = 0 if prepare.factor == 1 else 1 / 255 / min(card.std)
    np.testing.assert_allclose(ours, theirs, atol=rounding + 1e-5)


def test_card_of_the_digits_is_read_back(tmp_path):
    from flax import nnx

    from jaxcnn import nn

    digits = load("digits")
    card = card_for(digits, preparer(digits, (28, 28)), model="lenet5")
    weights.save(nn.Dense(2, 3, rngs=nnx.Rngs(0)), tmp_path / "a.safetensors", card=card)
    assert weights.description(tmp_path / "a.safetensors").card == card
