"""Patches and a matrix product: each output's window laid out as one row, times the kernel as a matrix.

    y = P · K,   dx = fold(g · Kᵀ),   dk = Pᵀ · g        with  P[(n, o), (t, i)] = x[n, window.pixels(o)[t], i]

Where the windows do not overlap, P is x itself: 1×1 (a slice where strided) and patchify convolutions (stride = size), a
reshape. Elsewhere P is `taps` times larger than the output, so it is built in blocks of images of at most `BLOCK` bytes.
Reference: Chellapilla, Puri & Simard, High performance convolutional neural networks for document processing (2006).
"""

from collections.abc import Callable
from math import prod

import jax.numpy as jnp
from jax import Array, lax

from ._case import NEWER, Case, adjoint, adjoint_kernel, every_tap, padded, tap

BLOCK = 24 << 20
HALVES = 1024 if NEWER else 4096  # rows
SHARED, NARROW = (
    16384,
    32,
)  # rows from which, channels to which computing them twice costs more than a product in halves


def supports(case: Case) -> str | None:
    """One group; overlapping windows only where patches of one image fit into memory."""
    if case.groups != 1:
        return f"it is one matrix product, here are {case.groups} groups"
    if tiles(case):
        return None
    if case.direction == "input_grad" and not case.unit_stride:
        return f"windows of {case.window.size} at stride {case.window.stride} overlap: their gradients do not fold by reshape"
    if reason := too_large(case):
        return reason
    if case.partitioned and blocks(case) > 1:
        return "its loop over blocks of images would gather a batch that lies on several devices"
    return None


def too_large(case: Case) -> str | None:
    """Why the patches of one image do not fit into memory."""
    size = _bytes_of_image(case)
    return f"the patches of one image are {size >> 20} MiB; at most {2 * BLOCK >> 20}" if size > 2 * BLOCK else None


def tiles(case: Case) -> bool:
    """Whether no pixel is in two windows: 1×1 at any stride, or windows that lie side by side."""
    window = case.window
    return all(k == 1 or (k == s and d == 1) for k, s, d in zip(window.size, window.stride, window.dilation))


def conv(x: Array, kernel: Array, case: Case) -> Array:
    """`P · K`."""
    matrix = kernel.reshape(-1, case.c_out)  # (taps·c_in, c_out)
    return _in_blocks(lambda rows, x: _times(rows, matrix, case), case, x).reshape(case.y_shape)


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """`g · Kᵀ` put back by a reshape where windows lie side by side; patches of g elsewhere."""
    if not tiles(case):
        back = adjoint(case)
        return conv(g, adjoint_kernel(kernel, case), back)
    matrix = kernel.reshape(-1, case.c_out)  # (taps·c_in, c_out)
    rows = _times(_rows(g, case), matrix.T, case)  # (n·outputs, taps·c_in)
    return _untile(rows, case)


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """`Pᵀ · g`, the blocks added up."""
    return _of_rows(x, g, case) if tiles(case) else over_blocks(_of_rows, x, g, case, blocks(case))


def over_blocks(gradient: Callable[[Array, Array, Case], Array], x: Array, g: Array, case: Case, count: int) -> Array:
    """A kernel gradient summed over a loop of `count` runs of images."""
    if count == 1:
        return gradient(x, g, case)
    part = case.replace(n=case.n // count)
    xs, gs = (v.reshape(count, part.n, *v.shape[1:]) for v in (x, g))  # (blocks, n/blocks, …)

    def step(i, total):
        of_x, of_g = (lax.dynamic_index_in_dim(v, i, 0, False) for v in (xs, gs))
        return total + gradient(of_x, of_g, part)

    return lax.fori_loop(0, count, step, jnp.zeros(case.kernel_shape, g.dtype))


def _of_rows(x: Array, g: Array, case: Case) -> Array:
    rows = patches(x, case)  # (n·outputs, taps·c_in)
    g = g.reshape(*rows.shape[:-1], -1)
    return (summed if _on_cores(case) else _product)(rows, g).reshape(case.kernel_shape)


def _on_cores(case: Case) -> bool:
    return case.platform == "cpu" and not case.partitioned


def _times(rows: Array, matrix: Array, case: Case) -> Array:
    """`rows @ matrix`, in the two halves that `summed` reads.

    XLA:CPU computes what cheap operations made anew for each shape in which it is read: a norm and ReLU for the product
    forward and again for the kernel gradient.
    """
    shared = len(rows) % 2 == 0 and len(rows) >= SHARED and min(matrix.shape) <= NARROW
    if not (_on_cores(case) and tiles(case) and shared):
        return rows @ matrix
    halves = rows.reshape(2, -1, rows.shape[-1])
    product = lax.dot_general(halves, jnp.broadcast_to(matrix, (2, *matrix.shape)), (((2,), (1,)), ((0,), (0,))))
    return product.reshape(len(rows), -1)


def _product(a: Array, b: Array) -> Array:
    """`Σ a ⊗ b` over every axis but the last; images and pixels as they lie on the devices."""
    places = tuple(range(a.ndim - 1))
    return lax.dot_general(a, b, ((places, places), ((), ())))


def summed(a: Array, b: Array) -> Array:
    """`Σ_p a[p] ⊗ b[p]`, `(p, i)` and `(p, j)` to `(i, j)`, as XLA:CPU does it fastest.

    The narrower operand first, for the first one is copied and transposed; and both in two halves, a product for each core, whose
    operands are read as they lie. Few rows or wide operands fill both cores in one product.
    """
    if a.shape[1] > b.shape[1]:
        return summed(b, a).T
    if len(a) % 2 or len(a) < HALVES or a.shape[1] > 256:
        return _product(a, b)
    a, b = (v.reshape(2, -1, v.shape[-1]) for v in (a, b))  # (2, p / 2, …)
    return lax.dot_general(a, b, (((1,), (1,)), ((0,), (0,)))).sum(0)


def patches(x: Array, case: Case) -> Array:
    """`P`: `(n·outputs, taps·c_in)`, the columns in the kernel's order."""
    x = padded(x, case.window)
    if tiles(case):
        return _tile(x, case)
    parts = [tap(x, case.window, at, case.outputs) for at in every_tap(case.window)]
    return jnp.concatenate(parts, -1).reshape(case.positions, -1)  # (n·outputs, taps·c_in)


def blocks(case: Case, limit: int = BLOCK, least: int = 1) -> int:
    """Into how many equal runs of images the batch is cut so that their patches fit into `limit` bytes, or of `least` images."""
    fit = max(limit // max(_bytes_of_image(case), 1), least)
    return next((b for b in range(1, case.n + 1) if case.n % b == 0 and case.n // b <= fit), 1)


def _bytes_of_image(case: Case) -> int:
    back = adjoint(case) if case.direction == "input_grad" else case
    itemsize = max(jnp.dtype(case.dtype).itemsize, 4)
    return prod(back.outputs) * back.taps * back.c_in * itemsize


def _in_blocks(product, case: Case, x: Array) -> Array:
    count = 1 if tiles(case) else blocks(case)
    if count == 1:
        return product(patches(x, case), x)
    part = case.replace(n=case.n // count)
    xs = x.reshape(count, case.n // count, *x.shape[1:])  # (blocks, n/blocks, *space, c_in)
    return lax.map(lambda block: product(patches(block, part), block), xs)


def _tile(x: Array, case: Case) -> Array:
    window = case.window
    need = [(o - 1) * s + k for o, s, k in zip(case.outputs, window.stride, window.size)]
    stride = [s if k == 1 else 1 for s, k in zip(window.stride, window.size)]
    x = lax.slice(x, (0,) * x.ndim, (x.shape[0], *need, x.shape[-1]), (1, *stride, 1))
    if case.taps == 1:
        return _rows(x, case)
    split = [v for o, k in zip(case.outputs, window.size) for v in (o, k)]
    x = x.reshape(
        case.n, *split[:-1], split[-1] * case.c_in
    )  # (n, oh, kh, ow, kw·c_in), the last not parted: rows stay whole
    outer, inner = range(1, 2 * case.rank, 2), range(2, 2 * case.rank + 1, 2)
    return _rows(x.transpose(0, *outer, *inner), case)


def _rows(v: Array, case: Case) -> Array:
    """`(n·outputs, …)`; split over devices `(n, *outputs, …)`, for rows of images merged with the batch are gathered."""
    return v.reshape(*((case.n, *case.outputs) if case.partitioned else (case.positions,)), -1)


def _untile(rows: Array, case: Case) -> Array:
    window, rank = case.window, case.rank
    dx = rows.reshape(case.n, *case.outputs, *window.size[:-1], window.size[-1] * case.c_in)  # (n, oh, ow, kh, kw·c_in)
    dx = dx.transpose(0, *(axis for i in range(rank) for axis in (1 + i, 1 + rank + i)))  # (n, oh, kh, ow, kw·c_in)
    dx = dx.reshape(case.n, *(o * k for o, k in zip(case.outputs, window.size)), case.c_in)
    widths = [(0, 0, 0)]
    for n, o, k, s, (low, _) in zip(case.space, case.outputs, window.size, window.stride, window.padding):
        gap = s - 1 if k == 1 else 0
        widths.append((-low, n + low - ((o * k - 1) * (gap + 1) + 1), gap))
    return lax.pad(dx, jnp.zeros((), dx.dtype), [*widths, (0, 0, 0)])
