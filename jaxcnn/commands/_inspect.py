"""`inspect`: what in a photograph decides, by every method side by side."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
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

STEPS = 7  # of the curves that judge a map
SAMPLES, PATH, MASKS, CELLS = 8, 24, 240, 7  # noisy copies, steps of a path, masks of RISE, windows along a side
THREADS = 2


@dataclass(frozen=True)
class Asked:
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


class Method(NamedTuple):
    """A method, and whether its program runs the network so often that optimising it pays."""

    maps: Callable[[Asked], Array]
    often: bool = False


METHODS: dict[str, Method] = {
    "gradient": Method(lambda a: interpret.gradient(*a.plain)),
    "input_x_gradient": Method(lambda a: interpret.input_x_gradient(*a.plain)),
    "smooth_grad": Method(lambda a: interpret.smooth_grad(a.key, *a.plain, samples=SAMPLES)),
    "integrated_gradients": Method(lambda a: interpret.integrated_gradients(*a.plain, steps=PATH)),
    "guided_backprop": Method(lambda a: interpret.guided_backprop(*a.plain)),
    "deconvnet": Method(lambda a: interpret.deconvnet(*a.plain)),
    "deep_lift": Method(lambda a: interpret.deep_lift(*a.plain)),
    "lrp": Method(lambda a: interpret.lrp(*a.plain, rule=interpret.gamma_rule(0.25))),
    "grad_cam": Method(lambda a: interpret.grad_cam(*a.plain, layer=a.layer)),
    "grad_cam_plus_plus": Method(lambda a: interpret.grad_cam_plus_plus(*a.plain, layer=a.layer)),
    "guided_grad_cam": Method(lambda a: interpret.guided_grad_cam(*a.plain, layer=a.layer)),
    "score_cam": Method(lambda a: interpret.score_cam(*a.plain, layer=a.layer), often=True),
    "eigen_cam": Method(lambda a: interpret.eigen_cam(a.model, a.x, layer=a.layer)),
    "occlusion": Method(lambda a: interpret.occlusion(*a.plain, window=a.window)),
    "rise": Method(lambda a: interpret.rise(a.key, *a.plain, masks=MASKS), often=True),
}
COMPLETE = ("input_x_gradient", "integrated_gradients", "deep_lift", "lrp")  # those that are to add up to the output


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
    """The maps of all methods; two at a time, because what takes longest is to compile them.

    Raises: ValueError if there is one method and it refuses, or none is left.
    """
    with console.status("compiling and running the methods"), ThreadPoolExecutor(THREADS) as pool:
        # the longest first
        waiting = {
            name: pool.submit(_maps, name, asked) for name in sorted(methods, key=lambda name: not METHODS[name].often)
        }
        maps, refused = {}, {}
        for name in methods:
            try:
                maps[name] = waiting[name].result()
            except ValueError as error:
                refused[name] = str(error).partition("\n")[0]
        if not maps:
            raise ValueError("; ".join(refused.values()))
        return Found({name: np.asarray(values) for name, values in maps.items()}, refused, _judged(asked, maps))


def _maps(name: str, asked: Asked) -> Array:
    """The map of each picture, `(n, h, w)`."""
    with nullcontext() if METHODS[name].often else interpret.compiled_quickly():
        values = METHODS[name].maps(asked)
    return values if values.ndim == asked.x.ndim - 1 else values.sum(-1)


def _judged(asked: Asked, maps: dict[str, Array]) -> list[tuple[str, ...]]:
    """Areas below the curves of deletion and insertion, and how far the sum is from the output, means over the pictures."""
    count, n = len(maps), len(asked.x)
    several = lambda v: jnp.tile(v, (count, *(1,) * (v.ndim - 1)))  # every picture for every method
    x, target, values = several(asked.x), several(asked.target), jnp.concatenate(list(maps.values()))
    with interpret.compiled_quickly():
        judge = lambda name, **options: getattr(interpret, name)(asked.model, x, values, target, **options)
        areas = [np.asarray(judge(name, steps=STEPS).area) for name in ("deletion", "insertion")]
        errors = np.asarray(judge("completeness_error")).reshape(count, n)
    rows = []
    for name, error, *means in zip(maps, errors, *(area.reshape(count, n).mean(1) for area in areas)):
        rows.append((name, *(f"{mean:.3f}" for mean in means), f"{error.mean():.1%}" if name in COMPLETE else ""))
    return rows


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
        "Deletion: the area below the class's probability while the most important pixels go. Insertion: the same while they "
        "come into a blurred picture. The last column says how far the sum of a map is from what it is to add up to.",
        "note",
    )
    page.table(COLUMNS, found.judged)
    for name, why in found.refused.items():
        page.text(f"{name} is not shown. {why}", "note")
    page.write(to)
