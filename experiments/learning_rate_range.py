"""Which learning rate should this network start with? (L1.14)

The rate grows by the same factor every step; the page shows the loss against it, with the steepest fall marked.

    python -m experiments.learning_rate_range --model lenet5 --optimiser adamw

Expected: 0.0011 on the digits (3 seeds); the peak of a one-cycle run lies at some times that.
"""

from dataclasses import dataclass
from functools import partial

import tyro

from jaxcnn import models
from jaxcnn.data import preparer
from jaxcnn.report import Page, range_figure
from jaxcnn.train import OptimiserName, optimiser, range_test, run_folder

from .comparison import Source, command, load_part, seen_size


@dataclass(frozen=True)
class Config(Source):
    """Learning-rate range test of one network on one set of images."""

    dataset: str = "digits"
    """Name of a TFDS set of small images, digits, or a folder of pictures, train/<class>/*.jpg."""
    seeds: int = 3
    """Networks trained together, each from its own seed."""
    model: str = "lenet5"
    """One of `jaxcnn.models.REGISTRY`."""
    optimiser: OptimiserName = "adamw"
    """Whose rate is sought."""
    weight_decay: float = 0.0
    """Weight decay of the optimiser."""
    low: float = 1e-5
    """First learning rate."""
    high: float = 10.0
    """Last learning rate."""
    steps: int = 200
    """Steps from the first rate to the last."""
    batch_size: int = 64
    """Images a step."""


def main(config: Config) -> None:
    """Runs the test, writes the page, prints the rate."""
    data, made_for = load_part(config)
    size = seen_size(data, models.image_size(config.model))
    build = lambda rngs: models.create(config.model, rngs=rngs, **made_for | {"image_size": size})
    with run_folder(config.runs, "learning_rate_range", config=config, source=__file__) as run:
        found = range_test(
            build,
            data,
            preparer(data, size),
            partial(optimiser, config.optimiser, weight_decay=config.weight_decay),
            low=config.low,
            high=config.high,
            steps=config.steps,
            batch_size=config.batch_size,
            seeds=config.seeds,
            seed=config.seed,
        )
        for rate, losses in zip(found.rates.tolist(), found.losses.tolist()):
            run.log({"learning_rate": rate, "loss": losses})
        line = f"learning_rate_range/{config.model} {config.optimiser} {found.suggested:.2g} ({config.seeds} seeds)"
        page = Page(f"Learning rates of {config.model} on {config.dataset}")
        page.text(line, "lead")
        page.text(f"{data.source}; {config}", "note")
        page.figure(range_figure(found.rates, found.losses, found.smoothed, found.suggested), "loss against rate")
        page.write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")
    print(line)


if __name__ == "__main__":
    command("learning_rate_range", partial(main, tyro.cli(Config, description=__doc__)), advice="")
