"""The rival on PyTorch: channels-last tensors, `convolution_backward` with a mask for one gradient.

One-dimensional maps have no channels-last layout in PyTorch and are plain (n, c, w). A padding that differs between the two
sides costs an `F.pad` (and a crop of the input gradient), as it does a PyTorch user.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .cases import Case, Direction
from .machine import cores
from .measure import Program
from .rivals import Arrays

torch.set_num_threads(cores())
_FORMATS = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}
_CONVS = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_TRANSPOSES = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}


def build(case: Case, direction: Direction, arrays: Arrays) -> Program:
    """One direction of a case as a program; its value is channels last again."""
    space = range(1, case.rank + 1)
    x, g = (tensor(array, (0, -1, *space)) for array in (arrays.x, arrays.g))
    kernel = tensor(
        arrays.kernel, (-1, -2, *range(case.rank))
    )  # (c_out, c_in // groups, *size), or (c_in, c_out, *size)
    back = (*range(2, case.rank + 2), 1, 0) if direction == "kernel_grad" else (0, *range(2, case.rank + 2), 1)
    run = _forward(case, x, kernel) if direction == "forward" else _backward(case, direction, x, kernel, g)
    dtype = arrays.x.dtype
    return Program(torch.no_grad()(run), lambda y: y.permute(back).float().numpy().astype(dtype))


def _forward(case: Case, x: Tensor, kernel: Tensor) -> Callable[[], Tensor]:
    if case.transposed:
        low = _lows(case)
        options = {"output_padding": case.output_padding, "groups": case.groups, "dilation": case.dilation}
        return lambda: _TRANSPOSES[case.rank](x, kernel, stride=case.stride, padding=low, **options)
    options = {"stride": case.stride, "dilation": case.dilation, "groups": case.groups}
    if _symmetric(case):
        return lambda: _CONVS[case.rank](x, kernel, padding=_lows(case), **options)
    return lambda: _CONVS[case.rank](F.pad(x, _sides(case)), kernel, **options)


def _backward(case: Case, direction: Direction, x: Tensor, kernel: Tensor, g: Tensor) -> Callable[[], Tensor]:
    which, mask = (0, [True, False, False]) if direction == "input_grad" else (1, [False, True, False])
    padded = not _symmetric(case)
    low = (0,) * case.rank if padded else _lows(case)
    tail = (case.stride, low, case.dilation, case.transposed, case.output_padding, case.groups, mask)
    crop = (..., *(slice(first, first + n) for (first, _), n in zip(case.padding, x.shape[2:])))

    def run() -> Tensor:
        operand = F.pad(x, _sides(case)) if padded else x
        gradient = torch.ops.aten.convolution_backward(g, operand, kernel, None, *tail)[which]
        return gradient[crop] if padded and which == 0 else gradient

    return run


def tensor(array: np.ndarray, axes: Sequence[int]) -> Tensor:
    """The array with its axes in this order, laid out channels last where PyTorch can."""
    dtype = getattr(torch, str(array.dtype))
    moved = torch.from_numpy(array.astype(np.float32)).permute(*axes)
    return moved.contiguous(memory_format=_FORMATS.get(moved.ndim - 2, torch.contiguous_format)).to(dtype)


def _symmetric(case: Case) -> bool:
    return all(low == high for low, high in case.padding)


def _lows(case: Case) -> tuple[int, ...]:
    return tuple(low for low, _ in case.padding)


def _sides(case: Case) -> list[int]:
    """`F.pad`'s order: the last axis first."""
    return [pixels for pair in case.padding[::-1] for pixels in pair]
