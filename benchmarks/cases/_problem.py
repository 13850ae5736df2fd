"""`Problem`: one operation of a network that is no convolution, as the same function on three libraries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from math import prod
from typing import Any, Literal, get_args

import numpy as np

Pass = Literal["forward", "training"]
PASSES: tuple[Pass, ...] = get_args(Pass)


@dataclass(frozen=True)
class Layer:
    """`network/layer`, its family and its problem in words: what a record keeps of a `Problem`."""

    name: str
    family: str
    shape: str

    def __str__(self) -> str:
        """The problem in words."""
        return self.shape


@dataclass(frozen=True)
class Problem:
    """Operands of these shapes (channels last; a second one holds points for `grid_sample`) and who computes with them.

    `plain` is what a user writes with jax and flax alone, None where that is nothing; `torch` takes `torch.nn.functional` and
    tensors, channels first. `bound` is the error allowed, relative to the largest value.
    """

    layer: Layer
    shapes: tuple[tuple[int, ...], ...]
    ours: Callable[..., Any]
    plain: Callable[..., Any] | None
    torch: Callable[..., Any] | None
    bound: float
    quick: bool = False

    def operands(self, seed: int = 0) -> tuple[np.ndarray, ...]:
        """Independent normal numbers; points on a regular grid, each moved by a little."""
        rng = np.random.default_rng(seed)
        x = rng.standard_normal(self.shapes[0], np.float32)
        return (x, *(_points(shape, rng) for shape in self.shapes[1:]))

    @property
    def elements(self) -> int:
        """Numbers that go in."""
        return sum(map(prod, self.shapes))


def select(table: Sequence[Problem], *, quick: bool, families: Sequence[str], pattern: str) -> tuple[Problem, ...]:
    """The problems whose name matches the shell pattern, of the given families where any are given.

    Raises: ValueError if none is left.
    """
    chosen = tuple(p for p in table if fnmatch(p.layer.name, pattern) and (p.quick or not quick))
    chosen = tuple(p for p in chosen if not families or p.layer.family in families)
    if not chosen:
        raise ValueError(f"select: no case matches {pattern!r} in the families {', '.join(families) or 'of the table'}")
    return chosen


def by(sizes: Sequence[int]) -> str:
    """`3×3`."""
    return "×".join(map(str, sizes))


def _points(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    n, h, w, _ = shape
    lines = [(2 * np.arange(size) + 1) / size - 1 for size in (h, w)]
    grid = np.stack(np.meshgrid(*lines, indexing="ij"), -1)
    return (np.broadcast_to(grid, (n, h, w, 2)) + 0.05 * rng.standard_normal(shape)).astype(np.float32)
