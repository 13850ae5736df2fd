"""How far does a residual network of 20 layers get on CIFAR-10? (L1.13, L2.10)

    python -m experiments.cifar10_resnet20 --data-dir DIR --seeds 1

Expected: 0.9125 after the paper's 64,000 steps (He et al. 2016, table 6); about 0.90 after 30 epochs.
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
    """ResNet-20 on CIFAR-10 with the paper's augmentation."""

    dataset: str = "cifar10"
    """Name of a TFDS set of small images, digits, or a folder of pictures, train/<class>/*.jpg."""
    epochs: int = 30
    """Passes over the training images."""
    seeds: int = 1
    """Networks trained together, each from its own seed."""
    depth: int = 20
    """Layers: 20, 32, 44, 56 or 110."""


def main(config: Config) -> None:
    """Trains and writes the page."""
    data, made_for = load_part(config)
    name = f"cifar_resnet{config.depth}"
    contenders = {name: Contender(lambda rngs: models.create(name, rngs=rngs, **made_for), augment=padded_and_mirrored)}
    compare("cifar10_resnet20", "A residual network on CIFAR-10", config, data, contenders, __file__)


def padded_and_mirrored(key: Array, x: Array) -> Array:
    """A crop of the image padded by four pixels, mirrored half of the time."""
    first, second = jax.random.split(key)
    return random_flip_left_right(first, random_crop(second, x, x.shape[1:3], padding=4))


if __name__ == "__main__":
    command("cifar10_resnet20", partial(main, tyro.cli(Config, description=__doc__)))
