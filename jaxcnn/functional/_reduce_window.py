"""Any associative operation over windows: `reduce_window`.

    y[o] = x[o · stride − low] ∘ x[o · stride − low + dilation] ∘ …        row by row over the taps of the window

∘ is any function of two arrays that JAX can trace, so the result has every derivative that ∘ has (`lax.reduce_window` has one
only for a literal add, max or min, jax#7815). Associativity is all that is used: the last axis is reduced first and each axis
from left to right, which keeps the order of the taps. An axis goes the cheaper of two ways:

    taps        k strided views, combined in a balanced tree: k − 1 combinations an output
    doubling    runs of 1, 2, 4, … pixels, each made of two of the run before it: about log₂ k combinations a pixel

Runs are computed only where a later one looks: windows that do not overlap halve the image each time.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.core import Tracer
from jaxtyping import PyTree

from jaxcnn.geometry import Padding, Window

from . import _check
from ._numbers import kind
from ._pool import resolve
from ._widened import widened
from .engine import doubled, steps_of
from .lowering import every

Ints = int | Sequence[int]
Combine = Callable[[list[Array], list[Array]], list[Array]]
NAME = "reduce_window"


def reduce_window(
    x: PyTree,
    identity: PyTree,
    reducer: Callable[[Any, Any], Any],
    window: Ints,
    *,
    stride: Ints | None = None,
    padding: Padding = "valid",
    padding_mode: str = "zeros",
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> PyTree:
    """The pixels of each window combined by `reducer`. The other arguments are described in `max_pool`'s module.

    16-bit floats are combined in float32, everything else as it is.

    Args:
        x: an array `(n, *space, c)`, or a tree of such arrays with the same n and space, the parts of one value.
        identity: what changes nothing, a number for each array of x, constant to every derivative; it fills the padding where
            `padding_mode` is "zeros".
        reducer: associative function of two values like x but of any size, pixel by pixel; it need not be commutative.

    Returns: `(n, *outputs, c)` for each array of x; same dtypes.

    Raises: as `max_pool`; TypeError for a reducer that does not give what it takes or an identity that x cannot hold.

    >>> x = jnp.array([3.0, 1, 2, 5])[None, :, None]
    >>> reduce_window(x, 1, jnp.multiply, 3, stride=1, padding=1)[0, :, 0].tolist()
    [3.0, 6.0, 10.0, 10.0]
    """
    leaves, tree = _leaves(x)
    if not callable(reducer):
        raise TypeError(f"{NAME}: reducer={reducer!r} must be a function of two values, such as jnp.maximum")
    numbers = _numbers(identity, tree, leaves)
    options = (window, stride, padding, padding_mode, dilation, ceil_mode)
    resolved = [resolve(NAME, leaf, *options) for leaf in leaves]
    full: Window = resolved[0][1]
    wide = [_padded(widened(leaf), full, number) for (leaf, _, _), number in zip(resolved, numbers)]
    outputs = full.output_size(resolved[0][0].shape[1:-1])
    for axis in reversed(range(full.rank)):
        how = (full.size[axis], full.stride[axis], full.dilation[axis], outputs[axis])
        wide = _reduced(wide, axis + 1, *how, partial(_combined, reducer, tree))
    return jax.tree.unflatten(tree, [y.astype(leaf.dtype) for y, leaf in zip(wide, leaves)])


def _reduced(parts: list[Array], axis: int, k: int, s: int, d: int, outputs: int, combine: Combine) -> list[Array]:
    """One axis, padded: k taps d apart from every s-th pixel."""
    n = (outputs - 1) * s + (k - 1) * d + 1  # pixels that a window sees
    steps = steps_of(k, s if outputs > 1 else d << k.bit_length(), d)
    pixels = sum((n - 1 - ((1 << j) - 1) * d) // step + 1 for j, step in enumerate(steps) if j)
    if pixels + (k.bit_count() - 1) * outputs > (k - 1) * outputs:
        return _tree([[every(part, t * d, outputs, s, axis) for part in parts] for t in range(k)], combine)
    return doubled(parts, axis, k, s, d, outputs, lambda a, b, _: combine(a, b))


def _tree(values: list[list[Array]], combine: Combine) -> list[Array]:
    """Combined from left to right in log₂ levels."""
    while len(values) > 1:
        pairs = [combine(a, b) for a, b in zip(values[::2], values[1::2])]
        values = pairs + values[2 * len(pairs) :]
    return values[0]


def _combined(reducer, tree, a: list[Array], b: list[Array]) -> list[Array]:
    """The reducer on the leaves of two values, its result checked."""
    result = reducer(jax.tree.unflatten(tree, a), jax.tree.unflatten(tree, b))
    leaves, found = jax.tree.flatten(result)
    if found != tree:
        raise TypeError(f"{NAME}: reducer gives {found} of two {tree}; it must give what it takes")
    for taken, given in zip(a, leaves):
        if not hasattr(given, "dtype") or (given.shape, given.dtype) != (taken.shape, taken.dtype):
            got = _check.describe(given) if hasattr(given, "dtype") else f"a {type(given).__name__}"
            raise TypeError(f"{NAME}: reducer gives {got} of two {_check.describe(taken)}; it must give what it takes")
    return leaves


def _leaves(x) -> tuple[list[Array], Any]:
    leaves, tree = jax.tree.flatten(x)
    if not leaves:
        raise TypeError(f"{NAME}: x={x!r} holds no array; give an array (n, *space, c) or a tree of them")
    leaves = [_check.images(NAME, leaf) for leaf in leaves]
    for leaf in leaves[1:]:
        if leaf.shape[:-1] != leaves[0].shape[:-1]:
            one, other = _check.describe(leaves[0]), _check.describe(leaf)
            raise ValueError(f"{NAME}: x holds {one} and {other}; all its arrays need the same n and space")
    return leaves, tree


def _numbers(identity, tree, leaves: list[Array]) -> list[Array]:
    """The identity of each leaf in the dtype that is computed in."""
    if jax.tree.structure(identity) != tree:
        raise TypeError(f"{NAME}: identity={identity!r} must be one number for each array of x, as {tree}")
    return [_number(value, leaf) for value, leaf in zip(jax.tree.leaves(identity), leaves)]


def _number(value, leaf: Array) -> Array:
    known = value if hasattr(value, "dtype") else np.asarray(value)
    limits = jnp.iinfo(leaf.dtype) if kind(leaf.dtype) == 1 and not isinstance(known, Tracer) else None
    if known.shape or kind(known.dtype) > kind(leaf.dtype) or (limits and not limits.min <= known <= limits.max):
        given = f" is {_check.describe(known)}; it" if known.shape else f"={value!r}"
        raise TypeError(f"{NAME}: identity{given} must be one number that x can hold (x is {_check.describe(leaf)})")
    return lax.stop_gradient(jnp.asarray(known).astype(widened(leaf).dtype))


def _padded(x: Array, window: Window, number: Array) -> Array:
    if not any(low or high for low, high in window.padding):
        return x
    return lax.pad(x, number, [(0, 0, 0), *((low, high, 0) for low, high in window.padding), (0, 0, 0)])
