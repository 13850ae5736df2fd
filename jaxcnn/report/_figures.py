"""Figures of a run: curves, confusion. Made without pyplot, so no global state is touched."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

INK, SOFT = "#1b4965", "#ca6702"


def learning_curves(
    epochs: Sequence[float], loss: np.ndarray, train: np.ndarray, *, test: np.ndarray | None = None
) -> Figure:
    """Loss and accuracy against epochs; arrays `(epochs, seeds)`, a thin line a seed and a thick mean.

    >>> ones = np.ones((3, 2))
    >>> [axis.get_title() for axis in learning_curves(range(1, 4), ones, ones, test=ones).axes]
    ['mean loss (nats)', 'accuracy']
    """
    shown = (train,) if test is None else (train, test)
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axis, curves, labels in ((left, (loss,), ("training",)), (right, shown, ("training", "test"))):
        for values, label, colour in zip(curves, labels, (INK, SOFT)):
            axis.plot(epochs, values, color=colour, alpha=0.25, linewidth=0.8)
            axis.plot(epochs, np.mean(values, 1), color=colour, linewidth=2, label=label)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.25)
        axis.legend(frameon=False)
    left.set_yscale("log")
    left.set_title("mean loss (nats)")
    right.set_title("accuracy")
    right.set_ylim(top=1.0, bottom=max(0.0, float(np.quantile(shown[-1], 0.1)) - 0.05))
    return figure


def range_figure(rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray, suggested: float) -> Figure:
    """Losses `(steps, seeds)` against learning rates `(steps,)`, their smoothed mean, the suggested rate as a line.

    >>> rates = np.geomspace(1e-3, 1, 4)
    >>> range_figure(rates, np.ones((4, 2)), np.ones(4), 0.01).axes[0].get_xscale()
    'log'
    """
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    axis = figure.subplots()
    axis.plot(rates, losses, color=INK, alpha=0.25, linewidth=0.8)
    axis.plot(rates, smoothed, color=INK, linewidth=2, label="smoothed mean")
    axis.axvline(suggested, color=SOFT, linestyle="--", label=f"steepest fall: {suggested:.2g}")
    axis.set_xscale("log")
    axis.set_ylim(top=min(float(losses.max()), 1.5 * float(max(smoothed[0], smoothed.min()))))
    axis.set_xlabel("learning rate")
    axis.set_ylabel("training loss (nats)")
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    return figure


def confusion(counts: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Confusion matrix: `counts[true, predicted]`; colour is the share of the true class.

    >>> confusion(np.eye(2), ("cat", "dog")).axes[0].get_ylabel()
    'true'
    """
    classes = len(class_names)
    size = 2.2 + 0.42 * classes
    figure = Figure(figsize=(size, size * 0.9), layout="constrained")
    axis = figure.subplots()
    share = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    axis.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for true, predicted in np.argwhere(counts > 0):
        colour = "white" if share[true, predicted] > 0.5 else "black"
        axis.text(predicted, true, f"{counts[true, predicted]:g}", ha="center", va="center", color=colour, fontsize=8)
    rotation = 90 if max(map(len, class_names)) > 2 else 0
    axis.set_xticks(range(classes), class_names, rotation=rotation, parse_math=False)
    axis.set_yticks(range(classes), class_names, parse_math=False)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    return figure
