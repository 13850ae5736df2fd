"""`heatmap`, `heatmaps`: what a method of attribution says of a photograph, beside it or over it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ._pixels import at_least_one, check_percentile, image, images, numbers, several
from ._scale import Scale
from ._sheet import EDGE, SCALE, Sheet
from ._texts import LINE, PLAIN, fitted

GAP = 0.12  # inches between panels
OVER = 0.6  # opacity of an unsigned map over the grey photograph
LARGEST = 4.0  # inches of a panel at most


def heatmap(
    image: np.ndarray,
    values: np.ndarray,
    *,
    title: str | None = None,
    signed: bool | None = None,
    opacity: float | None = None,
    percentile: float = 99.0,
) -> Figure:
    """A photograph and, beside it, an attribution `(h, w, c)`, summed over its channels, or a map `(h, w)`.

    Signed numbers are red where positive, blue where negative, white at zero. Others go from dark (zero) to yellow and lie over
    the photograph in grey. A map of another size than the photograph is stretched to it.

    Args:
        image: `(h, w)`, `(h, w, 1)` or `(h, w, 3)`, uint8 or floats in [0, 1].
        title: words above the map.
        signed: which of the two; by default whether a number is below zero.
        opacity: of the map over the photograph in grey; by default 1 for signed numbers, else 0.6.
        percentile: of the magnitudes above zero, at which colours end, because a few large ones would hide all others.

    Raises: ValueError for other axes, NaN, images outside [0, 1], an opacity or percentile out of range; TypeError for other
        dtypes.

    >>> figure = heatmap(np.zeros((8, 8, 3)), np.arange(-8.0, 8.0).reshape(4, 4), title="gradient", percentile=100)
    >>> figure.axes[2].images[0].get_clim(), figure.axes[2].images[0].get_extent()
    ((-8.0, 8.0), [-0.5, 7.5, 7.5, -0.5])
    """
    photograph = _one_image("heatmap", image)
    flat = _flat("heatmap", "values", values)
    how = _style("heatmap", signed, opacity, percentile)
    return _figure([photograph], {title or "": [flat]}, [""], 2, how)


def heatmaps(
    image: np.ndarray | Sequence[np.ndarray],
    maps: Mapping[str, Any],
    *,
    titles: Sequence[str] | None = None,
    columns: int = 4,
    signed: bool | None = None,
    opacity: float | None = None,
    percentile: float = 99.0,
) -> Figure:
    """Several methods side by side: a photograph, then the map of each method under its name, each on a scale of its own.

    Args:
        image: one photograph, or several as `(n, h, w, c)` or a list, which begin a row each.
        maps: name → attribution as `heatmap` takes it; for several photographs one for each, `(n, …)` or a list.
        titles: words above each photograph.
        columns: panels a row, the photograph's included; more methods go on in the next row.
        signed, opacity, percentile: as in `heatmap`.

    Raises: as `heatmap`; ValueError for no map, or not as many maps or titles as photographs.

    >>> photograph, ramp = np.zeros((8, 8, 3)), np.arange(64.0).reshape(8, 8)
    >>> figure = heatmaps(photograph, {"grad_cam": ramp, "gradient": ramp - 9}, titles=["cat.jpg"])
    >>> [text.get_text() for text in figure.axes[0].texts if text.get_text()[0].isalpha()]
    ['cat.jpg', 'grad_cam', 'gradient']
    """
    at_least_one("heatmaps", columns=columns)
    photographs = images("heatmaps", "image", image)
    if not maps:
        raise ValueError("heatmaps: maps holds no map; give one at least")
    if titles is not None and (isinstance(titles, str) or len(titles) != len(photographs)):
        given = f"one text {titles!r}" if isinstance(titles, str) else f"{len(titles)} titles"
        raise ValueError(f"heatmaps: {given} for {len(photographs)} images; give a list with one for each")
    flat = {}
    for name, values in maps.items():
        values = list(values) if several(image) and np.ndim(values) else [values]
        if len(values) != len(photographs):
            raise ValueError(
                f"heatmaps: maps[{name!r}] has {len(values)} maps for {len(photographs)} images; give one for each"
            )
        what = f"maps[{name!r}]"
        flat[name] = [
            _flat("heatmaps", f"{what}[{i}]" if several(image) else what, one) for i, one in enumerate(values)
        ]
    how = _style("heatmaps", signed, opacity, percentile)
    return _figure(photographs, flat, titles or [""] * len(photographs), columns, how)


def grey(photograph: np.ndarray) -> np.ndarray:
    """The luminance of an image `(h, w, 3)` or `(h, w)`."""
    return photograph if photograph.ndim == 2 else photograph @ np.array([0.299, 0.587, 0.114], photograph.dtype)


def over(axis, photograph: np.ndarray, values: np.ndarray, scale: Scale, opacity: float) -> None:
    """Draws a map on axes in the photograph's pixels, the photograph in grey below it where it shows."""
    tall, wide = photograph.shape[:2]
    extent = (-0.5, wide - 0.5, tall - 0.5, -0.5)
    smooth = "bilinear" if values.shape[0] < tall or values.shape[1] < wide else "auto"
    if opacity < 1:
        axis.imshow(grey(photograph), cmap="gray", vmin=0, vmax=1, aspect="auto")
    axis.imshow(values, extent=extent, interpolation=smooth, alpha=opacity, aspect="auto", **scale.limits)


def _one_image(name: str, value) -> np.ndarray:
    return image(name, "image", value)


def _flat(name: str, what: str, values) -> np.ndarray:
    """The map `(h, w)` of an attribution."""
    values = numbers(name, what, values, ["(h, w)", "(h, w, c)"])
    return values if values.ndim == 2 else values.sum(-1)


def _style(name: str, signed: bool | None, opacity: float | None, percentile: float) -> dict:
    if opacity is not None and not 0 < opacity <= 1:
        raise ValueError(f"{name}: opacity={opacity} must be above 0, and 1 at most")
    check_percentile(name, percentile)
    return {"signed": signed, "opacity": opacity, "percentile": percentile}


def _figure(
    photographs: list[np.ndarray], maps: Mapping[str, list[np.ndarray]], titles: Sequence[str], columns: int, how: dict
) -> Figure:
    """A block of rows for each photograph, beginning with it."""
    sheet, top = Sheet(), EDGE
    wide = min((sheet.width - 2 * EDGE + GAP) / min(columns, 1 + len(maps)) - GAP, LARGEST)
    lines = max(fitted(words, wide, size=PLAIN, lines=2).count("\n") for words in [*titles, *maps]) + 1
    head = lines * 1.4 * LINE
    for number, (photograph, title) in enumerate(zip(photographs, titles)):
        tall = min(wide * photograph.shape[0] / photograph.shape[1], 1.5 * wide)
        each = tall * photograph.shape[1] / photograph.shape[0]
        panels = [(title, None), *((name, values[number]) for name, values in maps.items())]
        for place, (words, values) in enumerate(panels):
            row, column = divmod(place, columns)
            left, upper = EDGE + column * (wide + GAP), top + row * (head + tall + SCALE + GAP)
            sheet.text(words, left, upper + head - 0.05, wide, size=PLAIN, lines=2, va="bottom")
            axis = sheet.panel((left, upper + head, each, tall))
            if values is None:
                axis.imshow(photograph, cmap="gray", vmin=0, vmax=1, aspect="auto")
            else:
                scale = Scale.of(values, signed=how["signed"], percentile=how["percentile"])
                over(axis, photograph, values, scale, how["opacity"] or (1.0 if scale.low < 0 else OVER))
                sheet.scale(scale, left, upper + head + tall + 0.04, each)
        top += -(-len(panels) // columns) * (head + tall + SCALE + GAP)
    return sheet.done(top)
