"""Maximum and minimum over windows as four JAX primitives; the winner's tap is stored, so no derivative searches again.

    extreme          x            → y            the value alone
    extreme_winner   x            → y, taps      and the flat number of the tap that won, row by row
    take             t, taps      → dy           the tangent: each output takes the pixel of its winner
    give             g, taps      → dx           its adjoint: each pixel adds up the outputs that it won

`take` and `give` are linear in their first operand and transposes of each other, so derivatives of any order and mode
stay inside the family, and none is XLA's `select_and_scatter`. Taps are the smallest unsigned integers that hold them; a
window without a pixel on the image has the tap number `window.taps`, which nothing takes or gives.
"""

from functools import partial
from math import prod

import jax
from jax import Array
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir, xla
from jax.sharding import NamedSharding

from jaxcnn.geometry import Bins, Window

from .._vary import vary_alike
from .._widened import widened
from . import _extreme as run
from . import _taylor as taylor
from ._lower import inlined, partitioned
from ._sharding import _checked, _entries, constrain, explicit, whole
from ._views import seers_most

WINDOWS = 9  # that a pixel may lie in, before a plane or volume is reduced axis by axis
NARROW = 16  # channels of maps that a sum over taps may have made
TAPS = 25  # of a window, before that: 7×7 without overlap trains in 1.5 ms at once, 1.0 axis by axis (8×14×14×256)


def extreme(x: Array, window: Window | Bins, *, largest: bool) -> Array:
    """`y[n, o, c]`, the largest or smallest pixel of each window.

    Going back a pixel looks at every window that it lies in. Where these are many, the axes go one by one: the same winner,
    because the first of the rows that hold the extreme holds the first of the pixels, and Σ instead of Π windows to look at.
    """
    if sum(k > 1 for k in window.size) > 1 and _many(window, x.shape[1:-1]):
        y = widened(x)  # what goes back through several axes is rounded once
        for axis in reversed(range(window.rank)):
            y = extreme(y, window.along(axis), largest=largest)
        return y.astype(x.dtype)
    return extreme_p.bind(whole(x), window=window, space=x.shape[1:-1], largest=largest)[0]


def _many(window: Window | Bins, space: tuple[int, ...]) -> bool:
    return window.taps > TAPS or prod(seers_most(window, space, axis) for axis in range(window.rank)) > WINDOWS


def extreme_winner(x: Array, window: Window | Bins, *, largest: bool) -> tuple[Array, Array]:
    """`y` and the tap that won it. The first of equal pixels wins, the last of several NaN (PyTorch's rules)."""
    y, taps = winner_p.bind(whole(x), window=window, space=x.shape[1:-1], largest=largest)
    return y, taps


def take(x: Array, taps: Array, window: Window | Bins) -> Array:
    """The pixel of x under the given tap of each window, 0 where there is none; linear in x."""
    return _linear(take_p, x, taps, window, x.shape[1:-1])


def tap_dtype(window: Window | Bins):
    """What taps are counted in."""
    return run.tap_dtype(window)


def _linear(primitive: Primitive, v: Array, taps: Array, window: Window | Bins, space: tuple[int, ...]) -> Array:
    v, taps = vary_alike(v, taps)
    return primitive.bind(v, taps, window=window, space=space)[0]


def _abstract(outputs: bool, winner: bool, first, *_, window, space, **__):
    shape = (first.shape[0], *(window.output_size(space) if outputs else space), first.shape[-1])
    mesh = first.sharding.mesh
    if explicit(first):
        n, *_, c = _entries(first)
        sharding = _checked(mesh, [n, *[None] * len(space), c], shape)
    else:
        sharding = NamedSharding(mesh, jax.sharding.PartitionSpec(*[None] * len(shape)))
    dtypes = (first.dtype, run.tap_dtype(window)) if winner else (first.dtype,)
    return tuple(first.update(shape=shape, dtype=d, weak_type=False, sharding=sharding) for d in dtypes)


def _lower(function, ctx, *operands, **params):
    """Nothing is mixed between images or channels: explicit axes keep their split, space comes together."""

    def traced(*arrays):
        results = function(*arrays, **params)
        return [constrain(r, a.sharding) if explicit(a) else r for r, a in zip(results, ctx.avals_out)]

    return inlined(traced, ctx, *operands)


def _apart(split, ctx, *operands, narrow, wide, **params):
    """On CPU, but for programs that are split over devices, narrow maps are reduced in a program of their own.

    XLA:CPU puts a sum over taps into every loop that reads it, and here each pixel is read by several comparisons: LeNet-5's
    first stage would compute its convolution eight times.
    """
    if partitioned(ctx):
        return _lower(split, ctx, *operands, **params)
    if ctx.avals_in[0].shape[-1] > NARROW:
        return _lower(wide, ctx, *operands, **params)
    return _lower(lambda *arrays, **params: run.apart(partial(narrow, **params), *arrays), ctx, *operands, **params)


def _batch(primitive: Primitive, args, dims, **params):
    """A mapped axis becomes part of the batch."""
    count = next(v.shape[d] for v, d in zip(args, dims) if d is not None)
    front = [_in_front(v, d, count) for v, d in zip(args, dims)]
    folded = [v.reshape(count * v.shape[1], *v.shape[2:]) for v in front]  # (v·n, …)
    results = primitive.bind(*folded, **params)
    n = front[0].shape[1]
    return [r.reshape(count, n, *r.shape[1:]) for r in results], [0] * len(results)


def _in_front(v: Array, dim: int | None, count: int) -> Array:
    """The mapped axis first. What is not mapped is spread in float32 at least, because its gradient is the sum over the axis."""
    return batching.bdim_at_front(v if dim is not None else widened(v), dim, count).astype(v.dtype)


def make(name: str, function, *, outputs: bool, winner: bool = False, cpu=None, lower=_lower) -> Primitive:
    """A primitive of pooling: its shapes, its batching rule and what it is lowered to, on CPU perhaps in another way."""
    primitive = Primitive(f"jaxcnn_{name}")
    primitive.multiple_results = True
    primitive.def_impl(partial(xla.apply_primitive, primitive))  # compiled alone, whatever `jax.disable_jit` says
    primitive.def_abstract_eval(partial(_abstract, outputs, winner))
    batching.primitive_batchers[primitive] = partial(_batch, primitive)
    mlir.register_lowering(primitive, partial(_lower, function))
    if cpu:
        mlir.register_lowering(primitive, partial(lower, cpu), platform="cpu")
    return primitive


def _extreme_jvp(winner: bool, primals, tangents, *, window, space, largest):
    (x,), (t,) = primals, tangents
    if type(t) is ad.Zero:
        primitive = winner_p if winner else extreme_p
        results = primitive.bind(x, window=window, space=space, largest=largest)
        return results, [ad.Zero(jax.typeof(r).to_tangent_aval()) for r in results]
    y, taps = winner_p.bind(x, window=window, space=space, largest=largest)
    dy = _linear(take_p, t, taps, window, space)
    return ([y, taps], [dy, ad.Zero(jax.typeof(taps).to_tangent_aval())]) if winner else ([y], [dy])


def _linear_jvp(primitive: Primitive, primals, tangents, *, window, space):
    (v, taps), (t, _) = primals, tangents
    result = _linear(primitive, v, taps, window, space)
    if type(t) is ad.Zero:
        return [result], [ad.Zero(jax.typeof(result).to_tangent_aval())]
    return [result], [_linear(primitive, t, taps, window, space)]


def _transpose(adjoint, cotangents, v, taps, *, window, space):
    (ct,) = cotangents
    if type(ct) is ad.Zero:
        return [ad.Zero(v.aval), None]
    return [_linear(adjoint(), ct, taps, window, space), None]


extreme_p = make("extreme", run.reduced, outputs=True, cpu=run.chained)
winner_p = make(
    "extreme_winner",
    run.won,
    outputs=True,
    winner=True,
    cpu=run.won,
    lower=partial(_apart, narrow=partial(run.won, keep=run.apart), wide=run.won_once),
)
take_p = make("take", run.taken, outputs=True)
_given = partial(run.given, split=False)
give_p = make("give", run.given, outputs=False, cpu=run.given, lower=partial(_apart, narrow=_given, wide=_given))
ad.primitive_jvps[extreme_p] = partial(_extreme_jvp, False)
ad.primitive_jvps[winner_p] = partial(_extreme_jvp, True)
taylor.extreme(extreme_p, winner_p, take_p, winner=False)
taylor.extreme(winner_p, winner_p, take_p, winner=True)
for _p, _adjoint in ((take_p, lambda: give_p), (give_p, lambda: take_p)):
    taylor.linear(_p)
    ad.primitive_jvps[_p] = partial(_linear_jvp, _p)
    ad.primitive_transposes[_p] = partial(_transpose, _adjoint)
