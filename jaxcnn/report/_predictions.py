"""`predictions`: photographs with bars of what a network takes them for."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ._figures import INK


def predictions(
    images: Sequence[np.ndarray], titles: Sequence[str], tops: Sequence[Sequence[tuple[str, float]]]
) -> Figure:
    """A row a photograph: its pixels, uint8 `(h, w, 3)`, and a bar for each `(class, probability)`, the first on top.

    Raises: ValueError if there are not as many of each, or none.

    >>> predictions([np.zeros((4, 4, 3), np.uint8)], ["a.jpg"], [[("cat", 0.9), ("dog", 0.1)]]).axes[0].get_title()
    'a.jpg'
    """
    if not len(images) or not len(images) == len(titles) == len(tops):
        raise ValueError(
            f"predictions: {len(images)} images, {len(titles)} titles, {len(tops)} answers; give as many, and some"
        )
    figure = Figure(figsize=(8, 2.4 * len(images)), layout="constrained")
    axes = figure.subplots(len(images), 2, squeeze=False, width_ratios=(1, 2))
    for (left, right), image, title, top in zip(axes, images, titles, tops):
        left.imshow(image)
        left.set_title(title, fontsize=8)
        left.set_axis_off()
        shares = [probability for _, probability in top]
        bars = right.barh(range(len(top)), shares, color=INK)
        right.bar_label(bars, [f"{share:.3f}" for share in shares], padding=3, fontsize=8)
        right.set_yticks(range(len(top)), [name[:40] for name, _ in top], fontsize=8)
        right.invert_yaxis()
        right.set_xlim(0, 1.12)
    return figure
