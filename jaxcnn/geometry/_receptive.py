"""Receptive fields: which pixels of the image a unit deep in a network sees.

Along one axis unit `i` sees pixels `start + i · jump … start + i · jump + size − 1`. A window with span k, stride s and low
padding p turns (size, jump, start) into

    size + (k − 1) · jump,    jump · s,    start − p · jump

After a transposed convolution what a unit sees depends on its place modulo a period P: unit `P · u + p` sees what unit p sees,
`u · jump` further. Windows over such units see from the first pixel of theirs to the last.

Reference: Araujo, Norris & Sim, Computing receptive fields of convolutional neural networks (Distill, 2019).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from graphlib import CycleError, TopologicalSorter
from math import gcd, lcm
from typing import NamedTuple

from ._window import Transposed, Window

Span = tuple[int, int]  # first pixel, how many


@dataclass(frozen=True)
class ReceptiveField:
    """Receptive field of a layer: one entry a spatial axis, in pixels of the input image.

    Where units see differently, `phases` has for each axis first pixel and size of each unit of a period, `jump` is the step of
    a whole period, `size` the largest and `start` the least; a unit that no input reaches has size 0.

    >>> two = chain([Window.resolve(3, (32, 32)), Window.resolve(3, (30, 30))])
    >>> two.size, two.jump
    ((5, 5), (1, 1))
    >>> enlarged = two.through(Window.resolve(3, (56, 56), stride=2).transposed((56, 56)))
    >>> enlarged.size, enlarged.jump, enlarged.phases[0]
    ((6, 6), (1, 1), ((-1, 6), (0, 5)))
    """

    size: tuple[int, ...]
    jump: tuple[int, ...]
    start: tuple[int, ...]
    phases: tuple[tuple[Span, ...], ...] = field(default=(), kw_only=True)

    @classmethod
    def of_pixel(cls, rank: int) -> "ReceptiveField":
        """The image itself: each pixel sees itself."""
        return cls((1,) * rank, (1,) * rank, (0,) * rank)

    @property
    def step(self) -> tuple[Fraction, ...]:
        """Pixels from a unit to the next, on average over a period."""
        return tuple(Fraction(axis.jump, len(axis.spans)) for axis in self._axes())

    def through(self, window: Window | Transposed) -> "ReceptiveField":
        """Receptive field of the outputs of `window` over units that have this one.

        Raises: ValueError if the window has another number of axes.
        """
        inner, axes = _inner(window), self._axes()
        if inner.rank != len(self.size):
            raise ValueError(
                f"ReceptiveField.through: a window of {inner.rank} axes cannot follow a field of {len(self.size)}"
            )
        if isinstance(window, Transposed):
            axes = [axis.spread(apart) for axis, apart in zip(axes, window.input_dilation)]
        return _field([axis.through(inner, number) for number, axis in enumerate(axes)])

    def union(self, other: "ReceptiveField") -> "ReceptiveField":
        """Receptive field of units added or concatenated from two branches.

        Raises: ValueError if the branches do not step alike (their unit i does not lie at the same place).
        """
        if self.step != other.step:
            steps = (f"({', '.join(map(str, branch.step))})" for branch in (self, other))
            raise ValueError(
                f"ReceptiveField.union: branches step {' and '.join(steps)} pixels a unit; "
                "merged branches need the same step"
            )
        return _field([axis.union(beside) for axis, beside in zip(self._axes(), other._axes())])

    def first(self, unit: Sequence[int]) -> tuple[int, ...]:
        """First pixel that `unit` sees on each axis; negative inside the padding."""
        return tuple(axis.span(i)[0] for axis, i in zip(self._axes(), unit, strict=True))

    def last(self, unit: Sequence[int]) -> tuple[int, ...]:
        """Last pixel that `unit` sees on each axis; the image's size and more inside the padding."""
        return tuple(sum(axis.span(i)) - 1 for axis, i in zip(self._axes(), unit, strict=True))

    def _axes(self) -> "list[_Axis]":
        spans = self.phases or tuple((one,) for one in zip(self.start, self.size))
        return [_Axis(*axis) for axis in zip(spans, self.jump)]


class _Axis(NamedTuple):
    """One axis: what the units of a period see, and how much further those of the next one do."""

    spans: tuple[Span, ...]
    jump: int

    def span(self, unit: int) -> Span:
        turns, phase = divmod(unit, len(self.spans))
        first, size = self.spans[phase]
        return first + turns * self.jump, size

    def through(self, window: Window, axis: int) -> "_Axis":
        period, stride = len(self.spans), window.stride[axis]
        count = period // gcd(period, stride)
        spans = [_hull(map(self.span, window.pixels(axis, output))) for output in range(count)]
        return _Axis(tuple(spans), self.jump * stride * count // period)

    def spread(self, apart: int) -> "_Axis":
        """The units so far apart, and between them some that see nothing."""
        return _Axis(tuple(span for one in self.spans for span in (one, *[(0, 0)] * (apart - 1))), self.jump)

    def union(self, other: "_Axis") -> "_Axis":
        period = lcm(len(self.spans), len(other.spans))
        spans = [_hull((self.span(unit), other.span(unit))) for unit in range(period)]
        return _Axis(tuple(spans), self.jump * period // len(self.spans))

    def shortest(self) -> "_Axis":
        """The same with the shortest period."""
        period = len(self.spans)
        for part in (part for part in range(1, period) if not period % part and not self.jump * part % period):
            axis = _Axis(self.spans[:part], self.jump * part // period)
            if all(_hull([axis.span(unit)]) == self.spans[unit] for unit in range(period)):
                return axis
        return self


def _inner(window: Window | Transposed) -> Window:
    return window.window if isinstance(window, Transposed) else window


def _hull(spans: Iterable[Span]) -> Span:
    """From the first pixel that one of them has to the last; (0, 0) if none has any."""
    spans = [span for span in spans if span[1]]
    first = min((a for a, _ in spans), default=0)
    return first, max((a + n for a, n in spans), default=0) - first


def _field(axes: Sequence[_Axis]) -> ReceptiveField:
    axes = [axis.shortest() for axis in axes]
    phases = tuple(axis.spans for axis in axes)
    size = tuple(max(n for _, n in spans) for spans in phases)
    start = tuple(min((a for a, n in spans if n), default=0) for spans in phases)
    together = all(len(spans) == 1 for spans in phases)
    return ReceptiveField(size, tuple(axis.jump for axis in axes), start, phases=() if together else phases)


def chain(windows: Iterable[Window | Transposed]) -> ReceptiveField:
    """Receptive field after the windows in order.

    Raises: ValueError if there is none.

    >>> chain([Window.resolve(3, (32, 32))] * 4).size
    (9, 9)
    """
    windows = list(windows)
    if not windows:
        raise ValueError("chain: no window given; ReceptiveField.of_pixel(rank) is the field of no layer")
    seen = ReceptiveField.of_pixel(_inner(windows[0]).rank)
    for window in windows:
        seen = seen.through(window)
    return seen


@dataclass(frozen=True)
class Node:
    """One layer of a graph: the names it reads (merged elementwise) and the window it applies, None for none."""

    inputs: tuple[str, ...]
    window: Window | Transposed | None = None

    def __post_init__(self) -> None:
        if isinstance(self.inputs, str):
            raise TypeError(f"Node: inputs={self.inputs!r} is one name; write ({self.inputs!r},)")


def graph(nodes: Mapping[str, Node], *, rank: int = 2, source: str = "image") -> dict[str, ReceptiveField]:
    """Receptive field of every node of a directed acyclic graph with branches, the image under the name `source`.

    Raises: ValueError for a cycle, an unknown input name, or branches that do not step alike.

    >>> block = {"conv": Node(("image",), Window.resolve(3, (8, 8), padding=1)), "sum": Node(("image", "conv"))}
    >>> graph(block)["sum"]
    ReceptiveField(size=(3, 3), jump=(1, 1), start=(-1, -1), phases=())
    """
    for name, node in nodes.items():
        if not node.inputs:
            raise ValueError(f'graph: node "{name}" reads nothing; name the node or the source "{source}" below it')
        for read in node.inputs:
            if read != source and read not in nodes:
                raise ValueError(
                    f'graph: node "{name}" reads "{read}", which is neither a node nor the source "{source}"'
                )
    try:
        order = list(TopologicalSorter({name: node.inputs for name, node in nodes.items()}).static_order())
    except CycleError as error:
        raise ValueError(f"graph: the nodes {' -> '.join(error.args[1])} form a cycle; a network must not") from None
    fields = {source: ReceptiveField.of_pixel(rank)}
    for name in order:
        if name != source:
            fields[name] = _merge(nodes[name], fields)
    return fields


def _merge(node: Node, fields: Mapping[str, ReceptiveField]) -> ReceptiveField:
    first, *rest = (fields[name] for name in node.inputs)
    for other in rest:
        first = first.union(other)
    return first.through(node.window) if node.window else first
