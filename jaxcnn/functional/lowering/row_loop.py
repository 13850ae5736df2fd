"""Row loop: the kernel gradient of a depthwise convolution, accumulated a few rows at a time.

    acc[t₁][r, w, c] += x[n, row + r + t₀, w + t₁, c] · g[n, row + r, w, c]       then  dk[t, c] = Σ_r Σ_w acc[t₁][r, w, c]

A reduction over `(n, h, w)` that keeps the channels is what XLA:CPU does worst. Here each step adds rows of one image into one
accumulator a tap of a kernel row, few enough for the cache; the sum over r and w comes last. Kernel rows are an outer loop:
all K² accumulators at once compile K times longer (1.3 s for 7×7) and are not faster. Adding the rows of a step up first is
three times faster on jax 0.12 for images of 112×112×32, and three times slower on jax 0.10. Pixels and channels as one axis
halve the time where there are few channels (18 → 8 ms there).
"""

from math import prod

import jax.numpy as jnp
from jax import Array, lax

from jaxcnn.geometry import Window

from ._case import Case, every_tap, padded, tap

CACHE = 64 << 10  # bytes of accumulators
MOST = 64


def supports(case: Case) -> str | None:
    """Kernel gradients of depthwise convolutions, on one device."""
    if case.direction != "kernel_grad":
        return "it computes kernel gradients alone"
    if case.c_in_of_group != 1 or case.c_out_of_group != 1:
        return f"it needs one channel a group, here are {case.c_in_of_group} in and {case.c_out_of_group} out"
    if (row_taps := case.taps // case.window.size[0]) > MOST and case.rank > 1:
        return f"it keeps an accumulator a tap of a kernel row, {row_taps} are too many; at most {MOST}"
    if case.partitioned:
        return "its loop over images would gather a batch that lies on several devices"
    return None


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """The loop over runs of rows; zeros of g complete the last run."""
    if case.rank == 1:
        return _line(x, g, case)
    window, (height, *rest) = case.window, case.outputs
    row_taps = case.taps // window.size[0]
    runs = -(-height // _rows_of_step(case, row_taps))
    rows = -(-height // runs)
    x, g = _complete(padded(x, window), g, case, runs * rows)
    line = Window((1, *window.size[1:]), window.stride, window.padding, window.dilation)
    if window.stride[-1] == 1:  # a shift by one pixel is a shift by c numbers of one long line
        line = Window(line.size, line.stride, line.padding, (*line.dilation[:-1], line.dilation[-1] * case.c_out))
        rest[-1] *= case.c_out
        x, g = (v.reshape(*v.shape[:-2], v.shape[-2] * v.shape[-1], 1) for v in (x, g))  # (n, …, w·c, 1)
    seen = (rows - 1) * window.stride[0] + 1

    def kernel_row(i: Array) -> Array:
        def step(t, totals):
            image, row = t // runs, t % runs * rows
            of_x = _rows(x, image, row * window.stride[0] + i * window.dilation[0], seen)  # (1, seen, *padded, c)
            of_g = _rows(g, image, row, rows)  # (1, rows, *outputs, c)
            products = (tap(of_x, line, at, (rows, *rest)) * of_g for at in every_tap(line))
            return [total + product for total, product in zip(totals, products)]

        zeros = [jnp.zeros((1, rows, *rest, g.shape[-1]), g.dtype)] * row_taps
        totals = lax.fori_loop(0, case.n * runs, step, zeros)
        return jnp.stack([total.reshape(-1, case.c_out).sum(0) for total in totals])  # (row_taps, c)

    return lax.map(kernel_row, jnp.arange(window.size[0])).reshape(case.kernel_shape)


def _line(x: Array, g: Array, case: Case) -> Array:
    """A line is an image of one row."""
    w = case.window
    window = Window((1, *w.size), (1, *w.stride), ((0, 0), *w.padding), (1, *w.dilation))
    return kernel_grad(x[:, None], g[:, None], case.replace(window=window, space=(1, *case.space)))[0]


def _rows_of_step(case: Case, row_taps: int) -> int:
    """As many rows of g as leave the accumulators in the cache."""
    height, *rest = case.outputs
    return max(1, min(height, CACHE // (prod(rest) * case.c_out * 4 * row_taps)))


def _complete(x: Array, g: Array, case: Case, height: int) -> tuple[Array, Array]:
    need = (height - 1) * case.window.stride[0] + case.window.span[0]
    below = lambda v, more: jnp.pad(v, [(0, 0), (0, more)] + [(0, 0)] * case.rank) if more > 0 else v
    return below(x, need - x.shape[1]), below(g, height - g.shape[1])


def _rows(x: Array, image: Array, row: Array, count: int) -> Array:
    return lax.dynamic_slice(x, (image, row, *(0,) * (x.ndim - 2)), (1, count, *x.shape[2:]))
