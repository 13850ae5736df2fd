"""`receptive_field`: what a unit can see and what it does see, on the picture.

The theoretical field is the box of pixels that reach the unit. The effective one is a map of how much each pixel matters, for
example the mean squared gradient of the unit. Its middle and spread are those of the map read as a distribution, and the ellipse
lies at two standard deviations. Of a normal distribution it holds 1 − exp(−2) = 86 %.

Reference: Luo, Li, Urtasun & Zemel, Understanding the effective receptive field in deep convolutional neural networks (2016).
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse

from ._heatmap import OVER, over
from ._pixels import check_percentile, numbers
from ._pixels import image as read
from ._scale import Scale
from ._sheet import EDGE, NOTE, SCALE, Sheet
from ._texts import LINE

GAP = 0.15  # inches between panels
BOX, ELLIPSE = "#ffb000", "#fe6100"  # two of IBM's colour-blind safe palette, bright on photographs
Field = tuple[Sequence[int], Sequence[int]]


def receptive_field(
    image: np.ndarray,
    *,
    field: Field | None = None,
    effective: np.ndarray | None = None,
    title: str | None = None,
    percentile: float = 99.0,
) -> Figure:
    """The theoretical receptive field of a unit as a box on the picture, the effective one as a map over it with its 2σ ellipse.

    Args:
        image: `(h, w)`, `(h, w, 1)` or `(h, w, 3)`, uint8 or floats in [0, 1].
        field: first and last pixel `((y, x), (y, x))` that the unit sees, both seen: `(f.first(unit), f.last(unit))` of a
            `geometry.ReceptiveField`. Where it reaches past the image it is cut, drawn dashed, and a line says by how much.
        effective: how much each pixel of the image matters, `(h, w)` at least 0, such as a mean squared gradient.
        title: first line.
        percentile: of the numbers of `effective` above zero, at which its colours end.

    Raises: ValueError if neither is given, for a box or map of other axes, a last pixel before the first, another size than the
        image's, numbers below zero or NaN; TypeError for other dtypes.

    >>> figure = receptive_field(np.zeros((16, 16)), field=((-2, 3), (8, 9)))
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['box: 11×7 pixels, rows −2 to 8, columns 3 to 9; cut by 2 rows above']
    """
    photograph = read("receptive_field", "image", image)
    if field is None and effective is None:
        raise ValueError("receptive_field: neither field nor effective is given; give one at least")
    check_percentile("receptive_field", percentile)
    box = None if field is None else _box(field)
    seen = None if effective is None else _effective(effective, photograph)
    sheet, shape = Sheet(), photograph.shape[:2]
    top = EDGE if title is None else sheet.heading(title, EDGE)
    wide = (sheet.width - 2 * EDGE - GAP) / 2
    tall = min(wide * shape[0] / shape[1], wide)
    wide = tall * shape[1] / shape[0]
    plain = sheet.panel((EDGE, top, wide, tall))
    plain.imshow(photograph, cmap="gray", vmin=0, vmax=1, aspect="auto")
    panels = [plain]
    if seen is not None:
        panels.append(sheet.panel((EDGE + wide + GAP, top, wide, tall)))
        scale = Scale.of(seen, signed=False, percentile=percentile)
        over(panels[1], photograph, seen, scale, OVER)
        sheet.scale(scale, EDGE + wide + GAP, top + tall + 0.04, wide)
    top += tall + (0.04 if seen is None else SCALE + 0.04)
    for words in _drawn(panels, shape, box, seen):
        top += LINE * sheet.text(words, EDGE, top, sheet.width - 2 * EDGE, lines=2, color=NOTE)
    return sheet.done(top + EDGE)


def _box(field: Field) -> tuple[int, int, int, int]:
    """First row and column, last row and column."""
    pairs = len(field) == 2 and all(np.shape(corner) == (2,) for corner in field)
    corners = np.asarray(field if pairs else 0.0)
    if not np.issubdtype(corners.dtype, np.integer):
        raise ValueError(f"receptive_field: field={field}; give the first and last pixel, ((y, x), (y, x)), integers")
    if (corners[1] < corners[0]).any():
        raise ValueError(f"receptive_field: field={field} ends before it begins; give the first pixel, then the last")
    (y0, x0), (y1, x1) = corners.tolist()
    return y0, x0, y1, x1


def _effective(effective, photograph: np.ndarray) -> np.ndarray:
    values = numbers("receptive_field", "effective", effective, ["(h, w)"])
    if values.shape != photograph.shape[:2]:
        sizes = " × ".join(map(str, values.shape)), " × ".join(map(str, photograph.shape[:2]))
        raise ValueError(
            f"receptive_field: effective is {sizes[0]}, the image {sizes[1]} pixels; give a map of its size"
        )
    if values.min() < 0:
        raise ValueError(
            f"receptive_field: effective falls to {values.min():.3g}; give squares or magnitudes, at least 0"
        )
    return values


def _drawn(panels: list[Axes], shape: Sequence[int], box, seen: np.ndarray | None) -> list[str]:
    """Draws box and ellipse on every panel; the lines that say what they are."""
    lines = []
    if box is not None:
        for axis in panels:
            _draw_box(axis, shape, box)
        lines.append(_of_box(shape, box))
    if seen is not None and seen.any():
        middle, sigmas, angle = spread(seen)
        for axis in panels:
            wide, tall = 4 * sigmas
            axis.add_patch(
                Ellipse(tuple(middle[::-1]), wide, tall, angle=angle, fill=False, color=ELLIPSE, linewidth=1.8)
            )
        axes = " × ".join(f"{4 * sigma:.1f}" for sigma in sigmas)
        lines.append(
            f"ellipse: 2σ of the effective field, {axes} pixels wide, middle at row {middle[0]:.1f}, column {middle[1]:.1f}"
        )
    for axis in panels:
        axis.set(xlim=(-0.5, shape[1] - 0.5), ylim=(shape[0] - 0.5, -0.5))
    return lines


def spread(values: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Middle (y, x), the two standard deviations (the larger first) and the angle of the larger, of a map read as a distribution.

    The angle is in degrees from the x axis towards larger y.

    >>> middle, sigmas, angle = spread(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 1.0]]))
    >>> middle.tolist(), sigmas.tolist(), angle % 180
    ([1.0, 1.0], [1.0, 0.0], 0.0)
    """
    share = values / values.sum()
    places = np.indices(values.shape)  # (2, h, w)
    middle = (share * places).sum((1, 2))
    apart = places - middle[:, None, None]
    covariance = np.einsum("hw,ihw,jhw->ij", share, apart, apart)
    variances, directions = np.linalg.eigh(covariance)
    y, x = directions[:, 1]
    return middle, np.sqrt(np.maximum(variances[::-1], 0)), float(np.degrees(np.arctan2(y, x)))


def _draw_box(axis: Axes, shape: Sequence[int], box: tuple[int, int, int, int]) -> None:
    """The box's sides within the image, and dashed along the border where it is cut."""
    low = [max(first, 0) - 0.5 for first in box[:2]]
    high = [min(last, size - 1) + 0.5 for last, size in zip(box[2:], shape)]
    if low[0] >= high[0] or low[1] >= high[1]:
        return
    cut = [box[0] < 0, box[1] < 0, box[2] >= shape[0], box[3] >= shape[1]]
    (top, left), (bottom, right) = low, high
    sides = [
        ((left, right), (top, top)),
        ((left, left), (top, bottom)),
        ((left, right), (bottom, bottom)),
        ((right, right), (top, bottom)),
    ]
    for (x, y), beyond in zip(sides, cut):
        axis.plot(x, y, color=BOX, linewidth=1.8, linestyle=(0, (3, 3)) if beyond else "-", clip_on=False)


def _of_box(shape: Sequence[int], box: tuple[int, int, int, int]) -> str:
    sign = lambda value: str(value).replace("-", "−")
    top, left, bottom, right = box
    rows, columns = f"rows {sign(top)} to {sign(bottom)}", f"columns {sign(left)} to {sign(right)}"
    words = f"box: {bottom - top + 1}×{right - left + 1} pixels, {rows}, {columns}"
    if bottom < 0 or right < 0 or top >= shape[0] or left >= shape[1]:
        return f"{words}; all of it outside the image"
    beyond = {
        "rows above": -top,
        "rows below": bottom + 1 - shape[0],
        "columns left": -left,
        "columns right": right + 1 - shape[1],
    }
    parts = [
        f"{count} {where if count > 1 else where.replace('s ', ' ', 1)}" for where, count in beyond.items() if count > 0
    ]
    return f"{words}; cut by {', '.join(parts)}" if parts else words
