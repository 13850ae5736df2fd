"""How well do a dense and a convolutional network tell clothes apart? (L2.6)

    python -m experiments.fashion_mnist --data-dir DIR

Expected: dense about 0.90, LeNet-5 about 0.91, the plain convolutional network 0.935 and more.
"""

from dataclasses import dataclass
from functools import partial

import jax
import tyro
from jax import Array

from jaxcnn import models
from jaxcnn.augment import random_crop, random_flip_left_right

from .comparison import Contender, Options, command, compare, load_part


@dataclass(frozen=True)
class Config(Options):
    """Dense against convolutional networks on Fashion-MNIST, with error bars over seeds."""

    epochs: int = 15
    """Passes over the training images."""


def main(config: Config) -> None:
    """Trains the three and writes the page."""
    data, made_for = load_part(config)
    make = lambda name, **options: lambda rngs: models.create(name, rngs=rngs, **made_for, **options)
    contenders = {
        "dense": Contender(make("dense", dropout=0.2), augment=random_flip_left_right),
        "lenet5": Contender(make("lenet5", dropout=0.2), augment=random_flip_left_right),
        "plain": Contender(make("plain", dropout=0.2), augment=moved, mirrored=True),
    }
    compare("fashion_mnist", "Fashion-MNIST: dense against convolutional", config, data, contenders, __file__)


def moved(key: Array, x: Array) -> Array:
    """Mirrored half of the time, moved by up to two pixels."""
    first, second = jax.random.split(key)
    return random_flip_left_right(first, random_crop(second, x, x.shape[1:3], padding=2))


if __name__ == "__main__":
    command("fashion_mnist", partial(main, tyro.cli(Config, description=__doc__)))
