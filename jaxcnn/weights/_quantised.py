"""Integers that stand for weights, as files of TensorFlow Lite keep them: read as if the file had the weights themselves.

A layer is `<layer>.q`, integers (out, *size, in), of a depthwise one (1, *size, channels), with `.scale` and `.zero_point`; its
bias, where it has one, is `.bias_q` with `.bias_scale`. Scales and zero points are one number, or one for each output:

    weight = (q − zero_point) · scale        bias = bias_q · bias_scale

The weight is given in PyTorch's layout as `<layer>.weight`, (out, in, *size) or (channels, 1, *size), the bias as `<layer>.bias`.
So whoever reads the file needs to know of nothing else. Products are taken in float64 and rounded once, to float32.

Reference: Jacob et al., Quantization and training of neural networks for efficient integer-arithmetic-only inference (2018),
equation 1.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from ._array import Stored, WeightFileError

WEIGHT, BIAS = ("q", "scale", "zero_point"), ("bias_q", "bias_scale")
MARKS = (WEIGHT[2], *BIAS)  # an array named `q` beside none of these is an array of that name


def dequantised(stored: Mapping[str, Stored], where: str) -> dict[str, Stored]:
    """The arrays of a file, with weights and biases in place of the integers that stand for them.

    Raises: WeightFileError for integers without their scale, or with a scale of another length than there are outputs.

    >>> array = lambda value: Stored(np.shape(value), lambda: np.asarray(value))
    >>> found = dequantised({"fc.q": array([[3, 5]]), "fc.scale": array(0.5), "fc.zero_point": array(4)}, "a.npz")
    >>> found["fc.weight"].read().tolist()
    [[-0.5, 0.5]]
    """
    layers = [_Layer(name.removesuffix("q"), stored, where) for name in stored if _is_quantised(name, stored)]
    taken = {name for layer in layers for name in layer.names}
    plain = {name: array for name, array in stored.items() if name not in taken}
    made = {name: array for layer in layers for name, array in layer.arrays()}
    both = sorted(made.keys() & plain.keys())
    if both:
        raise WeightFileError(f"load: {where}: {both[0]} is there twice: as numbers, and as integers with a scale")
    return plain | made


def _is_quantised(name: str, stored: Mapping[str, Stored]) -> bool:
    start = name.removesuffix("q")
    return (start == "" or start.endswith(".")) and start != name and any(start + mark in stored for mark in MARKS)


class _Layer(NamedTuple):
    """The arrays of a file whose names begin alike."""

    start: str
    stored: Mapping[str, Stored]
    where: str

    @property
    def names(self) -> list[str]:
        """Those of its arrays that the file has."""
        return [self.start + part for part in (*WEIGHT, *BIAS) if self.start + part in self.stored]

    def arrays(self) -> Iterator[tuple[str, Stored]]:
        """The weight, and the bias where there is one."""
        bias = BIAS if any(self.start + part in self.stored for part in BIAS) else ()
        for part in (*WEIGHT, *bias):
            if self.start + part not in self.stored:
                raise WeightFileError(f"load: {self.where}: {self.start}q has no {self.start}{part} beside it")
        shape, depthwise = self._shape("q"), self._is_depthwise()
        outputs = shape[-1:] if depthwise else shape[:1]
        for part in (*WEIGHT[1:], *bias):
            self._check(part, [outputs] if part == "bias_q" else [(), (1,), outputs])
        axes = _axes(len(shape), depthwise)
        yield f"{self.start}weight", Stored(tuple(shape[axis] for axis in axes), lambda: self._weight(axes))
        if bias:
            yield f"{self.start}bias", Stored(self._shape("bias_q"), self._bias)

    def _is_depthwise(self) -> bool:
        """Whether the first axis is the 1 of a depthwise kernel, and not one output, which has one number as its bias."""
        shape = self._shape("q")
        one_output = f"{self.start}bias_q" in self.stored and self._shape("bias_q") == (1,)
        return len(shape) > 2 and shape[0] == 1 and not one_output

    def _shape(self, part: str) -> tuple[int, ...]:
        return self.stored[self.start + part].shape

    def _check(self, part: str, right: list[tuple[int, ...]]) -> None:
        if self._shape(part) not in right:
            raise WeightFileError(
                f"load: {self.where}: {self.start}{part} is {list(self._shape(part))} beside {self.start}q "
                f"{list(self._shape('q'))}; it must be {' or '.join(str(list(shape)) for shape in right)}"
            )

    def _read(self, part: str, integers: bool) -> np.ndarray:
        array = self.stored[self.start + part].read()
        if not np.issubdtype(array.dtype, np.integer if integers else np.floating):
            kind = "integers" if integers else "floating point"
            raise WeightFileError(f"load: {self.where}: {self.start}{part} is {array.dtype}; it must be {kind}")
        return array.astype(np.float64)

    def _weight(self, axes: tuple[int, ...]) -> np.ndarray:
        q, zero, scale = self._read("q", True), self._read("zero_point", True), self._read("scale", False)
        q = q.transpose(axes)  # (out, in, *size)
        each = lambda value: value.reshape(-1, *[1] * (q.ndim - 1))
        with np.errstate(all="ignore"):  # NaN and infinite numbers are for `load` to refuse
            return ((q - each(zero)) * each(scale)).astype(np.float32).reshape(q.shape)

    def _bias(self) -> np.ndarray:
        with np.errstate(all="ignore"):
            return (self._read("bias_q", True) * self._read("bias_scale", False)).astype(np.float32)


def _axes(rank: int, depthwise: bool) -> tuple[int, ...]:
    """Where PyTorch's axes are: (out, *size, in) → (out, in, *size), (1, *size, channels) → (channels, 1, *size)."""
    if depthwise:
        return (rank - 1, *range(rank - 1))
    return (0, rank - 1, *range(1, rank - 1)) if rank > 1 else tuple(range(rank))
