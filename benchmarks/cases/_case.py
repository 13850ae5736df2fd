"""`Case`: one convolution of one network at one batch size, in plain integers.

A transposed case is stored as what it is the adjoint of: with W the window of the ordinary convolution from the large map to
the small one, the case carries `x` (the small map) to `y` (the large one) and its kernel is `(*size, c_out // groups, c_in)`.

A direct evaluation takes `multiply_adds` products, the same number in each of the three directions; each result is a sum of
`contraction(direction)` of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal, get_args

from jaxcnn.geometry import Padding, Window, conv_counts, per_axis

Family = Literal["dense", "pointwise", "depthwise", "grouped", "transposed", "1d", "3d"]
Direction = Literal["forward", "input_grad", "kernel_grad"]
FAMILIES: tuple[Family, ...] = get_args(Family)
DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


@dataclass(frozen=True)
class Case:
    """`network/layer/bN`, its arrays' shapes (channels last) and its options, an entry an axis."""

    name: str
    network: str
    layer: str
    family: Family
    x: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    output_padding: tuple[int, ...]

    @property
    def transposed(self) -> bool:
        """Whether this is the adjoint of a convolution."""
        return self.family == "transposed"

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.x) - 2

    @cached_property
    def window(self) -> Window:
        """The window of the convolution, of the one whose adjoint this is for a transposed case."""
        return Window(self.kernel[:-2], self.stride, self.padding, self.dilation)

    @property
    def large(self) -> tuple[int, ...]:
        """Pixels of the map that the window slides over: the input, the output of a transposed case."""
        if not self.transposed:
            return self.x[1:-1]
        axes = zip(self.x[1:-1], self.stride, self.window.span, self.padding, self.output_padding)
        return tuple((n - 1) * s + span - low - high + extra for n, s, span, (low, high), extra in axes)

    @cached_property
    def y(self) -> tuple[int, ...]:
        """Shape of the result."""
        if self.transposed:
            return (self.x[0], *self.large, self.kernel[-2] * self.groups)
        return (self.x[0], *self.window.output_size(self.large), self.kernel[-1])

    @property
    def multiply_adds(self) -> int:
        """Products of a direct evaluation, taps on the padding counted."""
        c_in, c_out = self.kernel[-2] * self.groups, self.kernel[-1]
        counts = conv_counts(self.window, self.large, c_in, c_out, groups=self.groups, bias=False, batch=self.x[0])
        return counts.multiply_adds

    @property
    def elements(self) -> int:
        """Numbers that go in and come out: x, kernel and y (or their gradients, of the same shapes)."""
        return prod(self.x) + prod(self.kernel) + prod(self.y)

    def contraction(self, direction: Direction) -> int:
        """How many products the largest sum of a result has."""
        if direction == "kernel_grad":
            return prod((self.x if self.transposed else self.y)[:-1])
        narrow = (direction == "forward") != self.transposed  # contracts c_in of the ordinary convolution
        return self.window.taps * (self.kernel[-2] if narrow else self.kernel[-1] // self.groups)

    def __str__(self) -> str:
        """`32×56×56×64 · 3×3→64 /2`: the input, the kernel with its output channels, then what is not the default."""
        text = f"{'×'.join(map(str, self.x))} · {'×'.join(map(str, self.kernel[:-2]))}→{self.y[-1]}"
        options = (("/", self.stride), ("d", self.dilation), ("g", (self.groups,)))
        return text + "".join(f" {mark}{max(value)}" for mark, value in options if max(value) > 1)


def layer(
    network: str,
    name: str,
    family: Family,
    space: Sequence[int],
    kernel: tuple[int, ...],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    output_padding: int | Sequence[int] = 0,
    batch: int = 32,
) -> tuple[Case, ...]:
    """One layer as two cases, of one image and of `batch`; the channels of x follow from the kernel.

    Padding of a transposed layer is an int or pairs: that of the convolution whose adjoint it is.
    """
    rank, size = len(space), kernel[:-2]
    options = {"name": f"{network}/{name}", "least": 1}
    strides = per_axis(stride, rank, what="stride", **options)
    extra = per_axis(output_padding, rank, what="output_padding", name=options["name"], least=0)
    if family == "transposed":
        channels, image = kernel[-1], [n * s + k for n, s, k in zip(space, strides, size)]  # large enough to resolve on
    else:
        channels, image = kernel[-2] * groups, list(space)
    window = Window.resolve(size, image, stride=strides, padding=padding, dilation=dilation, name=options["name"])
    arguments = (kernel, strides, window.padding, window.dilation, groups, extra)
    return tuple(
        Case(f"{network}/{name}/b{images}", network, name, family, (images, *space, channels), *arguments)
        for images in sorted({1, batch})
    )
