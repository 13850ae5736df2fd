"""Fold: the input gradient as one matrix product, its columns shifted and added up.

    P = g · Kᵀ,      dx[n, stride · o − low + t · dilation, i] += P[n, o, (t, i)]

The kernel is read once, as it lies; a convolution with the flipped kernel would first write it anew, and that is most of the
time where the kernel is larger than the images. Pixels with one residue of the stride are added up on their own and interleaved,
so nothing is multiplied that is zero. P is `taps · c_in` wide, so this is also for gradients of first layers, many channels to
few: XLA:CPU's convolution with three output channels leaves most of its vector unit empty; in three dimensions it is naive.
"""

from itertools import product

import jax.numpy as jnp
from jax import Array, lax

from ._case import Case, every_tap

WIDEST = 1.5  # columns of P for each channel of g: what P may take of memory
MOST_BYTES = 64 << 20


def supports(case: Case) -> str | None:
    """Input gradients of one group whose P is small, or hardly larger than g."""
    if case.direction != "input_grad":
        return "it computes input gradients alone"
    if case.groups != 1:
        return f"it is one matrix product, here are {case.groups} groups"
    columns = case.taps * case.c_in
    held = columns * case.positions * max(jnp.dtype(case.dtype).itemsize, 4)
    if columns > WIDEST * case.c_out and held > MOST_BYTES:
        return f"its product takes {held >> 20} MiB; at most {MOST_BYTES >> 20}, or {WIDEST} times as much as g"
    return None


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The product, one shifted sum for each residue of the stride, and these interleaved."""
    window, rank = case.window, case.rank
    matrix = kernel.reshape(case.taps * case.c_in, case.c_out)  # (taps·c_in, c_out)
    columns = lax.dot_general(g, matrix, (((g.ndim - 1,), (1,)), ((), ())))  # (n, *outputs, taps·c_in)
    counts = [o + (span - 1) // s for o, span, s in zip(case.outputs, window.span, window.stride)]
    parts = [_residue(columns, case, at, counts) for at in product(*map(range, window.stride))]
    dx = jnp.stack(parts, rank + 1).reshape(case.n, *counts, *window.stride, case.c_in)  # (n, uh, uw, sh, sw, c_in)
    order = [axis for i in range(rank) for axis in (1 + i, 1 + rank + i)]
    dx = dx.transpose(0, *order, 1 + 2 * rank)  # (n, uh, sh, uw, sw, c_in)
    dx = dx.reshape(case.n, *(u * s for u, s in zip(counts, window.stride)), case.c_in)
    edges = [(-low, low + n - have, 0) for (low, _), n, have in zip(window.padding, case.space, dx.shape[1:-1])]
    return lax.pad(dx, jnp.zeros((), dx.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


def _residue(columns: Array, case: Case, residue: tuple[int, ...], counts: list[int]) -> Array:
    """The padded image's pixels `stride · u + residue`: what the taps that reach them add up to, `(n, *counts, c_in)`."""
    window, total = case.window, None
    for index, at in enumerate(every_tap(window)):
        place = [t * d for t, d in zip(at, window.dilation)]
        if any(p % s != r for p, s, r in zip(place, window.stride, residue)):
            continue
        part = lax.slice_in_dim(columns, index * case.c_in, (index + 1) * case.c_in, axis=-1)
        around = [(p // s, u - o - p // s, 0) for p, s, u, o in zip(place, window.stride, counts, case.outputs)]
        part = lax.pad(part, jnp.zeros((), part.dtype), [(0, 0, 0), *around, (0, 0, 0)])
        total = part if total is None else total + part
    return jnp.zeros((case.n, *counts, case.c_in), columns.dtype) if total is None else total
