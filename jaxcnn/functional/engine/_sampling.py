"""Which pixels of an axis each output of a resampling sees, and how much each weighs; and the outputs that see each pixel.

    y[i] = Σ_j w((s_i − j) / scale) · x[j] / norm_i

The place s_i is a fraction of whole numbers and is kept as one, so that a weight is 0 exactly where the kernel is. What has no
weight is not in the tables, or is marked by a 0 that nothing is multiplied by: an infinite or NaN pixel reaches no other output.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

Table = tuple[np.ndarray, np.ndarray]  # (taps, outputs) twice: numbers of pixels, and their weights in float64


@dataclass(frozen=True)
class Sampling:
    """One of the spatial axes, made m pixels long; it stands where a `Window` may stand."""

    axis: int
    m: int
    method: str
    antialias: bool = False
    align_corners: bool = False

    def output_size(self, space: Sequence[int]) -> tuple[int, ...]:
        """Pixels per axis."""
        return (*space[: self.axis], self.m, *space[self.axis + 1 :])

    def seen(self, n: int) -> Table:
        """For each output the pixels of n that it sees."""
        return _seen(n, self.m, self.method, self.antialias, self.align_corners)

    def seers(self, n: int) -> Table:
        """For each of n pixels the outputs that see it."""
        return _seers(n, self.m, self.method, self.antialias, self.align_corners)


def _linear(t: np.ndarray) -> np.ndarray:
    return np.maximum(0, 1 - np.abs(t))


def _cubic(t: np.ndarray, a: float) -> np.ndarray:
    d = np.abs(t)
    far = np.where(d < 2, (((d - 5) * d + 8) * d - 4) * a, 0)
    return np.where(d <= 1, ((a + 2) * d - (a + 3)) * d * d + 1, far)


KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {  # and how far each reaches
    "linear": (_linear, 1),
    "cubic": (partial(_cubic, a=-0.75), 2),
    "cubic_keys": (partial(_cubic, a=-0.5), 2),
}


def sampled(n: int, m: int, method: str, antialias: bool, align_corners: bool, i: np.ndarray) -> Table:
    """The pixels that the outputs `i` of m see; the weights of an output sum to 1."""
    i = np.asarray(i, np.int64)
    if method.startswith("nearest"):
        pixels = ((2 * i + 1) * n // (2 * m) if method == "nearest_exact" else i * n // m)[None]
        return pixels, np.ones(pixels.shape)
    if method == "area":
        first, past = i * n // m, -(-(i + 1) * n // m)
        pixels = first + np.arange(max(past - first, default=0))[:, None]
        return np.minimum(pixels, n - 1), (pixels < past) / (past - first)
    kernel, reach = KERNELS["cubic_keys" if antialias and method == "cubic" else method]
    whole = max(m - 1, 1) if align_corners else 2 * m  # places are multiples of 1 / whole
    place, rest = np.divmod(i * (n - 1) if align_corners else (2 * i + 1) * n - m, whole)
    stretch = (whole * max(n, m) // m) if antialias else whole
    taps = np.arange(1 - (far := -(-reach * stretch // whole)), far + 1)[:, None]
    pixels, weights = place + taps, kernel((rest - taps * whole) / stretch)
    if antialias or method == "cubic_keys":
        weights = np.where((pixels >= 0) & (pixels < n), weights, 0)
        weights /= weights.sum(0)
        return np.clip(pixels, 0, n - 1), weights
    return _border_going_on(pixels, weights, n)


def _border_going_on(pixels: np.ndarray, weights: np.ndarray, n: int) -> Table:
    """Beyond the image the border pixel goes on: its weights are added up."""
    first, outputs = np.clip(pixels[0], 0, max(n - len(pixels), 0)), np.arange(pixels.shape[1])
    merged = np.zeros((min(len(pixels), n), pixels.shape[1]))
    for row, weight in zip(np.clip(pixels, 0, n - 1), weights):
        merged[row - first, outputs] += weight
    return first + np.arange(len(merged))[:, None], merged


@lru_cache(64)
def _seen(n: int, m: int, method: str, antialias: bool, align_corners: bool) -> Table:
    pixels, weights = sampled(n, m, method, antialias, align_corners, np.arange(m))
    used = (weights != 0).any(1)
    return pixels[used].astype(np.int32), weights[used]


@lru_cache(64)
def _seers(n: int, m: int, *options) -> Table:
    pixels, weights = _seen(n, m, *options)
    output, tap = np.nonzero(weights.T)
    pixel = pixels[tap, output]
    order = np.argsort(pixel, kind="stable")
    pixel = pixel[order]
    place = np.arange(len(pixel)) - np.searchsorted(pixel, pixel)  # among those that see the same pixel
    shape = (max(place, default=0) + 1, n)
    outputs, of = np.zeros(shape, np.int32), np.zeros(shape)
    outputs[place, pixel], of[place, pixel] = output[order], weights[tap, output][order]
    return outputs, of
