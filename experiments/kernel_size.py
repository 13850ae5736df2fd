"""Are many small kernels better than few large ones? (L2.8)

One 9×9 sees what four 3×3 see, one 5×5 what two 3×3 see; both pairs at the same widths, so that parameters and multiply-adds
differ as the lecture counts them.

    python -m experiments.kernel_size --data-dir DIR

Expected: the small kernels are at least as accurate with fewer parameters and multiply-adds.
"""

from dataclasses import dataclass
from functools import partial

import tyro

from jaxcnn import models

from .comparison import Contender, Options, command, compare, load_part


@dataclass(frozen=True)
class Config(Options):
    """Large kernels against stacks of small ones on Fashion-MNIST."""

    widths: tuple[int, ...] = (16, 32, 64)
    """Channels of each stage."""


def main(config: Config) -> None:
    """Trains the four and writes the page."""
    data, made_for = load_part(config)
    options = {"widths": config.widths, **made_for}
    build = lambda sizes: lambda rngs: models.create("plain", rngs=rngs, depth=len(sizes), kernel_size=sizes, **options)
    stacks = {"one_9x9": (9,), "four_3x3": (3, 3, 3, 3), "one_5x5": (5,), "two_3x3": (3, 3)}
    contenders = {name: Contender(build(sizes)) for name, sizes in stacks.items()}
    compare("kernel_size", "Few large kernels against many small ones", config, data, contenders, __file__)


if __name__ == "__main__":
    command("kernel_size", partial(main, tyro.cli(Config, description=__doc__)))
