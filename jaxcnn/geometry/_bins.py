"""`Bins`: an axis cut in a given number of windows, as adaptive pooling does it. It stands where a `Window` may stand."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd, prod


@dataclass(frozen=True)
class Bins:
    """For each spatial axis its n pixels and o outputs, or None for an axis that stays: output i sees the pixels

        ⌊i n / o⌋ … ⌈(i + 1) n / o⌉ − 1

    so that neighbours may share a pixel and need not be equally large.

    >>> [list(Bins(((10, 4),)).pixels(0, output)) for output in range(4)]
    [[0, 1, 2], [2, 3, 4], [5, 6, 7], [7, 8, 9]]
    """

    axes: tuple[tuple[int, int] | None, ...]

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.axes)

    @property
    def size(self) -> tuple[int, ...]:
        """Pixels of the largest window of each axis.

        >>> Bins(((10, 7), None)).size
        (3, 1)
        """
        return tuple(_longest(*bins) if bins else 1 for bins in self.axes)

    @property
    def taps(self) -> int:
        """The product of the sizes."""
        return prod(self.size)

    def output_size(self, space: Sequence[int]) -> tuple[int, ...]:
        """Outputs per axis on an image of `space` pixels.

        >>> Bins(((10, 7), None)).output_size((10, 5))
        (7, 5)
        """
        return tuple(axis[1] if axis else n for axis, n in zip(self.axes, space))

    def pixels(self, axis: int, output: int) -> range:
        """Pixels that `output` sees on one axis."""
        if (bins := self.axes[axis]) is None:
            return range(output, output + 1)
        n, o = bins
        return range(output * n // o, -(-(output + 1) * n // o))

    def transposed(self) -> "Bins":
        """The outputs that see each pixel, which are bins again: of the outputs, as many as there were pixels.

        >>> Bins(((10, 4),)).transposed()
        Bins(axes=((4, 10),))
        """
        return Bins(tuple(bins and (bins[1], bins[0]) for bins in self.axes))

    def along(self, axis: int) -> "Bins":
        """One axis alone; the others stay."""
        return Bins(tuple(bins if a == axis else None for a, bins in enumerate(self.axes)))


def _longest(n: int, o: int) -> int:
    """Pixels of the longest of o bins of n pixels.

    With n = q o + r output i begins (i r mod o) / o after a pixel, a multiple of gcd(r, o) / o, and reaches r / o beyond q more.
    """
    q, r = divmod(n, o)
    return q + (0 if not r else 1 if r == gcd(r, o) else 2)
