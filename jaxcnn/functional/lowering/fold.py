"""Fold: the input gradient as one matrix product, its columns shifted and added up.

    P = g · Kᵀ,      dx[n, p, i] = Σ_t P[n, p + low − t · dilation, (t, i)]

Patches of g would be `taps · c_out` wide; P is `taps · c_in`, so this is for gradients of first layers, many channels to few.
XLA:CPU's convolution with three output channels leaves most of its vector unit empty; in three dimensions it is naive.
"""

import jax.numpy as jnp
from jax import Array, lax

from ._case import Case, adjoint, every_tap, padded

WIDEST = 1.5  # columns of P for each channel of g: what P may take of memory


def supports(case: Case) -> str | None:
    """Input gradients at stride 1 to few channels."""
    if case.direction != "input_grad":
        return "it computes input gradients alone"
    if case.groups != 1 or not case.unit_stride:
        return f"it needs one group and stride 1, here are {case.groups} groups at stride {case.window.stride}"
    if case.taps * case.c_in > WIDEST * case.c_out:
        return f"{case.taps} taps × {case.c_in} channels are too wide for {case.c_out}; at most {WIDEST} times as many"
    return None


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The product, then one shifted sum."""
    matrix = kernel.reshape(case.taps * case.c_in, case.c_out)  # (taps·c_in, c_out)
    product = lax.dot_general(g, matrix, (((g.ndim - 1,), (1,)), ((), ())))  # (n, *outputs, taps·c_in)
    window = adjoint(case).window
    product = padded(product, window)
    total = None
    for index, at in enumerate(every_tap(window)):
        start = [(k - 1 - t) * d for k, t, d in zip(window.size, at, window.dilation)]
        stop = [a + n for a, n in zip(start, case.space)]
        first = index * case.c_in
        part = lax.slice(product, (0, *start, first), (case.n, *stop, first + case.c_in))
        total = part if total is None else total + part
    return jnp.asarray(total)
