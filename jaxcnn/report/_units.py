"""`units`: what units of a layer want to see (optimised inputs) and what excites them (images of a data set, parts of these)."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ._pixels import at_least_one, images
from ._sheet import EDGE, NOTE, Sheet, inside
from ._texts import LINE, PLAIN, SMALL

NAME, SIDE, GAP = 0.95, 0.18, 0.05  # inches of the names, of the words beside rows of examples, between tiles
BOX = "#ffb000"


class UnitRow(NamedTuple):
    """One unit of a layer. Pictures are `(h, w)`, `(h, w, 1)` or `(h, w, 3)`, uint8 or floats in [0, 1], of any sizes.

    Attributes:
        name: of the unit, such as "conv1, channel 3".
        optimised: an input that was optimised to excite it, or several.
        examples: images that excite it, the most exciting first.
        crops: of each example the part that the unit sees; drawn below the examples in their order.
        boxes: that part's place in each example, `(y0, x0, y1, x1)`: first pixel, and the one behind the last.
        captions: a few words below each example, such as the activation.

    >>> UnitRow("channel 3", examples=[np.zeros((8, 8, 3))], boxes=[(0, 0, 4, 4)]).name
    'channel 3'
    """

    name: str
    optimised: Any = None
    examples: Any = ()
    crops: Any = ()
    boxes: Sequence[tuple[float, float, float, float]] = ()
    captions: Sequence[str] = ()


class _Read(NamedTuple):
    """The pictures of a row, as they are drawn."""

    row: UnitRow
    optimised: list[np.ndarray]
    examples: list[np.ndarray]
    crops: list[np.ndarray]

    @property
    def count(self) -> int:
        return max(len(self.examples), len(self.crops))


class _Place(NamedTuple):
    """Where the parts of every row lie: left edges in inches, sizes of tiles, columns."""

    optimised: float
    large: float
    examples: float
    small: float
    columns: int


def units(rows: Sequence[UnitRow], *, columns: int = 8, title: str | None = None) -> Figure:
    """A row for each unit: its name, its optimised inputs, its examples with the crops below them.

    Args:
        columns: examples side by side; more go on below.
        title: first line.

    Raises: ValueError for no row or a row without pictures, boxes or captions without as many examples, pictures of other axes or
        outside [0, 1]; TypeError for other dtypes.

    >>> picture = np.zeros((8, 8, 3))
    >>> figure = units([UnitRow("channel 3", picture, [picture] * 2, boxes=[(0, 0, 4, 4)] * 2, captions=("9.1", "8.7"))])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['optimised', 'examples', 'channel 3', '9.1', '8.7']
    """
    at_least_one("units", columns=columns)
    read = [_read(number, row) for number, row in enumerate(rows)]
    if not read:
        raise ValueError("units: no row is given; give a UnitRow at least")
    sheet = Sheet()
    top = EDGE if title is None else sheet.heading(title, EDGE)
    place = _place(sheet, read, columns)
    if any(one.optimised for one in read):
        sheet.text("optimised", place.optimised, top, place.large, color=NOTE)
    if any(one.count for one in read):
        kinds = "examples, and below each the part that the unit sees" if any(one.crops for one in read) else "examples"
        sheet.text(kinds, place.examples, top, sheet.width - EDGE - place.examples, color=NOTE)
    top += LINE + 0.03
    for one in read:
        lines = sheet.text(one.row.name, EDGE, top, NAME - GAP, size=PLAIN, lines=4)
        ends = (top + lines * 1.5 * PLAIN / 72, _optimised(sheet, one, place, top), _examples(sheet, one, place, top))
        top = max(ends) + 2 * GAP
    return sheet.done(top)


def _read(number: int, row: UnitRow) -> _Read:
    what = f"rows[{number}]"
    listed = lambda name, value: (
        [] if value is None or not len(value) else images("units", f"{what}.{name}", list(value))
    )
    optimised = [] if row.optimised is None else images("units", f"{what}.optimised", row.optimised)
    one = _Read(row, optimised, listed("examples", row.examples), listed("crops", row.crops))
    if not (one.optimised or one.count):
        raise ValueError(f"units: {what}, {row.name!r}, has no picture; give optimised, examples or crops")
    for i, box in enumerate(row.boxes):
        if np.shape(box) != (4,):
            raise ValueError(f"units: {what}.boxes[{i}] is {box}; give (y0, x0, y1, x1)")
    for name, extra in (("crops", row.crops), ("boxes", row.boxes), ("captions", row.captions)):
        if len(extra) and len(extra) != len(one.examples) and (one.examples or name != "crops"):
            raise ValueError(
                f"units: {what}, {row.name!r}, has {len(extra)} {name} for {len(one.examples)} examples; give as many"
            )
    return one


def _place(sheet: Sheet, read: list[_Read], columns: int) -> _Place:
    large = 0.0 if not any(one.optimised for one in read) else 1.5 if any(one.crops for one in read) else 1.1
    left = EDGE + NAME + (large + 3 * GAP if large else 0.0)
    columns = max(1, min(columns, max(one.count for one in read)))
    return _Place(EDGE + NAME, large, left, min((sheet.width - EDGE - left) / columns - GAP, 1.2), columns)


def _optimised(sheet: Sheet, one: _Read, place: _Place, top: float) -> float:
    for pixels in one.optimised:
        sheet.tile(pixels, (place.optimised, top, place.large, place.large))
        top += place.large + GAP
    return top


def _examples(sheet: Sheet, one: _Read, place: _Place, top: float) -> float:
    """Lines of examples, their captions, and their crops; where they end."""
    step = place.small + GAP
    for start in range(0, one.count, place.columns):
        here = range(start, min(start + place.columns, one.count))
        for pictures, boxes in ((one.examples, one.row.boxes), (one.crops, ())):
            if not pictures:
                continue
            for i in here:
                box = (place.examples + (i - start) * step, top, place.small, place.small)
                sheet.tile(pictures[i], box)
                if len(boxes):
                    _outline(sheet, pictures[i].shape, box, boxes[i])
            top += place.small
            if len(one.row.captions) and pictures is one.examples:
                for i in here:
                    left = place.examples + (i - start) * step
                    sheet.text(one.row.captions[i], left, top + 0.02, place.small, align="center", size=SMALL)
                top += LINE
            top += GAP
    return top


def _outline(sheet: Sheet, shape: Sequence[int], box: tuple, part: Sequence[float]) -> None:
    """A box of pixels on a tile, cut at the tile's border."""
    left, top, wide, _ = inside(shape, box)
    each = wide / shape[1]
    y0, y1 = (float(np.clip(y, 0, shape[0])) for y in part[::2])
    x0, x1 = (float(np.clip(x, 0, shape[1])) for x in part[1::2])
    corner = (left + x0 * each, top + y0 * each)
    sheet.axis.add_patch(
        Rectangle(corner, (x1 - x0) * each, (y1 - y0) * each, fill=False, edgecolor=BOX, linewidth=1.4)
    )
