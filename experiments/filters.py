"""What do the classical filters answer on a photograph? (L1.1 to L1.6)

Every function of `F.filters` on one picture, signed and absolute; the lecture's grids worked out anew; what the mode of padding,
the stride and the kind of pooling do; and whether a line detector answers most to its own line.

    python -m experiments.filters --image photo.jpg

Expected: all numbers of L1.1 to L1.5 as printed there; each detector strongest at its own line, among lines of one brightness.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array
from matplotlib.figure import Figure

from jaxcnn import functional as F
from jaxcnn.report import Page
from jaxcnn.train import run_folder

from .comparison import command
from .pictures import PALETTE, grey, numbers, options, photograph, reach, sheet, show, side_by_side

GRID = [
    [3, 0, 1, 2, 7, 4], [1, 5, 8, 9, 3, 1], [2, 7, 2, 5, 1, 3], [0, 1, 3, 1, 7, 8], [4, 2, 1, 6, 2, 8], [2, 4, 5, 2, 3, 9],
]  # fmt: skip
WORKED = {  # row: grid, kernel, what the lecture prints
    "L1.1": (
        [[5, 2, 3, 1, 2, 4], [2, 4, 1, 0, 3, 1], [5, 1, 0, 2, 8, 3], [0, 2, 1, 5, 2, 4], [2, 7, 0, 0, 2, 1], [1, 3, 2, 8, 7, 0]],
        [[1, 2, -1], [0, 1, 2], [-2, 1, 0]], [[3, 6, 11, 10], [12, 7, 19, 11], [14, -4, 5, 27], [11, -5, 17, 0]],
    ),
    "L1.2": (
        [[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 0, 1, 1, 0], [0, 1, 1, 0, 0]],
        [[1, 0, 1], [0, 1, 0], [1, 0, 1]], [[4, 3, 4], [2, 4, 3], [2, 3, 4]],
    ),
    "L1.3 edge": (GRID, [[1, 0, -1]] * 3, [[-5, -4, 0, 8], [-10, -2, 2, 3], [0, -2, -4, -7], [-3, -2, -3, -16]]),
    "L1.4 Sobel": (
        GRID, [[1, 0, -1], [2, 0, -2], [1, 0, -1]], [[-12, -8, 5, 16], [-10, 0, 3, 5], [-3, -2, -8, -14], [0, -6, -4, -18]],
    ),
    "L1.5 Scharr": (
        GRID, [[3, 0, -3], [10, 0, -10], [3, 0, -3]],
        [[-64, -40, 35, 80], [-30, 8, 13, 23], [-21, -6, -40, -70], [12, -34, -16, -62]],
    ),
}  # fmt: skip
f = F.filters
Row = dict[str, str]  # column: what stands there
mean_free = lambda kernel: kernel - kernel.mean()
LINES = (90, 45, 0, 135)
ANSWERS: dict[str, Callable[[Array], Array]] = {  # signed; a picture of what is there
    "edge_22": partial(f.edge, angle=22), "prewitt_90": f.prewitt, "sobel_90": f.sobel, "sobel_45": partial(f.sobel, angle=45),
    "sobel_0": partial(f.sobel, angle=0), "scharr_90": f.scharr, "gradient_magnitude": f.gradient_magnitude,
    "laplacian": f.laplacian, "laplacian_diagonal": partial(f.laplacian, diagonal=True),
    **{f"line_{angle}": partial(f.line, angle=angle) for angle in LINES},
    **{f"line_{angle}_mean_free": partial(f.apply, kernel=mean_free(f.line_kernel(angle))) for angle in LINES},
}  # fmt: skip
CHANGES: dict[str, Callable[[Array], Array]] = {  # a picture again
    "gaussian": partial(f.gaussian, sigma=2.0), "box": partial(f.box, size=5),
    "sharpen": f.sharpen, "edge_enhance": f.edge_enhance,
    "binomial": partial(f.apply_separable, column=f.binomial_kernel(5), row=f.binomial_kernel(5)),
}  # fmt: skip
PADDINGS = ("zeros", "replicate", "reflect", "symmetric", "circular")
WINDOW = 6


@dataclass(frozen=True)
class Config:
    """Filters, paddings, strides and poolings on a photograph."""

    image: Path | None = None
    """A photograph (default: one that comes with scikit-learn)."""
    width: int = 320
    """Pixels that its long side is reduced to."""
    seed: int = 0
    """Of what stochastic and fractional pooling draw."""
    runs: Path = Path("runs")
    """Folder that keeps the runs, one sub-folder each."""


def main(config: Config) -> None:
    """Computes everything on one picture, writes the page, prints the lines."""
    colour = photograph(config.image, config.width)
    x, key = grey(colour), jax.random.key(config.seed)
    answers = {name: function(x) for name, function in ANSWERS.items()}
    changed = {name: function(x) for name, function in CHANGES.items()}
    pooled = {name: pool(x) for name, pool in pools(key).items()}
    sections = {
        "filters": {name: strength(y) for name, y in answers.items()},
        "changes": {name: {"a pixel changes by": f"{float(jnp.abs(y - x).mean()):.4f}"} for name, y in changed.items()},
        "paddings": {
            f"padding_{mode}": {"edges at the border over those inside": f"{at_border(x, mode):.2f}"}
            for mode in PADDINGS
        },
        "poolings": {"photograph": moments(x)} | {f"pool_{name}": moments(y) for name, y in pooled.items()},
        "grids": {row.split()[0]: {"largest difference from the lecture": f"{worked(row)[1]:g}"} for row in WORKED},
        "lines": line_detectors(x),
    }
    with run_folder(config.runs, "filters", config=config, source=__file__) as run:
        _page(config, colour, answers, changed, pooled, sections).write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")
    for name, row in (item for section in sections.values() for item in section.items()):
        print(f"filters/{name} {', '.join(f'{what} {value}' for what, value in row.items())}")


def worked(row: str) -> tuple[np.ndarray, float]:
    """The response to one of the lecture's grids, and the largest difference from what the lecture prints."""
    grid, kernel, printed = (jnp.array(part, jnp.float32) for part in WORKED[row])
    response = F.conv2d(grid[None, :, :, None], kernel[:, :, None, None], padding="valid")[0, :, :, 0]
    return np.asarray(response), float(jnp.abs(response - printed).max())


def line_answers(kernels: Sequence[np.ndarray], angles: Sequence[float], size: int = 33) -> np.ndarray:
    """Strongest answer `(detectors, angles)` to a white line of one pixel at each angle on black ground."""
    pictures = jnp.asarray(np.stack([f.line_kernel(angle, size=size) for angle in angles])[..., None], jnp.float32)
    return np.stack([np.asarray(f.apply(pictures, kernel, padding="valid").max((1, 2, 3))) for kernel in kernels])


def at_border(x: Array, mode: str) -> float:
    """Mean gradient magnitude of the outermost pixels, over that of the others."""
    strength = np.asarray(f.gradient_magnitude(x, padding_mode=mode))[0, :, :, 0]
    inner = strength[1:-1, 1:-1]
    return float((strength.sum() - inner.sum()) / (strength.size - inner.size) / inner.mean())


def pools(key: Array) -> dict[str, Callable[[Array], Array]]:
    """Every kind of pooling with one window, and the stride alone."""
    weights = jnp.asarray(np.outer(f.binomial_kernel(WINDOW), f.binomial_kernel(WINDOW)), jnp.float32)
    return {
        "stride": lambda x: x[:, ::WINDOW, ::WINDOW],
        "max": lambda x: F.max_pool2d(x, WINDOW),
        "min": lambda x: F.min_pool2d(x, WINDOW),
        "average": lambda x: F.avg_pool2d(x, WINDOW),
        "weighted": lambda x: F.weighted_pool2d(x, weights),
        "blur": lambda x: F.blur_pool(x, 2 * WINDOW - 1, stride=WINDOW),
        "l2": lambda x: F.lp_pool2d(x, 2, WINDOW) / WINDOW,
        "soft": lambda x: F.soft_pool2d(x, WINDOW),
        "mixed": lambda x: F.mixed_pool2d(x, WINDOW, 0.5),
        "stochastic": lambda x: F.stochastic_pool2d(key, x, WINDOW),
        "fractional": lambda x: F.fractional_max_pool2d(key, x, WINDOW, ratio=1 / WINDOW),
        "adaptive": lambda x: F.adaptive_avg_pool2d(x, (x.shape[1] // 8, x.shape[2] // 8)),
    }


def strength(y: Array) -> Row:
    """How strong an answer is: the mean of its absolute value and of its square, the least and the largest."""
    size, energy, least, largest = (float(value) for value in (jnp.abs(y).mean(), (y**2).mean(), y.min(), y.max()))
    return {"mean size": f"{size:.4f}", "energy": f"{energy:.5f}", "least": f"{least:.2f}", "largest": f"{largest:.2f}"}


def moments(y: Array) -> Row:
    """Pixels, mean and deviation of a picture."""
    return {
        "pixels": f"{y.shape[1]} × {y.shape[2]}",
        "mean": f"{float(y.mean()):.3f}",
        "deviation": f"{float(y.std()):.3f}",
    }


def line_detectors(x: Array) -> dict[str, Row]:
    """For each detector its answers to drawn lines and to plain white, and how far it follows brightness on the photograph."""
    rows, bright = {}, np.asarray(f.box(x, 3)).ravel()
    for kind, change in (("", lambda kernel: kernel), ("_mean_free", mean_free)):
        kernels = [change(f.line_kernel(angle)) for angle in LINES]
        for place, (angle, answers) in enumerate(zip(LINES, line_answers(kernels, LINES))):
            answer = np.asarray(f.apply(x, kernels[place])).ravel()
            rows[f"L1.6_line_{angle}{kind}"] = {
                "own line": f"{answers[place]:.2f}",
                "strongest other line": f"{np.delete(answers, place).max():.2f}",
                "plain white": f"{abs(kernels[place].sum()):.2f}",
                "correlation with brightness": f"{np.corrcoef(bright, answer)[0, 1].round(2) + 0.0:.2f}",
            }
    return rows


def _page(config: Config, colour: Array, answers, changed, pooled, sections) -> Page:
    x, page = grey(colour), Page("What the classical filters answer")
    page.text(
        f"{config.image or 'china.jpg of scikit-learn'}, {x.shape[1]} × {x.shape[2]} pixels; {options(config)}.", "note"
    )
    page.figure(side_by_side({"the photograph": colour[0], "grey, as the filters see it": x[0]}, 2), "the photograph")

    def table(name: str) -> None:
        rows = sections[name]
        page.table((name, *next(iter(rows.values()))), [(name, *row.values()) for name, row in rows.items()])

    page.heading("Answers, and their absolute value")
    page.text(
        "Red is positive, blue negative, white 0; the number is what full colour stands for. An edge or a line at 90 degrees "
        "is vertical, at 45 it runs from the lower left to the upper right. Mean free: the kernel's mean was taken out."
    )
    page.figure(_pairs(answers, x, signed=True), "signed and absolute answers of every filter")
    table("filters")
    page.heading("What smooths and sharpens, and what it changes")
    page.figure(_pairs(changed, x, signed=False), "pictures of every filter, and their difference from the photograph")
    table("changes")
    page.heading("The lecture's grids (L1.1 to L1.5): grid, kernel, response")
    page.figure(_grids(), "the worked grids")
    table("grids")
    page.heading("Line detectors (L1.6)")
    page.text(
        "The strongest answer to a white line of one pixel on black ground, turned from 0 to 180 degrees, and to plain white. "
        "Correlation is between the answer on the photograph and the mean of the same nine pixels."
    )
    page.figure(_tuning(), "strongest answer against the angle of a drawn line")
    table("lines")
    page.heading("Padding: the photograph's upper left corner with 24 pixels more, and the strength of its edges")
    page.figure(_paddings(colour), "five modes of padding")
    table("paddings")
    page.heading("Strides: vertical Sobel edges, every s-th pixel")
    page.figure(_strides(x), "Sobel at strides of 1 to 8")
    page.heading(f"Pooling with windows of {WINDOW} × {WINDOW} pixels")
    page.figure(side_by_side({name: y[0] for name, y in pooled.items()}, 4), "every kind of pooling")
    table("poolings")
    return page


def _pairs(found: Mapping[str, Array], x: Array, *, signed: bool) -> Figure:
    """Two tiles a filter: the signed answer and its size, or the picture and what changed."""
    figure, axes = sheet(2 * len(found), 4, x.shape[1:3])
    for (left, right), (name, y) in zip(zip(axes[::2], axes[1::2]), found.items()):
        if signed:
            most = reach(y)
            show(left, y[0], f"{name}: ± {most:.2f}", signed=True, most=most)
            show(right, jnp.abs(y[0]), "absolute", most=most)
        else:
            show(left, y[0], name)
            show(right, y[0] - x[0], f"change: ± {reach(y - x):.2f}", signed=True)
    return figure


def _grids() -> Figure:
    figure = Figure(figsize=(7, 2.2 * len(WORKED)), layout="constrained")
    for axes, (row, (grid, kernel, _)) in zip(figure.subplots(len(WORKED), 3), WORKED.items()):
        for axis, part, title in zip(axes, (grid, kernel, worked(row)[0]), (row, "kernel", "response")):
            numbers(axis, np.array(part, float), title)
    return figure


def _tuning() -> Figure:
    figure, angles = Figure(figsize=(9, 3.0), layout="constrained"), range(0, 181, 5)
    for axis, change, title in zip(
        figure.subplots(1, 2), (lambda k: k, mean_free), ("the lecture's kernels", "mean taken out")
    ):
        kernels = [change(f.line_kernel(angle)) for angle in LINES]
        for angle, answers, style, colour in zip(LINES, line_answers(kernels, angles), ("-", "--", "-.", ":"), PALETTE):
            axis.plot(angles, answers, style, color=colour, label=f"line_{angle}")
        axis.axhline(kernels[0].sum(), color="grey", linewidth=0.8, label="plain white")
        axis.set(title=title, xlabel="angle of the line (degrees)", ylabel="strongest answer", xticks=range(0, 181, 45))
        axis.grid(alpha=0.25)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def _paddings(colour: Array) -> Figure:
    width, corner = 24, colour[:, :64, :96]
    figure, axes = sheet(2 * len(PADDINGS), len(PADDINGS), (64 + 2 * width, 96 + 2 * width))
    for above, below, mode in zip(axes, axes[len(PADDINGS) :], PADDINGS):
        padded = F.pad(corner, width, mode=mode)
        show(above, padded[0], mode)
        show(below, f.gradient_magnitude(grey(padded))[0], "edges", most=2.0)
    return figure


def _strides(x: Array) -> Figure:
    kernel = jnp.asarray(f.edge_kernel(operator="sobel"), jnp.float32)[:, :, None, None]
    figure, axes = sheet(4, 4, x.shape[1:3])
    for axis, stride in zip(axes, (1, 2, 4, 8)):
        y = F.conv2d(x, kernel, stride=stride, padding_mode="replicate")
        show(axis, y[0], f"stride {stride}: {y.shape[1]} × {y.shape[2]}", signed=True)
    return figure


if __name__ == "__main__":
    command("filters", partial(main, tyro.cli(Config, description=__doc__)))
