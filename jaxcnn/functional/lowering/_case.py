"""`Case`: one evaluation of the trilinear form, in plain hashable values, and the pieces every lowering is made of.

    T(x, kernel, g) = Σ_n Σ_o Σ_t Σ_i Σ_c  x[n, o · stride − low + t · dilation, i] · kernel[t, i, c] · g[n, o, c]

"conv" leaves out g and returns `y (n, *outputs, c_out)`, "input_grad" leaves out x and returns `dx (n, *space, c_in)`,
"kernel_grad" leaves out the kernel and returns `dk (*size, c_in // groups, c_out)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxcnn.geometry import Window

NEWER = jax.__version_info__ >= (0, 12)  # its XLA:CPU differs from 0.10.2's in what is fast
DIRECTIONS = ("conv", "input_grad", "kernel_grad")


@dataclass(frozen=True)
class Case:
    """Everything a lowering is chosen from: shapes, dtype, window, and where it will run.

    `partitioned` says that the program is split over devices by the compiler: a loop over the batch would gather it.
    """

    direction: str
    window: Window
    space: tuple[int, ...]
    n: int
    c_in: int
    c_out: int
    groups: int = 1
    dtype: str = "float32"
    platform: str = "cpu"
    partitioned: bool = False

    @property
    def outputs(self) -> tuple[int, ...]:
        """Output pixels per spatial axis."""
        return self.window.output_size(self.space)

    @property
    def positions(self) -> int:
        """Output pixels of the whole batch: rows of the matrix product."""
        return self.n * prod(self.outputs)

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return self.window.rank

    @property
    def taps(self) -> int:
        """Pixels of the window."""
        return self.window.taps

    @property
    def c_in_of_group(self) -> int:
        """Input channels that each output channel sees."""
        return self.c_in // self.groups

    @property
    def c_out_of_group(self) -> int:
        """Output channels that each input channel reaches."""
        return self.c_out // self.groups

    @property
    def x_shape(self) -> tuple[int, ...]:
        """Shape of the input."""
        return (self.n, *self.space, self.c_in)

    @property
    def y_shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        return (self.n, *self.outputs, self.c_out)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """Shape of the kernel."""
        return (*self.window.size, self.c_in_of_group, self.c_out)

    @property
    def multiply_adds(self) -> int:
        """By the direct count, taps on the padding included."""
        return prod(self.y_shape) * self.taps * self.c_in_of_group

    @property
    def result_dtype(self) -> str:
        """The operands' own; 8-bit integers are summed into 32 bits."""
        return "int32" if self.dtype in ("int8", "uint8") else self.dtype

    @property
    def widened(self) -> str:
        """The dtype to hand over: never an accumulator below float32. GPU and TPU widen 16-bit floats in their units."""
        in_units = self.platform != "cpu" and self.dtype in ("float16", "bfloat16")
        return self.result_dtype if in_units else self.adds_in

    @property
    def adds_in(self) -> str:
        """The dtype of sums outside the units of convolutions and products."""
        narrow = self.dtype in ("float16", "bfloat16") or self.dtype.startswith("float8")
        return "float32" if narrow else self.result_dtype

    @property
    def unit_stride(self) -> bool:
        """Whether every output lies next to the last."""
        return set(self.window.stride) == {1}

    def replace(self, **changes) -> "Case":
        """The case with other values."""
        return replace(self, **changes)


def adjoint(case: Case) -> Case:
    """At stride 1 the input gradient is a convolution: the flipped kernel over the outputs.

    Its window is `window.transposed(space)`, its input the outputs, its channels swapped inside every group.
    """
    window = case.window.transposed(case.space).window
    swap = {"space": case.outputs, "c_in": case.c_out, "c_out": case.c_in}
    return case.replace(direction="conv", window=window, **swap)


def adjoint_kernel(kernel: Array, case: Case) -> Array:
    """The kernel of `adjoint(case)`: flipped on every spatial axis, channels swapped inside every group."""
    if case.groups == 1:  # no axis of groups: XLA:CPU copies one more axis more slowly
        return jnp.flip(kernel, range(case.rank)).swapaxes(-1, -2)  # (*size, o, i)
    g, i, o = case.groups, case.c_in_of_group, case.c_out_of_group
    size = case.window.size
    split = jnp.flip(kernel, range(case.rank)).reshape(*size, i, g, o)  # (*size, i, g, o)
    return jnp.moveaxis(split, -1, case.rank).swapaxes(-1, -2).reshape(*size, o, g * i)  # (*size, o, g·i)


def padded(x: Array, window: Window) -> Array:
    """x with the window's padding, cropped where that is negative: `(n, *padded, c)`."""
    if not any(low or high for low, high in window.padding):
        return x
    widths = [(0, 0, 0), *((low, high, 0) for low, high in window.padding), (0, 0, 0)]
    return lax.pad(x, np.zeros((), x.dtype), widths)


def tap(x: Array, window: Window, at: Sequence[int], outputs: Sequence[int]) -> Array:
    """The pixel that every output sees through the tap `at` of an image that is padded already: `(n, *outputs, c)`."""
    start = [t * d for t, d in zip(at, window.dilation)]
    stop = [a + max(o - 1, 0) * s + min(o, 1) for a, o, s in zip(start, outputs, window.stride)]
    steps = [s if o > 1 else 1 for s, o in zip(window.stride, outputs)]  # as in `every`
    return lax.slice(x, (0, *start, 0), (x.shape[0], *stop, x.shape[-1]), (1, *steps, 1))


def weights(kernel: Array, at: Sequence[int], i: int) -> Array:
    """What a tap weighs channel i of each group for every output channel: `(1, …, 1, c_out)`."""
    return lax.expand_dims(kernel[(*at, i)], range(kernel.ndim - 1))


def every(x: Array, start: int, count: int, step: int, axis: int) -> Array:
    """`count` pixels of one axis from `start` on, `step` apart.

    One pixel has no step: XLA (jax 0.10.2 and 0.12) takes another pixel, or crashes, where the axis is split over devices.
    """
    return lax.slice_in_dim(x, start, start + (count - 1) * step + 1, step if count > 1 else 1, axis)


def every_tap(window: Window) -> list[tuple[int, ...]]:
    """The taps in the kernel's order."""
    return list(np.ndindex(window.size))
