"""Which features should a linear classifier get? (L4.8, L4.9)

Pixels, colour histograms, local binary patterns and oriented gradients (HOG) of scikit-image, and what a network trained on other
images computes: the same softmax regression on each, its penalty chosen on a fifth of the training images.

    python -m experiments.features --weights squeezenet_v1.1_fp16.npz --data-dir DIR

Expected: colours and binary patterns behind the pixels themselves, HOG a little ahead of them, the network far ahead of all.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter

import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx

from jaxcnn import models, weights
from jaxcnn.data import ImageSet, load
from jaxcnn.report import Page, Variant, comparison_page
from jaxcnn.train import outputs, run_folder, softmax_regression

from .comparison import command
from .transfer import draw

PENALTIES = (0.003, 0.03, 0.3, 3.0)


@dataclass(frozen=True)
class Config:
    """One linear classifier on hand-made and on learned features."""

    weights: Path
    """File of weights that a card is known for, such as squeezenet_v1.1_fp16.npz."""
    dataset: str = "cifar10"
    """Name of a TFDS set of RGB images, or a folder <class>/*.jpg."""
    data_dir: Path | None = None
    """Directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own)."""
    count: int = 1000
    """Training images, as many of each class."""
    test_images: int = 1000
    """Test images, as many of each class, at most."""
    side: int = 96
    """Pixels that the network sees the images at."""
    seeds: int = 3
    """Draws of the training images."""
    seed: int = 0
    """The first of the seeds."""
    only: tuple[str, ...] = ("pixels", "colours", "lbp", "hog", "network")
    """Run only these."""
    runs: Path = Path("runs")
    """Folder that keeps the runs, one sub-folder each."""


def main(config: Config) -> None:
    """Computes each kind of features once an image, fits a classifier a seed, prints a line each, writes the page."""
    size = config.side if Path(config.dataset).is_dir() else None
    data = load(config.dataset, data_dir=config.data_dir, image_size=size)
    kinds = HAND_MADE | {"network": partial(network, config)}
    unknown = set(config.only) - kinds.keys()
    if unknown:
        raise ValueError(f"only={min(unknown)!r} must be one of {', '.join(kinds)}")
    with run_folder(config.runs, "features", config=config, source=__file__) as run:
        variants = []
        for name in config.only:
            variants.append(_variant(name, kinds[name], config, data))
            print(f"features/{variants[-1].line}")
        _page(config, data, variants).write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")


def pixels(images: np.ndarray) -> np.ndarray:
    """The pixels of images averaged to 16 × 16 at most, in [0, 1]."""
    step = max(1, images.shape[1] // 16)
    h, w = (size // step * step for size in images.shape[1:3])
    blocks = images[:, :h, :w].reshape(len(images), h // step, step, w // step, step, 3)
    return blocks.mean((2, 4)).reshape(len(images), -1) / 255


def colours(images: np.ndarray, bins: int = 8) -> np.ndarray:
    """Share of the pixels in each of `bins` levels of each channel."""
    level = images.astype(int) * bins // 256
    return (level[..., None] == np.arange(bins)).mean((1, 2)).reshape(len(images), -1)


def lbp(images: np.ndarray) -> np.ndarray:
    """Histogram of uniform local binary patterns, 8 neighbours at a distance of 1, in each quarter of the image."""
    from skimage.feature import local_binary_pattern

    def one(image: np.ndarray) -> np.ndarray:
        codes = local_binary_pattern(image, 8, 1, "uniform")
        h, w = (size // 2 for size in codes.shape)
        quarters = (codes[:h, :w], codes[:h, w:], codes[h:, :w], codes[h:, w:])
        return np.concatenate([np.bincount(part.astype(int).ravel(), minlength=10) / part.size for part in quarters])

    return np.stack([one(image) for image in grey(images)])


def hog(images: np.ndarray) -> np.ndarray:
    """Histograms of oriented gradients in 4 × 4 cells, blocks of 2 × 2 normalised."""
    from skimage.feature import hog as of_image

    cell = (images.shape[1] // 4, images.shape[2] // 4)
    return np.stack([of_image(image, pixels_per_cell=cell, cells_per_block=(2, 2)) for image in grey(images)])


def grey(images: np.ndarray) -> np.ndarray:
    """Luma of ITU-R 601, uint8."""
    return np.round(images @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)


def network(config: Config, images: np.ndarray) -> np.ndarray:
    """What the head of the trained network sees."""
    card = weights.card_with_sha256(weights.sha256_of(config.weights))
    if card is None:
        raise ValueError(f"no card is known for {config.weights}")
    model = weights.load(models.create(card.model, rngs=nnx.Rngs(0)), config.weights)
    prepare = weights.preparation(replace(card, resize=config.side, image_size=(config.side, config.side)))
    return outputs(weights.headless(model), images, prepare).reshape(len(images), -1)


HAND_MADE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "pixels": pixels,
    "colours": colours,
    "lbp": lbp,
    "hog": hog,
}


def accuracy(x: np.ndarray, y: np.ndarray, x_test: np.ndarray, y_test: np.ndarray, classes: int) -> float:
    """Of the best linear classifier; the penalty is the best on every fifth image, then all are used."""
    held = np.arange(len(y)) % 5 == 0
    rate = lambda l2, fit, on: _right(x[fit], y[fit], on[0], on[1], classes, l2)
    best = max(PENALTIES, key=lambda l2: rate(l2, ~held, (x[held], y[held])))
    return rate(best, slice(None), (x_test, y_test))


def _right(x, y, x_test, y_test, classes: int, l2: float) -> float:
    kernel, bias = softmax_regression(jnp.asarray(x, jnp.float32), jnp.asarray(y), classes, l2=l2)
    return float(((x_test @ np.asarray(kernel) + np.asarray(bias)).argmax(1) == y_test).mean())


def _variant(name: str, features: Callable[[np.ndarray], np.ndarray], config: Config, data: ImageSet) -> Variant:
    classes, start, reached = len(data.class_names), perf_counter(), []
    test = draw(data.test, min(config.test_images, classes * np.bincount(data.test.labels).min()), classes, 0)
    x_test = features(test.images)
    for seed in range(config.seed, config.seed + config.seeds):
        train = draw(data.train, config.count, classes, seed)
        order = np.random.default_rng(seed).permutation(len(train))
        reached.append(accuracy(features(train.images)[order], train.labels[order], x_test, test.labels, classes))
    found, count = np.array(reached), (x_test.shape[1] + 1) * classes
    no_curve = np.empty((0, len(found)))
    return Variant(name, found, no_curve, count, x_test.shape[1] * classes, perf_counter() - start)


def _page(config: Config, data: ImageSet, variants: list[Variant]) -> Page:
    notes = (f"{data.source}; parameters and multiply-adds are the linear classifier's.", f"{config}")
    return comparison_page("Which features should a linear classifier get?", notes, variants)


if __name__ == "__main__":
    command("features", partial(main, tyro.cli(Config, description=__doc__)))
