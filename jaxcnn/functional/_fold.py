"""Windows as an axis of their own, and back: `unfold` and `fold` (PyTorch's `Unfold` and `Fold`, any number of axes).

    unfold    u[n, o, t, c] = x[n, o · stride − low + t · dilation, c]          0 beyond the image
    fold      x[n, p, c]    = Σ u[n, o, t, c] over all (o, t) that look at p

Each is the adjoint of the other: ⟨unfold(x), u⟩ = ⟨x, fold(u)⟩. Taps are counted row by row over the window, so a convolution
is `unfold(x)` reshaped to `(n, *outputs, taps · c_in)` times the kernel reshaped to `(taps · c_in, c_out)`. (PyTorch has one
axis of outputs, and channels before taps.) Both go axis by axis: Σ sizes slices instead of Π sizes, and for windows of many taps
about 2 log₂ of them, because runs of 1, 2, 4, … pixels are laid side by side.
"""

from collections.abc import Callable, Sequence
from functools import partial
from math import prod
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jaxtyping import Num, Shaped

from jaxcnn.geometry import Padding, Window, per_axis

from . import _check
from ._pad import pad_pairs
from ._widened import widened
from .engine import LONG, Combine, doubled, doubled_in_turn, placed
from .lowering import every
from .lowering._case import every_tap, tap

Ints = int | Sequence[int]
C = TypeVar("C")
TAPS = 64  # of a window, that are written out one by one


def unfold(
    x: Shaped[Array, "n *space c"], window: Ints, *, stride: Ints = 1, padding: Padding = "valid", dilation: Ints = 1
) -> Shaped[Array, "n *outputs taps c"]:
    """The pixels of every window.

    Args:
        window: pixels, an int or one an axis.
        padding: as in `conv`, with zeros.

    Returns: `(n, *outputs, taps, c)`, outputs as in `conv`, taps the product of the window's sizes; same dtype.

    Raises: ValueError for shapes that do not fit or a window larger than the padded image.

    >>> unfold(jnp.array([3.0, 1, 2, 5])[None, :, None], 2)[0, :, :, 0].tolist()
    [[3.0, 1.0], [1.0, 2.0], [2.0, 5.0]]
    """
    x = _check.images("unfold", x)
    return taps(
        x, Window.resolve(window, x.shape[1:-1], stride=stride, padding=padding, dilation=dilation, name="unfold")
    )


def fold(
    patches: Num[Array, "n *outputs taps c"],
    space: Ints,
    window: Ints,
    *,
    stride: Ints = 1,
    padding: Padding = "valid",
    dilation: Ints = 1,
) -> Num[Array, "n *space c"]:
    """Adds every patch to the pixels it was taken from: the adjoint of `unfold` with the same arguments.

    Pixels that no window sees are 0; where windows overlap the sum is taken in float32 for 16-bit floats. To average
    instead, divide by `fold(unfold(ones))`.

    Args:
        patches: as from `unfold`.
        space: spatial size of the image.

    Raises: ValueError for shapes that do not fit, TypeError for bool.

    >>> fold(unfold(jnp.array([3.0, 1, 2, 5])[None, :, None], 2), 4, 2)[0, :, 0].tolist()
    [3.0, 2.0, 4.0, 5.0]
    """
    patches = _check.array("fold", "patches", patches)
    if not 4 <= patches.ndim <= 6:
        raise ValueError(
            f"fold: patches is {_check.describe(patches)}; it must have the axes (n, *outputs, taps, c) with 1 to 3 outputs"
        )
    if patches.dtype == bool:
        raise TypeError(
            f"fold: patches is {_check.describe(patches)}; cast it to a number, patches.astype(jnp.float32)"
        )
    space = per_axis(space, patches.ndim - 3, what="space", name="fold", least=1)
    full = Window.resolve(window, space, stride=stride, padding=padding, dilation=dilation, name="fold")
    wanted = (*full.output_size(space), full.taps)
    if patches.shape[1:-1] != wanted:
        n, c, sizes = patches.shape[0], patches.shape[-1], ",".join(map(str, wanted))
        raise ValueError(
            f"fold: patches is {_check.describe(patches)}; space={space} and window={full.size} need [{n},{sizes},{c}]"
        )
    return _added(patches, full, space)


def taps(x: Array, window: Window) -> Array:
    """`unfold` of a resolved window."""
    # widened first: going back, what several windows see is added up
    return placed(_taps, widened(x), window=window).astype(x.dtype)


def _taps(x: Array, window: Window) -> Array:
    rank, outputs = window.rank, window.output_size(x.shape[1:-1])
    x = pad_pairs("unfold", x, window.padding)
    for axis, (o, k, s, d) in enumerate(zip(outputs, window.size, window.stride, window.dilation), start=1):
        if k > LONG and o:
            x = _beside(x, axis, k, s, d, o)
            continue
        views = [every(x, t * d, o, s, axis) for t in range(k)]
        x = jnp.stack(views, axis=-2)  # (n, o, …, k, …, k, c)
    return x.reshape(x.shape[0], *outputs, prod(window.size), x.shape[2 * rank + 1])  # (n, *outputs, taps, c)


@partial(jax.jit, static_argnums=(1, 2, 3, 4, 5))
def _beside(x: Array, axis: int, k: int, s: int, d: int, outputs: int) -> Array:
    """The windows of one axis, made of runs laid side by side: `(n, o, …, k, …, k, c)`."""
    join = lambda a, b, _: [jnp.concatenate([a[0], b[0]], axis=-2)]
    return doubled([x[..., None, :]], axis, k, s, d, outputs, join)[0]


def over_taps(step: Callable[[C, Array], C], start: C, x: Array, window: Window) -> C:
    """`step(carry, pixels)` for one tap after the other, in order; x is padded already, the pixels are `(n, *outputs, c)`.

    They are written out and fused by XLA, without a copy of x: for windows of at most `TAPS` taps.
    """
    outputs = window.output_size(x.shape[1:-1])
    for at in every_tap(window):
        start = step(start, tap(x, window, at, outputs))
    return start


def over_runs(parts: list[Array], window: Window, join: Combine, empty: Sequence[float]) -> list[Array]:
    """Arrays that are padded already, reduced by an associative operation on all of them, whose identity is `empty`."""
    outputs, fills = window.output_size(parts[0].shape[1:-1]), [np.asarray(e, p.dtype) for e, p in zip(empty, parts)]
    for axis in reversed(range(window.rank)):
        how = (window.size[axis], window.stride[axis], window.dilation[axis], outputs[axis])
        parts = doubled_in_turn(parts, axis + 1, *how, join, fills)
    return parts


def _added(patches: Array, window: Window, space: Sequence[int]) -> Array:
    """`fold` of a resolved window: each tap's outputs spread `stride` apart, shifted to their pixels and summed."""
    return placed(_spread_back, patches, window=window, space=space)


def _spread_back(patches: Array, window: Window, space: Sequence[int]) -> Array:
    rank = window.rank
    if max(window.size) > LONG:
        return _adjoint(patches, window, tuple(space))
    x = widened(patches).reshape(*patches.shape[: rank + 1], *window.size, patches.shape[-1])
    zero = np.zeros((), x.dtype)
    for axis in reversed(range(rank)):
        n, o, s, d = space[axis], x.shape[axis + 1], window.stride[axis], window.dilation[axis]
        pieces = []
        for t in range(window.size[axis]):
            low = t * d - window.padding[axis][0]
            high = n - low - ((o - 1) * s + 1)
            config = [(0, 0, 0)] * (x.ndim - 1)
            config[axis + 1] = (max(low, 0), max(high, 0), s - 1)
            spread = lax.pad(lax.index_in_dim(x, t, -2, keepdims=False), zero, config)
            # cropped apart: XLA (0.10.2) dies of a negative pad between spread pixels on an axis split over devices
            pieces.append(lax.slice_in_dim(spread, max(-low, 0), max(-low, 0) + n, axis=axis + 1))
        x = sum(pieces[1:], start=pieces[0])  # (n, o, …, n_axis, k, …, c)
    return x.astype(patches.dtype)


@partial(jax.jit, static_argnums=(1, 2))
def _adjoint(patches: Array, window: Window, space: tuple[int, ...]) -> Array:
    """`_spread_back` where windows have many taps: what is laid side by side there is taken apart again."""
    wide = widened(patches)
    image = jax.ShapeDtypeStruct((patches.shape[0], *space, patches.shape[-1]), wide.dtype)
    return jax.linear_transpose(lambda x: _taps(x, window), image)(wide)[0].astype(patches.dtype)
