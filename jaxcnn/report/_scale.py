"""Which colour stands for which number: signed numbers around zero, others from zero upwards.

Both maps are read rightly by the colour-blind. Signed numbers are red above zero, blue below, white at zero; others go from
dark at zero to yellow.
"""

from typing import NamedTuple

import numpy as np
from matplotlib import colormaps

SIGNED, UNSIGNED = "RdBu_r", "viridis"  # names of matplotlib's colour maps


class Scale(NamedTuple):
    """A colour map and the numbers at its ends; `beyond` says whether some lie further out, and `zero` whether all are zero."""

    colours: str
    low: float
    high: float
    beyond: bool = False
    zero: bool = False

    @classmethod
    def of(cls, values: np.ndarray, *, signed: bool | None = None, percentile: float = 100.0) -> "Scale":
        """The scale of these numbers; `signed=None` looks whether one is below zero.

        It ends at that percentile of the magnitudes that are not zero, which zeros of a ReLU or of a mask do not move.

        >>> Scale.of(np.array([-3.0, 1.0]))
        Scale(colours='RdBu_r', low=-3.0, high=3.0, beyond=False, zero=False)
        >>> Scale.of(np.array([0.0, 0.0, 1.0, 2.0, 3.0]), percentile=50)
        Scale(colours='viridis', low=0.0, high=2.0, beyond=True, zero=False)
        """
        signed = bool((values < 0).any()) if signed is None else signed
        magnitudes = np.abs(values) if signed else np.maximum(values, 0)
        magnitudes = magnitudes[magnitudes > 0]
        colours, zero = SIGNED if signed else UNSIGNED, not magnitudes.size
        reach = 1.0 if zero else float(np.percentile(magnitudes, percentile))
        return cls(colours, -reach if signed else 0.0, reach, bool((magnitudes > reach).any()), zero)

    @property
    def limits(self) -> dict:
        """What `imshow` takes; NaN, which only lies between tiles, is grey."""
        return {"cmap": colormaps[self.colours].with_extremes(bad="0.7"), "vmin": self.low, "vmax": self.high}
