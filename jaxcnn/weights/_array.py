"""An array of a weight file, and the error of a file that is none."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Stored(NamedTuple):
    """An array of a file: its shape, and what reads it."""

    shape: tuple[int, ...]
    read: Callable[[], np.ndarray]


class WeightFileError(ValueError):
    """A file that is no good as weights; the text says which one and why.

    >>> from jaxcnn.weights import opened
    >>> with opened("/nowhere.npz"):
    ...     pass
    Traceback (most recent call last):
    ...
    jaxcnn.weights._array.WeightFileError: load: /nowhere.npz does not exist
    """
