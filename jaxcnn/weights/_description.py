"""What a file of `save` says of itself, as texts in the metadata of a safetensors file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import NamedTuple

from ._array import WeightFileError
from ._cards import Card, card
from ._files import line_of

NUMBERS = {
    "image_size",
    "resize",
    "central_fraction",
    "range",
    "mean",
    "std",
    "published",
}  # a card's fields that are no texts


class Description(NamedTuple):
    """The card whose preprocessing a file wants, its classes, the epsilon of its norms.

    >>> Description(card("resnet50.torchvision_V2"), ("cat", "dog")).class_names
    ('cat', 'dog')
    """

    card: Card | None
    class_names: tuple[str, ...]
    epsilon: float | None = None


def description(path: str | Path) -> Description:
    """What `save` wrote into a file about the card, the classes and the norms.

    Raises: WeightFileError for a file that is damaged, or whose card is none.

    >>> description("/dev/null")
    Description(card=None, class_names=(), epsilon=None)
    """
    path = Path(path).expanduser()
    if path.is_dir():
        return Description(None, ())
    with open(path, "rb") as file:
        if file.read(9)[8:9] != b"{":
            return Description(None, ())
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            said = file.metadata() or {}
        names = json.loads(said.get("class_names", "[]"))
        epsilon = float(said["epsilon"]) if "epsilon" in said else None
    except (SafetensorError, ValueError) as error:
        raise WeightFileError(f"load: {path} is damaged or cut short: {line_of(error)}") from None
    try:
        found = _card(said["card"]) if "card" in said else None
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        raise WeightFileError(f"load: {path} has a card that cannot be used: {line_of(error)}") from None
    return Description(found, tuple(map(str, names)) if isinstance(names, list) else (), epsilon)


def texts(card: Card | None, class_names: Sequence[str], epsilon: float | None) -> dict[str, str]:
    """The metadata that `description` reads.

    >>> texts(None, ["cat", "dog"], None)
    {'class_names': '["cat", "dog"]'}
    """
    said = {"card": json.dumps(asdict(card))} if card is not None else {}
    said |= {"class_names": json.dumps(list(class_names))} if class_names else {}
    return said | ({"epsilon": repr(epsilon)} if epsilon is not None else {})


def _card(text: str) -> Card:
    """A whole card, or the name of a known one, as files had it once; fields that there are not are left out."""
    if not text.startswith("{"):
        return card(text)
    found = json.loads(text)
    said = {field.name: found[field.name] for field in fields(Card) if found.get(field.name) is not None}
    strange = [name for name, value in said.items() if name not in NUMBERS and not isinstance(value, str)]
    if strange:
        raise TypeError(f"Card: {strange[0]}={said[strange[0]]!r} must be text")
    top1, top5 = said.pop("published", (None, None))
    return Card(**said, published=(top1, top5))
