"""What the commands share: a model with its weights, its card, and the names of its classes."""

import re
from dataclasses import replace
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
    """A model with its weights, what its pictures need, and where the weights lie."""

    model: nnx.Module
    card: Card
    path: Path

    def logits(self):
        """A compiled function of cut pictures, uint8 `(n, h, w, 3)`."""
        graphdef, state = nnx.split(self.model)
        card = self.card

        def forward(state, images: Array) -> Array:
            return nnx.merge(graphdef, state)(weights.normalise(card, images), train=False).astype(jnp.float32)

        compiled = jax.jit(forward)
        return lambda images: np.asarray(compiled(state, images))


def known(model: str | None, source: str, card: str | None, console: Console) -> Known:
    """Loads weights, from a path or by the name of a card, and says which card's preprocessing is used.

    Raises: ValueError for an unknown model or card, weights that do not fit or are for another model.
    """
    named = None if card is None else weights.card(card)
    if not Path(source).expanduser().exists() and source in weights.CARDS:
        named, path = weights.card(source) if named is None else named, _fetched(weights.card(source), console)
    else:
        path = Path(source).expanduser()
        named = named or _of_file(path, model)
    name = model or (named.model if named else None)
    if name is None:
        raise ValueError(f"no card has the sha256 of {path}; say the --model")
    loaded = weights.load(_blank(name), path)
    if named is None:
        raise ValueError(f"no card is known for {name}: its preprocessing is not; choose one by --card")
    console.print(f"{name}, weights {path.name}, preprocessing of {named.name}", highlight=False, markup=False)
    return Known(loaded, replace(named, model=name), path)


def class_names(known: Known, labels: Path | None, count: int) -> list[str]:
    """The classes' names: from a file with a line each, one beside the weights, CIFAR-10's, or numbers.

    Raises: ValueError for a file with another number of lines.
    """
    beside = (known.path.parent / name for name in LABEL_FILES)
    file = labels or next((path for path in beside if path.exists()), None)
    if file is None:
        return (
            list(CIFAR10) if known.card.classes == "cifar10" and count == 10 else [f"class {i}" for i in range(count)]
        )
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


def _blank(name: str) -> nnx.Module:
    """The model of that name, all zeros: what weights fill needs no random numbers."""
    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: models.create(name, rngs=nnx.Rngs(0))))
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    fill = lambda leaf: jax.random.key(0) if is_key(leaf) else jnp.asarray(np.zeros(leaf.shape, leaf.dtype))
    return nnx.merge(graphdef, jax.tree.map(fill, shapes))


def _of_file(path: Path, model: str | None) -> Card | None:
    """The card of the file itself, or else the model's usual one."""
    found = weights.card_with_sha256(weights.sha256_of(path)) if path.is_file() else None
    usual = weights.cards_of(model) if model else []
    return found or (usual[-1] if usual else None)


def _fetched(card: Card, console: Console) -> Path:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(card.name, total=None)
        return weights.fetch(card, on_bytes=lambda done, total: bar.update(task, completed=done, total=total))
