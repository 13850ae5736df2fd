"""The page of a classification run: summary, curves, confusion matrix, filters, activations, worst mistakes."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from . import _figures as figures
from ._activations import activations
from ._filters import filters
from ._mistakes import mistakes
from ._page import Page


class Result(NamedTuple):
    """What the page shows. Arrays: `test_logits (seeds, n, k)`, curves `(epochs, seeds)`, `kernel` of the first layer."""

    title: str
    lead: str
    notes: Sequence[str]
    columns: Sequence[str]
    summary: Sequence[Sequence[str]]
    loss: np.ndarray
    train_accuracy: np.ndarray
    test_accuracy: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    test_logits: np.ndarray
    class_names: Sequence[str]
    kernel: np.ndarray | None
    activations: dict[str, np.ndarray]
    shown: int


def classification_page(result: Result) -> Page:
    """Builds the page; write it with `page.write(path)`."""
    page = Page(result.title)
    page.text(result.lead, "lead")
    for note in result.notes:
        page.text(note, "note")
    page.heading("Layers")
    page.table(result.columns, result.summary, total=True)
    page.heading("Learning curves")
    epochs = range(1, len(result.loss) + 1)
    curves = figures.learning_curves(epochs, result.loss, result.train_accuracy, test=result.test_accuracy)
    page.figure(curves, "loss and accuracy against epochs")
    page.heading("Confusion matrix of the test images, mean over seeds")
    counts = confusion_counts(result.test_labels, result.test_logits, len(result.class_names))
    page.figure(figures.confusion(np.round(counts, 1), result.class_names), "confusion matrix")
    if result.kernel is not None:
        page.heading("Filters of the first layer (first seed)")
        page.figure(filters(result.kernel), "first-layer filters")
    page.heading(f"Activations of every layer for one image: {_title(result, result.shown)} (first seed)")
    image = _viewable(result.test_images[result.shown])
    page.figure(activations(result.activations, image=image, class_names=_named(result)), "activations")
    page.heading("Worst mistakes (mean over seeds)")
    _mistakes(page, result)
    return page


def confusion_counts(labels: np.ndarray, logits: np.ndarray, classes: int) -> np.ndarray:
    """`(classes, classes)` counts of true (row) and predicted (column), mean over the seeds of `logits (seeds, n, k)`.

    >>> confusion_counts(np.array([0, 1]), np.array([[[2.0, 1.0], [3.0, 1.0]]]), 2).tolist()
    [[1.0, 0.0], [1.0, 0.0]]
    """
    counts = np.zeros((classes, classes))
    for predicted in logits.argmax(-1):
        np.add.at(counts, (labels, predicted), 1 / len(logits))
    return counts


def worst(labels: np.ndarray, logits: np.ndarray, *, most: int = 24) -> tuple[np.ndarray, np.ndarray]:
    """Wrongly read images, the least probable truth first: their indices, and mean probabilities `(n, k)` over seeds.

    >>> worst(np.array([0, 1]), np.array([[[0.0, 9.0], [0.0, 9.0]]]))[0].tolist()
    [0]
    """
    shifted = np.exp(logits - logits.max(-1, keepdims=True))
    probability = (shifted / shifted.sum(-1, keepdims=True)).mean(0)  # (n, k)
    wrong = np.flatnonzero(probability.argmax(-1) != labels)
    truth = probability[wrong, labels[wrong]]
    return wrong[np.argsort(truth)][:most], probability


def _mistakes(page: Page, result: Result) -> None:
    chosen, probability = worst(result.test_labels, result.test_logits)
    if not len(chosen):
        page.text("None: every test image is read rightly.")
        return
    predicted = probability[chosen].argmax(-1)
    labels, sure = np.asarray(result.test_labels)[chosen], probability[chosen, predicted]
    wrong = int((probability.argmax(-1) != result.test_labels).sum())
    title = f"{wrong} of {len(probability)} test images" + (f", the worst {len(chosen)}" if len(chosen) < wrong else "")
    figure = mistakes(
        _viewable(result.test_images[chosen]), labels, predicted,
        class_names=result.class_names, confidence=sure, title=title,
    )  # fmt: skip
    page.figure(figure, "wrongly read test images")


def _viewable(images: np.ndarray) -> np.ndarray:
    """The channels that can be shown: all of grey and RGB images, else the first three or the first."""
    channels = images.shape[-1]
    return images if channels in (1, 3) else images[..., : 3 if channels > 3 else 1]


def _named(result: Result) -> Sequence[str] | None:
    """The classes' names where a vector has a number for each, which a model with a tap on its logits gives."""
    lengths = {len(values) for values in result.activations.values() if values.ndim == 1}
    return result.class_names if len(result.class_names) in lengths else None


def _title(result: Result, index: int) -> str:
    return f"test image {index}, {result.class_names[result.test_labels[index]]}"
