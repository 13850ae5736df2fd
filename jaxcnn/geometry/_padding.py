"""Padding rules: how many pixels to add before and after one axis.

Each rule is a function of the axis length `n`, the span of the window `k` (dilated: `(size - 1) * dilation + 1`) and the
stride `s`, and returns the pair `(low, high)`. Reference: Dumoulin & Visin, A guide to convolution arithmetic (2016);
"same" is the TensorFlow and XLA rule.
"""

from collections.abc import Callable

Pair = tuple[int, int]


def valid(n: int, k: int, s: int = 1) -> Pair:
    """No padding: the window stays inside the image.

    >>> valid(6, 3)
    (0, 0)
    """
    return (0, 0)


def same(n: int, k: int, s: int = 1) -> Pair:
    """XLA's rule: as much as gives `ceil(n / s)` outputs, the odd pixel after the image.

    >>> same(7, 3), same(7, 3, 2), same(8, 3, 2)
    ((1, 1), (1, 1), (0, 1))
    """
    total = max((-(-n // s) - 1) * s + k - n, 0)
    return (total // 2, total - total // 2)


def symmetric_same(n: int, k: int, s: int = 1) -> Pair:
    """PyTorch models' rule, `p = (k − 1) / 2` on both sides whatever the stride; an even span puts the odd pixel after.

    >>> symmetric_same(8, 3, 2)
    (1, 1)
    """
    return ((k - 1) // 2, k // 2)


def full(n: int, k: int, s: int = 1) -> Pair:
    """Every position at which window and image share a pixel.

    >>> full(6, 3)
    (2, 2)
    """
    return (k - 1, k - 1)


def causal(n: int, k: int, s: int = 1) -> Pair:
    """All padding before the image: output i sees nothing after pixel `i * s`.

    >>> causal(6, 3)
    (2, 0)
    """
    return (k - 1, 0)


RULES: dict[str, Callable[[int, int, int], Pair]] = {"same": same, "valid": valid, "full": full, "causal": causal}
