"""What does pooling lose? (L0.6)

"The pooling operation used in convolutional neural networks is a big mistake": it is said to forget where things are. Each item
lies at a random place of a larger canvas. A linear read-out tells its centre from the maps of one network whose halvings are a
maximum, an average, a blur, a stride or none, before and after it learned to classify. Then images are cut into parts that change
places (`shuffled_parts`).

    python -m experiments.pooling_position --data-dir DIR

Expected: two halvings cost nothing, and after four the 2 × 2 map still tells the place better than its cells do; maximum and
stride lose most, average and blur least. The global mean of a trained network is little better than a guess.
"""

from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter
from typing import NamedTuple

import numpy as np
import tyro
from flax import nnx
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter

from jaxcnn.data import ImageSet, Split, preparer
from jaxcnn.interpret import capture
from jaxcnn.report import Page, deviation, over_seeds
from jaxcnn.train import run_folder

from .comparison import Source, command, load_part
from .pictures import PALETTE, options, thumbnails
from .shuffled_parts import HALVINGS, Network, Parts, batched, parts_section, parts_test, spread, trained

PENALTIES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
SIDE = 14  # pixels that an item is averaged down to, by a whole factor


@dataclass(frozen=True)
class Config(Source):
    """Position read from the maps, and answers to shuffled parts."""

    train_images: int | None = 4000
    """Use only so many training images, the first ones of each class alike."""
    test_images: int = 1000
    """Test images, the first ones."""
    read_images: int = 1000
    """Training images that the read-out of the position is fitted to."""
    seeds: int = 3
    """Networks of each variant, trained together, each from its own seed."""
    canvas: int = 32
    """Pixels a side that an item is put on."""
    width: int = 16
    """Channels of every stage."""
    stages: int = 4
    """Stages of the network that position is read from, each halved."""
    epochs: int = 6
    """Passes over the training images."""
    batch_size: int = 64
    """Images a step."""
    learning_rate: float = 4e-3
    """Peak learning rate of AdamW; it warms up over a tenth of the steps and falls as a cosine."""


class Position(NamedTuple):
    """Errors of the read-out in pixels, layer → one a seed; the test accuracy; what the first seed's last map reads."""

    errors: dict[str, np.ndarray]
    accuracy: np.ndarray | None
    read: np.ndarray

    @property
    def line(self) -> str:
        """All in one line."""
        each = ", ".join(f"{name} {spread(values)}" for name, values in self.errors.items())
        right = "" if self.accuracy is None else f"; test accuracy {over_seeds(self.accuracy)}"
        return f"error in pixels: {each}{right}"


def main(config: Config) -> None:
    """Runs both tests, prints a line a variant, writes the page."""
    data, _ = load_part(config)
    data = replace(data, test=Split(data.test.images[: config.test_images], data.test.labels[: config.test_images]))
    start = perf_counter()
    with run_folder(config.runs, "pooling_position", config=config, source=__file__) as run:
        positions, parts = position_test(config, data), parts_test(config, data)
        found = {name: one.line for name, one in (positions | parts).items()}
        run.write_json("found.json", found)
        _page(config, data, positions, parts).write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}, {perf_counter() - start:.0f} s")
    print(*(f"pooling_position/{name} {line}" for name, line in found.items()), sep="\n")


def position_test(config: Config, data: ImageSet) -> dict[str, Position]:
    """Errors of the position read from the pixels and from every map of each network, before and after training."""
    (train, centres), (test, true) = (
        placed(part, config.canvas, config.seed + i) for i, part in enumerate((data.train, data.test))
    )
    on_canvas, count = replace(data, train=train, test=test), min(config.read_images, len(train))
    prepare, found = preparer(on_canvas, (config.canvas, config.canvas)), {}
    chosen = np.random.default_rng(config.seed).permutation(len(train))[:count]
    images, known = np.concatenate([train.images[chosen], test.images]), centres[chosen]
    layer = nnx.jit(lambda model, pixels, name: capture(model, prepare(pixels))[1][name], static_argnames="name")
    read = lambda model, name: read_out(batched(partial(layer, name=name), model, images), known)
    layers = [*(f"stage_{i + 1}" for i in range(config.stages)), "global_mean"]
    made_for = {"size": config.canvas, "width": config.width, "stages": config.stages, "halved": config.stages}
    alone = {"pixels": read_out(images / 255, known), "a_guess": np.tile(known.mean(0), (len(test), 1))}
    for halving in HALVINGS:
        build = lambda rngs, how=halving: Network(on_canvas, how, "global_mean", **made_for, rngs=rngs)
        fitted = trained(build, on_canvas, prepare, config)
        networks = {
            "random": [build(nnx.Rngs(seed)) for seed in range(config.seed, config.seed + config.seeds)],
            "trained": [fitted.member(i) for i in range(config.seeds)],
        }
        for kind, members in networks.items():
            each = [alone | {name: read(model, name) for name in layers} for model in members]
            errors = {
                name: np.array([distance(one[name], true) for one in each]) for name in ("pixels", *layers, "a_guess")
            }
            accuracy = (fitted.test_logits.argmax(-1) == test.labels).mean(1) if kind == "trained" else None
            found[f"{halving}_{kind}"] = Position(errors, accuracy, each[0][layers[-2]])
            print(f"{halving}_{kind} {found[f'{halving}_{kind}'].line}", flush=True)
    return found


def placed(split: Split, canvas: int, seed: int) -> tuple[Split, np.ndarray]:
    """Each image, averaged down, at a random place of a black canvas, and its centre (y, x) in pixels.

    Raises: ValueError for a canvas that is smaller than an item.
    """
    n, height, width, c = split.images.shape
    step = max(1, height // SIDE)
    h, w = height // step, width // step
    if canvas < max(h, w):
        raise ValueError(f"canvas={canvas} is smaller than an item of {h} × {w} pixels")
    blocks = split.images[:, : h * step, : w * step].reshape(n, h, step, w, step, c)
    corners = np.random.default_rng(seed).integers(0, (canvas - h + 1, canvas - w + 1), (n, 2))
    on_canvas = np.zeros((n, canvas, canvas, c), np.uint8)
    for image, item, (y, x) in zip(on_canvas, blocks.mean((2, 4)).round().astype(np.uint8), corners):
        image[y : y + h, x : x + w] = item
    return Split(on_canvas, split.labels), corners + np.array([h, w]) / 2


def read_out(maps: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The centres that linear ridge regression reads from the maps behind those whose centres are `known` `(count, 2)`.

    The penalty is a share of the features' variance, and the best one on every fifth known centre.
    """
    features, count = maps.reshape(len(maps), -1).astype(np.float32), len(known)
    x = features - features[:count].mean(0)
    gram = (x @ x[:count].T).astype(float)  # (n, count)
    gram /= max(np.trace(gram[:count]) / count, 1e-30)
    held = np.arange(count) % 5 == 0
    miss = lambda penalty: distance(
        _ridge(gram[np.ix_(held, ~held)], gram[np.ix_(~held, ~held)], known[~held], penalty), known[held]
    )
    return _ridge(gram[count:], gram[:count], known, min(PENALTIES, key=miss))


def _ridge(across: np.ndarray, inner: np.ndarray, known: np.ndarray, penalty: float) -> np.ndarray:
    """What the dual solution says of new rows, given their products with the known ones and those of the known ones."""
    return across @ np.linalg.solve(inner + penalty * np.eye(len(inner)), known - known.mean(0)) + known.mean(0)


def distance(read: np.ndarray, true: np.ndarray) -> float:
    """Mean distance of two lists of points.

    >>> distance(np.array([[0, 0], [1, 1]]), np.array([[3, 4], [1, 1]]))
    2.5
    """
    return float(np.linalg.norm(read - true, axis=1).mean())


def cell_alone(true: np.ndarray, side: int) -> float:
    """Mean distance of points from the middle of all that lie in the same cell of `side` pixels: what knowing the cell leaves.

    >>> cell_alone(np.array([[0, 0], [0, 2], [5, 5]]), 4)
    0.6666666666666666
    """
    _, cells = np.unique(true // side, axis=0, return_inverse=True)
    middles = np.array([true[cells.ravel() == cell].mean(0) for cell in range(cells.max() + 1)])
    return distance(middles[cells.ravel()], true)


def _page(config: Config, data: ImageSet, positions: dict[str, Position], parts: dict[str, Parts]) -> Page:
    page = Page("What pooling loses")
    page.text(
        f"{data.source}: {len(data.train):,} training and {len(data.test):,} test images; {options(config)}.", "note"
    )
    page.heading("Where is it? Items at random places")
    test, true = placed(data.test, config.canvas, config.seed + 1)
    page.figure(thumbnails(test.images[:8]), "eight items on their canvas")
    page.heading("Error of a linear read-out of the centre")
    errors = next(iter(positions.values())).errors
    pixels, guess = (errors[name].mean() for name in ("pixels", "a_guess"))
    page.text(
        f"Mean distance in pixels, mean ± standard deviation over seeds; {pixels:.2f} read from the pixels themselves. "
        "The cell alone: a reader who knows only in which cell of the halved map the centre lies, and says the mean of that "
        f"cell's centres; what is below it tells more. A guess: the mean of all places, {guess:.2f}."
    )
    page.figure(_curves(config, positions, true), "error of the position against the number of stages")
    columns = [name for name in errors if name not in ("pixels", "a_guess")]
    accuracy = lambda found: "" if found.accuracy is None else spread(found.accuracy)
    cells = lambda found: [*(spread(found.errors[column]) for column in columns), accuracy(found)]
    rows = [(name.replace("_", " "), *cells(found)) for name, found in positions.items()]
    page.table(("network", *(column.replace("_", " ") for column in columns), "accuracy"), rows)
    page.heading(f"Column that is read against the true one, after {config.stages} stages of a trained network")
    page.figure(_read_against_true(positions, true), "read column against true column")
    parts_section(page, config, data, parts)
    return page


def _curves(config: Config, positions: dict[str, Position], true: np.ndarray) -> Figure:
    figure, halvings = Figure(figsize=(9, 3.6), layout="constrained"), np.arange(config.stages + 1)
    for axis, kind in zip(figure.subplots(1, 2, sharey=True), ("random", "trained")):
        for i, halving in enumerate(HALVINGS):
            values = list(positions[f"{halving}_{kind}"].errors.values())[:-1]
            means, errors = [one.mean() for one in values], list(map(deviation, values))
            axis.errorbar(
                range(len(means)), means, yerr=errors, marker="osv^D"[i], capsize=3, color=PALETTE[i], label=halving
            )
        cells = [cell_alone(true, 2**k) for k in halvings[1:]]
        axis.plot(halvings[1:], cells, color="grey", linewidth=0.8, label="the cell alone")
        guess = next(iter(positions.values())).errors["a_guess"].mean()
        axis.axhline(guess, color="grey", linestyle=":", label="a guess")
        axis.set_xticks(range(config.stages + 2), ["pixels", *map(str, halvings[1:]), "mean"])
        axis.set(title=f"{kind} weights", xlabel="stages", yscale="log", ylim=(None, 1.3 * guess))
        axis.yaxis.set_major_locator(FixedLocator([2.0**k for k in range(-3, 7)]))
        axis.yaxis.set_major_formatter("{x:g}")
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.25, which="both")
    figure.axes[0].set_ylabel("error (pixels)")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def _read_against_true(positions: dict[str, Position], true: np.ndarray) -> Figure:
    figure, ends = Figure(figsize=(9, 2.2), layout="constrained"), [true[:, 1].min(), true[:, 1].max()]
    for i, (axis, halving) in enumerate(
        zip(figure.subplots(1, len(HALVINGS), sharey=True, squeeze=False)[0], HALVINGS)
    ):
        axis.plot(true[:, 1], positions[f"{halving}_trained"].read[:, 1], ".", color=PALETTE[i], markersize=2)
        axis.plot(ends, ends, color="grey", linewidth=0.8)
        axis.set_title(halving, fontsize=9)
        axis.set_xlabel("true (pixels)", fontsize=8)
    figure.axes[0].set_ylabel("read (pixels)", fontsize=8)
    return figure


if __name__ == "__main__":
    command("pooling_position", partial(main, tyro.cli(Config, description=__doc__)), advice="")
