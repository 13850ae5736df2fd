"""How fast are long windows and long lines, beside PyTorch's: pools of 1,000 samples on 48,000, windows of sound, resampling?

    python -m benchmarks.long_lines [--quick] [--case 'max*'] [--direction forward] [--json FILE]

A window of k samples at stride 1 costs about log₂ k operations a sample here and k in PyTorch. Times to trace and to compile
are in the records, and how much memory a program takes beside its operands and results (`temp_bytes`).
"""

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import tyro

from jaxcnn import functional as F

from .cases._problem import Layer, Problem, by
from .measure import rounding_bound
from .operations import Options, run

LINE, BATCH, PLANE = (1, 48_000, 1), (8, 16_000, 4), (1, 512, 512, 4)


def problem(
    name: str,
    x: tuple[int, ...],
    terms: int,
    ours: Callable[..., Any],
    torch: Callable[..., Any] | None,
    quick: bool = False,
) -> Problem:
    """A row; an output has that many terms, which bounds its rounding."""
    family = name.partition("/")[0]
    bound = 4 * rounding_bound(terms, "float32", "cpu")  # of both rivals, and of two passes
    return Problem(Layer(name, family, f"{by(x)} · {name.partition('/')[2]}"), (x,), ours, None, torch, bound, quick)


def pools(x: tuple[int, ...], k: int, stride: int, quick: bool = False) -> list[Problem]:
    """Maximum and mean."""
    rank, terms = len(x) - 2, k ** (len(x) - 2)
    words = f"{k} /{stride} on {by(x)}"
    of = lambda name: lambda T, v: getattr(T, f"{name}_pool{rank}d")(v, k, stride)
    return [
        problem(f"max/{words}", x, terms, partial(F.max_pool, window=k, stride=stride), of("max"), quick),
        problem(f"average/{words}", x, terms, partial(F.avg_pool, window=k, stride=stride), of("avg"), quick),
    ]


def resized(n: int, m: int, method: str = "linear", quick: bool = False, **options: bool) -> Problem:
    """A line of another length; PyTorch has only these methods for lines, and no antialiasing."""
    theirs = (lambda T, v: T.interpolate(v, m, mode=method)) if method in ("linear", "area") and not options else None
    words = f"resize/{method}{''.join(' ' + word for word in options)} {n} → {m}"
    ours = partial(F.resize, output_size=m, method=method, **options)
    return problem(words, (1, n, 1), 2 + 4 * max(n, m) // min(n, m), lambda v: ours(v), theirs, quick)


def unfolded(x: tuple[int, ...], k: int, stride: int, quick: bool = False) -> Problem:
    """Windows as an axis, copied."""
    ours = partial(F.unfold, window=k, stride=stride)
    name = f"unfold/{k} /{stride} on {by(x)}"
    return problem(name, x, k, ours, lambda T, v: v.unfold(2, k, stride).contiguous(), quick)


TABLE = (
    *pools((1, 2_000, 1), 100, 1, quick=True),
    *pools(LINE, 1_000, 1),
    *pools(LINE, 4_800, 1),
    *pools(LINE, 1_000, 500),
    *pools(BATCH, 400, 160),
    *pools(PLANE, 65, 1),
    problem("soft/1000 /1", LINE, 1_000, lambda v: F.soft_pool(v, 1_000, stride=1), None),
    problem("lp/3 of 1000 /1", LINE, 1_000, lambda v: F.lp_pool(v, 3, 1_000, stride=1), None),
    problem("adaptive/→ 7", LINE, 6_858, lambda v: F.adaptive_avg_pool(v, 7), lambda T, v: T.adaptive_avg_pool1d(v, 7)),
    unfolded((1, 16_000, 1), 400, 1),
    unfolded(LINE, 1_000, 160),
    resized(200, 300, quick=True),
    resized(160_000, 480_000),
    resized(8_000, 16_000, antialias=True),
    resized(48_000, 7, "area"),
    resized(7, 48_000),
)


if __name__ == "__main__":
    sys.exit(run("long_lines", TABLE, tyro.cli(Options, description=__doc__)))
