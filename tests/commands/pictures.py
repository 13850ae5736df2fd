"""Pictures to classify, and what a network makes of them."""

import re

import jax
import numpy as np
import pytest
from flax import nnx

from jaxcnn import weights

Image = pytest.importorskip("PIL.Image")


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def random_pictures(folder, count=3):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 40, 33, 3), np.uint8)
    for i, picture in enumerate(pixels):
        write(folder / f"{i}.png", picture)
    return pixels


def logits_of(model, images):
    prepared = weights.preprocess(weights.card("cifar_resnet20.idelbayev"), images)
    graphdef, state = nnx.split(model)
    return np.asarray(jax.jit(lambda state, x: nnx.merge(graphdef, state)(x, train=False))(state, prepared))


def probabilities(printed):
    return [float(number) for number in re.findall(r"│ +(\d\.\d{4}) │", printed)]
