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

    Its transposed convolution costs the same, but for the bias: `space` is then the size of the result.

    Raises: ValueError for groups that do not divide the channels.

    >>> conv_counts(Window.resolve(3, (8, 8)), (8, 8), 3, 10).parameters
    280
    """
    if groups < 1 or c_in % groups or c_out % groups:
        raise ValueError(f"conv_counts: groups={groups} must divide c_in={c_in} and c_out={c_out}")
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
    itemsize: int = 4,
) -> Counts:
    """Cost of a depthwise convolution followed by a 1×1: the bias belongs to the second.

    >>> separable_counts(Window.resolve(5, (12, 12)), (12, 12), 3, 256, bias=False).multiply_adds
    53952
    """
    between, middle = window.output_size(space), c_in * multiplier
    shared = {"batch": batch, "itemsize": itemsize}
    depthwise = conv_counts(window, space, c_in, middle, groups=c_in, bias=False, **shared)
    point = Window.resolve(1, between)
    return depthwise + conv_counts(point, between, middle, c_out, bias=bias, **shared)


def spatially_separable_counts(
    window: Window,
    space: Sequence[int],
    c_in: int,
    c_out: int,
    *,
    c_middle: int | None = None,
    groups: int = 1,
    bias: bool = True,
    batch: int = 1,
    itemsize: int = 4,
) -> Counts:
    """Cost of a column, then a row, with `c_middle` channels between them (`c_out` by default).

    >>> spatially_separable_counts(Window.resolve(3, (5, 5)), (5, 5), 1, 1, bias=False).parameters
    6
    """
    middle, shared = c_middle or c_out, {"groups": groups, "batch": batch, "itemsize": itemsize}
    column = Window((window.size[0], 1), (window.stride[0], 1), (window.padding[0], (0, 0)), (window.dilation[0], 1))
    row = Window((1, window.size[1]), (1, window.stride[1]), ((0, 0), window.padding[1]), (1, window.dilation[1]))
    first = conv_counts(column, space, c_in, middle, bias=False, **shared)
    return first + conv_counts(row, column.output_size(space), middle, c_out, bias=bias, **shared)


def dense_counts(inputs: int, outputs: int, *, bias: bool = True, batch: int = 1, itemsize: int = 4) -> Counts:
    """Cost of a dense layer.

    >>> dense_counts(100 * 100, 1000, bias=False).parameters
    10000000
    """
    parameters = inputs * outputs + bias * outputs
    return Counts(parameters, batch * inputs * outputs, (batch * (inputs + outputs) + parameters) * itemsize)


def pool_counts(
    window: Window, space: Sequence[int], channels: int, *, weighted: bool = False, batch: int = 1, itemsize: int = 4
) -> Counts:
    """Cost of pooling: it has no parameters and multiplies nothing, but for LeNet's trained coefficient and bias a map.

    >>> pool_counts(Window.resolve(2, (4, 4), stride=2), (4, 4), 1)
    Counts(parameters=0, multiply_adds=0, bytes=80)
    """
    outputs = batch * channels * prod(window.output_size(space))
    parameters = 2 * channels * weighted
    moved = batch * channels * prod(space) + outputs + parameters
    return Counts(parameters, outputs * weighted, moved * itemsize)


def norm_counts(space: Sequence[int], channels: int, *, batch: int = 1, itemsize: int = 4) -> Counts:
    """Cost of batch normalisation with running moments: one multiply-add a number, scale and bias a channel.

    >>> norm_counts((4, 4), 3)
    Counts(parameters=6, multiply_adds=48, bytes=408)
    """
    numbers = batch * channels * prod(space)
    return Counts(2 * channels, numbers, (2 * numbers + 2 * channels) * itemsize)
