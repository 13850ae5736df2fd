"""`stored` and `unmerged`: the identity, and on CPU a word to XLA about what it shall not compute together.

XLA:CPU takes what looks cheap into every loop that reads it. A normalisation reads its input three times, and the sum over 49
taps before it is computed as often: a block of ConvNeXt-T in training, 8×56×56×96, took 186 ms without and takes 160 with one
copy between the two. `lax.optimization_barrier` does not help there, XLA removes it before it merges loops.

It does help where equal expressions are computed once. A reduction reads x − mean as it sums, unless a loop elsewhere needs
x − mean too: then the whole map is written for both. With its own mean it is not.
"""

from collections.abc import Callable

import numpy as np
from jax import Array, lax
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from . import _taylor as taylor
from ._extreme import apart
from ._lower import inlined, partitioned


def stored(x: Array) -> Array:
    """x, which nothing after it computes anew; on a mesh and on other platforms x itself."""
    return stored_p.bind(x)


def unmerged(x: Array, use: int = 0) -> Array:
    """x, behind a barrier of that use on CPU, so that XLA may compute what reads it apart from what reads x; elsewhere x itself.

    That holds where x is itself computed from the map, as a norm's mean is; XLA may merge the uses of an input again.
    """
    return unmerged_p.bind(x, use=use)


def _identity(name: str, on_cpu: Callable) -> Primitive:
    """A primitive that gives its operand, under every transformation too; `on_cpu` is its lowering rule there."""
    identity = Primitive(name)
    identity.def_impl(lambda x, **_: x)
    identity.def_abstract_eval(lambda x, **_: x)
    batching.primitive_batchers[identity] = lambda args, dims, **use: (identity.bind(*args, **use), *dims)
    ad.deflinear2(identity, lambda ct, _, **use: [identity.bind(ct, **use)])
    taylor.linear(identity)
    mlir.register_lowering(identity, lambda ctx, x, **_: [x])
    mlir.register_lowering(identity, on_cpu, platform="cpu")
    return identity


def _copied(ctx, x):
    return [x] if partitioned(ctx) else inlined(lambda x: [apart(lambda x: x, x)], ctx, x)


def _behind_barrier(ctx, x, *, use):
    """Two barriers of the same operands are one to XLA, so the use stands beside x."""
    return inlined(lambda x: lax.optimization_barrier((x, np.int32(use)))[:1], ctx, x)


stored_p = _identity("jaxcnn_stored", _copied)
unmerged_p = _identity("jaxcnn_unmerged", _behind_barrier)
