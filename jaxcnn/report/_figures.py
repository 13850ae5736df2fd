"""Figures of a run: curves, confusion, filters, activations, mistakes. Made without pyplot, so no global state is touched."""

from collections.abc import Mapping, Sequence

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
    axis.set_xticks(range(classes), class_names, rotation=rotation)
    axis.set_yticks(range(classes), class_names)
    axis.set_xlabel("predicted")
    axis.set_ylabel("true")
    return figure


def filters(kernel: np.ndarray) -> Figure:
    """Kernels `(kh, kw, c_in, c_out)` as tiles, one row an input channel (RGB kernels in colour), zero in mid grey."""
    kh, kw, c_in, c_out = kernel.shape
    colour = c_in == 3
    rows, columns = (1 if colour else min(c_in, 16)), min(c_out, 64)
    figure = Figure(figsize=(0.9 * columns + 0.2, 0.9 * rows + 0.2))
    axes = figure.subplots(rows, columns, squeeze=False)
    reach = np.abs(kernel).max() or 1
    for (row, column), axis in np.ndenumerate(axes):
        tile = kernel[:, :, :, column] if colour else kernel[:, :, row, column]
        axis.imshow(tile / reach / 2 + 0.5, cmap="gray", vmin=0, vmax=1)
        axis.axis("off")
    figure.subplots_adjust(0.01, 0.01, 0.99, 0.99, 0.08, 0.08)
    return figure


def activations(maps: Mapping[str, np.ndarray], most: int = 16) -> Figure:
    """Activations of one image, a row a layer: maps `(h, w, c)` as tiles (the first `most`), vectors `(c,)` as bars."""
    figure = Figure(figsize=(9, 1.0 * len(maps) + 0.3), layout="constrained")
    axes = figure.subplots(len(maps), 1, squeeze=False)
    for axis, (name, values) in zip(axes[:, 0], maps.items()):
        if values.ndim == 1:
            axis.bar(range(len(values)), values, color=INK, width=0.9)
            axis.margins(x=0.01)
            axis.tick_params(labelsize=7)
        else:
            axis.imshow(_strip(values, most), cmap="gray", aspect="equal")
            axis.axis("off")
        shape = "×".join(map(str, values.shape))
        axis.set_title(f"{name}  {shape}", fontsize=8, loc="left", pad=2)
    return figure


def mistakes(images: np.ndarray, captions: Sequence[str], columns: int = 8) -> Figure:
    """Images `(n, h, w, c)` in [0, 255], each under its caption."""
    rows = max(1, -(-len(images) // columns))
    figure = Figure(figsize=(1.25 * columns, 1.5 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.axis("off")
    for axis, image, caption in zip(axes.flat, images, captions):
        axis.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255)
        axis.set_title(caption, fontsize=7)
    return figure


def _strip(values: np.ndarray, most: int) -> np.ndarray:
    """Maps `(h, w, c)` side by side, each scaled to [0, 1], one white column between them."""
    tiles = np.moveaxis(values[..., :most], -1, 0).astype(float)  # (c, h, w)
    low, high = tiles.min((1, 2), keepdims=True), tiles.max((1, 2), keepdims=True)
    tiles = (tiles - low) / np.where(high > low, high - low, 1)
    return np.concatenate([np.pad(tile, ((0, 0), (0, 1)), constant_values=1.0) for tile in tiles], 1)
