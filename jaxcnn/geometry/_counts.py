"""Parameters, multiply-adds and bytes of each operation, as arithmetic on windows.

A multiply-add is one multiplication with its addition; taps on the padding are counted, as every published table does.
Bytes are what must move at least once: input, parameters and output.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from ._window import Window


@dataclass(frozen=True)
class Counts:
    """Cost of an operation for a batch; counts add up.

    >>> Counts(10, 100, 1000) + Counts(1, 2, 3)
    Counts(parameters=11, multiply_adds=102, bytes=1003)
    """

    parameters: int = 0
    multiply_adds: int = 0
    bytes: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.parameters + other.parameters, self.multiply_adds + other.multiply_adds, self.bytes + other.bytes
        )


def conv_counts(
    window: Window,
    space: Sequence[int],
    c_in: int,
    c_out: int,
    *,
    groups: int = 1,
    bias: bool = True,
    batch: int = 1,
    itemsize: int = 4,
) -> Counts:
    """Cost of a convolution; `groups = c_in` makes it depthwise.

    >>> conv_counts(Window.resolve(3, (8, 8)), (8, 8), 3, 10).parameters
    280
    """
    outputs = prod(window.output_size(space)) * batch
    weights = window.taps * (c_in // groups) * c_out
    parameters = weights + bias * c_out
    moved = batch * prod(space) * c_in + parameters + outputs * c_out
    return Counts(parameters, outputs * weights, moved * itemsize)


def separable_counts(
    window: Window,
    space: Sequence[int],
    c_in: int,
    c_out: int,
    *,
    multiplier: int = 1,
    bias: bool = True,
    batch: int = 1,
) -> Counts:
    """Cost of a depthwise convolution followed by a 1×1: the bias belongs to the second.

    >>> separable_counts(Window.resolve(5, (12, 12)), (12, 12), 3, 256, bias=False).multiply_adds
    53952
    """
    between, middle = window.output_size(space), c_in * multiplier
    depthwise = conv_counts(window, space, c_in, middle, groups=c_in, bias=False, batch=batch)
    point = Window.resolve(1, between)
    return depthwise + conv_counts(point, between, middle, c_out, bias=bias, batch=batch)


def dense_counts(inputs: int, outputs: int, *, bias: bool = True, batch: int = 1, itemsize: int = 4) -> Counts:
    """Cost of a dense layer.

    >>> dense_counts(100 * 100, 1000, bias=False).parameters
    10000000
    """
    parameters = inputs * outputs + bias * outputs
    return Counts(parameters, batch * inputs * outputs, (batch * (inputs + outputs) + parameters) * itemsize)


def pool_counts(window: Window, space: Sequence[int], channels: int, *, batch: int = 1, itemsize: int = 4) -> Counts:
    """Cost of pooling: it has no parameters and multiplies nothing.

    >>> pool_counts(Window.resolve(2, (4, 4), stride=2), (4, 4), 1)
    Counts(parameters=0, multiply_adds=0, bytes=80)
    """
    moved = batch * channels * (prod(space) + prod(window.output_size(space)))
    return Counts(0, 0, moved * itemsize)
