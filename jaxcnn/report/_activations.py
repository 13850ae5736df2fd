"""`activations`: what every layer of a network makes of one image."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ._figures import INK, SOFT
from ._pixels import at_least_one, check_percentile, image, numbers
from ._scale import Scale
from ._sheet import EDGE, NOTE, SCALE, Sheet, inside, number
from ._texts import LINE, SMALL, width_of

GAP = 0.08  # inches between tiles
TILE = 1.05  # inches of a map at most
BARS = 0.9  # inches of the bars of a vector


class _Style(NamedTuple):
    columns: int
    most: int
    own_scale: bool
    top: int
    percentile: float


def activations(
    maps: Mapping[str, np.ndarray],
    *,
    image: np.ndarray | None = None,
    class_names: Sequence[str] | None = None,
    columns: int = 8,
    most: int = 16,
    own_scale: bool = False,
    top: int = 10,
    percentile: float = 99.0,
) -> Figure:
    """Activations of one image, layer below layer, in the order given.

    Maps `(h, w, c)` are numbered tiles. Where a number of the layer is below zero, red is positive, blue negative and white
    zero; else the colours go from dark (zero) to yellow. A line's `(w, c)` are one tile with a row for each channel, vectors
    `(c,)` bars.

    Args:
        maps: layer's name → its activations of one image, for example `values[0]` of what `interpret.capture` gives.
        image: the image itself, uint8 or floats in [0, 1], shown first.
        class_names: name of each entry of the last vector that has as many; the likeliest `top` are shown where there are more.
        columns: tiles a row.
        most: maps shown of a layer; its title says of how many.
        percentile: of the magnitudes above zero of a layer's maps shown, at which colours end, because a few large ones would
            hide all others.
        own_scale: each map has a scale of its own, written above it, instead of one for the layer.

    Raises: ValueError for no layer, other axes, NaN, or names of which no vector has as many; TypeError for what holds no
        numbers.

    >>> layers = {"conv1": np.random.default_rng(0).random((6, 6, 3)), "logits": np.array([2.0, -1.0])}
    >>> figure = activations(layers, image=np.zeros((8, 8, 1)), class_names=("cat", "dog"))
    >>> [text.get_text() for text in figure.axes[0].texts if "×" in text.get_text()]
    ['input, 8×8', 'conv1, 6×6×3']
    """
    if not maps:
        raise ValueError("activations: maps holds no layer; give one at least")
    at_least_one("activations", columns=columns, most=most, top=top)
    axes = ["(h, w, c)", "(w, c)", "(c,)"]
    layers = {name: numbers("activations", f"maps[{name!r}]", value, axes) for name, value in maps.items()}
    named = None if class_names is None else _of_classes(layers, class_names)
    check_percentile("activations", percentile)
    sheet, style, y = Sheet(), _Style(columns, most, own_scale, top, percentile), EDGE
    if image is not None:
        y = _input(sheet, image, y)
    for name, values in layers.items():
        y = sheet.heading(f"{name}, {_size(values, style)}", y)
        if values.ndim == 1:
            y = _classes(sheet, values, class_names, style, y) if name == named else _bars(sheet, values, y)  # type: ignore[arg-type]
        else:
            y = _tiles(sheet, values, style, y)
        y += 1.5 * GAP
    return sheet.done(y)


def _of_classes(layers: Mapping[str, np.ndarray], class_names: Sequence[str]) -> str:
    """The last vector with a number for each class."""
    vectors = {name: len(values) for name, values in layers.items() if values.ndim == 1}
    fitting = [name for name, length in vectors.items() if length == len(class_names)]
    if not fitting:
        have = ", ".join(f"{name} {length}" for name, length in vectors.items()) or "none is given"
        raise ValueError(f"activations: {len(class_names)} class_names, vectors: {have}; one must have as many numbers")
    return fitting[-1]


def _input(sheet: Sheet, given: np.ndarray, top: float) -> float:
    pixels = image("activations", "image", given)
    top = sheet.heading(f"input, {'×'.join(map(str, pixels.shape))}", top)
    _, _, wide, tall = inside(pixels.shape, (0, 0, 3.0, 1.8))
    sheet.tile(pixels, (EDGE, top, wide, tall))
    return top + tall + 2 * GAP


def _size(values: np.ndarray, style: _Style) -> str:
    words, count = "×".join(map(str, values.shape)), values.shape[-1]
    if values.ndim == 1:
        return f"{count} numbers"
    return (
        f"{words}, {style.most} of {count} {'maps' if values.ndim == 3 else 'channels'}"
        if count > style.most
        else words
    )


def _tiles(sheet: Sheet, values: np.ndarray, style: _Style, top: float) -> float:
    shown = values[..., : style.most]
    maps = [shown.T] if values.ndim == 2 else list(np.moveaxis(shown, -1, 0))
    tall, wide = maps[0].shape
    columns = min(style.columns, len(maps))
    across = (sheet.width - 2 * EDGE) / style.columns
    box = (
        (min(across - GAP, TILE * max(1.0, wide / tall)), TILE) if values.ndim == 3 else (sheet.width - 2 * EDGE, TILE)
    )
    _, _, wide, tall = inside((tall, wide), (0, 0, *box)) if values.ndim == 3 else (0, 0, *box)
    signed = bool((values < 0).any())
    scale = Scale.of(shown, signed=signed, percentile=style.percentile)
    for i, tile in enumerate(maps):
        row, column = divmod(i, columns)
        left, upper = EDGE + column * (wide + GAP), top + row * (tall + LINE + GAP)
        own = Scale.of(tile, signed=signed, percentile=style.percentile) if style.own_scale else scale
        if values.ndim == 3:
            label = f"{i}: " + ("0" if own.zero else f"{'±' * signed}{number(own.high)}") if style.own_scale else str(i)
            sheet.text(label, left, upper, wide)
        sheet.tile(tile, (left, upper + LINE, wide, tall), own)
    top += -(-len(maps) // columns) * (tall + LINE + GAP)
    if style.own_scale and values.ndim == 3:
        return top
    sheet.scale(scale, EDGE, top, 2.0)
    return top + SCALE


def _bars(sheet: Sheet, values: np.ndarray, top: float) -> float:
    """A bar for each number of a vector, the largest and least number written beside."""
    low, high = min(0.0, values.min()), max(0.0, values.max())
    ends = [number(high), number(low)]
    left = EDGE + max(width_of(end, SMALL) for end in ends) + 0.1
    unit, each = BARS / ((high - low) or 1), (sheet.width - left - EDGE) / max(len(values), 10)
    zero = top + high * unit
    for end, y, side in zip(ends, (top, top + BARS), ("top", "bottom")):
        sheet.text(end, EDGE, y, left - EDGE - 0.05, align="right", va=side)
    places = left + each * (np.arange(len(values)) + 0.5)
    colours = [SOFT if value < 0 else INK for value in values]
    sheet.axis.vlines(places, zero, zero - values * unit, colors=colours, linewidth=0.9 * 72 * each)
    sheet.axis.plot((left, left + each * len(values)), (zero, zero), color="0.6", linewidth=0.5)
    for i in sorted({0, len(values) - 1}):
        sheet.text(str(i), left + each * i - 0.3, top + BARS + 0.03, each + 0.6, align="center", color=NOTE)
    return top + BARS + LINE + 0.05


def _classes(sheet: Sheet, values: np.ndarray, names: Sequence[str], style: _Style, top: float) -> float:
    """A bar with its name for each class, or for the largest ones, the largest first."""
    many = len(values) > style.top
    chosen = np.argsort(-values, kind="stable")[: style.top] if many else np.arange(len(values))
    widest = max(width_of(str(names[int(index)]), SMALL) for index in chosen)
    words, room = min(1.1 * widest + 0.05, 3.0), 4.5
    low, high = min(0.0, values[chosen].min()), max(0.0, values[chosen].max())
    unit = room / ((high - low) or 1)
    zero = EDGE + words + (0.65 if low < 0 else 0.1) - low * unit
    if many:
        sheet.text(f"the {len(chosen)} largest of {len(values)}", EDGE, top, sheet.width - 2 * EDGE, color=NOTE)
        top += LINE
    places = top + 1.15 * LINE * (np.arange(len(chosen)) + 0.5)
    colours = [SOFT if value < 0 else INK for value in values[chosen]]
    sheet.axis.hlines(places, zero, zero + values[chosen] * unit, colors=colours, linewidth=72 * LINE)
    sheet.axis.plot((zero, zero), (top, top + 1.15 * LINE * len(chosen)), color="0.6", linewidth=0.5)
    for index, y in zip(chosen, places):
        value, tip = values[index], zero + values[index] * unit
        sheet.text(str(names[int(index)]), EDGE, y, words, align="right", va="center_baseline")
        left, align = (tip + 0.05, "left") if value >= 0 else (tip - 0.65, "right")
        sheet.text(number(value), left, y, 0.6, align=align, va="center_baseline")
    return top + 1.15 * LINE * len(chosen) + 0.05
