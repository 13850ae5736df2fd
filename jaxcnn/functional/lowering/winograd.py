"""Winograd F(2×2, 3×3): 16 products for 36, within the bound of the direct sum (`_winograd`).

The matrices are of 0, 1 and ½, so the transforms only add, and amplify little: 64 for the 81 of the direct sum, whose bound is
the larger one from 64 contracted channels on. A kernel gradient has 36 a tile for the 16 of four positions, and sums of at most
a quarter of the tiles, which make up for it.
"""

from functools import partial

from . import _winograd
from ._case import Case

TRANSFORM = _winograd.Transform(
    2,
    bt=[[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    g=[[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]],
    at=[[1, 1, 1, 0], [0, 1, -1, -1]],
    roundings=16,
)


def spreads(case: Case) -> bool:
    """Forward and back the transforms of F(2×2, 3×3) give an output no part of pixels that it does not see."""
    return case.direction == "kernel_grad"


supports = partial(_winograd.supports, transform=TRANSFORM)
error = partial(_winograd.error, t=TRANSFORM)
conv = partial(_winograd.conv, t=TRANSFORM)
input_grad = partial(_winograd.input_grad, t=TRANSFORM)
kernel_grad = partial(_winograd.kernel_grad, t=TRANSFORM)
