"""What the experiments that compare variants of a network share: options, the run of each variant, the lines and the page."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from jax import Array
from matplotlib.figure import Figure
from rich.console import Console

from jaxcnn.augment import random_affine
from jaxcnn.data import ImageSet, Prepare, load, preparer
from jaxcnn.interpret import summarise
from jaxcnn.report import Page, Variant, comparison_page
from jaxcnn.train import (
    CheckpointError,
    Checkpoints,
    Fitted,
    Run,
    Stopped,
    cross_entropy,
    fit,
    keep_memory,
    mirrored,
    optimiser,
    run_folder,
    schedule,
)
from jaxcnn.train.progress import progress

from .pictures import options as in_words


@dataclass(frozen=True)
class Source:
    """Options of every experiment on a set of small images."""

    dataset: str = "fashion_mnist"
    """Name of a TFDS set of small images, digits, or a folder of pictures, train/<class>/*.jpg."""
    data_dir: Path | None = None
    """Directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own)."""
    image_size: int | None = None
    """Pixels a side that pictures are cut to, where they have many sizes (short side to it, then the middle)."""
    train_images: int | None = None
    """Use only so many training images, the first ones of each class alike (default: all)."""
    seeds: int = 5
    """Networks of each variant, trained together, each from its own seed."""
    seed: int = 0
    """The first of the seeds."""
    runs: Path = Path("runs")
    """Folder that keeps the runs, one sub-folder each."""


@dataclass(frozen=True)
class Options(Source):
    """Options of every comparison."""

    epochs: int = 10
    """Passes over the training images."""
    batch_size: int = 128
    """Images a step."""
    learning_rate: float = 4e-3
    """Peak learning rate of AdamW; it warms up over a tenth of the steps and falls as a cosine."""
    weight_decay: float = 0.05
    """Decoupled weight decay, as a share of the learning rate."""
    smoothing: float = 0.0
    """Share of the truth that the training loss spreads over all classes."""
    only: tuple[str, ...] = ()
    """Run only these variants."""
    resume: Path | None = None
    """An unfinished run folder: goes on where its checkpoints stand."""


class Contender(NamedTuple):
    """A variant: what makes the network, and what is done to its images in training and in testing."""

    build: Callable[[nnx.Rngs], nnx.Module]
    augment: Callable | None = None
    mix: Callable | None = None
    mirrored: bool = False


More = Callable[[Page, Mapping[str, tuple[Variant, Fitted]], Run], None]


def compare(
    name: str,
    question: str,
    options: Options,
    data: ImageSet,
    contenders: Mapping[str, Contender],
    source: str,
    *,
    pictures: Mapping[str, Figure] = MappingProxyType({}),
    more: More = lambda page, results, run: None,
) -> dict[str, tuple[Variant, Fitted]]:
    """Trains every contender, prints a line for each, and writes the run folder with a page.

    `more` adds to the page, and to the folder of the run, what is measured on the trained networks.

    Raises: ValueError for a variant that is not there, DivergedError, Stopped, CheckpointError.
    """
    unknown = [one for one in options.only if one not in contenders]
    if unknown:
        raise ValueError(f"only={unknown[0]!r} must be one of {', '.join(contenders)}")
    chosen = {one: contenders[one] for one in options.only or contenders}
    prepare, results = preparer(data, seen_size(data)), {}
    with run_folder(options.runs, name, config=options, source=source, resume=options.resume) as run:
        for one, contender in chosen.items():
            fitted = _trained(one, contender, options, data, prepare, run)
            results[one] = _variant(one, contender, data, fitted), fitted
            run.write_parameters(fitted.variables, f"{one}.safetensors")
        variants = [variant for variant, _ in results.values()]
        notes = (
            f"{data.source}: {len(data.train):,} training and {len(data.test):,} test images.",
            f"{in_words(options)}.",
        )
        page = comparison_page(question, notes, variants, pictures=pictures)
        more(page, results, run)
        page.write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")
    print(*(f"{name}/{variant.line}" for variant in variants), sep="\n")
    return results


def load_part(options: Source) -> tuple[ImageSet, dict[str, Any]]:
    """The set with `train_images` training images, as many of each class as of the others, and what a model is made for it with.

    Raises: ValueError if there are not so many, or not one a class.
    """
    data = load(options.dataset, data_dir=options.data_dir, image_size=options.image_size)
    made_for = {
        "num_classes": len(data.class_names),
        "in_features": data.image_shape[2],
        "image_size": seen_size(data),
    }
    count, classes = options.train_images, len(data.class_names)
    if count is None:
        return data, made_for
    smallest = int(np.bincount(data.train.labels, minlength=classes).min())
    if not classes <= count < classes * (smallest + 1):
        raise ValueError(f"train_images={count} must be from {classes} to {classes} times the smallest class")
    return replace(data, train=data.train.first_of_each_class(count // classes)), made_for


def seen_size(data: ImageSet, least: tuple[int, int] = (28, 28)) -> tuple[int, int]:
    """Height and width that the networks see: the images' own, but at least `least`, which by default LeNet-5 takes.

    >>> seen_size(load("digits")), seen_size(load("digits"), (32, 4))
    ((28, 28), (32, 8))
    """
    h, w, _ = data.image_shape
    return max(h, least[0]), max(w, least[1])


def jitter(key: Array, x: Array) -> Array:
    """A little of everything: up to 10 degrees, a tenth of the size, a tenth in scale, a tenth of shear."""
    return random_affine(key, x, degrees=10, translate=0.1, scale=0.1, shear=0.1)


def command(
    name: str, main: Callable[[], Any], *, advice: str = "; go on with the same options and --resume FOLDER"
) -> None:
    """Runs; what the user can mend is one line and exit code 1, a stop that was asked for 130, with advice on how to go on."""
    keep_memory()
    try:
        main()
    except Stopped as stopped:
        print(f"{name}: {stopped}{advice}", file=sys.stderr)
        sys.exit(130)
    except KeyboardInterrupt:
        print(f"{name}: stopped; nothing was saved", file=sys.stderr)
        sys.exit(130)
    except (ValueError, TypeError, OSError, ImportError, ArithmeticError, CheckpointError) as error:
        sys.exit(f"{name}: {error}")


def _trained(name: str, contender: Contender, options: Options, data: ImageSet, prepare: Prepare, run: Run) -> Fitted:
    console = Console()
    console.print(f"[bold]{name}[/bold]", highlight=False)
    steps = max(1, options.epochs * (len(data.train) // max(options.batch_size, 1)))
    rate = schedule("cosine", options.learning_rate, steps, warmup=0.1)
    with progress(options.epochs, console) as (show, move), Checkpoints(run.path / "checkpoints" / name) as checkpoints:
        return fit(
            contender.build,
            data,
            prepare,
            optimiser("adamw", rate, weight_decay=options.weight_decay),
            epochs=options.epochs,
            batch_size=options.batch_size,
            seeds=options.seeds,
            seed=options.seed,
            loss=partial(cross_entropy, smoothing=options.smoothing),
            augment=contender.augment,
            mix=contender.mix,
            views=mirrored if contender.mirrored else None,
            checkpoints=checkpoints,
            on_epoch=lambda record: show(run.log(record, f"{name}.jsonl")),
            on_steps=move,
        )


def _variant(name: str, contender: Contender, data: ImageSet, fitted: Fitted) -> Variant:
    summary = summarise(contender.build(nnx.Rngs(0)), (1, *seen_size(data), data.image_shape[2]))
    accuracy = (fitted.test_logits.argmax(-1) == data.test.labels).mean(1)
    curve = np.array([record.test_accuracy for record in fitted.records])
    seconds = sum(record.seconds for record in fitted.records)
    return Variant(name, accuracy, curve, summary.parameters, summary.multiply_adds, seconds)
