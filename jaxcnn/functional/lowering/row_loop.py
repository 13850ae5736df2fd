"""Row loop: the kernel gradient of a depthwise convolution, accumulated a few rows of a few images at a time.

    acc[t][n, w, c] += Σ_r  x[n, (row + r) · stride + t₀, w · stride + t₁, c] · g[n, row + r, w, c]      dk[t, c] = Σ_n Σ_w acc[t]

A reduction over `(n, h, w)` that keeps the channels is what XLA:CPU does worst. Here each step adds rows of some images into one
accumulator a tap. The rows of a step are written out, so the accumulators are read and written once a step, not once a
row; what a step reads stays in the cache for all its taps. Columns are not padded: a tap adds up only the pixels that it
sees. Up to `UNROLL` taps share a step and rows beyond the image are masked; larger windows take one kernel row after the other.
Pixels and channels as one axis halve the time where there are few channels.

A group of a few input channels is as many depthwise gradients: of each input channel, repeated for every output of its group.
"""

from dataclasses import replace
from itertools import product
from math import prod
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxcnn.geometry import Window

from ._case import NEWER, Case

TERMS = 36  # products written out a step: each is an instruction to compile
STEP = 192 << 10  # bytes of x and g that a step reads, at least, where the batch allows
UNROLL = 9
MOST = 64
CHANNELS = 4  # input channels of a group: one loop over the images for each

Index = int | Array  # a row: a number where the loop has one step, else traced


class Cut(NamedTuple):
    """The part of a row that one tap sees: its first number in x and in g, how many, and how far apart in x."""

    x: tuple[int, ...]
    g: tuple[int, ...]
    count: tuple[int, ...]
    stride: tuple[int, ...]

    def of(self, row: Array, start: tuple[int, ...], stride: tuple[int, ...]) -> Array:
        """This part of a row `(images, 1, …)`."""
        stop = [a + (count - 1) * s + 1 if count else a for a, count, s in zip(start, self.count, stride)]
        return lax.slice(row, (0, 0, *start), (*row.shape[:2], *stop), (1, 1, *stride))


def supports(case: Case) -> str | None:
    """Kernel gradients of depthwise convolutions and of groups of a few input channels, on one device."""
    if case.direction != "kernel_grad":
        return "it computes kernel gradients alone"
    if case.c_in_of_group > CHANNELS:
        return f"it needs groups of at most {CHANNELS} input channels, here are {case.c_in_of_group}"
    if (row_taps := case.taps // case.window.size[0]) > MOST and case.rank > 1:
        return f"it keeps an accumulator a tap of a kernel row, {row_taps} are too many; at most {MOST}"
    if case.partitioned:
        return "its loop over images would gather a batch that lies on several devices"
    return None


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """One depthwise gradient for each input channel of a group."""
    each = case.replace(c_in=case.c_out, groups=case.c_out)
    one = lambda x: _depthwise(jnp.repeat(x, case.c_out_of_group, axis=-1) if case.c_out_of_group > 1 else x, g, each)
    if case.c_in_of_group == 1:
        return one(x)
    xs = jnp.moveaxis(x.reshape(*x.shape[:-1], case.groups, case.c_in_of_group), -1, 0)  # (i, n, *space, groups)
    return jnp.moveaxis(lax.map(one, xs)[..., 0, :], 0, -2)  # (i, *size, 1, c_out) to (*size, i, c_out)


def _depthwise(x: Array, g: Array, case: Case) -> Array:
    """The loop over steps, for all kernel rows at once or one after the other."""
    if case.rank == 1:
        return _line(x, g, case)
    if case.taps > UNROLL:
        x, case = _tall(x, case)
    if NEWER:
        x, g = _lines(x, case), _lines(g, case)
    kernel_rows = case.window.size[0]
    if case.taps <= UNROLL:
        return _accumulate(x, g, case, range(kernel_rows)).reshape(case.kernel_shape)
    dk = lax.map(lambda i: _accumulate(x, g, case, [i]), jnp.arange(kernel_rows))  # (kernel rows, row taps, c)
    return dk.reshape(case.kernel_shape)


def _tall(x: Array, case: Case) -> tuple[Array, Case]:
    """The image with its rows of padding: masks for a kernel row that is traced compile for seconds."""
    (low, high), *rest = case.window.padding
    x = lax.pad(x, np.zeros((), x.dtype), [(0, 0, 0), (low, high, 0)] + [(0, 0, 0)] * case.rank)
    return x, case.replace(window=replace(case.window, padding=((0, 0), *rest)), space=x.shape[1:-1])


def _line(x: Array, g: Array, case: Case) -> Array:
    """A line is an image of one row."""
    w = case.window
    window = Window((1, *w.size), (1, *w.stride), ((0, 0), *w.padding), (1, *w.dilation))
    return _depthwise(x[:, None], g[:, None], case.replace(window=window, space=(1, *case.space)))[0]


def _accumulate(x: Array, g: Array, case: Case, kernel_rows: list[Array] | range) -> Array:
    """The gradient of some kernel rows: `(taps, c)`."""
    cuts = [_cut(case, at) for at in product(*map(range, case.window.size[1:]))]
    rows, images = _step(case, len(kernel_rows) * len(cuts))
    runs = -(-case.outputs[0] // rows)

    def step(t: Index, totals: list[Array]) -> list[Array]:
        image, run = t // runs * images, t % runs
        of_g = [_row(g, image, run * rows + r, images, case) for r in range(rows)]
        added = []
        for i in kernel_rows:
            of_x = [_row(x, image, _above(case, run * rows + r, i), images, case) for r in range(rows)]
            seen = [_seen(case, r, run, rows, i) for r in range(rows)]
            added += [_sum(of_x, of_g, seen, cut) for cut in cuts]
        return [total + more for total, more in zip(totals, added)]

    zeros = [jnp.zeros((images, 1, *cut.count), g.dtype) for cut in cuts] * len(kernel_rows)
    steps = case.n // images * runs
    totals = step(0, zeros) if steps == 1 else lax.fori_loop(0, steps, step, zeros)
    return jnp.stack([total.reshape(total.size // case.c_out, case.c_out).sum(0) for total in totals])


def _sum(of_x: list[Array], of_g: list[Array], seen: list[bool | Array], cut: Cut) -> Array | float:
    """What the rows of a step add to one tap: `(images, 1, *count)`."""
    total = 0.0
    for x, g, mask in zip(of_x, of_g, seen):
        if mask is not False:
            product = cut.of(x, cut.x, cut.stride) * cut.of(g, cut.g, (1,) * len(cut.g))
            total = total + (product if mask is True else jnp.where(mask, product, 0))
    return total


def _cut(case: Case, at: tuple[int, ...]) -> Cut:
    """For a tap of a kernel row; the last axis, where it has stride 1, holds pixels and channels."""
    window, rest = case.window, zip(at, case.space[1:], case.outputs[1:])
    axes = []
    for axis, (t, n, outputs) in enumerate(rest, 1):
        stride, start = window.stride[axis], t * window.dilation[axis] - window.padding[axis][0]
        first = min(max(0, -(start // stride)), outputs)  # ⌈−start / stride⌉
        count = max(min(outputs, (n - 1 - start) // stride + 1) - first, 0)
        axes.append((start + first * stride, first, count, stride) if count else (0, 0, 0, stride))
    if window.stride[-1] == 1:
        axes[-1] = tuple(v * case.c_out for v in axes[-1][:3]) + (1,)
    else:
        axes.append((0, 0, case.c_out, 1))
    return Cut(*zip(*axes))


def _step(case: Case, taps: int) -> tuple[int, int]:
    """Rows and images of a step: as many rows as may be written out, and images until there is work for two cores."""
    height, *rest = case.outputs
    runs = -(-height // max(1, TERMS // taps))
    rows = -(-height // runs)
    seen = min(rows * case.window.stride[0], case.space[0])
    bytes_of_image = 4 * case.c_out * (seen * prod(case.space[1:]) + rows * prod(rest))
    enough = -(-STEP // max(bytes_of_image, 1))
    return rows, next((m for m in range(min(enough, case.n), 0, -1) if case.n % m == 0), 1)


def _row(v: Array, image: Index, row: Index, images: int, case: Case) -> Array:
    """One row of some images, `(images, 1, …)`; another one where there is none, to be masked."""
    start = (image, max(row, 0) if isinstance(row, int) else row, *(0,) * (v.ndim - 2))
    rows = lax.dynamic_slice(v, start, (images, 1, *v.shape[2:]), allow_negative_indices=False)
    return rows if NEWER else _lines(rows, case)


def _lines(v: Array, case: Case) -> Array:
    """With stride 1 pixels and channels are one axis, `(…, w·c)`: a shift by one pixel is a shift by c numbers of a long line.

    Before jax 0.12 only the rows of a step are made so: of a whole image XLA:CPU would compute what made it without vectors, a
    channel's numbers being `i % c`. Since then it is the loop that has no vectors then: 5 times the time for 32 channels.
    """
    return v.reshape(*v.shape[:-2], -1) if case.window.stride[-1] == 1 else v


def _above(case: Case, row: Index, i: Index) -> Index:
    """The row of x that a row of g sees through kernel row i."""
    return row * case.window.stride[0] + i * case.window.dilation[0] - case.window.padding[0][0]


def _seen(case: Case, r: int, run: Index, rows: int, i: Index) -> bool | Array:
    """Whether row r of a run, and what it sees through kernel row i, are on the image: known at once where it always is."""
    height = case.outputs[0]

    def inside(run: Index, i: Index) -> bool | Array:
        row = run * rows + r
        return (row < height) & (_above(case, row, i) >= 0) & (_above(case, row, i) < case.space[0])

    runs = (run,) if isinstance(run, int) else (0, -(-height // rows) - 1)
    taps = (i,) if isinstance(i, int) else (0, case.window.size[0] - 1)
    return all(inside(*ends) for ends in product(runs, taps)) or inside(run, i)
