"""What does pooling do? (L2.7)

One network, six ways to halve its maps, and for each how often the answer changes when the image moves by one pixel.

    python -m experiments.pooling_effect --data-dir DIR

Expected: pooling beats no pooling and strides at the same number of parameters; blurred pooling is the steadiest.
"""

from dataclasses import dataclass
from functools import partial
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import tyro

from jaxcnn import models
from jaxcnn.data import ImageSet, preparer
from jaxcnn.models.plain import Downsample
from jaxcnn.report import over_seeds
from jaxcnn.train import Fitted

from .comparison import Contender, Options, command, compare, load_part, seen_size


@dataclass(frozen=True)
class Config(Options):
    """Six ways of down-sampling on Fashion-MNIST: accuracy, time and consistency under shifts."""

    widths: tuple[int, ...] = (16, 32, 64)
    """Channels of each stage."""


def main(config: Config) -> None:
    """Trains the six, writes the page, prints the consistency of each."""
    data, made_for = load_part(config)
    build = lambda how: lambda rngs: models.create("plain", rngs=rngs, downsample=how, widths=config.widths, **made_for)
    contenders = {how: Contender(build(how)) for how in get_args(Downsample)}
    results = compare("pooling_effect", "What pooling does", config, data, contenders, __file__)
    for name, (_, fitted) in results.items():
        print(f"pooling_effect/{name} same answer after a shift by one pixel {over_seeds(consistency(fitted, data))}")


def consistency(fitted: Fitted, data: ImageSet, *, images: int = 2000) -> np.ndarray:
    """Share of test images whose answer stays when they move by a pixel right and down, for each member (Zhang 2019)."""
    prepare = preparer(data, seen_size(data))
    x = jnp.asarray(data.test.images[:images])

    @jax.jit
    def answers(model, pixels):
        return jnp.argmax(model(prepare(pixels), train=False), -1)

    moved = jnp.roll(x, (1, 1), (1, 2))
    members = [fitted.member(i) for i in range(len(fitted.test_logits))]
    return np.array([np.mean(answers(model, x) == answers(model, moved)) for model in members])


if __name__ == "__main__":
    command("pooling_effect", partial(main, tyro.cli(Config, description=__doc__)))
