"""How well do a dense and a convolutional network tell clothes apart? (L2.6)

    python -m experiments.fashion_mnist --data-dir DIR --seeds 3

Expected: dense about 0.90, LeNet-5 about 0.91, the network of airbench94 at half its width 0.935.
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import tyro
from flax import nnx
from jax import Array

from jaxcnn import models
from jaxcnn.augment import random_crop, random_flip_left_right
from jaxcnn.data import preparer

from .comparison import Contender, Options, command, compare, load_part, seen_size


@dataclass(frozen=True)
class Config(Options):
    """Dense against convolutional networks on Fashion-MNIST, with error bars over seeds."""

    smoothing: float = 0.1
    """Share of the truth that the training loss spreads over all classes."""
    widths: tuple[int, ...] = (32, 64, 128)
    """Channels of each group of the third network."""


def main(config: Config) -> None:
    """Trains the three and writes the page."""
    data, made_for = load_part(config)
    make = lambda name, **options: lambda rngs: models.create(name, rngs=rngs, **made_for, **options)
    prepare = preparer(data, seen_size(data))
    filters = models.whitening_filters(prepare(jnp.asarray(data.train.images[:5000])))

    def whitened(rngs: nnx.Rngs) -> nnx.Module:
        model = models.AirbenchNetwork(rngs=rngs, widths=config.widths, **made_for)
        model.filters[...] = filters
        return model

    contenders = {
        "dense": Contender(make("dense", dropout=0.2), augment=random_flip_left_right),
        "lenet5": Contender(make("lenet5", dropout=0.2), augment=random_flip_left_right),
        "airbench": Contender(whitened, augment=moved, mirrored=True),
    }
    compare("fashion_mnist", "Fashion-MNIST: dense against convolutional", config, data, contenders, __file__)


def moved(key: Array, x: Array) -> Array:
    """Mirrored half of the time, moved by up to two pixels."""
    first, second = jax.random.split(key)
    return random_flip_left_right(first, random_crop(second, x, x.shape[1:3], padding=2))


if __name__ == "__main__":
    command("fashion_mnist", partial(main, tyro.cli(Config, description=__doc__)))
