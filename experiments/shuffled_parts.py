"""A small network whose halvings and head are words, and what it answers when the parts of an image change places (L0.6).

Images are cut into 2 × 2 and 4 × 4 parts that change places; how often does the answer of a network stay that ends in a global
mean, a global maximum, or a dense layer that sees the whole map? `pooling_position` runs it, and reads positions from its maps.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from jax import Array
from matplotlib.figure import Figure

from jaxcnn import functional as F
from jaxcnn import nn
from jaxcnn.data import ImageSet, Prepare, preparer
from jaxcnn.models import identity
from jaxcnn.models.plain import Block
from jaxcnn.report import Page, deviation, over_seeds
from jaxcnn.train import Fitted, fit, optimiser, schedule

from .pictures import PALETTE, thumbnails

HALVINGS: dict[str, Callable[[Array], Array]] = {
    "none": lambda x: x,
    "stride": lambda x: x,  # the convolution skips every second pixel
    "max": lambda x: F.max_pool2d(x, 2),
    "average": lambda x: F.avg_pool2d(x, 2),
    "blur": lambda x: F.blur_pool(x, 3),
}
HEADS: dict[str, Callable[[Array], Array]] = {
    "global_mean": F.global_avg_pool,
    "global_maximum": F.global_max_pool,
    "dense": lambda x: x.reshape(len(x), -1),
}
PARTS = (2, 4)
BATCH = 250  # images that are answered at a time


class Network(nnx.Module):
    """Stages of convolution, batch normalisation, ReLU and a halving at one width; a head; a dense layer.

    Args:
        data: whose channels and classes it is made for.
        halving: one of `HALVINGS`, at the end of the first `halved` stages.
        head: one of `HEADS`, between the last map and the dense layer.
        size: pixels a side of the images.
        width: channels of every stage.
    """

    def __init__(
        self,
        data: ImageSet,
        halving: str,
        head: str,
        *,
        size: int,
        width: int,
        stages: int,
        halved: int,
        rngs: nnx.Rngs,
    ):
        self.halving, self.head, self.halved = halving, head, halved
        inputs = [data.image_shape[2]] + [width] * (stages - 1)
        stride = lambda stage: 2 if halving == "stride" and stage < halved else 1
        self.blocks = nnx.List([Block(c, width, 3, stride=stride(i), rngs=rngs) for i, c in enumerate(inputs)])
        features = width * (size // 2**halved) ** 2 if head == "dense" else width
        self.logits = nn.Dense(features, len(data.class_names), rngs=rngs)

    def __call__(self, x: Array, *, train: bool, tap: Callable[[str, Array], Array] = identity) -> Array:
        for i, block in enumerate(self.blocks):
            x = block(x, train=train)
            x = tap(f"stage_{i + 1}", HALVINGS[self.halving](x) if i < self.halved else x)
        return tap("logits", self.logits(tap(self.head, HEADS[self.head](x))))


class Parts(NamedTuple):
    """Accuracy, and for each number of parts a side how often the answer stayed and how often it was right; one a seed."""

    accuracy: np.ndarray
    stayed: dict[int, np.ndarray]
    right: dict[int, np.ndarray]

    @property
    def line(self) -> str:
        """All in one line."""
        each = (
            f"; {n} × {n} parts shuffled: same answer {spread(self.stayed[n])}, right {spread(self.right[n])}"
            for n in self.stayed
        )
        return f"test accuracy {over_seeds(self.accuracy)}{''.join(each)}"


def trained(build: Callable[[nnx.Rngs], nnx.Module], data: ImageSet, prepare: Prepare, config: Any) -> Fitted:
    """The networks of all seeds, trained to classify by AdamW; `config` has epochs, batch_size, learning_rate, seeds, seed."""
    steps = max(1, config.epochs * (len(data.train) // config.batch_size))
    chain = optimiser("adamw", schedule("cosine", config.learning_rate, steps, warmup=0.1), weight_decay=0.05)
    options = {"epochs": config.epochs, "batch_size": config.batch_size, "seeds": config.seeds, "seed": config.seed}
    return fit(build, data, prepare, chain, **options)


def parts_test(config: Any, data: ImageSet) -> dict[str, Parts]:
    """Accuracy and steadiness of every head; each network has three stages, two of them halved by a maximum."""
    size, test = data.image_shape[0], data.test
    prepare, found = preparer(data, (size, data.image_shape[1])), {}
    answer = nnx.jit(lambda model, pixels: model(prepare(pixels), train=False).argmax(-1))
    answers = lambda members, images: np.array([batched(answer, one, images) for one in members])
    shuffled = {n: shuffle_parts(test.images, n, config.seed) for n in PARTS}
    for head in HEADS:
        made_for = {"size": size, "width": config.width, "stages": 3, "halved": 2}
        build = lambda rngs, head=head, made_for=made_for: Network(data, "max", head, **made_for, rngs=rngs)
        fitted = trained(build, data, prepare, config)
        members = [fitted.member(i) for i in range(config.seeds)]
        whole, cut = answers(members, test.images), {n: answers(members, images) for n, images in shuffled.items()}
        stayed, right = ({n: (a == to).mean(1) for n, a in cut.items()} for to in (whole, test.labels))
        found[f"shuffled_{head}"] = Parts((whole == test.labels).mean(1), stayed, right)
        print(f"shuffled_{head} {found[f'shuffled_{head}'].line}", flush=True)
    return found


def batched(run: Callable[[Any, np.ndarray], Any], model: nnx.Module, images: np.ndarray) -> np.ndarray:
    """What `run` gives for all images, `BATCH` at a time."""
    return np.concatenate(
        [np.asarray(run(model, images[start : start + BATCH])) for start in range(0, len(images), BATCH)]
    )


def shuffle_parts(images: np.ndarray, parts: int, seed: int) -> np.ndarray:
    """Images `(n, h, w, c)` cut into `parts` × `parts`, the parts of each in an order of its own that is never the old one.

    Raises: ValueError for images that cannot be cut evenly.

    >>> shuffle_parts(np.arange(4).reshape(1, 2, 2, 1), 2, 0).ravel().tolist()
    [2, 0, 1, 3]
    """
    n, h, w, c = images.shape
    if h % parts or w % parts:
        raise ValueError(f"images of {h} × {w} pixels cannot be cut into {parts} × {parts} equal parts")
    cut = images.reshape(n, parts, h // parts, parts, w // parts, c).swapaxes(2, 3)  # (n, p, p, h / p, w / p, c)
    random, orders = np.random.default_rng(seed), np.tile(np.arange(parts**2), (n, 1))
    while len(same := np.flatnonzero((orders == np.arange(parts**2)).all(1))):
        orders[same] = random.permuted(orders[same], axis=1)
    pieces = cut.reshape(n, parts**2, h // parts, w // parts, c)
    moved = np.take_along_axis(pieces, orders[:, :, None, None, None], 1).reshape(cut.shape)
    return moved.swapaxes(2, 3).reshape(images.shape)


def parts_section(page: Page, config: Any, data: ImageSet, found: dict[str, Parts]) -> None:
    """The pictures, the table and the bars of the test."""
    few = data.test.images[:8]
    shuffled = np.concatenate([few, *(shuffle_parts(few, n, config.seed) for n in PARTS)])
    page.heading("The same parts in other places")
    page.figure(thumbnails(shuffled), "images, their quarters and their sixteenths shuffled")
    columns = [f"{n} × {n}: {what}" for n in PARTS for what in ("same answer", "right")]
    cells = lambda one: [spread(part[n]) for n in PARTS for part in (one.stayed, one.right)]
    rows = [(_words(name), spread(one.accuracy), *cells(one)) for name, one in found.items()]
    page.table(("head", "test accuracy", *columns), rows)
    page.figure(_bars(found), "accuracy and same answers of every head")


def spread(values: np.ndarray) -> str:
    """Mean ± standard deviation to two places.

    >>> spread(np.array([1.0, 2.0]))
    '1.50 ± 0.71'
    """
    return f"{values.mean():.2f} ± {deviation(values):.2f}"


def _words(name: str) -> str:
    return name.removeprefix("shuffled_").replace("_", " ")


def _bars(found: dict[str, Parts]) -> Figure:
    figure = Figure(figsize=(9, 2.8), layout="constrained")
    axis, place = figure.subplots(), np.arange(len(found))
    rows = {"right, whole image": [one.accuracy for one in found.values()]}
    for n in PARTS:
        rows[f"same answer, {n} × {n} shuffled"] = [one.stayed[n] for one in found.values()]
        rows[f"right, {n} × {n} shuffled"] = [one.right[n] for one in found.values()]
    for i, (label, values) in enumerate(rows.items()):
        means, errors = [one.mean() for one in values], list(map(deviation, values))
        axis.bar(place + 0.16 * (i - 2), means, 0.15, yerr=errors, color=PALETTE[i], label=label)
    axis.set_xticks(place, list(map(_words, found)))
    axis.set(ylim=(0, 1), ylabel="share of test images")
    axis.grid(axis="y", alpha=0.25)
    figure.legend(loc="outside right center", frameon=False, fontsize=8)
    return figure
