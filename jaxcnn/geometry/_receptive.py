"""Receptive fields: which pixels of the image a unit deep in a network sees.

Along one axis unit `i` sees pixels `start + i · jump … start + i · jump + size − 1`. A window with span k, stride s and low
padding p turns (size, jump, start) into

    size + (k − 1) · jump,    jump · s,    start − p · jump

Reference: Araujo, Norris & Sim, Computing receptive fields of convolutional neural networks (Distill, 2019).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter

from ._window import Window


@dataclass(frozen=True)
class ReceptiveField:
    """Receptive field of a layer: one entry a spatial axis, in pixels of the input image.

    >>> two = chain([Window.resolve(3, (32, 32)), Window.resolve(3, (30, 30))])
    >>> two.size, two.jump
    ((5, 5), (1, 1))
    """

    size: tuple[int, ...]
    jump: tuple[int, ...]
    start: tuple[int, ...]

    @classmethod
    def of_pixel(cls, rank: int) -> "ReceptiveField":
        """The image itself: each pixel sees itself."""
        return cls((1,) * rank, (1,) * rank, (0,) * rank)

    def through(self, window: Window) -> "ReceptiveField":
        """Receptive field of the outputs of `window` over units that have this one.

        Raises: ValueError if the window has another number of axes.
        """
        if window.rank != len(self.size):
            raise ValueError(
                f"ReceptiveField.through: a window of {window.rank} axes cannot follow a field of {len(self.size)}"
            )
        return ReceptiveField(
            tuple(r + (k - 1) * j for r, k, j in zip(self.size, window.span, self.jump)),
            tuple(j * s for j, s in zip(self.jump, window.stride)),
            tuple(a - low * j for a, (low, _), j in zip(self.start, window.padding, self.jump)),
        )

    def union(self, other: "ReceptiveField") -> "ReceptiveField":
        """Receptive field of units added or concatenated from two branches.

        Raises: ValueError if the branches do not step alike (their unit i does not lie at the same place).
        """
        if self.jump != other.jump:
            raise ValueError(
                f"ReceptiveField.union: branches step {self.jump} and {other.jump} pixels a unit; "
                "merged branches need the same step"
            )
        start = tuple(map(min, self.start, other.start))
        end = map(max, map(sum, zip(self.start, self.size)), map(sum, zip(other.start, other.size)))
        return ReceptiveField(tuple(e - a for e, a in zip(end, start)), self.jump, start)

    def first(self, unit: Sequence[int]) -> tuple[int, ...]:
        """First pixel that `unit` sees on each axis; negative inside the padding."""
        return tuple(a + i * j for a, i, j in zip(self.start, unit, self.jump, strict=True))

    def last(self, unit: Sequence[int]) -> tuple[int, ...]:
        """Last pixel that `unit` sees on each axis; the image's size and more inside the padding."""
        return tuple(a + r - 1 for a, r in zip(self.first(unit), self.size))


def chain(windows: Iterable[Window]) -> ReceptiveField:
    """Receptive field after the windows in order.

    Raises: ValueError if there is none.

    >>> chain([Window.resolve(3, (32, 32))] * 4).size
    (9, 9)
    """
    windows = list(windows)
    if not windows:
        raise ValueError("chain: no window given; ReceptiveField.of_pixel(rank) is the field of no layer")
    field = ReceptiveField.of_pixel(windows[0].rank)
    for window in windows:
        field = field.through(window)
    return field


@dataclass(frozen=True)
class Node:
    """One layer of a graph: the names it reads (merged elementwise) and the window it applies, None for none."""

    inputs: tuple[str, ...]
    window: Window | None = None

    def __post_init__(self) -> None:
        if isinstance(self.inputs, str):
            raise TypeError(f"Node: inputs={self.inputs!r} is one name; write ({self.inputs!r},)")


def graph(nodes: Mapping[str, Node], *, rank: int = 2, source: str = "image") -> dict[str, ReceptiveField]:
    """Receptive field of every node of a directed acyclic graph with branches, the image under the name `source`.

    Raises: ValueError for a cycle, an unknown input name, or branches that do not step alike.

    >>> block = {"conv": Node(("image",), Window.resolve(3, (8, 8), padding=1)), "sum": Node(("image", "conv"))}
    >>> graph(block)["sum"]
    ReceptiveField(size=(3, 3), jump=(1, 1), start=(-1, -1))
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
    for field in rest:
        first = first.union(field)
    return first.through(node.window) if node.window else first
