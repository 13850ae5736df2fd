"""How far is a convolution equivariant: how much do conv(shift x) and shift conv(x) differ?

With circular padding and stride 1 they are the same sums of the same numbers, so they differ by rounding at most. Zeros beyond
the border break this near the border, a stride everywhere, unless the shift is a multiple of it. Differences are given as shares
of the largest output.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import functional as F
from jaxcnn import models


class Layer(NamedTuple):
    """A convolution: space and kernel size of each axis, channels, groups."""

    space: tuple[int, ...]
    size: tuple[int, ...]
    c_in: int
    c_out: int
    groups: int = 1
    images: int = 2


LAYERS = {  # on CPU each is run by another lowering
    "line, 5 taps": Layer((64,), (5,), 8, 16),
    "line, 129 taps": Layer((512,), (129,), 4, 4),
    "line, depthwise 5 taps": Layer((64,), (5,), 8, 8, groups=8),
    "1×1": Layer((32, 32), (1, 1), 16, 32),
    "3×3 of one channel": Layer((32, 32), (3, 3), 1, 4),
    "3×3": Layer((32, 32), (3, 3), 8, 16),
    "3×3 of 64 channels": Layer((32, 32), (3, 3), 64, 64, images=8),
    "depthwise 5×5": Layer((32, 32), (5, 5), 16, 16, groups=16),
    "31×31": Layer((64, 64), (31, 31), 4, 4),
}


class Equivariance(NamedTuple):
    """One layer in one dtype: greatest difference, as a share of the largest output, over shifts along all axes at once.

    Fields: the name, dtype and lowering of the layer; the difference with `circular` padding; with zeros beyond the border,
    `inside` where neither border nor shift reaches and at the `border`; at stride 2 after shifts by an even number of pixels
    (`even`) and by an odd one (`odd`), where the better of the two nearest shifts of the output counts.
    """

    layer: str
    dtype: str
    lowering: str
    circular: float
    inside: float
    border: float
    even: float
    odd: float

    @property
    def line(self) -> str:
        """The row as a line of text.

        >>> Equivariance("3×3", "float32", "direct", 0.0, 0.0, 0.5, 0.0, 0.75).line
        '3×3 float32 (direct): circular 0, zeros inside 0, zeros at the border 0.5, stride 2 by even shifts 0, by odd 0.75'
        """
        return (
            f"{self.layer} {self.dtype} ({self.lowering}): circular {self.circular:.2g}, zeros inside {self.inside:.2g}, "
            f"zeros at the border {self.border:.2g}, stride 2 by even shifts {self.even:.2g}, by odd {self.odd:.2g}"
        )


def equivariance(
    name: str, layer: Layer, dtype: str, *, shifts: Sequence[int] = (1, 2, 3, 4), seed: int = 0
) -> Equivariance:
    """Measures one layer of random numbers with what runs it by default."""
    random, rank = np.random.default_rng(seed), len(layer.space)
    axes = tuple(range(1, rank + 1))
    with jax.enable_x64(dtype == "float64"):
        x = jnp.asarray(random.normal(size=(layer.images, *layer.space, layer.c_in)), dtype)
        kernel = jnp.asarray(random.normal(size=(*layer.size, layer.c_in // layer.groups, layer.c_out)), dtype)
        conv = partial(F.conv, kernel=kernel, groups=layer.groups)
        run = jax.jit(lambda x: (conv(x, padding_mode="circular"), conv(x), conv(x, padding_mode="circular", stride=2)))
        options = {"groups": layer.groups, "padding_mode": "circular"}
        lowering = F.explain(F.conv, x.shape, kernel.shape, dtype=dtype, **options).chosen()
        before = [np.asarray(y, np.float64) for y in run(x)]
        rows = []
        for shift in shifts:
            after = [np.asarray(y, np.float64) for y in run(jnp.roll(x, (shift,) * rank, axes))]
            circular, zeros = (_apart(after[i], before[i], shift) for i in (0, 1))
            strided = min(_apart(after[2], before[2], by).max() for by in (shift // 2, -(-shift // 2)))
            rows.append((circular.max(), *_parts(zeros, layer, shift), *_by_parity(strided, shift)))
    largest = np.abs(before[0]).max()
    return Equivariance(name, dtype, lowering, *(float(value) for value in np.max(rows, 0) / largest))


def invariance_of(downsample: str, padding_mode: str, *, depth: int = 2, seed: int = 0) -> float:
    """Greatest change of an untrained plain network's logits when images move around a circle, as a share of the largest."""
    options = {"downsample": downsample, "widths": (8, 16, 32), "depth": depth, "in_features": 3}
    model: Any = models.create("plain", rngs=nnx.Rngs(seed), **options)
    for block in model.blocks:
        block.conv.options = block.conv.options | {"padding_mode": padding_mode}
    x = jnp.asarray(np.random.default_rng(seed).normal(size=(8, 32, 32, 3)), jnp.float32)
    answer = jax.jit(lambda x: model(x, train=False))
    logits = [np.asarray(answer(jnp.roll(x, (by, by), (1, 2)))) for by in range(5)]
    return float(max(np.abs(moved - logits[0]).max() for moved in logits) / np.abs(logits[0]).max())


def _apart(after: np.ndarray, before: np.ndarray, by: int) -> np.ndarray:
    """What the outputs differ by when those from before are moved by so many pixels along all axes."""
    axes = tuple(range(1, before.ndim - 1))
    return np.abs(after - np.roll(before, (by,) * len(axes), axes))


def _parts(difference: np.ndarray, layer: Layer, shift: int) -> tuple[float, float]:
    """The greatest difference where neither the border nor what was shifted over it is in reach, and of all pixels."""
    reach = [slice(shift + size // 2, n - shift - size // 2) for n, size in zip(layer.space, layer.size)]
    return difference[(slice(None), *reach)].max(initial=0.0), difference.max()


def _by_parity(value: float, shift: int) -> tuple[float, float]:
    return (0.0, value) if shift % 2 else (value, 0.0)
