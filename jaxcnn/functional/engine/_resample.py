"""Resampling of one axis as two JAX primitives, each the transpose of the other: weighted sums of few pixels, by tables.

    resampled    x → y     y[i] = Σ_t weights[t, i] · x[pixels[t, i]]
    given_back   g → dx    its adjoint, by the table of the outputs that see each pixel: no scatter

A dense matrix (m, n) costs n multiplications an output, where a handful count: 8×56×56×64 to 112×112 took 102 ms by it and takes
2.2 by rows of the table, which XLA fuses into one loop. 16-bit floats are added in float32.
"""

from functools import partial, reduce

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.interpreters import ad

from ..lowering import every
from . import _taylor as taylor
from ._extreme import apart
from ._lower import partitioned
from ._sampling import Sampling, Table
from ._total import _jvp, _transpose
from ._views import take_row
from ._winner import _lower, make

ROWS = 32  # of a table that are written out; more are a loop
FEW = 2  # rows that are computed anew as fast as they are kept
TOGETHER = 16  # terms of that loop that are added at once, so that its sum rounds less often


def resample(x: Array, sampling: Sampling) -> Array:
    """x with one spatial axis resampled."""
    return resampled_p.bind(x, window=sampling, space=x.shape[1:-1])[0]


def _resampled(x: Array, *, window: Sampling, space) -> list[Array]:
    n, m, at = space[window.axis], window.m, window.axis + 1
    if window.method.startswith("nearest") and m % n == 0:  # by whole factors without numbers
        shape = (*x.shape[: at + 1], m // n, *x.shape[at + 1 :])  # (n, …, n, m / n, …, c)
        copies = lax.broadcast_in_dim(x, shape, [a for a in range(x.ndim + 1) if a != at + 1])
        return [copies.reshape(*x.shape[:at], m, *x.shape[at + 1 :])]
    if window.method.startswith("nearest") and n % m == 0:
        return [every(x, n // m // 2 if window.method == "nearest_exact" else 0, m, n // m, at)]
    return [_weighted(x, window.seen(n), window.axis)]


def _given_back(g: Array, *, window: Sampling, space) -> list[Array]:
    n, at = space[window.axis], window.axis + 1
    wide = g.astype(jnp.float32) if jnp.issubdtype(g.dtype, jnp.floating) and g.dtype.itemsize < 4 else g
    if window.method.startswith("nearest") and window.m % n == 0:
        copies = wide.reshape(*g.shape[:at], n, window.m // n, *g.shape[at + 1 :])  # (n, …, n, m / n, …, c)
        return [copies.sum(at + 1, dtype=wide.dtype).astype(g.dtype)]
    return [_weighted(wide, window.seers(n), window.axis).astype(g.dtype)]


def _weighted(x: Array, table: Table, axis: int) -> Array:
    """The rows of a table taken, weighted and added up."""
    numbers, weights = table
    if 0 in x.shape:
        return jnp.zeros((*x.shape[: axis + 1], numbers.shape[1], *x.shape[axis + 2 :]), x.dtype)
    if len(numbers) > ROWS:
        return _in_turn(x, table, axis)
    zero, around = np.zeros((), x.dtype), (*[1] * (axis + 1), -1, *[1] * (x.ndim - axis - 2))
    terms = [_term(take_row(x, p, axis, zero), w.reshape(around)) for p, w in zip(numbers, weights)]
    return reduce(jnp.add, terms)


def _term(pixels: Array, weights: np.ndarray) -> Array:
    if (weights == 1).all():
        return pixels
    term = pixels if np.isin(weights, (0, 1)).all() else pixels * weights.astype(pixels.dtype)
    return term if weights.all() else jnp.where(weights != 0, term, np.zeros((), pixels.dtype))


def _in_turn(x: Array, table: Table, axis: int) -> Array:
    """The same for many rows, `TOGETHER` at a time."""
    room = -len(table[0]) % TOGETHER
    numbers, weights = (np.pad(rows, ((0, room), (0, 0))).T for rows in table)  # (outputs, taps)
    around = (*[1] * (axis + 1), len(numbers), -1, *[1] * (x.ndim - axis - 2))
    take = lambda at: x.at[(*[slice(None)] * (axis + 1), numbers[:, at::TOGETHER])].get(mode="promise_in_bounds")
    terms = [_term(take(at), weights[:, at::TOGETHER].reshape(around)) for at in range(TOGETHER)]
    while len(terms) > 1:
        terms = [a + b for a, b in zip(terms[::2], terms[1::2])]
    return terms[0].sum(axis + 2, dtype=x.dtype)  # (n, …, outputs, taps / TOGETHER, …, c)


def _kept(rows, function, ctx, x, *, window: Sampling, space):
    """On CPU the shorter of x and the result is kept: XLA would compute it again for each tap that reads it.

    Not so a gradient that shrinks: 8×56×56×64 from 112×112 takes 5 ms at once and 70 with its two halves kept.
    """
    (n,), (m,) = ({v.shape[window.axis + 1] for v in avals} for avals in (ctx.avals_in, ctx.avals_out))
    run = lambda v, **params: function(v, **params)
    if not partitioned(ctx) and len(rows(window, space[window.axis])[0]) > FEW:
        if n < m:
            run = lambda v, **params: function(apart(lambda v: v, v), **params)
        elif function is _resampled:
            run = lambda v, **params: apart(partial(function, **params), v)
    return _lower(run, ctx, x, window=window, space=space)


resampled_p = make("resampled", _resampled, outputs=True, cpu=_resampled, lower=partial(_kept, Sampling.seen))
given_back_p = make("given_back", _given_back, outputs=False, cpu=_given_back, lower=partial(_kept, Sampling.seers))
for _p, _adjoint in ((resampled_p, lambda: given_back_p), (given_back_p, lambda: resampled_p)):
    ad.primitive_jvps[_p] = partial(_jvp, _p)
    ad.primitive_transposes[_p] = partial(_transpose, _adjoint)
    taylor.linear(_p)
