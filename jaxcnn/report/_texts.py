"""Texts that keep to their place: how wide words are drawn, and where they are broken or cut."""

from functools import lru_cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

SMALL, PLAIN = 7.0, 8.0  # points; smaller cannot be read on a page at its normal size
LINE = 0.145  # inches from a line of small text to the next
BREAKS = " -_/,.;:"  # a line may end behind one of these


@lru_cache(4096)
def width_of(words: str, size: float) -> float:
    """Inches that one line of text takes at so many points.

    >>> width_of("ii", 7) < width_of("WW", 7)
    True
    """
    return text_to_path.get_text_width_height_descent(words, FontProperties(size=size), ismath=False)[0] / 72  # type: ignore[arg-type]


def fitted(words: str, inches: float, *, size: float = SMALL, lines: int = 1, keep: str = "start") -> str:
    """The words in at most so many lines of that width; of what is too long the start or the end is kept, with an ellipsis.

    >>> fitted("a very long name of a class", 0.8, lines=2)
    'a very long\\nname of a cla…'
    >>> fitted("holiday/2025/picture_0012.jpg", 0.9, keep="end")
    '…icture_0012.jpg'
    """
    words = " ".join(words.encode(errors="replace").decode().split())  # file names may hold what is no UTF-8
    if keep == "end":
        return fitted(words[::-1], inches, size=size, lines=lines)[::-1]
    done: list[str] = []
    while words and len(done) < lines:
        count = _count(words, inches, size)
        if count < len(words) and len(done) == lines - 1:
            words = words[: _count(words, inches - width_of("…", size), size)] + "…"
        elif count < len(words):
            count = 1 + max((words.rfind(end, 0, count) for end in BREAKS), default=-1) or count
        done.append(words[: max(count, 1)].strip() if len(done) < lines - 1 else words)
        words = words[max(count, 1) :].lstrip()
    return "\n".join(done)


def _count(words: str, inches: float, size: float) -> int:
    """How many characters fit; drawn letters are rounded to pixels, which may widen a line by a twentieth."""
    low, high = 0, len(words)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if 1.05 * width_of(words[:middle], size) <= inches else (low, middle - 1)
    return low
