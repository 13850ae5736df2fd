"""Receiver operating characteristic of scores for two classes, its area with a confidence interval, a threshold.

The area is the chance that a positive example scores higher than a negative one, ties counting half: the Mann–Whitney statistic.
Its variance is DeLong's, exact for that statistic, from how each example stands among those of the other class.

References: Fawcett, An introduction to ROC analysis (2006); DeLong, DeLong & Clarke-Pearson, Comparing the areas under two or
more correlated receiver operating characteristic curves (1988).
"""

from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from ._figures import INK, SOFT


class Roc(NamedTuple):
    """Rates of false and true positives `(thresholds,)`, falling thresholds, the area and its standard error.

    >>> Roc(np.array([0.0, 1.0]), np.array([0.0, 1.0]), np.array([1.0, 0.0]), 0.9, 0.05).interval
    (0.802, 0.998)
    """

    false_positive: np.ndarray
    true_positive: np.ndarray
    thresholds: np.ndarray
    area: float
    error: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % confidence interval of the area, within 0 … 1."""
        reach = 1.96 * self.error
        return round(max(0.0, self.area - reach), 3), round(min(1.0, self.area + reach), 3)


def roc(scores: np.ndarray, positive: np.ndarray) -> Roc:
    """The curve of scores `(n,)` for examples that are `positive (n,)` or not; a score at the threshold counts as positive.

    Raises: ValueError if there are not as many of each, or one class has no example.

    >>> roc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])).area
    0.75
    """
    scores, positive = np.asarray(scores, np.float64), np.asarray(positive, bool)
    if scores.shape != positive.shape or scores.ndim != 1 or positive.all() or not positive.any():
        raise ValueError(
            f"roc: {scores.shape} scores, {positive.sum()} of {positive.size} positive; give as many, and both classes"
        )
    above, below = scores[positive], scores[~positive]
    steps = np.unique(scores)[::-1]
    share = lambda values: 1 - np.searchsorted(np.sort(values), steps) / len(values)
    first = lambda values: np.concatenate([[0.0], values])
    wins = ((above[:, None] > below) + 0.5 * (above[:, None] == below)).astype(float)  # (positives, negatives)
    variance = sum(
        np.var(wins.mean(axis), ddof=1) / len(wins.mean(axis)) if wins.shape[1 - axis] > 1 else 0.0 for axis in (0, 1)
    )
    thresholds = np.concatenate([[np.inf], steps])
    return Roc(first(share(below)), first(share(above)), thresholds, float(wins.mean()), float(np.sqrt(variance)))


def threshold_for(curve: Roc, sensitivity: float) -> float:
    """The largest threshold at which at least that share of the positive examples is found.

    >>> threshold_for(roc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])), 0.9)
    0.35
    """
    if not 0 < sensitivity <= 1:
        raise ValueError(f"threshold_for: sensitivity={sensitivity} must be above 0, and 1 at most")
    return float(curve.thresholds[int(np.argmax(curve.true_positive >= sensitivity))])


def roc_figure(curve: Roc, *, at: float | None = None) -> Figure:
    """The curve beside the diagonal of chance, with the point of the threshold `at`.

    >>> curve = roc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    >>> roc_figure(curve, at=0.4).axes[0].get_xlabel()
    'false positives (1 − specificity)'
    """
    figure = Figure(figsize=(4.4, 4.2), layout="constrained")
    axis = figure.subplots()
    axis.plot((0, 1), (0, 1), color="0.8")
    low, high = curve.interval
    axis.step(curve.false_positive, curve.true_positive, where="post", color=INK,
              label=f"area {curve.area:.3f} ({low:.3f} to {high:.3f})")  # fmt: skip
    if at is not None:
        i = int(np.flatnonzero(curve.thresholds >= at)[-1])
        axis.plot(curve.false_positive[i], curve.true_positive[i], "o", color=SOFT, label=f"threshold {at:.3f}")
    axis.set_xlabel("false positives (1 − specificity)")
    axis.set_ylabel("true positives (sensitivity)")
    axis.legend(frameon=False, loc="lower right")
    return figure
