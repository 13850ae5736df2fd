"""Can a convolutional network read handwritten digits? (L1.13, L1.14, L2.9, L4.4)

Trains LeNet-5 (or another small network) on the embedded 8×8 digits, or on any TFDS set of small images, several seeds at
once, and writes a report with everything that was learned.

    python -m experiments.digits
    python -m experiments.digits --dataset mnist --data-dir DIR --model lenet5
    python -m jaxcnn classify digit.png --weights runs/digits/TIME/weights.safetensors

The weights are those of the first seed; a picture must look like the training images (white on black for the digits).

Expected: digits 0.989 ± 0.003 (3 seeds) in about a minute on 2 cores; MNIST 0.99 after 5 epochs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import optax
import tyro
from flax import nnx
from rich.console import Console

from jaxcnn import models
from jaxcnn.data import ImageSet, card_for, load, preparer
from jaxcnn.interpret import Summary, capture, summarise
from jaxcnn.report import Result, classification_page, over_seeds
from jaxcnn.train import Checkpoints, Fitted, fit, run_folder
from jaxcnn.train.progress import progress
from jaxcnn.weights import save

from .comparison import command, jitter, seen_size


@dataclass(frozen=True)
class Config:
    """Train a small network on small images and write a report."""

    dataset: str = "digits"
    """"digits" (embedded), the name of a TFDS image set, such as mnist, or a folder of pictures, train/<class>/*.jpg."""
    data_dir: Path | None = None
    """Directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own)."""
    image_size: int | None = None
    """Pixels a side that pictures are cut to, where they have many sizes (short side to it, then the middle)."""
    model: str = "lenet5"
    """lenet5, lenet5_1998 or dense."""
    epochs: int | None = None
    """Passes over the training images (default: 30 for fewer than 10,000 images, else 5)."""
    batch_size: int = 64
    """Images a step."""
    learning_rate: float = 4e-3
    """Peak learning rate of AdamW; it warms up over a tenth of the steps and falls as a cosine."""
    weight_decay: float = 0.05
    """Decoupled weight decay, as a share of the learning rate."""
    augment: bool | None = None
    """Turn, move, scale and shear each image a little, anew every epoch (default: for fewer than 10,000 images)."""
    dropout: float = 0.0
    """Share of the units dropped before the last layer (lenet5 and dense)."""
    seeds: int = 3
    """Networks trained together, each from its own seed."""
    seed: int = 0
    """The first of the seeds."""
    runs: Path = Path("runs")
    """Folder that keeps the runs, one sub-folder each."""
    resume: Path | None = None
    """An unfinished run folder: goes on where its checkpoints stand."""


def main(config: Config) -> None:
    """Loads, trains, writes the run folder, prints the result."""
    console = Console()
    data = load(config.dataset, data_dir=config.data_dir, image_size=config.image_size)
    config = resolve(config, data)
    build = builder(config, data)
    size = size_of(config, data)
    summary = summarise(build(nnx.Rngs(0)), (1, *size, data.image_shape[-1]))
    console.print(summary.table())
    prepare, epochs = preparer(data, size), config.epochs or 0
    with (
        run_folder(config.runs, "digits", config=config, source=__file__, resume=config.resume) as run,
        progress(epochs, console) as (show, move),
        Checkpoints(run.path / "checkpoints") as checkpoints,
    ):
        steps = max(1, epochs * (len(data.train) // max(config.batch_size, 1)))
        schedule = optax.warmup_cosine_decay_schedule(0.0, config.learning_rate, steps // 10, steps)
        fitted = fit(
            build,
            data,
            prepare,
            optax.adamw(schedule, weight_decay=config.weight_decay),
            epochs=epochs,
            batch_size=config.batch_size,
            seeds=config.seeds,
            seed=config.seed,
            augment=jitter if config.augment else None,
            checkpoints=checkpoints,
            on_epoch=lambda record: show(run.log(record)),
            on_steps=move,
        )
        run.write_parameters(fitted.variables)
        card = card_for(data, prepare, model=config.model)
        save(fitted.member(0), run.path / "weights.safetensors", card=card, class_names=data.class_names)
        lead = f"test accuracy {over_seeds(np.array(fitted.records[-1].test_accuracy))}"
        classification_page(result(config, data, fitted, summary, prepare, lead)).write(run.path / "report.html")
    print(f"weights: {run.path / 'weights.safetensors'}")
    print(f"report: {run.path / 'report.html'}")
    print(lead)


def resolve(config: Config, data: ImageSet) -> Config:
    """The options with every default filled in for this set.

    Raises: ValueError for an option that is out of range or that the model does not have.
    """
    if not 0 < config.learning_rate < float("inf"):
        raise ValueError(f"learning_rate={config.learning_rate} must be positive")
    if config.model == "lenet5_1998" and config.dropout:
        raise ValueError(f"dropout={config.dropout}: lenet5_1998 has none; leave it at 0")
    small = len(data.train) < 10_000
    epochs = (30 if small else 5) if config.epochs is None else config.epochs
    return replace(config, epochs=epochs, augment=small if config.augment is None else config.augment)


def size_of(config: Config, data: ImageSet) -> tuple[int, int]:
    """Height and width that images are brought to: the model's own, or the set's where that is larger."""
    return seen_size(data, models.image_size(config.model))


def builder(config: Config, data: ImageSet) -> Callable[[nnx.Rngs], nnx.Module]:
    """The constructor of the chosen model for this set."""
    options: dict[str, Any] = {
        "image_size": size_of(config, data),
        "num_classes": len(data.class_names),
        "in_features": data.image_shape[-1],
    }
    if config.dropout:
        options["dropout"] = config.dropout
    return lambda rngs: models.create(config.model, rngs=rngs, **options)


def result(config: Config, data: ImageSet, fitted: Fitted, summary: Summary, prepare, lead: str) -> Result:
    """Everything that the page shows."""
    model, image = fitted.member(0), data.test.images[:1]
    _, layers = capture(model, prepare(image))
    kernel = next((leaf for leaf in (getattr(model, name, None) for name in ("conv1", "c1")) if leaf is not None), None)
    seconds = sum(record.seconds for record in fitted.records)
    curve = lambda name: np.array([getattr(record, name) for record in fitted.records])
    shape = "×".join(map(str, data.image_shape))
    options = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in vars(config).items() if value is not None
    )
    notes = (
        f"{data.source}: {len(data.train):,} training and {len(data.test):,} test images of {shape}.",
        f"{config.model}, seeds {config.seeds}, trained for {len(fitted.records)} epochs in {seconds:.0f} s; {options}",
    )
    return Result(
        title=f"{config.model} on {config.dataset}",
        lead=lead,
        notes=notes,
        columns=summary.columns,
        summary=[*(row.cells for row in summary.rows), summary.total],
        loss=curve("loss"),
        train_accuracy=curve("train_accuracy"),
        test_accuracy=curve("test_accuracy"),
        test_images=data.test.images,
        test_labels=data.test.labels,
        test_logits=fitted.test_logits,
        class_names=data.class_names,
        kernel=None if kernel is None else np.asarray(kernel.kernel[...]),
        activations={name: np.asarray(values[0]) for name, values in layers.items()},
        shown=0,
    )


def run(arguments: list[str] | None = None) -> None:
    """Reads the command line and runs."""
    config = tyro.cli(Config, args=arguments, description=__doc__)
    command("digits", lambda: main(config))


if __name__ == "__main__":
    run()
