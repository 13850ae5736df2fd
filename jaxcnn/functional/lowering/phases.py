"""Phases: the input gradient of a strided convolution, one stride-1 gradient a residue of the pixel's place.

A pixel q = p + low of the padded image is reached only by taps with `t · dilation ≡ q (mod stride)`. So the pixels with one
residue r are a stride-1 input gradient with every `stride / gcd`-th tap, and the residues interleave:

    dx[stride · u + r] = Σ_{t · dilation ≡ r}  g[u − (t · dilation − r) / stride] · kernel[t]

No multiplication by an inserted zero is done, where `lhs_dilation` does `stride²` times too many. Reference: Shi et al., Is the
deconvolution layer the same as a convolutional layer? (2016).
"""

from dataclasses import dataclass
from itertools import product
from math import gcd

import jax.numpy as jnp
from jax import Array, lax

from jaxcnn.geometry import Window

from . import _choice
from ._case import Case


@dataclass(frozen=True)
class Phase:
    """One residue of one axis: its taps, and padding and dilation of its stride-1 window."""

    taps: tuple[int, ...]
    padding: tuple[int, int]
    dilation: int


def supports(case: Case) -> str | None:
    """Strided input gradients."""
    if case.direction != "input_grad":
        return "it computes input gradients alone"
    return "at stride 1 there is one phase" if case.unit_stride else None


def input_grad(g: Array, kernel: Array, case: Case) -> Array:
    """The phases, stacked and interleaved."""
    axes, counts = zip(*(_axis(case, axis) for axis in range(case.rank)))
    parts = [_phase(g, kernel, case, phases, counts) for phases in product(*axes)]
    stride, rank = case.window.stride, case.rank
    dx = jnp.stack(parts, 1).reshape(case.n, *stride, *counts, case.c_in)  # (n, sh, sw, uh, uw, c_in)
    order = [axis for i in range(rank) for axis in (1 + rank + i, 1 + i)]
    dx = dx.transpose(0, *order, dx.ndim - 1)  # (n, uh, sh, uw, sw, c_in)
    dx = dx.reshape(case.n, *(u * s for u, s in zip(counts, stride)), case.c_in)
    start = [low % s for (low, _), s in zip(case.window.padding, stride)]
    stop = [a + n for a, n in zip(start, case.space)]
    return lax.slice(dx, (0, *start, 0), (case.n, *stop, case.c_in))


def _axis(case: Case, axis: int) -> tuple[list[Phase], int]:
    """The phases of one axis, and how many pixels each of them covers."""
    k, s, d = (v[axis] for v in (case.window.size, case.window.stride, case.window.dilation))
    (low, _), n, outputs = case.window.padding[axis], case.space[axis], case.outputs[axis]
    first = low // s
    count = -(-(low + n) // s) - first
    phases = []
    for r in range(s):
        taps = tuple(t for t in range(k) if t * d % s == r)
        spread = d // gcd(d, s)
        before = first - (taps[0] * d - r) // s if taps else 0
        span = (max(len(taps), 1) - 1) * spread + 1
        phases.append(Phase(taps, (before, outputs - 1 + span - count - before), spread))
    return phases, count


def _phase(g: Array, kernel: Array, case: Case, phases: tuple[Phase, ...], counts: tuple[int, ...]) -> Array:
    if not all(phase.taps for phase in phases):
        return jnp.zeros((case.n, *counts, case.c_in), g.dtype)
    part = kernel
    for axis, phase in enumerate(phases):
        first, *rest = phase.taps
        step = rest[0] - first if rest else 1
        part = lax.slice_in_dim(part, first, max(phase.taps) + 1, step, axis)
    size, padding, dilation = zip(*((len(p.taps), p.padding, p.dilation) for p in phases))
    window = Window(size, (1,) * case.rank, padding, dilation)
    part_of = case.replace(window=window, space=counts)
    depthwise = case.c_in_of_group == case.c_out_of_group == 1
    shared = "tap_sum" if depthwise else "auto"  # all phases read one padded g, which `border` would copy for each
    return _choice.evaluate(g, part, part_of, shared)
