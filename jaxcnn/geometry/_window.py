"""`Window`: which pixels each output of a convolution or pooling sees, in plain integers.

Output `o` of an axis sees, for tap `t = 0 … size − 1`, pixel

    o · stride − low + t · dilation

so with `span = (size − 1) · dilation + 1` there are `⌊(n + low + high − span) / stride⌋ + 1` outputs. Every string padding,
`int` and ceil mode is resolved here, once; nothing below ever sees them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import index

from ._padding import RULES

Pair = tuple[int, int]
Padding = str | int | Sequence[str | int | Sequence[int]]


@dataclass(frozen=True)
class Window:
    """A window per spatial axis: size, stride, padding pairs and dilation, each one entry an axis.

    Build it with `Window.resolve`, which checks what a user wrote; the constructor takes resolved integers. Negative padding
    crops the image; transposing a window can make it so, too.

    >>> Window.resolve(3, (6, 6), padding="same")
    Window(size=(3, 3), stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1))
    """

    size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[Pair, ...]
    dilation: tuple[int, ...]

    @classmethod
    def resolve(
        cls,
        size: int | Sequence[int],
        space: Sequence[int],
        *,
        stride: int | Sequence[int] = 1,
        padding: Padding = "valid",
        dilation: int | Sequence[int] = 1,
        ceil_mode: bool = False,
        name: str = "Window",
    ) -> "Window":
        """The window that a user's words mean on an image of `space` pixels.

        `padding` is a rule's name ("same", "valid", "full", "causal"; case does not matter), an int for every side, or one
        entry an axis: an int, a `(low, high)` pair or a name; a negative number crops. `ceil_mode` keeps the ragged edge: the
        last window may run over the padded image but must start inside the image or its low padding (PyTorch's rule).

        Raises: ValueError or TypeError, one line that begins with `name`, if a number is out of range, an entry is missing
        or the window is larger than the padded image.

        >>> Window.resolve(2, (7,), stride=2, ceil_mode=True).output_size((7,))
        (4,)
        """
        if not isinstance(space, Sequence):
            raise TypeError(f"{name}: space={space!r} must be the image's size, one int an axis")
        rank, space = len(space), per_axis(space, len(space), what="space", name=name, least=1)
        size = per_axis(size, rank, what="window size", name=name, least=1)
        stride = per_axis(stride, rank, what="stride", name=name, least=1)
        dilation = per_axis(dilation, rank, what="dilation", name=name, least=1)
        spans = tuple((k - 1) * d + 1 for k, d in zip(size, dilation))
        pairs = _padding_pairs(padding, space, spans, stride, name)
        for axis, (n, k, (low, high)) in enumerate(zip(space, spans, pairs)):
            if n + min(low, 0) + min(high, 0) < 1:
                raise ValueError(
                    f"{name}: padding ({low}, {high}) crops spatial axis {axis} of {n} pixels to nothing; crop by less"
                )
            if k > n + low + high:
                raise ValueError(
                    f"{name}: window {size} (dilation {dilation}) spans {k} pixels on spatial axis {axis}, which has {n} "
                    f"and padding ({low}, {high}); use a smaller window or more padding"
                )
        if ceil_mode:
            pairs = tuple(_ceil(*axis) for axis in zip(space, spans, stride, pairs))
        return cls(size, stride, pairs, dilation)

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.size)

    @property
    def span(self) -> tuple[int, ...]:
        """Pixels from the first tap to the last, both counted."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.size, self.dilation))

    @property
    def taps(self) -> int:
        """Taps in all: the product of the sizes."""
        total = 1
        for k in self.size:
            total *= k
        return total

    def output_size(self, space: Sequence[int]) -> tuple[int, ...]:
        """Outputs per axis on an image of `space` pixels; 0 where the window does not fit.

        >>> Window.resolve(3, (5, 7), stride=2, padding="same").output_size((5, 7))
        (3, 4)
        """
        if len(space) != self.rank:
            raise ValueError(f"Window: space={tuple(space)} has {len(space)} axes; the window has {self.rank}")
        fits = zip(space, self.span, self.stride, self.padding)
        return tuple(max((n + low + high - k) // s + 1, 0) for n, k, s, (low, high) in fits)

    def pixels(self, axis: int, output: int) -> range:
        """Pixels that `output` sees on one axis, padding included (negative, or `n` and more).

        >>> list(Window.resolve(3, (7,), stride=2, padding=1, dilation=2).pixels(0, 0))
        [-1, 1, 3]
        """
        first = output * self.stride[axis] - self.padding[axis][0]
        return range(first, first + self.span[axis], self.dilation[axis])

    def overlap(self, space: Sequence[int], border: Sequence[Pair] | None = None) -> list[list[int]]:
        """For each axis and output: how many taps lie on the image, widened by `border` (none by default).

        >>> Window.resolve(3, (4,), padding=1).overlap((4,))
        [[2, 3, 3, 2]]
        """
        border = tuple(border or ((0, 0),) * self.rank)
        return [list(_overlap(self, axis, n, *pair)) for axis, (n, pair) in enumerate(zip(space, border))]

    def along(self, axis: int) -> "Window":
        """The window of one axis alone: one pixel on the others, without padding.

        >>> Window.resolve((3, 2), (6, 6)).along(1)
        Window(size=(1, 2), stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1))
        """
        only = lambda entries, rest: tuple(e if a == axis else rest for a, e in enumerate(entries))
        return Window(only(self.size, 1), only(self.stride, 1), only(self.padding, (0, 0)), only(self.dilation, 1))

    def unpadded(self, *axes: int) -> "Window":
        """The window on an image that has the padding of these axes already, or of all where none is named.

        >>> Window.resolve(3, (6, 6), padding=1).unpadded(0).padding
        ((0, 0), (1, 1))
        """
        axes = axes or tuple(range(self.rank))
        pairs = tuple((0, 0) if axis in axes else pair for axis, pair in enumerate(self.padding))
        return Window(self.size, self.stride, pairs, self.dilation)

    def transposed(self, space: Sequence[int]) -> "Transposed":
        """The adjoint: the window that carries outputs back to an image of `space` pixels.

        The adjoint of a strided convolution is a convolution at stride 1 with the flipped kernel over the outputs spread
        `stride` apart: `input_dilation` says how far apart, the padding may be negative.
        """
        pairs = []
        for n, o, k, s, (low, _) in zip(space, self.output_size(space), self.span, self.stride, self.padding):
            before = k - 1 - low
            pairs.append((before, n + k - 1 - before - ((o - 1) * s + 1)))
        ones = (1,) * self.rank
        return Transposed(Window(self.size, ones, tuple(pairs), self.dilation), self.stride)


@lru_cache(256)
def _overlap(window: Window, axis: int, n: int, low: int, high: int) -> tuple[int, ...]:
    """How many taps of each output of an axis lie on pixels −low … n + high − 1."""
    k, s, d, before = window.size[axis], window.stride[axis], window.dilation[axis], window.padding[axis][0]
    outputs = max((n + sum(window.padding[axis]) - window.span[axis]) // s + 1, 0)
    # the outputs that lie within see all k taps; the others are counted from the first tap on the pixels to the last
    first = min(max(-(-(before - low) // s), 0), outputs)
    past = min(max((n + high + before - window.span[axis]) // s + 1, first), outputs)
    sees = lambda at: max(min(k - 1, (n + high - 1 - at) // d) - max(0, -((at + low) // d)) + 1, 0)
    border = lambda start, stop: (sees(o * s - before) for o in range(start, stop))
    return (*border(0, first), *(k,) * (past - first), *border(past, outputs))


@dataclass(frozen=True)
class Transposed:
    """A window at stride 1 over an input whose pixels lie `input_dilation` apart.

    >>> Window.resolve(3, (6,), stride=2, padding=1).transposed((6,)).output_size((3,))
    (6,)
    """

    window: Window
    input_dilation: tuple[int, ...]

    def output_size(self, space: Sequence[int]) -> tuple[int, ...]:
        """Pixels per axis reached from `space` inputs."""
        return self.window.output_size([(n - 1) * s + 1 for n, s in zip(space, self.input_dilation)])


def per_axis(value: int | Sequence[int], rank: int, *, what: str, name: str, least: int) -> tuple[int, ...]:
    """`value` as one int an axis: an int means every axis.

    Raises: TypeError if it is not an int or ints, ValueError if the length is wrong or an entry is below `least`.

    >>> per_axis(2, 3, what="stride", name="conv3d", least=1)
    (2, 2, 2)
    """
    or_ints, everywhere = (f" or {rank} ints", " on every axis") if rank > 1 else ("", "")
    one = not isinstance(value, Iterable) or getattr(value, "ndim", 1) == 0  # an array without axes is one number
    try:
        entries = tuple(index(v) for v in ((value,) * rank if one else value))  # type: ignore[union-attr]
    except TypeError:
        _refuse_traced(value, what, name)
        raise TypeError(f"{name}: {what}={value!r} must be an int{or_ints}") from None
    if len(entries) != rank:
        raise ValueError(
            f"{name}: {what}={value!r} has {len(entries)} entries; give an int or one for each of {rank} axes"
        )
    if any(v < least for v in entries):
        raise ValueError(f"{name}: {what}={value!r} must be at least {least}{everywhere}")
    return entries


def _padding_pairs(padding, space, spans, stride, name) -> tuple[Pair, ...]:
    rank = len(space)
    padding = _plain(padding, name)
    if isinstance(padding, str) or not isinstance(padding, Sequence):
        entries = (padding,) * rank
    else:
        entries = tuple(padding)
    if len(entries) != rank:
        raise ValueError(
            f"{name}: padding={padding!r} has {len(entries)} entries; give one for each of {rank} spatial axes"
        )
    return tuple(_pair(entry, padding, n, k, s, name) for entry, n, k, s in zip(entries, space, spans, stride))


def _plain(padding, name):
    """Arrays as numbers and lists of them."""
    _refuse_traced(padding, "padding", name)
    if isinstance(padding, (list, tuple)):
        return tuple(_plain(entry, name) for entry in padding)
    return padding.tolist() if hasattr(padding, "tolist") else padding


def _refuse_traced(value, what: str, name: str) -> None:
    """One line for numbers that JAX traces, whose classes are not known here: sizes are decided while it traces."""
    entries = value if isinstance(value, (list, tuple)) else (value,)
    if any(type(entry).__name__.endswith("Tracer") for entry in entries):
        raise TypeError(f"{name}: {what} is traced; it decides shapes, so it must be an int that is known") from None


def _pair(entry, padding, n, span, stride, name) -> Pair:
    words = ", ".join(f'"{word}"' for word in RULES)
    if isinstance(entry, str):
        if entry.lower() not in RULES:
            raise ValueError(
                f"{name}: padding={padding!r} is unknown; use {words}, an int, or one int or (low, high) an axis"
            )
        return RULES[entry.lower()](n, span, stride)
    try:
        low, high = (entry, entry) if not isinstance(entry, Sequence) else entry
        low, high = index(low), index(high)
    except (TypeError, ValueError):
        raise TypeError(
            f"{name}: padding={padding!r} must be {words}, an int, or one int or (low, high) an axis"
        ) from None
    return (low, high)


def _ceil(n, span, stride, pair) -> Pair:
    low, high = pair
    outputs = -(-(n + low + high - span) // stride) + 1
    if (outputs - 1) * stride >= n + low:  # this window would lie in the high padding alone
        outputs -= 1
    return (low, max(high, (outputs - 1) * stride + span - n - low))
