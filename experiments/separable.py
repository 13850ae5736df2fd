"""Why separable convolutions? (L0.4)

The same network with standard, spatially separable (a column, then a row) and depthwise separable convolutions: parameters,
multiply-adds, the measured time of training, and accuracy.

    python -m experiments.separable --data-dir DIR

Expected: a depthwise separable network has about an eighth of the parameters and multiply-adds and loses a point or so.
"""

from dataclasses import dataclass
from functools import partial
from typing import get_args

import tyro

from jaxcnn import models
from jaxcnn.models.plain import Convolution

from .comparison import Contender, Options, command, compare, load_part


@dataclass(frozen=True)
class Config(Options):
    """Standard, spatially separable and depthwise separable convolutions on Fashion-MNIST."""

    widths: tuple[int, ...] = (16, 32, 64)
    """Channels of each stage."""


def main(config: Config) -> None:
    """Trains the three and writes the page."""
    data, made_for = load_part(config)
    build = lambda kind: (
        lambda rngs: models.create("plain", rngs=rngs, convolution=kind, widths=config.widths, **made_for)
    )
    contenders = {kind: Contender(build(kind)) for kind in get_args(Convolution)}
    compare("separable", "Standard against separable convolutions", config, data, contenders, __file__)


if __name__ == "__main__":
    command("separable", partial(main, tyro.cli(Config, description=__doc__)))
