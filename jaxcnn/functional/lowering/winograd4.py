"""Winograd F(4×4, 3×3): 36 products for 144, to be forced; its bound is 28 times that of the direct sum (`_winograd`).

Interpolated at 0, ±1, ±2 and ∞. Measured errors are about ten times those of a direct sum, so "auto" never takes it.
"""

from functools import partial

from . import _winograd
from ._case import Case

TRANSFORM = _winograd.Transform(
    4,
    bt=[
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    g=[
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    at=[[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
    roundings=40,
)


def spreads(case: Case) -> bool:
    """What an output does not see cancels in its transforms, unless it is not finite."""
    return True


supports = partial(_winograd.supports, transform=TRANSFORM)
error = partial(_winograd.error, t=TRANSFORM)
conv = partial(_winograd.conv, t=TRANSFORM)
input_grad = partial(_winograd.input_grad, t=TRANSFORM)
kernel_grad = partial(_winograd.kernel_grad, t=TRANSFORM)
