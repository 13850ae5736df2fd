"""Row loop: the kernel gradient of a depthwise convolution, accumulated row by row.

    acc[t][w, c] += x[n, row + t₀, w + t₁, c] · g[n, row, w, c]        then  dk[t, c] = Σ_w acc[t][w, c]

A reduction over `(n, h, w)` that keeps the channels is what XLA:CPU does worst. Here each step adds a few rows of one image
into one accumulator a tap, small enough for the cache and long enough for the vector unit; the sum over w comes last.
"""

from math import prod

import jax.numpy as jnp
from jax import Array, lax

from jaxcnn.geometry import Window

from ._case import Case, every_tap, padded, tap

ROWS = 2  # rows of g a step: what one step loads of x is shared by its taps
MOST = 128


def supports(case: Case) -> str | None:
    """Kernel gradients of depthwise convolutions, on one device."""
    if case.direction != "kernel_grad":
        return "it computes kernel gradients alone"
    if case.c_in_of_group != 1 or case.c_out_of_group != 1:
        return f"it needs one channel a group, here are {case.c_in_of_group} in and {case.c_out_of_group} out"
    if case.taps > MOST:
        return f"it keeps an accumulator a tap, {case.taps} are too many; at most {MOST}"
    if case.partitioned:
        return "its loop over images would gather a batch that lies on several devices"
    return None


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """The loop over runs of `ROWS` rows; zeros of g complete the last run."""
    if case.rank == 1:  # a line is an image of one row
        window = Window(
            (1, *case.window.size), (1, *case.window.stride), ((0, 0), *case.window.padding), (1, *case.window.dilation)
        )
        return kernel_grad(x[:, None], g[:, None], case.replace(window=window, space=(1, *case.space)))[0]
    window, (height, *rest) = case.window, case.outputs
    rows = min(ROWS, height)
    runs = -(-height // rows)
    x, g = _complete(padded(x, window), g, case, runs * rows)
    seen = (rows - 1) * window.stride[0] + window.span[0]

    def step(t, totals):
        image, row = t // runs, t % runs * rows
        of_x = _rows(x, image, row * window.stride[0], seen)  # (1, seen, *padded, c)
        of_g = _rows(g, image, row, rows)[0]  # (rows, *outputs, c)
        products = (tap(of_x, window, at, (rows, *rest))[0] * of_g for at in every_tap(window))
        return [total + sum(p[1:], p[0]) for total, p in zip(totals, products)]

    zeros = [jnp.zeros((*rest, case.c_out), g.dtype)] * case.taps
    totals = lax.fori_loop(0, case.n * runs, step, zeros)
    dk = jnp.stack([total.reshape(prod(rest), case.c_out).sum(0) for total in totals])  # (taps, c)
    return dk.reshape(case.kernel_shape)


def _complete(x: Array, g: Array, case: Case, height: int) -> tuple[Array, Array]:
    need = (height - 1) * case.window.stride[0] + case.window.span[0]
    below = lambda v, more: jnp.pad(v, [(0, 0), (0, more)] + [(0, 0)] * case.rank) if more > 0 else v
    return below(x, need - x.shape[1]), below(g, height - g.shape[1])


def _rows(x: Array, image: Array, row: Array, count: int) -> Array:
    return lax.dynamic_slice(x, (image, row, *(0,) * (x.ndim - 2)), (1, count, *x.shape[2:]))
