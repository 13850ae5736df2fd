"""`mistakes`: images that a network gets wrong. Each shows its true class, the answer and the file."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from jaxcnn.functional._check import describe

from ._figures import INK
from ._pixels import at_least_one, image
from ._sheet import EDGE, NOTE, Sheet
from ._texts import LINE

GAP = 0.1  # inches between images
READ = "#a34e00"  # as SOFT, dark enough for small letters


def mistakes(
    images: Sequence[np.ndarray] | np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    confidence: np.ndarray | None = None,
    files: Sequence[str] | None = None,
    columns: int = 6,
    most: int = 24,
    title: str | None = None,
) -> Figure:
    """The images whose predicted class is not their label, in the order given, the first `most` of them.

    Args:
        images: `(n, h, w, c)` or a list of any sizes; grey or RGB, uint8 or floats in [0, 1].
        labels: true class of each image `(n,)`, integers.
        predicted: class that each was taken for `(n,)`.
        class_names: names of the classes; their numbers are written where there are none.
        confidence: probability `(n,)` that was given to the predicted class.
        files: names of the images' files; of a long one the end is shown.
        columns: images a row.
        title: first line, instead of how many of the images are read wrongly.

    Raises: ValueError if there are not as many of each, or a class has no name; TypeError for classes that are no integers.

    >>> images = np.zeros((3, 8, 8, 1), np.uint8)
    >>> figure = mistakes(images, [0, 1, 1], [0, 0, 1], class_names=("cat", "dog"), confidence=[0.9, 0.8, 0.7])
    >>> [text.get_text() for text in figure.axes[0].texts]
    ['1 of 3 images is read wrongly', 'true: dog', 'read (80 %): cat']
    """
    at_least_one("mistakes", columns=columns, most=most)
    labels, predicted = (_classes(what, v, class_names) for what, v in (("labels", labels), ("predicted", predicted)))
    _as_many(images, labels, predicted, confidence, files)
    wrong = np.flatnonzero(labels != predicted)
    shown = wrong[:most]
    if title is None:
        part = f"; the first {len(shown)}" if len(shown) < len(wrong) else ""
        title = f"{len(wrong)} of {len(labels)} images {'is' if len(wrong) == 1 else 'are'} read wrongly{part}"
    sheet = Sheet()
    top = sheet.heading(title, EDGE)
    across = (sheet.width - 2 * EDGE) / columns
    captions = [_caption(i, labels, predicted, class_names, confidence, files) for i in shown]
    for start in range(0, len(shown), columns):
        row = range(start, min(start + columns, len(shown)))
        pixels = [image("mistakes", f"images[{shown[place]}]", images[shown[place]]) for place in row]
        ends = [_one(sheet, one, captions[place], EDGE + (place - start) * across, top, across - GAP)
                for place, one in zip(row, pixels)]  # fmt: skip
        top = max(ends) + GAP
    return sheet.done(top + EDGE)


def _classes(what: str, values, class_names: Sequence[str] | None) -> np.ndarray:
    values = np.asarray(values)
    if values.ndim != 1 or not np.issubdtype(values.dtype, np.integer):
        kind = ValueError if values.ndim != 1 else TypeError
        raise kind(f"mistakes: {what} is {describe(values)}; give integers (n,)")
    count = None if class_names is None else len(class_names)
    if count is not None and len(values) and not 0 <= values.min() <= values.max() < count:
        reach = f"{values.min()} to {values.max()}"
        raise ValueError(f"mistakes: {what} go from {reach}, class_names has {count}; name every class")
    return values


def _as_many(images, labels, predicted, confidence, files) -> None:
    """Refuses another number of one thing than of the others, and none."""
    given = {"images": images, "labels": labels, "predicted": predicted, "confidence": confidence, "files": files}
    counts = {what: len(values) for what, values in given.items() if values is not None}
    if len(set(counts.values())) > 1 or not len(images):
        raise ValueError(f"mistakes: {', '.join(f'{n} {what}' for what, n in counts.items())}; give as many, and some")
    if confidence is not None and not (0 <= np.min(confidence) and np.max(confidence) <= 1 + 1e-6):
        reach = f"[{np.min(confidence):.3g}, {np.max(confidence):.3g}]"
        raise ValueError(f"mistakes: confidence lies in {reach}; give probabilities in [0, 1]")


def _caption(i: int, labels, predicted, class_names, confidence, files) -> list[tuple[str, dict]]:
    """What is written below an image, from the top, and how."""
    word = lambda number: str(number) if class_names is None else str(class_names[number])
    sure = "" if confidence is None else f" ({100 * float(confidence[i]):.0f} %)"
    lines = [
        (f"true: {word(labels[i])}", {"lines": 2, "color": INK}),
        (f"read{sure}: {word(predicted[i])}", {"lines": 2, "color": READ}),
    ]
    return lines if files is None else [*lines, (str(files[i]), {"lines": 2, "keep": "end", "color": NOTE})]


def _one(
    sheet: Sheet, pixels: np.ndarray, caption: list[tuple[str, dict]], left: float, top: float, size: float
) -> float:
    """Puts an image and its caption on the sheet; where it ends."""
    sheet.tile(pixels, (left, top, size, size))
    top += size + 0.03
    for words, how in caption:
        top += LINE * sheet.text(words, left, top, size, **how)
    return top
