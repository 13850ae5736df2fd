"""Fetching a weight file: into a cache, with progress, going on where it was cut off, and only if its sha256 is right."""

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ._array import WeightFileError

if TYPE_CHECKING:
    from ._cards import Card

CHUNK = 1 << 18  # bytes a read
Progress = Callable[[int, int | None], None]  # bytes that are there, bytes in all where the server says it


def cache_folder() -> Path:
    """Where fetched files are kept: `JAXCNN_CACHE`, or `jaxcnn` in `XDG_CACHE_HOME` or `~/.cache`.

    >>> os.environ["JAXCNN_CACHE"] = "/tmp/somewhere"
    >>> str(cache_folder())
    '/tmp/somewhere'
    >>> del os.environ["JAXCNN_CACHE"]
    """
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "jaxcnn"
    return Path(os.environ.get("JAXCNN_CACHE") or default)


def is_url(source: str) -> bool:
    """Whether a text is the address of a file on a server.

    >>> is_url("https://example.org/a.safetensors"), is_url("a.safetensors")
    (True, False)
    """
    return source.startswith(("http://", "https://"))


def fetch(
    card: "Card | str",
    *,
    sha256: str | None = None,
    cache: str | Path | None = None,
    on_bytes: Progress = lambda done, total: None,
    timeout: float = 30.0,
) -> Path:
    """The file of a card, or at a URL: from the cache, or fetched into it.

    A file that was cut off stays as `<name>.part`, and the next call asks the server for the rest alone.

    Args:
        card: of a known weight set, or a URL.
        sha256: of the file, or its first digits; None takes the card's, and lets what comes from a URL be.
        cache: folder; None means `cache_folder()`.
        on_bytes: hears how many bytes are there, and of how many.
        timeout: seconds without an answer.

    Raises: WeightFileError if the card has no URL, the server does not give the file, or its sha256 is not the card's.

    >>> from jaxcnn.weights import card
    >>> fetch(card("squeezenet1_1.iandola"))
    Traceback (most recent call last):
    ...
    jaxcnn.weights._array.WeightFileError: fetch: squeezenet1_1.iandola is not to be had by URL; give the path of its file
    """
    if isinstance(card, str):  # two URLs may end alike
        url, expected, own = card, sha256, f"{hashlib.sha256(card.encode()).hexdigest()[:8]}-"
    elif card.url is None:
        raise WeightFileError(f"fetch: {card.name} is not to be had by URL; give the path of its file")
    else:
        url, expected, own = card.url, sha256 or card.sha256 or None, ""
    folder = Path(cache) if cache is not None else cache_folder()
    path = folder / (own + (Path(urlsplit(url).path).name or "weights"))
    if path.exists() and not sha256_of(path).startswith((expected or "").lower()):  # damaged since it was fetched
        path.unlink()
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        _receive(url, part, on_bytes, timeout)
        try:
            if expected is not None:
                check_sha256(part, expected)
        except WeightFileError:
            part.unlink()
            raise
        part.replace(path)
    return path


def check_sha256(path: Path, expected: str) -> str:
    """The sha256 of a file, which must begin with the expected digits.

    >>> check_sha256(Path("/dev/null"), "e3b0c442")[:10]
    'e3b0c44298'
    """
    if path.is_dir() or not path.exists():
        raise WeightFileError(f"load: {path} is no file; there is no sha256 of it to compare")
    found = sha256_of(path)
    if not expected or not found.startswith(expected.lower()):
        raise WeightFileError(f"load: the sha256 of {path} is {found}; it must begin with {expected!r}")
    return found


def sha256_of(path: str | Path) -> str:
    """The sha256 of a file, 64 hexadecimal digits.

    >>> sha256_of("/dev/null")[:8]
    'e3b0c442'
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _receive(url: str, part: Path, on_bytes: Progress, timeout: float) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            resumed = answer.status == 206
            have = have if resumed else 0
            length = answer.headers.get("Content-Length")
            total = None if length is None else have + int(length)
            with open(part, "ab" if resumed else "wb") as file:
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    have += len(chunk)
                    on_bytes(have, total)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to ask for: the part is whole, or not of this file
            return
        raise WeightFileError(f"fetch: {url}: the server says {error.code} {error.reason}") from None
    except OSError as error:
        why = getattr(error, "reason", None) or error
        raise WeightFileError(f"fetch: {url}: {why}; without a network give the path of the file") from None
    if total is not None and have < total:
        raise WeightFileError(
            f"fetch: {url} was cut off at {have:,} of {total:,} bytes; the next call goes on from there"
        )
