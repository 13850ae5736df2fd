"""Sums over windows as two JAX primitives, each the transpose of the other, so derivatives of any order stay inside.

    total     x → y     y[n, o, c] = Σ_t x[n, o · stride − low + t · dilation, c]
    spread    g → dx    its adjoint: each pixel adds up the outputs that see it

Both go axis by axis. On CPU each is rows of tables added up in fused loops; XLA's window reduction there adds pixel by pixel, and
its transpose, over outputs spread `stride` apart, adds mostly zeros (8×42×42×168, 3×3 /2: 10 and 50 ms, these 0.4 and 1).
"""

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.interpreters import ad

from jaxcnn.geometry import Bins, Window

from . import _taylor as taylor
from ._extreme import _around, _reach
from ._views import reduce_axis, reduce_window
from ._winner import make

TAPS = 64  # more of them, without overlap, are as many streams from memory: 30×30 over 60×60×2048 takes 1.2 ms, XLA's own 0.8

MOVES = 16  # outputs that see a pixel, above which its sum goes by doubling, where the window is long


def total(x: Array, window: Window | Bins) -> Array:
    """The sum of each window, in the dtype of x."""
    return total_p.bind(x, window=window, space=x.shape[1:-1])[0]


def spread(g: Array, window: Window | Bins, space: tuple[int, ...]) -> Array:
    """The adjoint: for each pixel of an image of `space` the sum of the outputs that see it."""
    return spread_p.bind(g, window=window, space=space)[0]


def _reduced(x: Array, *, window: Window | Bins, space) -> list[Array]:
    if isinstance(window, Bins):
        return _summed(x, window=window, space=space)
    return [reduce_window(x, window, lax.add, np.zeros((), x.dtype))]


def _transposed(g: Array, *, window: Window | Bins, space) -> list[Array]:
    if isinstance(window, Bins):
        return _spread(g, window=window, space=space)
    x = jax.ShapeDtypeStruct((g.shape[0], *space, g.shape[-1]), g.dtype)
    return list(jax.linear_transpose(lambda x: _reduced(x, window=window, space=space)[0], x)(g))


def _summed(x: Array, *, window: Window | Bins, space) -> list[Array]:
    if isinstance(window, Window):
        apart = all(s >= span for s, span in zip(window.stride, window.span))
        if apart and window.taps > TAPS and window.output_size(space) != (1,) * window.rank:
            return _reduced(x, window=window, space=space)
    whole = _whole(window, space)
    x = x.sum([axis + 1 for axis in whole], x.dtype, keepdims=True) if whole else x
    for axis in reversed([axis for axis in range(window.rank) if axis not in whole]):
        x = reduce_axis(x, window, axis, lax.add, np.zeros((), x.dtype))
    return [x]


def _spread(g: Array, *, window: Window | Bins, space) -> list[Array]:
    whole = _whole(window, space)
    for axis in [axis for axis in range(window.rank) if axis not in whole]:
        if isinstance(window, Window):
            g = _spread_axis(g, window, space, axis)
        else:
            g = reduce_axis(g, window.along(axis).transposed(), axis, lax.add, np.zeros((), g.dtype))
    return [jnp.broadcast_to(g, (g.shape[0], *space, g.shape[-1]))]


def _whole(window: Window | Bins, space) -> list[int]:
    """The axes on which one window is the whole image."""
    outputs = window.output_size(space)
    return [a for a, n in enumerate(space) if outputs[a] == 1 and window.pixels(a, 0) == range(n)]


def _spread_axis(g: Array, window: Window, space, axis: int) -> Array:
    """One axis of the adjoint: pixel `stride · u + a` adds up the outputs `u + δ` that see it through some tap."""
    n, k, s, d = space[axis], window.size[axis], window.stride[axis], window.dilation[axis]
    low, zero, at = window.padding[axis][0], np.zeros((), g.dtype), axis + 1
    moves, blocks = _reach(window, axis), -(-n // s)
    if g.size and (s == 1 or len(moves) > MOVES):  # a sum again, with the window turned round, over outputs `s` apart
        g = lax.pad(g, zero, [(0, 0, s - 1 if a == at else 0) for a in range(g.ndim)]) if s > 1 else g
        pair = ((k - 1) * d - low, n + low - g.shape[at])
        around = replace(window.along(axis), stride=(1,) * window.rank, padding=_only(window, axis, pair, (0, 0)))
        return reduce_axis(g, around, axis, lax.add, zero)
    if not moves or 0 in g.shape:
        return jnp.zeros((*g.shape[:at], n, *g.shape[at + 1 :]), g.dtype)
    g, front = _around(g, _only(window, axis, blocks, 0), _only(window, axis, moves, []), zero)
    shape = (*g.shape[:at], blocks, s, *g.shape[at + 1 :])  # (n, …, u, a, …, c)
    result = jnp.zeros((), g.dtype)
    for move in moves:
        tap, rest = np.divmod(np.arange(s) + low - s * move, d)
        seen = (rest == 0) & (tap >= 0) & (tap < k)
        near = lax.slice_in_dim(g, front[axis] + move, front[axis] + move + blocks, axis=at)
        near = lax.broadcast_in_dim(near, shape, [a for a in range(len(shape)) if a != at + 1])
        result += near if seen.all() else jnp.where(lax.broadcast_in_dim(seen, shape, (at + 1,)), near, zero)
    whole = result.reshape(*g.shape[:at], blocks * s, *g.shape[at + 1 :])
    return lax.slice_in_dim(whole, 0, n, axis=at)


def _only(window: Window, axis: int, entry, rest) -> tuple:
    return tuple(entry if a == axis else rest for a in range(window.rank))


def _jvp(primitive, primals, tangents, **params):
    (v,), (t,) = primals, tangents
    results = primitive.bind(v, **params)
    if type(t) is ad.Zero:
        return results, [ad.Zero(jax.typeof(r).to_tangent_aval()) for r in results]
    return results, primitive.bind(t, **params)


def _transpose(adjoint, cotangents, v, **params):
    (ct,) = cotangents
    return [ad.Zero(v.aval) if type(ct) is ad.Zero else adjoint().bind(ct, **params)[0]]


total_p = make("total", _reduced, outputs=True, cpu=_summed)
spread_p = make("spread", _transposed, outputs=False, cpu=_spread)
for _p, _adjoint in ((total_p, lambda: spread_p), (spread_p, lambda: total_p)):
    taylor.linear(_p)
    ad.primitive_jvps[_p] = partial(_jvp, _p)
    ad.primitive_transposes[_p] = partial(_transpose, _adjoint)
