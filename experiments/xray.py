"""Does a chest X-ray show pneumonia? (L2.11)

A small network on PneumoniaMNIST: 4,708 training images of 28×28, three quarters of them with pneumonia. The loss counts both
classes alike. A threshold that finds 95 % of the pneumonias is chosen on the validation images, then everything is reported
on the test images: the confusion matrix, sensitivity and specificity at that threshold, and the ROC curve with its area.

    python -m experiments.xray --data-dir DIR

Expected: area of the ROC curve 0.95 to 0.97; the published ResNet-18 has 0.944 at this size (Yang et al., MedMNIST v2, 2023).
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array, nn

from jaxcnn import models
from jaxcnn.augment import random_affine
from jaxcnn.data import ImageSet, load, preparer
from jaxcnn.report import Page, confusion, deviation, roc, roc_figure, threshold_for
from jaxcnn.train import Checkpoints, cross_entropy, fit, optimiser, run_folder, schedule
from jaxcnn.train.progress import progress

from .comparison import command


@dataclass(frozen=True)
class Config:
    """Pneumonia on chest X-rays of 28×28 pixels."""

    dataset: str = "pneumonia_mnist"
    """Name of a TFDS set of two classes with the splits train, validation and test."""
    data_dir: Path | None = None
    """Directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own)."""
    epochs: int = 15
    """Passes over the training images."""
    seeds: int = 5
    """Networks trained together, each from its own seed; their probabilities are averaged."""
    seed: int = 0
    """The first of the seeds."""
    batch_size: int = 64
    """Images a step."""
    learning_rate: float = 2e-3
    """Peak learning rate of AdamW."""
    widths: tuple[int, ...] = (16, 32, 64)
    """Channels of each stage."""
    sensitivity: float = 0.95
    """Share of the pneumonias of the validation images that the threshold finds."""
    balance: bool = True
    """Count both classes alike in the loss."""
    runs: Path = Path("runs")
    """Folder that keeps the runs, one sub-folder each."""
    resume: Path | None = None
    """An unfinished run folder: goes on where its checkpoints stand."""


def main(config: Config) -> None:
    """Trains, chooses the threshold, prints the result and writes the page."""
    read = partial(load, config.dataset, data_dir=config.data_dir)
    data, validation = read(), read(split="validation")
    if len(data.class_names) != 2:
        raise ValueError(f"{data.name} has {len(data.class_names)} classes; this is about two")
    with run_folder(config.runs, "xray", config=config, source=__file__, resume=config.resume) as run:
        both = ImageSet(data.name, data.train, _joined(validation, data.test), data.class_names, data.source)
        probability, each = _probabilities(config, both, run.path)
        split = len(validation)
        threshold = threshold_for(roc(probability[:split], validation.labels == 1), config.sensitivity)
        curve = roc(probability[split:], data.test.labels == 1)
        counts = confusion_at(threshold, probability[split:], data.test.labels)
        areas = np.array([roc(one[split:], data.test.labels == 1).area for one in each])
        _page(config, data, curve, counts, threshold, areas).write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")
    (true_negative, false_positive), (false_negative, true_positive) = counts
    found, cleared = true_positive / (true_positive + false_negative), true_negative / (true_negative + false_positive)
    print(
        f"xray threshold {threshold:.3f}: sensitivity {found:.3f}, specificity {cleared:.3f} on {len(data.test)} test images"
    )
    low, high = curve.interval
    print(
        f"xray area {curve.area:.3f} (95 % {low:.3f} to {high:.3f}), single networks {areas.mean():.3f} ± {deviation(areas):.3f}"
    )


def confusion_at(threshold: float, probability: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Counts `[true, predicted]` when a probability from the threshold on means the second class.

    >>> confusion_at(0.5, np.array([0.2, 0.5, 0.9]), np.array([0, 0, 1])).tolist()
    [[1, 1], [0, 1]]
    """
    counts = np.zeros((2, 2), int)
    np.add.at(counts, (labels, (probability >= threshold).astype(int)), 1)
    return counts


def turned(key: Array, x: Array) -> Array:
    """Up to 8 degrees, a fifteenth of the size, a tenth in scale: how a patient may stand."""
    return random_affine(key, x, degrees=8, translate=0.07, scale=0.1)


def _probabilities(config: Config, data: ImageSet, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Of the second class for the images that `fit` tests on: mean of the networks, and each network's."""
    build = lambda rngs: models.create("plain", num_classes=2, widths=config.widths, dropout=0.3, rngs=rngs)
    steps = max(1, config.epochs * (len(data.train) // config.batch_size))
    rate = schedule("cosine", config.learning_rate, steps, warmup=0.1)
    weights = jnp.asarray(data.class_weights()) if config.balance else None
    with progress(config.epochs) as (show, move), Checkpoints(folder / "checkpoints") as checkpoints:
        fitted = fit(
            build, data, preparer(data, data.image_shape[:2]), optimiser("adamw", rate, weight_decay=0.05),
            epochs=config.epochs, batch_size=config.batch_size, seeds=config.seeds, seed=config.seed,
            loss=partial(cross_entropy, class_weights=weights), augment=turned, checkpoints=checkpoints,
            on_epoch=show, on_steps=move,
        )  # fmt: skip
    each = np.asarray(nn.softmax(fitted.test_logits)[..., 1])  # (seeds, n)
    return each.mean(0), each


def _joined(first, second):
    return type(first)(np.concatenate([first.images, second.images]), np.concatenate([first.labels, second.labels]))


def _page(config: Config, data: ImageSet, curve, counts: np.ndarray, threshold: float, areas: np.ndarray) -> Page:
    page, (low, high) = Page("Does a chest X-ray show pneumonia?"), curve.interval
    page.text(f"Area of the ROC curve {curve.area:.3f}, 95 % confidence {low:.3f} to {high:.3f}.", "lead")
    sizes = f"{len(data.train):,} training images, {np.mean(data.train.labels):.0%} of them {data.class_names[1]}"
    page.text(f"{data.source}: {sizes}; {len(data.test):,} test images. {config}", "note")
    page.heading(f"Confusion at the threshold {threshold:.3f}, chosen on the validation images")
    page.figure(confusion(counts, data.class_names), "confusion matrix at the threshold")
    page.heading("Receiver operating characteristic")
    page.figure(roc_figure(curve, at=threshold), "ROC curve with the threshold")
    page.heading("Single networks")
    page.table(("seed", "area"), [(str(config.seed + i), f"{area:.3f}") for i, area in enumerate(areas)])
    return page


if __name__ == "__main__":
    command("xray", partial(main, tyro.cli(Config, description=__doc__)))
