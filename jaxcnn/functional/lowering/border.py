"""Border apart: the tap sum of a depthwise convolution without a padded copy of the image.

    y[o] = Σ_{t: window.pixels(o)[t] on the image}  x[window.pixels(o)[t]] · kernel[t]

A depthwise convolution reads and writes so little per sum that padding the image first, once more read and written, takes half of
the time. So the outputs are cut into runs that see the image through the same taps (`_runs.py`): one run on the image with its
whole window, and on each side one for each number of taps that stick out. Each product of runs is one fused loop; they are
joined. The runs multiply over the axes and each of them compiles, so this is for small windows.
"""

from itertools import product
from math import prod

from jax import Array, lax

from ._case import Case, adjoint, adjoint_kernel, weights
from ._runs import Run, join, runs

TERMS = 625  # products of runs × taps: 5 × 5 at stride 1, which compiles for 0.5 s


def supports(case: Case) -> str | None:
    """Depthwise lines and planes, forward and, at stride 1, back; on one device, few runs."""
    if case.direction == "kernel_grad":
        return "its sums are over taps, a kernel gradient's over pixels"
    if case.c_in_of_group != 1 or case.c_out_of_group != 1:
        return f"it needs one channel a group, here are {case.c_in_of_group} in and {case.c_out_of_group} out"
    if case.direction == "input_grad" and not case.unit_stride:
        return f"its input gradient needs stride 1, here it is {case.window.stride}"
    if case.partitioned:
        return "its pieces of an axis would be gathered where that lies on several devices"
    if (terms := pieces(case) * case.taps) > TERMS or case.rank > 2:
        return f"its pieces are {terms} terms on {case.rank} axes to compile; at most {TERMS} on 2"
    return None


def pieces(case: Case) -> int:
    """Products of runs that are computed apart."""
    case = adjoint(case) if case.direction == "input_grad" else case
    return prod(len(runs(case.window, case.space, axis)) for axis in range(case.rank))


def conv(x: Array, kernel: Array, case: Case) -> Array:
    """Every product of runs, joined."""
    x = lax.optimization_barrier(x)  # else what computes x may be fused, and computed anew for each tap
    return _joined(x, kernel, case, ())


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The same over the adjoint window."""
    return conv(g, adjoint_kernel(kernel, case), adjoint(case))


def _joined(x: Array, kernel: Array, case: Case, chosen: tuple[Run, ...]) -> Array:
    """The runs of the next axis side by side; of the axes before it one run is chosen."""
    axis = len(chosen)
    if axis == case.rank:
        return _sum(x, kernel, case, chosen)
    of_axis = runs(case.window, case.space, axis)
    return join([_joined(x, kernel, case, (*chosen, run)) for run in of_axis], axis)


def _sum(x: Array, kernel: Array, case: Case, chosen: tuple[Run, ...]) -> Array:
    """The outputs of one run an axis, through the taps that all of them see: `(n, *counts, c)`."""
    window, counts = case.window, [run.end - run.first for run in chosen]
    axes = tuple(zip(chosen, counts, window.stride, window.dilation, window.padding))
    total = None
    for at in product(*(run.taps for run in chosen)):
        start = [run.first * s + t * d - low for t, (run, _, s, d, (low, _)) in zip(at, axes)]
        stop = [a + (count - 1) * s + 1 for a, (_, count, s, _, _) in zip(start, axes)]
        seen = lax.slice(x, (0, *start, 0), (case.n, *stop, case.c_in), (1, *window.stride, 1))
        term = seen * weights(kernel, at, 0)
        total = term if total is None else total + term
    return lax.full((case.n, *counts, case.c_out), 0, x.dtype) if total is None else total
