"""`inspect`: what in a photograph decides, by every method side by side."""

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from rich.console import Console
from rich.table import Table

from jaxcnn import interpret, weights
from jaxcnn.interpret._forward import PLAIN, maps_of, run

from ._attributions import METHODS, Asked, Found, computed, judged
from ._classify import check_drawing, check_folder, softmax
from ._known import Known, class_names, known
from ._network import Network
from ._pictures import Picture, coloured, files_of, readable, sources

PAGES = (".html", ".htm")  # endings of a page; any other is a picture


def inspect(
    pictures: Annotated[tuple[Path, ...], tyro.conf.Positional],
    network: Annotated[Network, tyro.conf.arg(name="")],
    method: tuple[str, ...] = (),
    layer: str | None = None,
    target: str | None = None,
    labels: Path | None = None,
    picture: Path = Path("inspect.html"),
    judge: bool = False,
    seed: int = 0,
) -> None:
    """Show what in photographs decides for a class.

    Args:
        pictures: files, folders, or - for a picture from standard input.
        network: the weights and how pictures are prepared.
        method: the methods that are shown (default: every one).
        layer: activation of the class activation maps, or a pattern (default: the deepest map before the scores).
        target: name or number of the class (default: the likeliest of each picture).
        labels: file with a line for each class (default: as for classify).
        picture: file that is written: a page (.html), or the maps alone (.png, .pdf, .svg).
        judge: measure how right each map is too, by deletion, insertion and completeness, which takes as long again.
        seed: of the noise and the masks.
    """
    unknown = [one for one in method if one not in METHODS]
    if unknown:
        raise ValueError(f"method={unknown[0]!r} must be one of {', '.join(METHODS)}")
    check_file(picture)
    console = Console(width=None if Console().is_terminal else 120)
    unreadable: list[str] = []
    good = list(sources(files_of(pictures), unreadable))
    if good:
        chosen = known(network, console)
        seen = list(readable(good, chosen.card, unreadable))
    if unreadable or not good:
        raise ValueError("; ".join(unreadable) or "no picture is given; give a file, a folder or -")
    names = class_names(chosen, labels, chosen.outputs)
    asked, logits = _asked(chosen, seen, names, target, layer, seed)
    found = computed(asked, method or tuple(METHODS), console)
    chances = softmax(logits)
    for one, k, row in zip(seen, np.asarray(asked.target), chances):
        console.print(f"{Path(one.name).name}: {names[k]}, probability {row[k]:.4f}", highlight=False, markup=False)
    table = judged(asked, found.maps) if judge else []
    if table:
        console.print(_table(table))
    _write(picture, chosen, seen, chances, names, asked, found, table)
    print(f"picture: {picture}")


def check_file(to: Path) -> None:
    """Refuses a place or a kind of file that neither a page nor a picture can be written to.

    Raises: ValueError.
    """
    if to.suffix.lower() in PAGES:
        check_folder("picture", to)
    else:
        check_drawing(to)


def class_number(target: str, names: Sequence[str]) -> int:
    """The class that a name, a part of one name alone, or a number means.

    Raises: ValueError for none or several.

    >>> class_number("dog", ["cat", "sea dog", "dog"]), class_number("1", ["cat", "dog"])
    (2, 1)
    """
    if target.isdigit():
        if int(target) >= len(names):
            raise ValueError(f"target={target} is no class of a model with {len(names):,}; use 0 to {len(names) - 1}")
        return int(target)
    low = [name.lower() for name in names]
    whole = [i for i, name in enumerate(low) if target.lower() in [part.strip() for part in name.split(",")]]
    some = whole or [i for i, name in enumerate(low) if target.lower() in name]
    if len(some) == 1:
        return some[0]
    if some:
        raise ValueError(f"target={target!r} is in {len(some)} names: {'; '.join(names[i] for i in some[:4])}")
    near = get_close_matches(target.lower(), low, n=3, cutoff=0.4)
    raise ValueError(f"target={target!r} is no class" + (f"; nearest: {'; '.join(near)}" if near else ""))


def _asked(chosen: Known, seen, names, target: str | None, layer: str | None, seed: int) -> tuple[Asked, np.ndarray]:
    """What the methods are given, and the logits."""
    x = weights.normalise(chosen.card, jnp.asarray(np.stack([one.pixels for one in seen])))
    with interpret.compiled_quickly():
        logits = np.asarray(run(lambda forward, x: forward(x, PLAIN), chosen.model, x))
    classes = logits.argmax(1) if target is None else np.full(len(seen), class_number(target, names))
    if layer is None:
        scores = getattr(chosen.model, "score_maps", ())
        found = maps_of(interpret.activation_shapes(chosen.model, x), x.ndim)
        maps = [name for name in found if name not in scores]
        layer = maps[-1] if maps else None
    return Asked(jax.random.key(seed), chosen.model, x, jnp.asarray(classes), layer), logits


COLUMNS = ("method", "deletion (small is good)", "insertion (large is good)", "sum is off by")


def _table(judged: Sequence[tuple[str, ...]]) -> Table:
    table = Table(COLUMNS[0])
    for column in COLUMNS[1:]:
        table.add_column(column, justify="right")
    for row in judged:
        table.add_row(*row)
    return table


def _write(to: Path, chosen: Known, seen: Sequence[Picture], chances, names, asked: Asked, found: Found, table) -> None:
    from jaxcnn.report import Page, heatmaps

    pixels = coloured(np.stack([one.pixels for one in seen]), 3)
    words = [f"{names[k]} {row[k]:.0%}" for k, row in zip(np.asarray(asked.target), chances)]
    if to.suffix.lower() not in PAGES:
        titles = [f"{Path(one.name).name}: {word}" for one, word in zip(seen, words)]
        heatmaps(list(pixels), {k: list(v) for k, v in found.maps.items()}, titles=titles).savefig(to, dpi=120)
        return
    page = Page(f"What {chosen.card.model} looks at")
    page.text(f"Weights {chosen.path.name}; class activation maps of {asked.layer}.", "note")
    page.text(
        "Red speaks for the class, blue against it. Maps without negative numbers go from dark to yellow.", "note"
    )
    for i, (one, word) in enumerate(zip(seen, words)):
        page.heading(f"{Path(one.name).name}: {word}")
        best = np.argsort(-chances[i], kind="stable")[:5]
        page.text("The network says " + "; ".join(f"{names[k]} {chances[i, k]:.1%}" for k in best) + ".")
        figure = heatmaps(pixels[i], {name: values[i] for name, values in found.maps.items()})
        page.figure(figure, f"maps of {len(found.maps)} methods for {Path(one.name).name}")
    if table:
        _judges(page, table)
    for name, why in found.refused.items():
        page.text(f"{name} is not shown. {why}", "note")
    page.write(to)


def _judges(page, table: Sequence[tuple[str, ...]]) -> None:
    page.heading("How right the maps are, mean over the pictures")
    page.text(
        "Deletion: the area below the class's probability while the most important pixels go. Insertion: the same while they "
        "come into a blurred picture. The last column says how far the sum of a map is from what it is to add up to.",
        "note",
    )
    page.table(COLUMNS, table)
