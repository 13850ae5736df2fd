"""`models`: the names that `create` knows."""

from fnmatch import fnmatch
from typing import Annotated

import tyro
from rich.console import Console

from jaxcnn.models import REGISTRY, image_size
from jaxcnn.weights import cards_of


def models(pattern: Annotated[str, tyro.conf.Positional] = "*") -> None:
    """List the models and the weights that are known for each.

    Args:
        pattern: names to list, such as "*resnet*".
    """
    names = [name for name in REGISTRY if fnmatch(name, pattern)]
    if not names:
        raise ValueError(f"no model is named like {pattern!r}")
    console = Console(width=None if Console().is_terminal else 160)
    for name in names:
        known = ", ".join(card.name.partition(".")[2] for card in cards_of(name)) or "-"
        line = f"{name:<24} {'×'.join(map(str, image_size(name))):<8} {known}"
        console.print(line, highlight=False, markup=False, soft_wrap=True)
