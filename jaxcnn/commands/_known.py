"""What the commands share: a model with its weights, its card, and the names of its classes."""

import importlib.util
import re
import runpy
from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from rich.console import Console

from jaxcnn import models, weights
from jaxcnn.weights import Card

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LABEL_FILES = ("synset_words.txt", "labels.txt", "classes.txt")  # looked for beside the weights


class Known(NamedTuple):
    """A model with its weights, what its pictures need, where the weights lie, the names of classes that they bring along.

    `classes` says which set of classes it is, where the file is that of a card.
    """

    model: nnx.Module
    card: Card
    path: Path
    class_names: tuple[str, ...]
    classes: str | None = None

    def logits(self):
        """A compiled function of cut pictures, uint8 `(n, h, w, 3)`."""
        forward, state = self._forward()
        compiled = jax.jit(forward)
        return lambda images: np.asarray(compiled(state, images))

    @property
    def outputs(self) -> int:
        """Classes that the model tells apart."""
        picture = jax.ShapeDtypeStruct((1, *self.card.image_size, 3), jnp.uint8)
        return jax.eval_shape(*self._forward(), picture).shape[-1]

    def _forward(self):
        """A function of the model's arrays and cut pictures, and these arrays."""
        graphdef, state = nnx.split(self.model)

        def forward(state, images: Array) -> Array:
            x = weights.normalise(self.card, images)
            return nnx.merge(graphdef, state)(x, train=False).astype(jnp.float32)

        return forward, state


def known(model: str | None, source: str, card: str | None, sha256: str | None, console: Console) -> Known:
    """Loads weights, from a path or by the name of a card, and says which card's preprocessing is used.

    It is that of `card`, else the file's own (by its sha256, or as `weights.save` wrote), else the model's usual one.

    Raises: ValueError for an unknown model or card, weights that do not fit, or if two cards of the model differ in more
        than sizes and the file says nothing.
    """
    path, own = _found(source, console)
    said = weights.description(path) if path.is_file() else weights.Description(None, ())
    own = own or said.card
    named = own if card is None else weights.card(card)
    name = model or next((one.model for one in (own, named) if one), None)
    if name is None:
        raise ValueError(f"{path} is no file of a known card, and does not say its model; say the --model")
    loaded = weights.load(_blank(name, path), path, sha256=sha256)
    guess = "" if named else " (the model's usual one; --card chooses another)"
    named = named or _usual(name)
    console.print(f"{name}, weights {path.name}, preprocessing of {named.name}{guess}", highlight=False, markup=False)
    return Known(loaded, replace(named, model=name), path, said.class_names, own.classes if own else None)


def class_names(known: Known, labels: Path | None, count: int) -> list[str]:
    """The classes' names: from a file with a line each, of the weights, beside them, CIFAR-10's, ImageNet's, or numbers.

    A thousand classes of a model with ImageNet's cards are taken for ImageNet's; their names come with tensorflow-datasets,
    where it is installed.

    Raises: ValueError for a file with another number of lines.
    """
    beside = (known.path.parent / name for name in LABEL_FILES)
    file = labels or (None if known.class_names else next((path for path in beside if path.exists()), None))
    if file is None:
        set_of = known.classes or (known.card.classes if count == 1000 else None)
        of_set = {("cifar10", 10): lambda: CIFAR10, ("imagenet", 1000): _of_imagenet}.get((set_of or "", count))
        names = known.class_names or (of_set() if of_set else ())
        if known.class_names and len(names) != count:
            raise ValueError(f"{known.path} names {len(names)} classes; its model has {count}")
        return list(names) if len(names) == count else [f"class {i}" for i in range(count)]
    lines = [re.sub(r"^n\d{8} ", "", line) for line in file.read_text().splitlines() if line.strip()]
    if len(lines) != count:
        raise ValueError(f"{file} names {len(lines)} classes; the model has {count}")
    return lines


def score(logits: np.ndarray, labels: np.ndarray) -> str:
    """The line of right answers.

    >>> score(np.eye(6), np.array([0, 1, 2, 3, 4, 0]))
    'top-1 5 of 6 (0.8333), top-5 6 of 6 (1.0000)'
    """
    order = np.argsort(-logits, axis=1, kind="stable")
    counts = {k: int((order[:, :k] == labels[:, None]).any(1).sum()) for k in (1, 5)}
    return ", ".join(f"top-{k} {right} of {len(labels)} ({right / len(labels):.4f})" for k, right in counts.items())


def _blank(name: str, path: Path) -> nnx.Module:
    """The model of that name with as many classes as the file has, all zeros: what weights fill needs no random numbers."""
    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: _made(name, path)))
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    fill = lambda leaf: jax.random.key(0) if is_key(leaf) else jnp.asarray(np.zeros(leaf.shape, leaf.dtype))
    return nnx.merge(graphdef, jax.tree.map(fill, shapes))


def _made(name: str, path: Path) -> nnx.Module:
    create = partial(models.create, name, rngs=nnx.Rngs(0))
    if name not in models.REGISTRY:
        return create()  # refuses it, before the file is looked at
    with weights.opened(path) as stored:
        counts = {key: array.shape[0] for key, array in stored.items() if key.endswith(".bias") and array.shape}
        headed = "head.bias" in counts and any(key.startswith("backbone.") for key in stored)
    if headed:
        return weights.replace_head(create(), counts["head.bias"], rngs=nnx.Rngs(0))
    build = models.REGISTRY[name][0]
    classes = counts.get(f"{getattr(build, 'func', build).head_name}.bias")
    return create() if classes is None else create(num_classes=classes)


def _usual(name: str) -> Card:
    """The preferred card of a model, where it does not matter much which."""
    cards = weights.cards_of(name)
    if not cards:
        raise ValueError(f"no card is known for {name}: its preprocessing is not; choose one by --card")
    if len({(card.range, card.mean, card.std, card.channels) for card in cards}) > 1:
        names = ", ".join(card.name for card in cards)
        raise ValueError(f"the cards of {name} want different preprocessing; choose one by --card: {names}")
    return cards[-1]


def _found(source: str, console: Console) -> tuple[Path, Card | None]:
    """Where the weights lie, and their card if they are known ones."""
    if weights.is_url(source):
        path = _fetched(source, console)
        return path, weights.card_with_sha256(weights.sha256_of(path))
    path = Path(source).expanduser()
    if path.exists():
        return path, weights.card_with_sha256(weights.sha256_of(path)) if path.is_file() else None
    if source not in weights.CARDS:
        near = get_close_matches(source, weights.CARDS, n=3, cutoff=0.4)
        nearest = f"; nearest cards: {', '.join(near)}" if near else ""
        raise ValueError(f"{source} does not exist, and is no name of a card{nearest}")
    card = weights.card(source)
    return _fetched(card, console), card


def _of_imagenet() -> Sequence[str]:
    package = importlib.util.find_spec("tensorflow_datasets")
    file = Path(package.origin).parent / "datasets/siscore/labels.py" if package and package.origin else None
    return runpy.run_path(str(file))["IMAGENET_LABELS_LIST"] if file and file.exists() else ()


def _fetched(card: Card | str, console: Console) -> Path:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(card if isinstance(card, str) else card.name, total=None)
        return weights.fetch(card, on_bytes=lambda done, total: bar.update(task, completed=done, total=total))
