"""`Sheet`: a figure measured in inches from its upper left corner. Tiles, texts and scales lie where they are put.

One axis carries everything, because a hundred tiles as a hundred axes take seconds to draw; only pictures that are drawn on in
their own pixels get axes of their own (`panel`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from ._scale import Scale
from ._texts import LINE, PLAIN, SMALL, fitted

WIDTH = 9.0  # inches: what a page of 60rem shows without shrinking
EDGE = 0.05  # inches around everything
NOTE = "#55555a"
Box = tuple[float, float, float, float]  # left, top, width, height in inches


class Sheet:
    """Put things on it, then `done(height)` is the figure.

    >>> sheet = Sheet()
    >>> _ = sheet.tile(np.zeros((2, 2)), (0.0, 0.0, 1.0, 1.0))
    >>> sheet.done(1.5).get_size_inches().tolist()
    [9.0, 1.5]
    """

    def __init__(self, width: float = WIDTH):
        self.width, self.figure = width, Figure()
        self.axis = self.figure.add_axes((0, 0, 1, 1))
        self.axis.axis("off")
        self.frames: list[Rectangle] = []
        self.panels: list[tuple[Axes, Box]] = []

    def tile(self, pixels: np.ndarray, box: Box, scale: Scale | None = None, **options: Any) -> AxesImage:
        """An image, or numbers on a scale, as large as fits into the middle of the box, with a thin frame."""
        left, top, width, height = inside(pixels.shape, box)
        limits = {"cmap": "gray", "vmin": 0, "vmax": 1} if scale is None else scale.limits
        self.frames.append(Rectangle((left, top), width, height))
        extent = (left, left + width, top + height, top)
        return self.axis.imshow(pixels, extent=extent, aspect="auto", **limits, **options)

    def panel(self, box: Box) -> Axes:
        """Axes without ticks that fill the box."""
        axis = self.figure.add_axes((0, 0, 1, 1))
        axis.set(xticks=[], yticks=[])
        axis.spines[:].set(color="0.75", linewidth=0.5)
        self.panels.append((axis, box))
        return axis

    def text(self, words: str, left: float, top: float, inches: float, **options: Any) -> int:
        """Words below `top`, broken or cut to that width (`lines`, `keep`, `size`, `align` and what matplotlib's text takes).

        Returns: how many lines they take.
        """
        size, align = options.pop("size", SMALL), options.pop("align", "left")
        kept = {"lines": options.pop("lines", 1), "keep": options.pop("keep", "start")}
        anchor = left + inches * {"left": 0, "center": 0.5, "right": 1}[align]
        words = fitted(words, inches, size=size, **kept)
        style = {"ha": align, "va": "top", "linespacing": 1.28, "parse_math": False} | options
        self.axis.text(anchor, top, words, fontsize=size, **style)
        return words.count("\n") + 1

    def heading(self, words: str, top: float, left: float = EDGE) -> float:
        """A line above what belongs to it; where that begins."""
        self.text(words, left, top, self.width - left - EDGE, size=PLAIN)
        return top + 1.4 * LINE

    def scale(self, scale: Scale, left: float, top: float, inches: float) -> None:
        """A bar of the scale's colours and the numbers at its ends and at zero, `SCALE` inches high."""
        if scale.zero:
            self.text("all zero", left, top, inches, align="center", color=NOTE)
            return
        bar = np.linspace(scale.low, scale.high, 256)[None]
        self.axis.imshow(bar, extent=(left, left + inches, top + 0.08, top), aspect="auto", **scale.limits)
        least, most = ("≤ ", "≥ ") if scale.beyond else ("", "")
        self.text(least * (scale.low < 0) + number(scale.low), left, top + 0.1, inches)
        self.text(most + number(scale.high), left, top + 0.1, inches, align="right")
        if scale.low < 0:
            self.text("0", left, top + 0.1, inches, align="center")

    def done(self, height: float) -> Figure:
        """The figure, so many inches high."""
        self.figure.set_size_inches(self.width, height)
        self.axis.set(xlim=(0, self.width), ylim=(height, 0))
        self.axis.add_collection(PatchCollection(self.frames, facecolor="none", edgecolor="0.75", linewidth=0.5))
        for axis, (left, top, width, tall) in self.panels:
            axis.set_position((left / self.width, 1 - (top + tall) / height, width / self.width, tall / height))
        return self.figure


SCALE = 0.27  # inches that a scale takes with its numbers


def inside(shape: Sequence[int], box: Box) -> Box:
    """The largest box of an image's shape `(h, w, …)` in the middle of a box.

    >>> inside((10, 20), (0.0, 0.0, 1.0, 1.0))
    (0.0, 0.25, 1.0, 0.5)
    """
    left, top, width, height = box
    each = min(width / shape[1], height / shape[0])
    tall, wide = shape[0] * each, shape[1] * each
    return left + (width - wide) / 2, top + (height - tall) / 2, wide, tall


def number(value: float) -> str:
    """A number of a scale, short.

    >>> number(0.0), number(-0.03127), number(1234567.0), number(12.0)
    ('0', '−0.031', '1.2e+06', '12')
    """
    return f"{value:.{3 if 1 <= abs(value) < 1000 else 2}g}".replace("-", "−")
