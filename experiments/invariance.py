"""Is a convolutional network invariant: to translation, rotation, size, viewpoint, illumination? (L0.5)

A convolution is equivariant, exactly: its answer to a shifted image is its answer shifted. A network of convolutions need not be
invariant: how often does its answer stay when the picture changes a little? Networks with max pooling, with blurred pooling and
with a maximum that is blurred before it is strided (Zhang, Making convolutional networks shift-invariant again, 2019), each
trained without and with augmentation.

    python -m experiments.invariance --data-dir DIR --weights resnet20-12fca82f.npz

The augmentation holds moves, light and contrast, but no turns, scales or tilts.

Expected: convolution exact to rounding; no network invariant; blurring gains consistency under shifts, augmentation gains on what
it holds and little on the rest.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx
from jax import Array

from jaxcnn import augment as A
from jaxcnn import functional as F
from jaxcnn import models, weights
from jaxcnn.data import ImageSet, Prepare, Split, preparer
from jaxcnn.report import Page, Variant
from jaxcnn.train import Fitted, Run

from .comparison import Contender, Options, command, compare, load_part, seen_size
from .equivariance import LAYERS, equivariance, invariance_of
from .invariance_page import METRICS, Measured, write
from .transformations import TRANSFORMATIONS

BATCH = 250


@dataclass(frozen=True)
class Config(Options):
    """Response curves of networks with three poolings, without and with augmentation."""

    dataset: str = "cifar10"
    """Name of a TFDS set of small images, digits, or a folder of pictures, train/<class>/*.jpg."""
    train_images: int | None = 5000
    """Use only so many training images, the first ones of each class alike."""
    test_images: int = 500
    """Test images, the first ones of each class alike, at most."""
    seeds: int = 3
    """Networks of each variant, trained together, each from its own seed."""
    epochs: int = 10
    """Passes over the training images."""
    batch_size: int = 100
    """Images a step."""
    widths: tuple[int, ...] = (8, 16, 32, 64)
    """Channels of each stage."""
    method: Literal["cubic", "linear"] = "cubic"
    """Interpolation of moved pictures."""
    shifts: int = 8
    """Random shifts of each image whose answers are compared for the consistency."""
    weights: Path | None = None
    """File of weights that a card is known for, such as resnet20-12fca82f.npz: the same curves of that network."""


class Network(NamedTuple):
    """Trained members and their accuracy; `answer(model, images)` gives the probabilities of uint8 images."""

    members: list[Any]
    answer: Callable[[Any, np.ndarray], np.ndarray]
    accuracy: np.ndarray


def main(config: Config) -> None:
    """Trains the variants, measures the responses, writes the page, prints a line a layer and then a variant."""
    data, made_for = load_part(config)
    least = {"test_images": len(data.class_names), "shifts": 2}  # an image a class, a pair of shifts
    for what, count in least.items():
        if getattr(config, what) < count:
            raise ValueError(f"{what}={getattr(config, what)} must be at least {count}")
    each = config.test_images // len(data.class_names)
    data = replace(data, test=data.test.first_of_each_class(each))
    published = {} if config.weights is None else _published(config.weights, data)
    lines: list[str] = []

    def more(page: Page, results: Mapping[str, tuple[Variant, Fitted]], run: Run) -> None:
        networks = {name: _trained(fitted, data) for name, (_, fitted) in results.items()} | published
        measured = _study(config, data.test, networks)
        contrast = data.test.images[:50].std((1, 2, 3))
        write(page, measured, data.test.images[contrast.argmax()], config.method, len(data.test))
        run.write_json("responses.json", jax.tree.map(np.ndarray.tolist, dict(zip(Measured._fields, measured[:4]))))
        lines.extend(measured.lines)

    prepare = preparer(data, seen_size(data))
    contenders = {}
    for ending, augment in (("", None), ("_augmented", prepare.augmenting(varied))):
        for pooling in ("max", "blur", "max_blur"):
            build = partial(_build, pooling=pooling, widths=config.widths, **made_for)
            contenders[pooling + ending] = Contender(build, augment=augment)
    compare("invariance", "Is a convolutional network invariant?", config, data, contenders, __file__, more=more)
    print(*(f"invariance/{line}" for line in lines), sep="\n")


def varied(key: Array, x: Array) -> Array:
    """Up to an eighth of the size to each side, up to 40 % in light and in contrast; no turn, scale or tilt."""
    moved = lambda key, x: A.random_crop(key, x, x.shape[1:3], padding=max(1, x.shape[1] // 8), padding_mode="reflect")
    light = lambda key, x: A.random_brightness(key, x, 0.4)
    return A.compose(moved, light, lambda key, x: A.random_contrast(key, x, 0.4))(key, x)


class MaxBlurPool(nnx.Module):
    """The maximum of 2×2 at every pixel, blurred over 3×3, every second pixel kept."""

    def __call__(self, x: Array) -> Array:
        return F.blur_pool(F.max_pool(x, 2, stride=1, padding="same"), 3)


def respond(networks: Mapping[str, Network], split: Split, name: str, method: str) -> dict[str, dict[str, np.ndarray]]:
    """What the networks answer to one transformation: metric → network → one number an amount and member."""
    change, found = TRANSFORMATIONS[name], {metric: {one: [] for one in networks} for metric in METRICS}
    tops = {one: [] for one in networks}
    for amount in change.amounts:
        images = change.apply(split.images, amount, method)
        for one, network in networks.items():
            p = _each(network, images)  # (members, n, classes)
            tops[one].append(p.argmax(-1))
            found["accuracy"][one].append((p.argmax(-1) == split.labels).mean(1))
            found["probability"][one].append(p[:, np.arange(len(images)), split.labels].mean(1))
    untouched = change.amounts.index(change.identity)
    for one, answers in tops.items():
        found["same"][one] = (np.array(answers) == answers[untouched]).mean(2)
    return {metric: {one: np.array(rows) for one, rows in of.items()} for metric, of in found.items()}


def consistency(network: Network, images: np.ndarray, padding_mode: str, *, shifts: int, seed: int = 0) -> np.ndarray:
    """The probability that two random shifts of an image get the same class (Zhang 2019), of each member.

    Each image is shifted `shifts` times, by whole pixels uniform in ± an eighth of its size on each axis.

    Args:
        padding_mode: "circular", pixels come in again at the other side; "reflect", they are mirrored at the border.
    """
    n, h, w, _ = images.shape
    reach = (max(1, h // 8), max(1, w // 8))
    corners = np.random.default_rng(seed).integers(0, [2 * reach[0] + 1, 2 * reach[1] + 1], (shifts, n, 2))
    cut = jax.jit(partial(A.crop, size=(h, w), padding=reach, padding_mode=padding_mode))
    answers = [_each(network, np.asarray(cut(images, jnp.asarray(corner)))).argmax(-1) for corner in corners]
    return agreement(np.array(answers)).mean(-1)


def agreement(answers: np.ndarray) -> np.ndarray:
    """Share of the pairs of different shifts that get the same class: answers `(shifts, …)` → `(…)`.

    >>> agreement(np.array([[1, 1], [1, 2], [1, 3]])).tolist(), agreement(np.array([1, 1, 2])).item()
    ([1.0, 0.0], 0.3333333333333333)
    """
    count = len(answers)
    equal = (answers[:, None] == answers[None]).sum((0, 1)) - count
    return equal / (count * (count - 1))


def _build(rngs: nnx.Rngs, *, pooling: str, **options: Any) -> nnx.Module:
    model: Any = models.create("plain", rngs=rngs, downsample="blur" if pooling == "blur" else "max", **options)
    if pooling == "max_blur":
        model.pools = nnx.List([None if pool is None else MaxBlurPool() for pool in model.pools])
    return model


def _trained(fitted: Fitted, data: ImageSet) -> Network:
    members = [fitted.member(i) for i in range(len(fitted.test_logits))]
    accuracy = (fitted.test_logits.argmax(-1) == data.test.labels).mean(1)
    return Network(members, _answering(preparer(data, seen_size(data))), accuracy)


def _published(file: Path, data: ImageSet) -> dict[str, Network]:
    """The network of a file, by the name of its model.

    Raises: ValueError for a file that no card is known for, or a set that is not the one it was trained on.
    """
    card = weights.card_with_sha256(weights.sha256_of(file))
    if card is None:
        raise ValueError(f"no card is known for {file}")
    if card.classes != data.name or card.image_size != data.image_shape[:2]:
        sizes = ["×".join(map(str, size)) for size in (card.image_size, data.image_shape[:2])]
        wanted = f"{card.name} is for {card.classes} of {sizes[0]} pixels"
        raise ValueError(f"weights: {wanted}; the data are {data.name} of {sizes[1]}")
    model = weights.load(models.create(card.model, rngs=nnx.Rngs(0)), file, names=card.names)
    network = Network([model], _answering(weights.preparation(card)), np.zeros(1))
    right = _each(network, data.test.images).argmax(-1) == data.test.labels
    return {card.model: network._replace(accuracy=right.mean(1))}


def _answering(prepare: Prepare) -> Callable[[Any, np.ndarray], np.ndarray]:
    run = jax.jit(lambda model, images: jax.nn.softmax(model(prepare(images), train=False)))

    def answer(model: Any, images: np.ndarray) -> np.ndarray:
        return np.concatenate([run(model, images[at : at + BATCH]) for at in range(0, len(images), BATCH)])

    return answer


def _each(network: Network, images: np.ndarray) -> np.ndarray:
    """Probabilities `(members, n, classes)`."""
    return np.stack([network.answer(model, images) for model in network.members])


def _study(config: Config, test: Split, networks: Mapping[str, Network]) -> Measured:
    """Everything that is measured on the trained networks, and on convolutions alone."""
    plain = {
        "no pooling, circular padding": ("none", "circular"),
        "no pooling, zeros beyond the border": ("none", "zeros"),
        "max pooling, circular padding": ("max", "circular"),
    }
    steady = lambda network, mode: consistency(network, test.images, mode, shifts=config.shifts)
    return Measured(
        {name: respond(networks, test, name, config.method) for name in TRANSFORMATIONS},
        {name: network.accuracy for name, network in networks.items()},
        {name: steady(network, "circular") for name, network in networks.items()},
        {name: steady(network, "reflect") for name, network in networks.items()},
        [equivariance(name, layer, dtype) for name, layer in LAYERS.items() for dtype in ("float32", "float64")],
        {name: invariance_of(*options) for name, options in plain.items()},
    )


if __name__ == "__main__":
    command("invariance", partial(main, tyro.cli(Config, description=__doc__)))
