"""Which colour stands for which number: signed numbers around zero, others from zero upwards.

Both maps are read rightly by the colour-blind. Signed numbers are red above zero, blue below, white at zero; others go from
dark at zero to yellow.
"""

from typing import NamedTuple

import numpy as np

SIGNED, UNSIGNED = "RdBu_r", "viridis"  # names of matplotlib's colour maps


class Scale(NamedTuple):
    """A colour map and the numbers at its ends. Where all numbers are zero, `zero` is true and the ends are those of 1."""

    colours: str
    low: float
    high: float
    zero: bool

    @classmethod
    def of(cls, values: np.ndarray, *, signed: bool | None = None, percentile: float = 100.0) -> "Scale":
        """The scale of these numbers; `signed=None` looks whether one is below zero.

        The end is that percentile of the magnitudes, or their largest where the percentile is zero.

        >>> Scale.of(np.array([-3.0, 1.0]))
        Scale(colours='RdBu_r', low=-3.0, high=3.0, zero=False)
        >>> Scale.of(np.array([0.0, 2.0]))
        Scale(colours='viridis', low=0.0, high=2.0, zero=False)
        """
        signed = bool((values < 0).any()) if signed is None else signed
        magnitudes = np.abs(values) if signed else np.maximum(values, 0)
        largest = float(magnitudes.max(initial=0.0))
        reach = float(np.percentile(magnitudes, percentile)) if largest else 0.0
        reach = reach or largest or 1.0
        return cls(SIGNED if signed else UNSIGNED, -reach if signed else 0.0, reach, not largest)

    @property
    def limits(self) -> dict:
        """What `imshow` takes."""
        return {"cmap": self.colours, "vmin": self.low, "vmax": self.high}
