"""A set and a model that train in no time, for the tests of training."""

import jax.numpy as jnp
import numpy as np

from jaxcnn import models
from jaxcnn.data import ImageSet, Split

RNG = np.random.default_rng(0)
LABELS = np.arange(24, dtype=np.int32) % 3
IMAGES = (RNG.random((24, 4, 4, 1)) * 60 + 90 * (LABELS % 3)[:, None, None, None]).astype(np.uint8)
DATA = ImageSet("toy", Split(IMAGES, LABELS), Split(IMAGES[:9], LABELS[:9]), ("a", "b", "c"), "made here")
OPTIONS = {"num_classes": 3, "image_size": (4, 4), "hidden_features": (5,)}


def build(rngs, dropout=0.0):
    return models.create("dense", rngs=rngs, dropout=dropout, **OPTIONS)


def prepare(images):
    return images.astype(jnp.float32) / 255 - 0.5
