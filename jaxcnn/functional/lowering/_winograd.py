"""Winograd's minimal filtering on planes: what `winograd` and `winograd4` share.

    y = Aᵀ [ (G k Gᵀ) ⊙ (Bᵀ x B) ] A,    dx the same with the flipped kernel,    dk = Gᵀ [ Σ_tiles (Bᵀ x B) ⊙ (A g Aᵀ) ] G

for every tile of m × m outputs, seen through (m + 2) × (m + 2) pixels: (m + 2)² products where the sum takes 9 m². Each of the
(m + 2)² places is one matrix product over the channels. Tiles are done in runs that stay in the cache.

The error is that of sums as long as the contraction, amplified by the matrices: in units of roundoff times ‖a‖ · ‖b‖ at most
`error`; against the direct sum's bound γ_K · K · max|a| · max|b| see `within_direct`. Reference: Lavin & Gray, Fast algorithms
for convolutional neural networks (2016); Barabasz et al., Error analysis and improving the accuracy of Winograd convolution
for deep neural networks (2020).
"""

from functools import cached_property
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from ._case import Case, adjoint

RUN = 6 << 20  # bytes of transformed tiles at a time; more where the transformed kernel is larger
LARGEST = 24 << 20  # bytes of the transformed kernel


class Plan(NamedTuple):
    """Images and rows of tiles a run, runs an image, and tiles in a row."""

    images: int
    rows: int
    runs: int
    columns: int


class Transform:
    """The matrices of F(m × m, 3 × 3) and how many operations one element passes through outside the contraction."""

    def __init__(self, m: int, bt: list, g: list, at: list, roundings: int) -> None:
        self.m, self.roundings = m, roundings
        self.bt, self.g, self.at = (np.asarray(matrix, float) for matrix in (bt, g, at))

    @cached_property
    def places(self) -> int:
        """Places of a tile along one axis."""
        return self.m + 2


def supports(case: Case, transform: Transform) -> str | None:
    """Windows of 3 × 3 at stride 1 without dilation or groups, in floating point, on one device."""
    w = case.window
    if w.size != (3, 3) or set(w.stride) != {1} or set(w.dilation) != {1} or case.groups != 1:
        return "it needs a 3×3 window at stride 1 without dilation and groups"
    if case.adds_in not in ("float32", "float64"):
        return f"it needs floating point, here is {case.dtype}"
    if _kernel_bytes(case, transform) > LARGEST:
        return f"the transformed kernel takes {_kernel_bytes(case, transform) >> 20} MiB; at most {LARGEST >> 20}"
    return "its loop over images would gather a batch that lies on several devices" if case.partitioned else None


def error(case: Case, t: Transform) -> float:
    """The bound in units of roundoff: norms of the matrices' rows in place of their sums, a pixel lies in four tiles."""
    norm = lambda matrix: np.linalg.norm(matrix, axis=1)
    if case.direction == "kernel_grad":
        return 2 * _length(case, t) * float((np.abs(t.g.T) @ (norm(t.bt) * norm(t.at.T))).max() ** 2)
    return _length(case, t) * float((np.abs(t.at) @ (norm(t.bt) * norm(t.g))).max() ** 2)


def within_direct(case: Case, t: Transform) -> bool:
    """Whether the bound in the maximum norm is no larger than that of the direct sum, K² · u · max|a| · max|b|."""
    total = lambda matrix: np.abs(matrix).sum(1)
    if case.direction == "kernel_grad":
        worst = (np.abs(t.g.T) @ (total(t.bt) * total(t.at.T))).max() ** 2 * _tiles_of(case, t)
        return worst * _length(case, t) <= case.positions**2
    worst = (np.abs(t.at) @ (total(t.bt) * total(t.g))).max() ** 2 * _contracted(case)
    return worst * _length(case, t) <= (case.taps * _contracted(case)) ** 2


def conv(x: Array, kernel: Array, case: Case, t: Transform) -> Array:
    """A product of transformed tiles and kernel at every place."""
    return _filtered(x, _sandwich(t.g, kernel), 1, case, t)


def input_grad(g: Array, kernel: Array, case: Case, t: Transform) -> Array:
    """The adjoint window's, with the flipped kernel as it lies: its last axis is contracted."""
    return _filtered(g, _sandwich(t.g[:, ::-1], kernel), 2, adjoint(case), t)


def kernel_grad(x: Array, g: Array, case: Case, t: Transform) -> Array:
    """Products over the tiles, added up over the runs."""
    plan = plan_of(case, t)
    x, g = _image(x, case, t, plan), _complete(g, case, t, plan)

    def step(i: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        total, of_x, of_g = carry
        of_x = _transformed(of_x, t.bt, t.m, plan.rows)  # (places², tiles, c_in)
        of_g = _transformed(of_g, t.at.T, t.m, plan.rows)  # (places², tiles, c_out)
        total = total + lax.dot_general(of_x, of_g, (((1,), (1,)), ((0,), (0,))))
        return total, _run(x, i + 1, t, plan, 2), _run(g, i + 1, t, plan, 0)

    zeros = jnp.zeros((t.places**2, case.c_in, case.c_out), g.dtype)
    first = (zeros, _run(x, 0, t, plan, 2), _run(g, 0, t, plan, 0))
    total = lax.fori_loop(0, case.n // plan.images * plan.runs, step, first)[0]
    return _sandwich(t.g.T, total.reshape(t.places, t.places, case.c_in, case.c_out))  # (3, 3, c_in, c_out)


def plan_of(case: Case, t: Transform) -> Plan:
    """How the tiles are cut into runs; at least four for a kernel gradient, whose sums are as long as a run."""
    rows, columns = (-(-o // t.m) for o in case.outputs)
    room = max(RUN, _kernel_bytes(case, t)) // (4 * t.places**2 * (case.c_in + case.c_out) * columns)  # rows of tiles
    room = max(1, room)
    if case.direction == "kernel_grad":
        room = min(room, max(1, rows * case.n // 4))
    if room >= 2 * rows:
        images = max(k for k in range(1, case.n + 1) if case.n % k == 0 and k * rows <= room)
        return Plan(images, rows, 1, columns)
    runs = -(-rows // room)
    return Plan(1, -(-rows // runs), runs, columns)


def _filtered(x: Array, u: Array, contracted: int, case: Case, t: Transform) -> Array:
    """The tiles of x times the transformed kernel `u (places, places, …)`, transformed back."""
    plan, channels = plan_of(case, t), case.c_out
    x, u = _image(x, case, t, plan), u.reshape(t.places**2, *u.shape[2:])

    def run(pixels: Array, i: Array) -> tuple[Array, Array]:
        v = _transformed(pixels, t.bt, t.m, plan.rows)  # (places², tiles, c)
        product = lax.dot_general(v, u, (((2,), (contracted,)), ((0,), (0,))))  # (places², tiles, c_out)
        shape = (t.places, t.places, plan.images, plan.rows, plan.columns, channels)
        y = _sandwich(t.at, product.reshape(shape))  # (m, m, images, rows, columns, c_out)
        y = y.transpose(2, 3, 0, 4, 1, 5).reshape(plan.images, plan.rows * t.m, plan.columns * t.m, channels)
        return _run(x, i + 1, t, plan, 2), y

    y = lax.scan(run, _run(x, 0, t, plan, 2), jnp.arange(case.n // plan.images * plan.runs))[1]
    y = y.reshape(case.n, plan.runs * plan.rows * t.m, plan.columns * t.m, channels)
    return y[:, : case.outputs[0], : case.outputs[1]]


def _transformed(x: Array, matrix: np.ndarray, m: int, rows: int) -> Array:
    """Every tile between the matrix and its transpose: `(places², tiles, c)`. Rows are stored before columns are mixed."""
    columns = (x.shape[2] - matrix.shape[1]) // m + 1
    lines = [lax.slice_in_dim(x, i, i + (rows - 1) * m + 1, m, 1) for i in range(matrix.shape[1])]
    lines = lax.optimization_barrier(jnp.stack([_mix(row, lines) for row in matrix]))  # (places, n, rows, w, c)
    pixels = [lax.slice_in_dim(lines, i, i + (columns - 1) * m + 1, m, 3) for i in range(matrix.shape[1])]
    tiles = jnp.stack([_mix(row, pixels) for row in matrix], 1)  # (places, places, n, rows, columns, c)
    return tiles.reshape(len(matrix) ** 2, -1, x.shape[-1])


def _sandwich(matrix: np.ndarray, v: Array) -> Array:
    """`matrix · v · matrixᵀ` over the first two axes; in two programs, which compile a fifth faster than one."""
    lines = lax.optimization_barrier(jnp.stack([_mix(row, list(v)) for row in matrix]))  # (matrix rows, …)
    return jnp.stack([_mix(row, [lines[:, i] for i in range(v.shape[1])]) for row in matrix], 1)


def _mix(weights: np.ndarray, parts: list[Array]) -> Array:
    """`Σ_i weights[i] · parts[i]`, zeros and ones left out."""
    total = None
    for weight, part in zip(weights, parts):
        if weight:
            term = part if weight == 1 else part * np.asarray(weight, part.dtype)
            total = term if total is None else total + term
    return jnp.asarray(total)


def _image(x: Array, case: Case, t: Transform, plan: Plan) -> Array:
    """x with zeros around it as far as the tiles reach."""
    need = (plan.runs * plan.rows * t.m + 2, plan.columns * t.m + 2)
    edges = [(low, k - n - low, 0) for (low, _), k, n in zip(case.window.padding, need, case.space)]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


def _complete(g: Array, case: Case, t: Transform, plan: Plan) -> Array:
    """g with zeros where the last tiles have no output."""
    need = (plan.runs * plan.rows * t.m, plan.columns * t.m)
    edges = [(0, k - o, 0) for k, o in zip(need, case.outputs)]
    return lax.pad(g, jnp.zeros((), g.dtype), [(0, 0, 0), *edges, (0, 0, 0)])


def _run(v: Array, i: Array | int, t: Transform, plan: Plan, more: int) -> Array:
    """The pixels of run i, `(images, rows · m + more, w, c)`.

    Loops carry those of the next run: a slice that moves, read by the transform itself, costs jax 0.10 ten times the transform.
    """
    start = (i // plan.runs * plan.images, i % plan.runs * (plan.rows * t.m), 0, 0)
    return lax.dynamic_slice(v, start, (plan.images, plan.rows * t.m + more, *v.shape[2:]))


def _contracted(case: Case) -> int:
    return case.c_out if case.direction == "input_grad" else case.c_in


def _length(case: Case, t: Transform) -> int:
    """Roundings that a result passes through: the longest sum, then the transforms."""
    if case.direction != "kernel_grad":
        return _contracted(case) + t.roundings
    plan = plan_of(case, t)
    return plan.images * plan.rows * plan.columns + case.n // plan.images * plan.runs + t.roundings


def _tiles_of(case: Case, t: Transform) -> int:
    plan = plan_of(case, t)
    return case.n * plan.runs * plan.rows * plan.columns


def _kernel_bytes(case: Case, t: Transform) -> int:
    return 4 * t.places**2 * case.c_in * case.c_out
