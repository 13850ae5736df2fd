"""The rival on PyTorch for operations of an image: channels-last tensors, `torch.autograd.grad` for the gradients."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from .cases._problem import Pass, Problem
from .measure import Program
from .torch_rival import tensor


def build(problem: Problem, direction: Pass, operands: Sequence[np.ndarray], g: np.ndarray | None) -> Program:
    """One pass of a problem as a program; its value is the arrays of `operations.directed`, channels last."""
    assert problem.torch is not None
    function = problem.torch
    image, *points = operands
    leaves = [_image(image), *map(torch.from_numpy, points)]
    if direction == "forward":
        run = torch.no_grad()(lambda: [function(functional, *leaves)])
        return Program(run, lambda results: [_last(results[0])])
    assert g is not None
    cotangent = _image(g)
    for leaf in leaves:
        leaf.requires_grad_()

    def train() -> list[Tensor]:
        y = function(functional, *leaves)
        return [y.detach(), *torch.autograd.grad(y, leaves, cotangent)]

    back = lambda results: [_last(results[0]), _last(results[1]), *(r.numpy() for r in results[2:])]
    return Program(train, back)


def _image(array: np.ndarray) -> Tensor:
    return tensor(array, (0, -1, *range(1, array.ndim - 1)))


def _last(result: Tensor) -> np.ndarray:
    return result.permute(0, *range(2, result.ndim), 1).numpy()
