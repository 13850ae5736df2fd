"""The page of a comparison: what each variant of a network reached, as a table, error bars and learning curves."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ._figures import INK, SOFT
from ._page import Page


class Variant(NamedTuple):
    """One row: `accuracy (seeds,)` at the end, `curve (epochs, seeds)` of it, counts, and the seconds that all seeds trained."""

    name: str
    accuracy: np.ndarray
    curve: np.ndarray
    parameters: int
    multiply_adds: int
    seconds: float

    @property
    def line(self) -> str:
        """The result in one line.

        >>> Variant("max", np.array([0.9, 0.92]), np.zeros((1, 2)), 1000, 0, 61.0).line
        'max test accuracy 0.910 ± 0.014 (2 seeds), parameters 1,000, seconds 61'
        """
        spread = over_seeds(self.accuracy)
        return f"{self.name} test accuracy {spread}, parameters {self.parameters:,}, seconds {self.seconds:.0f}"

    @property
    def deviation(self) -> float:
        """Standard deviation of the sample; 0 of one seed."""
        return deviation(self.accuracy)


def over_seeds(values: np.ndarray) -> str:
    """Mean ± standard deviation of one number a seed, and how many.

    >>> over_seeds(np.array([0.9, 0.92])), over_seeds(np.array([0.9]))
    ('0.910 ± 0.014 (2 seeds)', '0.900 ± 0.000 (1 seed)')
    """
    return f"{values.mean():.3f} ± {deviation(values):.3f} ({len(values)} seed{'s' * (len(values) > 1)})"


def deviation(values: np.ndarray) -> float:
    """Standard deviation of the sample; 0 of one number.

    >>> deviation(np.array([1.0, 3.0, 5.0])), deviation(np.array([7.0]))
    (2.0, 0.0)
    """
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0


def comparison_page(
    title: str,
    notes: Sequence[str],
    variants: Sequence[Variant],
    *,
    pictures: Mapping[str, Figure] = MappingProxyType({}),
) -> Page:
    """Builds the page; write it with `page.write(path)`.

    Variants without a curve get none; `pictures` follow, each under its heading.

    >>> row = Variant("max", np.array([0.9, 0.92]), np.array([[0.8, 0.8], [0.9, 0.92]]), 1000, 2000, 61.0)
    >>> "0.910 ± 0.014" in comparison_page("Pooling", ["500 images"], [row]).html()
    True
    """
    page = Page(title)
    for note in notes:
        page.text(note, "note")
    page.heading("Test accuracy after the last epoch, mean ± standard deviation over seeds")
    page.table(
        ("variant", "test accuracy", "seeds", "parameters", "multiply-adds", "seconds"), list(map(_cells, variants))
    )
    page.figure(bars(variants), "test accuracy of every variant with error bars")
    drawn = {variant.name: variant.curve for variant in variants if len(variant.curve)}
    if drawn:
        page.heading("Test accuracy against epochs")
        page.figure(curves(drawn), "test accuracy against epochs")
    for heading, figure in pictures.items():
        page.heading(heading)
        page.figure(figure, heading)
    return page


def bars(variants: Sequence[Variant]) -> Figure:
    """A point for every seed, and mean ± standard deviation, a row a variant."""
    figure = Figure(figsize=(7.5, 0.45 * len(variants) + 0.9), layout="constrained")
    axis = figure.subplots()
    for row, variant in enumerate(variants):
        axis.plot(variant.accuracy, np.full(len(variant.accuracy), row), "o", color=SOFT, alpha=0.5, markersize=4)
        axis.errorbar(variant.accuracy.mean(), row, xerr=variant.deviation, fmt="s", color=INK, capsize=4, markersize=5)
    axis.set_yticks(range(len(variants)), [variant.name for variant in variants])
    axis.set_ylim(len(variants) - 0.5, -0.5)
    axis.set_xlabel("test accuracy")
    axis.grid(axis="x", alpha=0.25)
    return figure


def curves(accuracies: Mapping[str, np.ndarray]) -> Figure:
    """Mean over seeds of `(epochs, seeds)` against epochs, a line a variant, shaded by the deviation."""
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axis = figure.subplots()
    for name, values in accuracies.items():
        epochs, mean = np.arange(1, len(values) + 1), values.mean(1)
        deviation = values.std(1, ddof=1) if values.shape[1] > 1 else np.zeros(len(values))
        (line,) = axis.plot(epochs, mean, label=name, marker="o" if len(values) < 3 else None)
        axis.fill_between(epochs, mean - deviation, mean + deviation, color=line.get_color(), alpha=0.15, linewidth=0)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("epoch")
    axis.set_ylabel("test accuracy")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    return figure


def _cells(variant: Variant) -> tuple[str, ...]:
    accuracy = f"{variant.accuracy.mean():.3f} ± {variant.deviation:.3f}"
    counts = (f"{variant.parameters:,}", f"{variant.multiply_adds:,}")
    return (variant.name, accuracy, str(len(variant.accuracy)), *counts, f"{variant.seconds:.0f}")
