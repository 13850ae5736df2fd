"""`inspect`: what in a photograph decides, by every method side by side."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array
from rich.console import Console
from rich.table import Table

from jaxcnn import interpret, weights

from ._classify import softmax
from ._known import Known, class_names, known
from ._network import Network
from ._pictures import Picture, coloured, files_of, readable, sources

STEPS = 20  # of the curves that judge a map
SAMPLES, PATH, MASKS, CELLS = 16, 32, 500, 7  # noisy copies, steps of a path, masks of RISE, windows along a side


class Asked(NamedTuple):
    """What the methods are given: key, model, images, one class an image, the layer of class activation maps."""

    key: Array
    model: Any
    x: Array
    target: Array
    layer: str | None

    @property
    def plain(self) -> tuple[Any, Array, Array]:
        """Model, images and classes."""
        return self.model, self.x, self.target

    @property
    def window(self) -> int:
        """Pixels of a side of what occlusion covers."""
        return max(1, min(self.x.shape[1:-1]) // CELLS)


METHODS: dict[str, Callable[[Asked], Array]] = {
    "gradient": lambda a: interpret.gradient(*a.plain),
    "input_x_gradient": lambda a: interpret.input_x_gradient(*a.plain),
    "smooth_grad": lambda a: interpret.smooth_grad(a.key, *a.plain, samples=SAMPLES),
    "integrated_gradients": lambda a: interpret.integrated_gradients(*a.plain, steps=PATH),
    "guided_backprop": lambda a: interpret.guided_backprop(*a.plain),
    "deconvnet": lambda a: interpret.deconvnet(*a.plain),
    "deep_lift": lambda a: interpret.deep_lift(*a.plain),
    "lrp": lambda a: interpret.lrp(*a.plain),
    "grad_cam": lambda a: interpret.grad_cam(*a.plain, layer=a.layer),
    "grad_cam_plus_plus": lambda a: interpret.grad_cam_plus_plus(*a.plain, layer=a.layer),
    "guided_grad_cam": lambda a: interpret.guided_grad_cam(*a.plain, layer=a.layer),
    "score_cam": lambda a: interpret.score_cam(*a.plain, layer=a.layer),
    "eigen_cam": lambda a: interpret.eigen_cam(a.model, a.x, layer=a.layer),
    "occlusion": lambda a: interpret.occlusion(*a.plain, window=a.window),
    "rise": lambda a: interpret.rise(a.key, *a.plain, masks=MASKS),
}
COMPLETE = {"input_x_gradient", "integrated_gradients", "deep_lift", "lrp"}  # those that are to add up to the output


class Found(NamedTuple):
    """The maps of each method `(n, h, w)`, why a method has none, and the table of judges."""

    maps: dict[str, np.ndarray]
    refused: dict[str, str]
    judged: list[tuple[str, ...]]


def inspect(
    pictures: Annotated[tuple[Path, ...], tyro.conf.Positional],
    network: Annotated[Network, tyro.conf.arg(name="")],
    method: tuple[str, ...] = (),
    layer: str | None = None,
    target: str | None = None,
    labels: Path | None = None,
    picture: Path = Path("inspect.html"),
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
        seed: of the noise and the masks.
    """
    unknown = [one for one in method if one not in METHODS]
    if unknown:
        raise ValueError(f"method={unknown[0]!r} must be one of {', '.join(METHODS)}")
    check_file(picture)
    console = Console(width=None if Console().is_terminal else 120)
    unreadable: list[str] = []
    read = sources(files_of(pictures), unreadable)
    good = list(read)
    if good:
        chosen = known(network, console)
        seen = list(readable(good, chosen.card, unreadable))
    if unreadable or not good:
        raise ValueError("; ".join(unreadable) or "no picture is given; give a file, a folder or -")
    names = class_names(chosen, labels, chosen.outputs)
    logits = chosen.logits()(np.stack([one.pixels for one in seen]))
    asked = _asked(chosen, seen, logits, names, target, layer, seed)
    found = _computed(asked, method or tuple(METHODS), console)
    console.print(_table(found.judged))
    _write(picture, chosen, seen, logits, names, asked, found)
    print(f"picture: {picture}")


def check_file(to: Path) -> None:
    """Refuses a place or a kind of file that neither a page nor a picture can be written to.

    Raises: ValueError.
    """
    from ._classify import check_drawing

    if to.suffix.lower() not in (".html", ".htm"):
        check_drawing(to)
    elif not to.absolute().parent.is_dir():
        raise ValueError(f"picture={to}: the folder {to.absolute().parent} does not exist")


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


def _asked(chosen: Known, seen, logits, names, target: str | None, layer: str | None, seed: int) -> Asked:
    x = weights.normalise(chosen.card, jnp.asarray(np.stack([one.pixels for one in seen])))
    classes = logits.argmax(1) if target is None else np.full(len(seen), class_number(target, names))
    if layer is None:
        scores = getattr(chosen.model, "score_maps", ())
        maps = [
            name
            for name, shape in interpret.activation_shapes(chosen.model, x).items()
            if len(shape) == x.ndim and max(shape[1:-1]) > 1 and name not in scores
        ]
        layer = maps[-1] if maps else None
    return Asked(jax.random.key(seed), chosen.model, x, jnp.asarray(classes), layer)


def _computed(asked: Asked, methods: Sequence[str], console: Console) -> Found:
    maps, refused, judged = {}, {}, []
    for name in methods:
        try:
            with console.status(name):
                values = METHODS[name](asked)
                values = values if values.ndim == asked.x.ndim - 1 else values.sum(-1)  # (n, h, w)
                judged.append(_judged(name, asked, values))
        except ValueError as error:
            if len(methods) == 1:
                raise
            refused[name] = str(error).partition("\n")[0]
            continue
        maps[name] = np.asarray(values)
    if not maps:
        raise ValueError("; ".join(refused.values()))
    return Found(maps, refused, judged)


def _judged(name: str, asked: Asked, values: Array) -> tuple[str, ...]:
    """Areas below the curves of deletion and insertion, and how far the sum is from the output, means over the pictures."""
    areas = [
        judge(*asked.plain[:2], values, asked.target, steps=STEPS).area
        for judge in (interpret.deletion, interpret.insertion)
    ]
    error = interpret.completeness_error(*asked.plain[:2], values, asked.target) if name in COMPLETE else None
    cells = (f"{float(area.mean()):.3f}" for area in areas)
    return (name, *cells, "" if error is None else f"{float(error.mean()):.1%}")


COLUMNS = ("method", "deletion (small is good)", "insertion (large is good)", "sum is off by")


def _table(judged: Sequence[tuple[str, ...]]) -> Table:
    table = Table(COLUMNS[0])
    for column in COLUMNS[1:]:
        table.add_column(column, justify="right")
    for row in judged:
        table.add_row(*row)
    return table


def _write(to: Path, chosen: Known, seen: Sequence[Picture], logits, names, asked: Asked, found: Found) -> None:
    from jaxcnn.report import Page, heatmaps

    pixels, chances = coloured(np.stack([one.pixels for one in seen]), 3), softmax(logits)
    words = [f"{names[k]} {row[k]:.0%}" for k, row in zip(np.asarray(asked.target), chances)]
    if to.suffix.lower() not in (".html", ".htm"):
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
    page.heading("How right the maps are" + (", mean over the pictures" if len(seen) > 1 else ""))
    page.text(
        "Deletion: the area below the class's probability while the most important pixels go. Insertion: the same while they come "
        "into a blurred picture. The last column says how far the sum of a map is from what it is to add up to.",
        "note",
    )
    page.table(COLUMNS, found.judged)
    for name, why in found.refused.items():
        page.text(f"{name} is not shown. {why}", "note")
    page.write(to)
