"""Average pooling, back: `avg_unpool`, also 1d, 2d and 3d.

    x[p] = mean of y[o] over the outputs o whose windows see pixel p          0 where none does

Every output is laid over the pixels of its window, and where windows overlap their mean is taken: constants stay constant, and
`avg_pool` of the result gives y back where windows do not overlap. There it is the adjoint (the gradient) of `avg_pool` times
the window's pixels; the adjoint of any pool is `jax.linear_transpose` of it.
"""

from collections.abc import Sequence

import jax.numpy as jnp  # noqa: F401 (the examples)
import numpy as np
from jax import Array
from jaxtyping import Float

from jaxcnn.geometry import Padding, Window, adjoint_window, per_axis

from . import _check
from ._pool import outer
from ._widened import widened
from .engine import spread, whole

Ints = int | Sequence[int]


def avg_unpool(
    y: Float[Array, "n *outputs c"],
    window: Ints,
    *,
    output_size: Ints | None = None,
    stride: Ints | None = None,
    padding: Padding = "valid",
    dilation: Ints = 1,
    ceil_mode: bool = False,
) -> Float[Array, "n *output_size c"]:
    """Spreads each output of an average pool over its window. Sums of 16-bit floats are accumulated in float32.

    Args:
        window, stride, padding, dilation, ceil_mode: those of the pool, as in `avg_pool`.
        output_size: spatial size of the result; None is the smallest image with full windows that pools to y (the largest,
            `outputs · stride`, with padding "same").

    Raises: ValueError for numbers that do not fit and an output size that does not pool to y's, TypeError for integers.

    >>> avg_unpool(jnp.array([3.0, 1])[None, :, None], 2)[0, :, 0].tolist()
    [3.0, 3.0, 1.0, 1.0]
    >>> avg_unpool(jnp.array([3.0, 1])[None, :, None], 3, stride=2)[0, :, 0].tolist()
    [3.0, 3.0, 2.0, 1.0, 1.0]
    """
    y = _check.images("avg_unpool", y, what="y")
    _check.floating("avg_unpool", y, "y")
    full, space = _resolve(y, window, output_size, stride, padding, dilation, ceil_mode)
    total = spread(whole(widened(y)), full, space)
    counts = [np.maximum(_seen_by(full, space, axis), 1) for axis in range(full.rank)]
    return (total / outer(counts, total.dtype)).astype(y.dtype)


avg_unpool1d, avg_unpool2d, avg_unpool3d = (_check.ranked(avg_unpool, rank, what="y") for rank in (1, 2, 3))


def _resolve(y, window, output_size, stride, padding, dilation, ceil_mode) -> tuple[Window, tuple[int, ...]]:
    """The pool's window and the size of its image."""
    outputs, name = y.shape[1:-1], "avg_unpool"
    size = per_axis(window, len(outputs), what="window size", name=name, least=1)
    options = {"stride": size if stride is None else stride, "padding": padding, "dilation": dilation, "name": name}
    if output_size is None:
        with _check.named(name, name, kernel="window"):
            return adjoint_window(size, outputs, **options)
    space = per_axis(output_size, len(outputs), what="output_size", name=name, least=1)
    full = Window.resolve(size, space, ceil_mode=ceil_mode, **options)
    if full.output_size(space) != outputs:
        raise ValueError(
            f"{name}: output_size={space} pools to {full.output_size(space)} outputs, but y is {_check.describe(y)}"
        )
    return full, space


def _seen_by(window: Window, space: Sequence[int], axis: int) -> np.ndarray:
    """How many outputs see each pixel of an axis: as many as begin at most a window before it, in steps of the dilation."""
    n, outputs, (low, _) = space[axis], window.output_size(space)[axis], window.padding[axis]
    k, s, d = window.size[axis], window.stride[axis], window.dilation[axis]
    room = -(-(n + low + k * d + outputs * s) // d) * d  # in front k windows' reach of nothing, behind enough for all
    begins = np.zeros(k * d + room, int)
    begins[k * d + np.arange(outputs) * s] = 1
    begun = begins.reshape(-1, d).cumsum(0).ravel()  # at this pixel and every d-th before it
    at = k * d + low + np.arange(n)
    return begun[at] - begun[at - k * d]
