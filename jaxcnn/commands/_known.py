"""What the commands share: a model with its weights, its card, and the names of its classes."""

import importlib.util
import runpy
from collections.abc import Callable, Sequence
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

from ._network import Network, found, prepared
from ._texts import lines_of

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
LABEL_FILES = ("synset_words.txt", "labels.txt", "classes.txt", "imagenet_labels.txt")  # looked for beside the weights

BACKGROUND, BOTH = "background", "imagenet+background"
COUNTS = {"imagenet": 1000, BOTH: 1001}  # outputs of a model that tells these classes apart


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
        """A compiled function of cut pictures, uint8 `(n, h, w, c)`."""
        forward, state = self._forward()
        compiled = jax.jit(forward)
        return lambda images: np.asarray(compiled(state, images))

    @property
    def outputs(self) -> int:
        """Classes that the model tells apart.

        Raises: ValueError for a model that gives something else than a number for each class.
        """
        picture = jax.ShapeDtypeStruct((1, *self.card.image_size, self.card.in_features), jnp.uint8)
        shape = jax.eval_shape(*self._forward(), picture).shape
        if len(shape) != 2:
            raise ValueError(f"{self.card.model} gives {list(shape[1:])} numbers for a picture, not one for each class")
        return shape[1]

    def classes_of(self, count: int) -> str:
        """The set of classes that so many outputs tell apart: that of the file's own card, else of a card with as many."""
        return self.classes or (self.card.classes if count == COUNTS.get(self.card.classes) else "")

    def background(self, count: int) -> int:
        """Outputs before that of class 0, of `count`: 1 where output 0 is ImageNet's background, else 0.

        Classes that the file itself names are counted as it names them.
        """
        return int(not self.class_names and self.classes_of(count) == BOTH and count == COUNTS[BOTH])

    def _forward(self):
        """A function of the model's arrays and cut pictures, and these arrays."""
        graphdef, state = nnx.split(self.model)

        def forward(state, images: Array) -> Array:
            x = weights.normalise(self.card, images)
            return nnx.merge(graphdef, state)(x, train=False).astype(jnp.float32)

        return forward, state


def known(network: Network, console: Console) -> Known:
    """Loads weights, from a path or by the name of a card, into a model made for them, and says how pictures are prepared.

    That is as the `card` says that is named, else the file's own (by its sha256, or as `weights.save` wrote), else the model's
    usual one; what else is given replaces its parts.

    Raises: ValueError for an unknown model or card, weights that do not fit, or if two cards of the model differ in more
        than sizes and the file says nothing.
    """
    if network.model is not None:
        models.image_size(network.model)  # refuses an unknown name
    path, own = found(network, console)
    headed = _headed(path)
    name = network.model or (own.model if own else weights.card(network.card).model if network.card else None)
    if name is None:
        raise ValueError(f"{path} is no file of a known card, and does not say its model; say the --model")
    card, how = prepared(network, name, own)
    create = _maker(name, card, headed)
    sizes = weights.sizes(create, path)
    loaded = weights.load(_blank(partial(create, **sizes)), path)
    if sizes.get("in_features", card.in_features) != card.in_features:
        raise ValueError(
            f"{path.name} takes images of {sizes['in_features']} channels, {card.name} prepares {card.in_features}; choose "
            f"another --card, or give --channels {'RGB' if card.in_features == 1 else 'L'}, --mean and --std"
        )
    console.print(f"{name}, weights {path.name}, {how}", highlight=False, markup=False)
    said = weights.description(path) if path.is_file() else weights.Description(None, ())
    return Known(loaded, card, path, said.class_names, own.classes if own else None)


def class_names(known: Known, labels: Path | None, count: int) -> list[str]:
    """The classes' names: from a file with a line each, of the weights, beside them, CIFAR-10's, ImageNet's, or numbers.

    A thousand classes of a model with ImageNet's cards are taken for ImageNet's; their names come with tensorflow-datasets,
    where it is installed. A file may name "background" before ImageNet's classes where the model has no output for it, and may
    leave it out where the model has one.

    Raises: ValueError for a file with another number of lines.
    """
    beside = (known.path.parent / name for name in LABEL_FILES)
    file = labels or (None if known.class_names else next((path for path in beside if path.exists()), None))
    if file is None:
        names = known.class_names or _names_of(known.classes_of(count), count)
        if known.class_names and len(names) != count:
            raise ValueError(f"{known.path} names {len(names)} classes; its model has {count}")
        return list(names) if len(names) == count else [f"class {i}" for i in range(count)]
    lines = lines_of(file)
    if lines[:1] == [BACKGROUND] and len(lines) == count + 1:
        lines = lines[1:]
    if known.background(count) and len(lines) == count - 1:
        lines = [BACKGROUND, *lines]
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


def _headed(path: Path) -> bool:
    """Whether the file is of a network of convolutions that was given a dense head (`weights.replace_head`)."""
    with weights.opened(path) as stored:
        return "head.bias" in stored and any(key.startswith("backbone.") for key in stored)


def _maker(name: str, card: Card, headed: bool) -> Callable[..., nnx.Module]:
    """What makes the model of that name, with `num_classes` and `in_features`."""
    create = partial(models.create, name, image_size=card.image_size)
    if not headed:
        return lambda **options: create(rngs=nnx.Rngs(0), **options)

    def make(num_classes: int = 2, **options) -> nnx.Module:
        return weights.replace_head(create(rngs=nnx.Rngs(0), **options), num_classes, rngs=nnx.Rngs(0))

    return make


def _blank(make: Callable[[], nnx.Module]) -> nnx.Module:
    """The model with zeros for random numbers, which what weights fill does not need."""
    graphdef, shapes = nnx.split(nnx.eval_shape(make))
    is_key = lambda leaf: jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    fill = lambda leaf: jax.random.key(0) if is_key(leaf) else jnp.asarray(np.zeros(leaf.shape, leaf.dtype))
    return nnx.merge(graphdef, jax.tree.map(fill, shapes))


def _names_of(classes: str, count: int) -> Sequence[str]:
    """The names of a known set of classes, or none."""
    if (classes, count) == ("cifar10", len(CIFAR10)):
        return CIFAR10
    if count != COUNTS.get(classes):
        return ()
    return (BACKGROUND,) * (classes == BOTH) + tuple(_of_imagenet())


def _of_imagenet() -> Sequence[str]:
    package = importlib.util.find_spec("tensorflow_datasets")
    file = Path(package.origin).parent / "datasets/siscore/labels.py" if package and package.origin else None
    return runpy.run_path(str(file))["IMAGENET_LABELS_LIST"] if file and file.exists() else ()
