"""How much of its receptive field does a unit use? (L0.8)

Small stacks of convolutions whose units can see the same 17 × 17 pixels by few large or many small kernels, by strides or by
dilation. The effective field is the mean squared gradient of the centre unit of the last map over test images, before and after
training; its side is four standard deviations, from -2 to +2.

    python -m experiments.receptive_field --data-dir DIR

Expected: the effective field is a part of the theoretical one, smaller the more layers there are; training makes it larger.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx
from jax import Array

from jaxcnn import functional as F
from jaxcnn import nn
from jaxcnn.data import ImageSet, Preparation, preparer
from jaxcnn.geometry import ReceptiveField
from jaxcnn.interpret import effective_receptive_field, summarise, two_sigma_area
from jaxcnn.report import Page, deviation
from jaxcnn.report import receptive_field as drawn
from jaxcnn.train import fit, optimiser, run_folder, schedule
from jaxcnn.train.progress import progress

from .comparison import Source, command, load_part


class Step(NamedTuple):
    """One convolution: pixels a side, stride, dilation."""

    size: int
    stride: int = 1
    dilation: int = 1


STACKS = {
    "two_9x9": (Step(9), Step(9)),
    "four_5x5": (Step(5),) * 4,
    "eight_3x3": (Step(3),) * 8,
    "four_3x3_stride_2": (Step(3), Step(3, 2), Step(3, 2), Step(3)),
    "four_3x3_dilated": (Step(3), Step(3, 1, 2), Step(3, 1, 4), Step(3)),
}


@dataclass(frozen=True)
class Config(Source):
    """Theoretical and effective receptive fields of stacks of convolutions."""

    dataset: str = "cifar10"
    """Name of a TFDS set of small images, digits, or a folder of pictures, train/<class>/*.jpg."""
    train_images: int | None = 2000
    """Use only so many training images, the first ones of each class alike (None: all)."""
    seeds: int = 2
    """Networks of each stack, each from its own seed."""
    epochs: int = 5
    """Passes over the training images."""
    batch_size: int = 64
    """Images a step."""
    width: int = 8
    """Channels of every layer."""
    test_images: int = 1000
    """Test images that accuracy is counted on, as many of each class, at most."""
    images: int = 50
    """Test images over which gradients are averaged."""
    learning_rate: float = 4e-3
    """Peak learning rate of AdamW."""
    only: tuple[str, ...] = ()
    """Run only these stacks."""


class Stack(nnx.Module):
    """Convolutions with batch normalisation and ReLU, the average over the map, one dense layer."""

    head_name = "logits"

    def __init__(self, steps: Sequence[Step], in_features: int, num_classes: int, width: int, *, rngs: nnx.Rngs):
        inputs = [in_features, *[width] * (len(steps) - 1)]
        init = nnx.initializers.he_normal()
        make = lambda c, s: nn.Conv(
            c, width, s.size, stride=s.stride, dilation=s.dilation, use_bias=False, kernel_init=init, rngs=rngs
        )
        self.convs = nnx.List([make(c, step) for c, step in zip(inputs, steps)])
        self.norms = nnx.List([nn.BatchNorm(width, rngs=rngs) for _ in steps])
        self.logits = nn.Dense(width, num_classes, rngs=rngs)

    def __call__(self, x: Array, *, train: bool, tap=lambda name, x: x) -> Array:
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms), 1):
            x = tap(f"conv{number}", jax.nn.relu(norm(conv(x), train=train)))
        return tap("logits", self.logits(F.global_avg_pool(x).reshape(len(x), -1)))


class Measured(NamedTuple):
    """A stack: the side of its theoretical field, those of the effective one of each seed, accuracies, and maps for the page."""

    name: str
    field: ReceptiveField | Any
    before: np.ndarray
    after: np.ndarray
    accuracy: np.ndarray
    maps: tuple[np.ndarray, np.ndarray]

    @property
    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        size = self.field.size[0]
        shares = (f"{sides.mean() / size:.2f}" for sides in (self.before, self.after))
        spread = lambda values, digits: f"{values.mean():.{digits}f} ± {deviation(values):.{digits}f}"
        return (self.name, str(size), spread(self.before, 1), spread(self.after, 1), *shares, spread(self.accuracy, 3))

    @property
    def line(self) -> str:
        """The result in one line."""
        name, size, before, after, first, last, accuracy = self.cells
        return (
            f"receptive_field/{name} field {size}, effective side {before} before and {after} after training "
            f"(share {first} and {last}), test accuracy {accuracy} ({len(self.before)} seeds)"
        )


def main(config: Config) -> None:
    """Trains every stack, measures its units before and after, prints a line each, writes the page."""
    unknown = [one for one in config.only if one not in STACKS]
    if unknown:
        raise ValueError(f"only={unknown[0]!r} must be one of {', '.join(STACKS)}")
    data, made_for = load_part(config)
    classes = len(data.class_names)
    each = min(config.test_images // classes, int(np.bincount(data.test.labels, minlength=classes).min()))
    data = replace(data, test=data.test.first_of_each_class(each))
    prepare = preparer(data, made_for["image_size"])
    with run_folder(config.runs, "receptive_field", config=config, source=__file__) as run:
        rows = [_measured(name, config, data, prepare, made_for) for name in config.only or STACKS]
        _page(config, data, rows, made_for["image_size"], prepare).write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")
    print(*(row.line for row in rows), sep="\n")


def _measured(name: str, config: Config, data: ImageSet, prepare: Preparation, made_for: dict[str, Any]) -> Measured:
    steps = STACKS[name]
    build = lambda rngs: Stack(steps, made_for["in_features"], made_for["num_classes"], config.width, rngs=rngs)
    print(name)
    count = max(1, config.epochs * (len(data.train) // config.batch_size))
    rate = schedule("cosine", config.learning_rate, count, warmup=0.1)
    with progress(config.epochs) as (show, move):
        fitted = fit(
            build, data, prepare, optimiser("adamw", rate, weight_decay=0.05), epochs=config.epochs,
            batch_size=config.batch_size, seeds=config.seeds, seed=config.seed, on_epoch=show, on_steps=move,
        )  # fmt: skip
    x, layer = prepare(jnp.asarray(data.test.images[: config.images])), f"conv{len(steps)}"
    seeds = range(config.seeds)
    fields = [
        [np.asarray(effective_receptive_field(model, x, layer)) for model in models]
        for models in (
            [build(nnx.Rngs(config.seed + seed)) for seed in seeds],
            [fitted.member(seed) for seed in seeds],
        )
    ]
    before, after = (np.array([two_sigma_area(jnp.asarray(one)).side for one in group]) for group in fields)
    rows = summarise(build(nnx.Rngs(0)), (1, *x.shape[1:])).rows
    field = next(row.field for row in rows if row.name == layer)
    accuracy = (fitted.test_logits.argmax(-1) == data.test.labels).mean(1)
    return Measured(name, field, before, after, accuracy, (fields[0][0], fields[1][0]))


def _page(
    config: Config, data: ImageSet, rows: Sequence[Measured], image_size: tuple[int, int], prepare: Preparation
) -> Page:
    page = Page("How much of its receptive field does a unit use?")
    page.text(f"{data.source}: {len(data.train):,} training images; gradients of {config.images} test images.", "note")
    page.text(
        "The field is what a unit can see. The effective field is the mean squared gradient of the centre unit of the last map, "
        "over all its channels; its side runs from two standard deviations before its middle to two behind it."
    )
    columns = ("stack", "field", "before training", "after", "share before", "share after", "test accuracy")
    page.table(columns, [row.cells for row in rows])
    first = np.asarray(prepare(jnp.asarray(data.test.images[:1])))[0]
    low, high = first.min(), first.max()
    picture = (first - low) / max(high - low, 1e-6)
    for row in rows:
        page.heading(f"{row.name}: {', '.join(map(_words, STACKS[row.name]))}")
        units = [-(-n // 2 ** sum(step.stride == 2 for step in STACKS[row.name])) // 2 for n in image_size]
        field = (row.field.first(units), row.field.last(units))
        for values, when in zip(row.maps, ("before", "after")):
            figure = drawn(picture, field=field, effective=values, title=f"{when} training, seed {config.seed}")
            page.figure(figure, f"theoretical and effective field of {row.name} {when} training")
    return page


def _words(step: Step) -> str:
    stride = f" stride {step.stride}" if step.stride > 1 else ""
    return f"{step.size}×{step.size}{stride}" + (f" dilation {step.dilation}" if step.dilation > 1 else "")


if __name__ == "__main__":
    command("receptive_field", partial(main, tyro.cli(Config, description=__doc__)), advice="")
