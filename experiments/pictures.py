"""What the experiments that draw share: the photograph, pictures side by side, small grids with their numbers.

Signed numbers are red above 0, blue below and white at 0; unsigned ones go from black to white.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jaxcnn import functional as F
from jaxcnn.data import decode

WIDTH = 9.0  # inches of a figure that fills the page
LEAST = 32  # pixels of a photograph's short side
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # of Okabe and Ito, for all kinds of eyes


def options(config: Any) -> str:
    """What a run was given, in words: each option that has a value and does not say where files are.

    >>> from experiments.filters import Config
    >>> options(Config())
    'width 320, seed 0'
    """
    given = {
        name: value for name, value in asdict(config).items() if value not in (None, ()) and not isinstance(value, Path)
    }
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in given.items())


def photograph(image: Path | None, side: int) -> Array:
    """A picture `(1, h, w, 3)` in [0, 1], its long side reduced to `side` pixels; scikit-learn's china.jpg by default.

    Raises: ValueError for a file that is no picture, and for one that would have too few pixels.
    """
    if image is None:
        from sklearn.datasets import load_sample_image

        pixels = load_sample_image("china.jpg")
    else:
        pixels = decode(image)
    h, w = pixels.shape[:2]
    scale = min(1.0, side / max(h, w))
    if side < 1 or min(h, w) * scale < LEAST:
        raise ValueError(
            f"the photograph of {h} × {w} pixels has fewer than {LEAST} on a side when its long one is {side}"
        )
    size = (round(h * scale), round(w * scale))
    return F.resize(jnp.asarray(pixels[None], jnp.float32) / 255, size, antialias=True)


def grey(x: Array) -> Array:
    """Luma of ITU-R 601: `(n, h, w, 3)` to `(n, h, w, 1)`; one channel stays."""
    return x if x.shape[-1] == 1 else (x * jnp.array([0.299, 0.587, 0.114])).sum(-1, keepdims=True)


def reach(values: Array | np.ndarray) -> float:
    """What the colours of a signed picture reach to: the 99.5th percentile of the absolute value, 1 where all is 0.

    >>> reach(np.zeros(3)), reach(np.array([-2.0]))
    (1.0, 2.0)
    """
    return float(np.quantile(np.abs(values), 0.995)) or 1.0


def show(
    axis: Axes, picture: Array | np.ndarray, title: str = "", *, signed: bool = False, most: float | None = None
) -> None:
    """A picture `(h, w)`, `(h, w, 1)` or `(h, w, 3)`: signed around 0, else in [0, most]; `most` is 1, or what is reached."""
    pixels = np.asarray(picture, np.float32)
    pixels = pixels[..., 0] if pixels.shape[-1:] == (1,) else pixels
    if signed:
        most = most or reach(pixels)
        axis.imshow(pixels, cmap="RdBu_r", vmin=-most, vmax=most)
    else:
        axis.imshow(np.clip(pixels / (most or 1), 0, 1), cmap="gray", vmin=0, vmax=1)
    axis.set_title(title, fontsize=8, loc="left", pad=3)
    axis.axis("off")


def sheet(tiles: int, columns: int, shape: Sequence[int]) -> tuple[Figure, Sequence[Axes]]:
    """A figure as wide as the page with a place for every tile of pictures `shape` (h, w, …), row by row."""
    rows, tall = -(-tiles // columns), WIDTH / columns * shape[0] / shape[1]
    figure = Figure(figsize=(WIDTH, rows * (tall + 0.25)), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[tiles:]:
        axis.axis("off")
    return figure, list(axes[:tiles])


def side_by_side(pictures: Mapping[str, Array | np.ndarray], columns: int) -> Figure:
    """Pictures in [0, 1], each under its name."""
    figure, axes = sheet(len(pictures), columns, next(iter(pictures.values())).shape)
    for axis, (name, picture) in zip(axes, pictures.items()):
        show(axis, picture, name)
    return figure


def numbers(axis: Axes, grid: np.ndarray, title: str = "", *, most: float | None = None, size: float = 7) -> None:
    """A small grid of signed numbers, each in its cell."""
    most = most or float(np.abs(grid).max()) or 1.0
    axis.imshow(grid, cmap="RdBu_r", vmin=-most, vmax=most)
    for (row, column), value in np.ndenumerate(grid):
        dark = abs(value) > 0.6 * most
        text = f"{value:.0f}" if float(value).is_integer() else f"{round(value, 2) + 0.0:.2f}"  # no −0.00
        axis.text(column, row, text, ha="center", va="center", fontsize=size, color="white" if dark else "black")
    axis.set_title(title, fontsize=8, pad=3)
    axis.set_xticks([])
    axis.set_yticks([])


def thumbnails(images: np.ndarray, columns: int = 8) -> Figure:
    """Small uint8 images `(n, h, w, c)`, row by row, each in a frame."""
    rows = -(-len(images) // columns)
    figure = Figure(figsize=(WIDTH, rows * WIDTH / columns), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[len(images) :]:
        axis.axis("off")
    for axis, image in zip(axes, images):
        axis.imshow(image[..., 0] if image.shape[-1] == 1 else image, cmap="gray", vmin=0, vmax=255)
        axis.set_xticks([])
        axis.set_yticks([])
    return figure
