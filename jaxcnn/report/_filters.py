"""`filters`: the kernels of a convolution as a grid of tiles."""

import numpy as np
from matplotlib.figure import Figure

from jaxcnn.functional._check import describe

from ._pixels import at_least_one, numbers
from ._scale import Scale
from ._sheet import EDGE, NOTE, SCALE, Sheet
from ._texts import LINE

GAP = 0.06  # inches between tiles
FINE = 4  # pixels a weight in a tile of several channels, so that the gap between two channels is a quarter of a weight
CHANNELS = 64  # input channels shown of a filter
INCHES_A_PIXEL = 0.01  # at least, so a weight among several channels takes 0.04


def filters(kernel: np.ndarray, *, columns: int = 16, most: int = 64, title: str | None = None) -> Figure:
    """Every filter of a kernel `(kh, kw, c_in, c_out)` as a numbered tile, all on one scale with zero in the middle.

    Three input channels are shown as red, green and blue, where zero is mid grey. Otherwise red is positive, blue negative and
    white zero, and a filter's input channels lie side by side in its tile, the first 64 of them.

    Args:
        columns: tiles a row at most; fewer where weights would become too small to see.
        most: filters shown at most; the last line says how many are left out.

    Raises: ValueError for other axes, NaN, or less than one column or filter; TypeError for what holds no real numbers.

    >>> kernel = np.random.default_rng(0).normal(size=(3, 3, 1, 20))
    >>> figure = filters(kernel, columns=8)
    >>> [text.get_text() for text in figure.axes[0].texts][:3], figure.get_size_inches()[0]
    (['0', '1', '2'], np.float64(9.0))
    """
    kernel = _checked(kernel)
    at_least_one("filters", columns=columns, most=most)
    kh, kw, c_in, c_out = kernel.shape
    shown, channels = min(c_out, most), min(c_in, CHANNELS)
    scale = Scale.of(kernel, signed=True)
    if c_in == 3:
        tiles = [kernel[..., i] / scale.high / 2 + 0.5 for i in range(shown)]
    else:
        tiles = [_side_by_side(kernel[:, :, :channels, i]) for i in range(shown)]
    sheet = Sheet()
    top = EDGE if title is None else sheet.heading(title, EDGE)
    top = _grid(sheet, tiles, columns, top, None if c_in == 3 else scale)
    ends = f"mid grey is 0, the ends are ±{scale.high:.2g}" if c_in == 3 and not scale.zero else ""
    parts = (f"{shown} of {c_out} filters" if shown < c_out else "", ends,
             f"{channels} of {c_in} input channels" if channels < c_in else "")  # fmt: skip
    if note := "; ".join(filter(None, parts)):
        sheet.text(note, EDGE, top, sheet.width - 2 * EDGE, color=NOTE)
        top += 1.2 * LINE
    if c_in != 3 or scale.zero:
        sheet.scale(scale, EDGE, top, 2.5)
        top += SCALE
    return sheet.done(top + EDGE)


def _checked(kernel) -> np.ndarray:
    kernel = np.asarray(kernel)
    if kernel.ndim != 4:
        hint = {3: "; of a line (k, c_in, c_out): kernel[None]", 5: "; of a volume's depth d: kernel[d]"}
        axes = "give (kh, kw, c_in, c_out)"
        raise ValueError(f"filters: kernel is {describe(kernel)}; {axes}{hint.get(kernel.ndim, '')}")
    return numbers("filters", "kernel", kernel, ["(kh, kw, c_in, c_out)"])


def _grid(sheet: Sheet, tiles: list[np.ndarray], columns: int, top: float, scale: Scale | None) -> float:
    """Puts the tiles on the sheet, each below its number; where the last row ends."""
    tall, wide = tiles[0].shape[:2]
    room = sheet.width - 2 * EDGE
    least = min(2.0, max(0.4, INCHES_A_PIXEL * wide))
    columns = min(columns, int(room / least))
    across = max(least, min(0.9, room / min(columns, len(tiles))))
    down = min((across - GAP) * tall / wide, 3.0)
    for i, tile in enumerate(tiles):
        row, column = divmod(i, columns)
        left, upper = EDGE + column * across, top + row * (down + LINE + GAP)
        sheet.text(str(i), left, upper, across)
        sheet.tile(tile, (left, upper + LINE, across - GAP, down), scale)
    return top + -(-len(tiles) // columns) * (down + LINE + GAP)


def _side_by_side(channels: np.ndarray) -> np.ndarray:
    """Channels `(kh, kw, c)` as one picture, about as high as it is wide; the gaps are NaN, which is drawn grey."""
    kh, kw, c = channels.shape
    if c == 1:
        return channels[..., 0]
    columns = int(np.clip(round(np.sqrt(c * kh / kw)), 1, c))
    rows = -(-c // columns)
    cells = np.full((rows * columns, kh * FINE + 1, kw * FINE + 1), np.nan)
    cells[:c, :-1, :-1] = np.kron(np.moveaxis(channels, -1, 0), np.ones((1, FINE, FINE)))
    cells = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(
        1, 2
    )  # (rows, kh · FINE + 1, columns, kw · FINE + 1)
    return cells.reshape(rows * cells.shape[1], -1)[:-1, :-1]
