"""Sizes of a transposed convolution: which image a window must have come from.

A convolution makes `⌊(m + low + high − span) / stride⌋ + 1 = n` outputs from several m; its adjoint must be told which. With
padding in numbers it is the smallest, plus `output_padding` (PyTorch's rule); with "same" it is the largest, `n · stride`:

    m = (n − 1) · stride − low − high + span + output_padding
"""

from collections.abc import Sequence

from ._padding import RULES
from ._window import Padding, Window, _padding_pairs, per_axis


def adjoint_window(
    size: Sequence[int],
    outputs: Sequence[int],
    *,
    stride: int | Sequence[int] = 1,
    padding: Padding = "same",
    output_padding: int | Sequence[int] = 0,
    output_size: int | Sequence[int] | None = None,
    dilation: int | Sequence[int] = 1,
    name: str = "adjoint_window",
) -> tuple[Window, tuple[int, ...]]:
    """The window of the convolution whose adjoint is asked for, and the size of its image.

    Args:
        outputs: pixels of the transposed convolution's input: outputs of the convolution.
        output_padding: pixels more than the smallest image, less than stride or dilation.
        output_size: the image's size outright; it must be one that the convolution takes to `outputs`.

    Raises: ValueError if the numbers do not fit, in one line that begins with `name`.

    >>> adjoint_window((4, 4), (4, 4), stride=2, padding=1)[1]
    (8, 8)
    """
    rank, size, outputs = len(outputs), tuple(size), tuple(outputs)
    stride = per_axis(stride, rank, what="stride", name=name, least=1)
    dilation = per_axis(dilation, rank, what="dilation", name=name, least=1)
    extra = per_axis(output_padding, rank, what="output_padding", name=name, least=0)
    spans = tuple((k - 1) * d + 1 for k, d in zip(size, dilation))
    largest = tuple(n * s for n, s in zip(outputs, stride))
    pairs = _padding_pairs(padding, largest, spans, stride, name)
    least = tuple((n - 1) * s - low - high + k for n, s, k, (low, high) in zip(outputs, stride, spans, pairs))
    words = _words(padding, rank)
    start = tuple(m if word == "same" else a for m, a, word in zip(largest, least, words))
    if output_size is not None:
        space = per_axis(output_size, rank, what="output_size", name=name, least=1)
        _check_size(name, space, outputs, stride, least, words)
        pairs = tuple(
            RULES["same"](*axis) if w == "same" else p for axis, w, p in zip(zip(space, spans, stride), words, pairs)
        )
    else:
        _check_extra(name, output_padding, extra, stride, dilation, words)
        space = tuple(a + e for a, e in zip(start, extra))
    if min(space) < 1:
        raise ValueError(f"{name}: the result would have {space} pixels; use less padding or a larger kernel")
    exact = tuple(
        (low, (n - 1) * s + k - m - low) for n, s, k, m, (low, _) in zip(outputs, stride, spans, space, pairs)
    )
    return Window(size, stride, exact, dilation), space


def _words(padding: Padding, rank: int) -> list[str | None]:
    entries = (padding,) * rank if isinstance(padding, str) or not isinstance(padding, Sequence) else padding
    return [entry.lower() if isinstance(entry, str) else None for entry in entries]


def _check_size(name, space, outputs, stride, least, words) -> None:
    for axis, (m, n, s, a, word) in enumerate(zip(space, outputs, stride, least, words)):
        low, high = ((n - 1) * s + 1, n * s) if word == "same" else (a, a + s - 1)
        if not low <= m <= high:
            raise ValueError(
                f"{name}: output_size={m} on spatial axis {axis} does not come from {n} pixels at stride {s}; "
                f"use {low} to {high}"
            )


def _check_extra(name, given, extra, stride, dilation, words) -> None:
    for axis, (e, s, d, word) in enumerate(zip(extra, stride, dilation, words)):
        if e and word == "same":
            raise ValueError(
                f'{name}: output_padding={given!r} has no meaning with padding "same", whose result is n · stride; '
                "use output_size"
            )
        if e >= max(s, d):
            raise ValueError(
                f"{name}: output_padding={given!r} on spatial axis {axis} must be below stride {s} or dilation {d}"
            )
