"""What are another network's weights worth on few images? (L1.16, L2.10)

A network trained on ImageNet, given CIFAR-10 (or a folder of photographs) with few training images: from scratch; option 1, its
features computed once and a linear head fitted to them; option 2, fine-tuned from there. Every seed draws its own training
images.

    python -m experiments.transfer --weights squeezenet_v1.1_fp16.npz --data-dir DIR
    python -m experiments.transfer --weights squeezenet_v1.1_fp16.npz --dataset cats_dogs/ --counts 80

Expected: both options far ahead of scratch on 500 images; the gap narrows with 5,000.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import tyro
from flax import nnx
from matplotlib.figure import Figure

from jaxcnn import models, weights
from jaxcnn.augment import random_flip_left_right
from jaxcnn.data import ImageSet, Split, load
from jaxcnn.interpret import summarise
from jaxcnn.report import Variant, comparison_page
from jaxcnn.train import fine_tune, fit, fit_head, optimiser, outputs, run_folder, schedule
from jaxcnn.train.progress import progress

from .comparison import command


@dataclass(frozen=True)
class Config:
    """Scratch, a linear head on frozen features, and fine-tuning, on few images."""

    weights: Path
    """File of weights that a card is known for, such as squeezenet_v1.1_fp16.npz."""
    dataset: str = "cifar10"
    """Name of a TFDS set, or a folder <class>/*.jpg."""
    data_dir: Path | None = None
    """Directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own)."""
    counts: tuple[int, ...] = (500, 5000)
    """Training images, as many of each class."""
    test_images: int = 2000
    """Test images, as many of each class, at most."""
    side: int = 96
    """Pixels that the images are enlarged or reduced to."""
    only: tuple[str, ...] = ("scratch", "option_1", "option_2")
    """Run only these."""
    epochs: int = 10
    """Passes of fine-tuning."""
    scratch_epochs: int = 30
    """Passes of training from scratch."""
    batch_size: int = 50
    """Images a step."""
    learning_rate: float = 1e-4
    """Peak learning rate of fine-tuning; the head's is ten times that."""
    scratch_rate: float = 5e-4
    """Peak learning rate from scratch."""
    l2: float = 0.1
    """Penalty on the head's kernel in option 1, for standardised features."""
    seeds: int = 3
    """Draws of the training images."""
    seed: int = 0
    """The first of the seeds."""
    runs: Path = Path("runs")
    """Folder that keeps the runs, one sub-folder each."""


def main(config: Config) -> None:
    """Runs every option for every number of images, prints a line each, and writes the page."""
    card = weights.card_with_sha256(weights.sha256_of(config.weights))
    if card is None:
        raise ValueError(f"no card is known for {config.weights}")
    unknown = set(config.only) - OPTIONS.keys()
    if unknown:
        raise ValueError(f"only={min(unknown)!r} must be one of {', '.join(OPTIONS)}")
    data = load(config.dataset, data_dir=config.data_dir, image_size=_size(config))
    prepare = weights.preparation(replace(card, resize=config.side, image_size=(config.side, config.side)))
    trained = weights.load(models.create(card.model, rngs=nnx.Rngs(0)), config.weights)
    with run_folder(config.runs, "transfer", config=config, source=__file__) as run:
        variants = []
        for count in config.counts:
            for name in config.only:
                variants.append(_variant(name, count, config, data, prepare, trained, card.model))
                print(f"transfer/{variants[-1].line}")
        notes = (
            f"{data.source}: {len(data.train):,} training images, {card.name} at {config.side} pixels.",
            f"{config}",
        )
        question = "What are another network's weights worth on few images?"
        pictures = {"Test accuracy against training images, a line an option": by_count(variants, config)}
        comparison_page(question, notes, variants, pictures=pictures).write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")


def draw(split: Split, count: int, classes: int, seed: int) -> Split:
    """`count` images, as many of each class, drawn from the seed.

    Raises: ValueError if there are not so many.
    """
    random, each = np.random.default_rng(seed), count // classes
    members = [np.flatnonzero(split.labels == label) for label in range(classes)]
    if not 0 < each <= min(map(len, members)):
        raise ValueError(f"counts={count} must be from {classes} to {classes} times the smallest class")
    kept = np.concatenate([random.permutation(found)[:each] for found in members])
    return Split(split.images[kept], split.labels[kept])


def scratch(
    config: Config, data: ImageSet, prepare: Callable, trained: nnx.Module, model: str, seed: int
) -> np.ndarray:
    """Logits of the test images: the same network, from random numbers."""
    del trained
    build = lambda rngs: weights.replace_head(models.create(model, rngs=rngs), len(data.class_names), rngs=rngs)
    steps = max(1, config.scratch_epochs * (len(data.train) // config.batch_size))
    chain = optimiser("adamw", schedule("cosine", config.scratch_rate, steps, warmup=0.1), weight_decay=0.05)
    options: dict[str, Any] = {"epochs": config.scratch_epochs, "batch_size": config.batch_size, "seed": seed}
    with progress(config.scratch_epochs) as (show, move):
        options |= {"augment": random_flip_left_right, "on_epoch": show, "on_steps": move}
        return fit(build, data, prepare, chain, **options).test_logits[0]


def option_1(
    config: Config, data: ImageSet, prepare: Callable, trained: nnx.Module, model: str, seed: int
) -> np.ndarray:
    """Logits of the test images: a linear head on the trained network's features."""
    return outputs(_headed(config, data, prepare, trained), data.test.images, prepare)


def option_2(
    config: Config, data: ImageSet, prepare: Callable, trained: nnx.Module, model: str, seed: int
) -> np.ndarray:
    """Logits of the test images: fine-tuned from option 1."""
    start = weights.freeze(_headed(config, data, prepare, trained), ())
    options: dict[str, Any] = {"epochs": config.epochs, "batch_size": config.batch_size, "seed": seed}
    with progress(config.epochs) as (show, move):
        options |= {"learning_rate": config.learning_rate, "on_epoch": show, "on_steps": move}
        return fine_tune(start, data, prepare, augment=random_flip_left_right, **options).test_logits[0]


OPTIONS = {"scratch": scratch, "option_1": option_1, "option_2": option_2}


def by_count(variants: list[Variant], config: Config) -> Figure:
    """Mean ± standard deviation against the number of training images, a line an option."""
    figure = Figure(figsize=(6.5, 3.6), layout="constrained")
    axis = figure.subplots()
    for i, name in enumerate(config.only):
        rows = variants[i :: len(config.only)]
        means, spread = [row.accuracy.mean() for row in rows], [row.deviation for row in rows]
        axis.errorbar(config.counts, means, yerr=spread, marker="o", capsize=4, label=name.replace("_", " "))
    axis.set_xscale("log")
    axis.set_xlabel("training images")
    axis.set_ylabel("test accuracy")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    return figure


def _variant(
    name: str, count: int, config: Config, data: ImageSet, prepare, trained: nnx.Module, model: str
) -> Variant:
    classes, accuracies, start = len(data.class_names), [], perf_counter()
    test = draw(data.test, min(config.test_images, classes * np.bincount(data.test.labels).min()), classes, 0)
    for seed in range(config.seed, config.seed + config.seeds):
        part = replace(data, train=draw(data.train, count, classes, seed), test=test)
        print(f"{name} on {count} images, seed {seed}", flush=True)
        logits = OPTIONS[name](config, part, prepare, trained, model, seed)
        accuracies.append(float((logits.argmax(-1) == test.labels).mean()))
    seconds = perf_counter() - start
    headed = nnx.eval_shape(lambda: weights.replace_head(trained, classes, rngs=nnx.Rngs(0)))
    summary = summarise(headed, (1, config.side, config.side, 3))
    reached = np.array(accuracies)
    no_curve = np.empty((0, len(reached)))
    return Variant(f"{count}/{name}", reached, no_curve, summary.parameters, summary.multiply_adds, seconds)


def _headed(config: Config, data: ImageSet, prepare: Callable, trained: nnx.Module) -> Any:
    model = weights.replace_head(trained, len(data.class_names), rngs=nnx.Rngs(0))
    return fit_head(model, data.train, prepare, l2=config.l2)


def _size(config: Config) -> int | None:
    return config.side if Path(config.dataset).is_dir() else None


if __name__ == "__main__":
    command("transfer", partial(main, tyro.cli(Config, description=__doc__)))
