"""Can a kernel be learned from pairs of picture and response? (L1.15)

W1 … W9 begin as random numbers. Gradient descent on the mean squared difference between their response and that of a hidden
kernel finds the kernel: Sobel's, Scharr's, and edges at 22, 45 and 70 degrees. The loss is quadratic, so its Hessian (the mean
product of two pixels of a window, 9 × 9) gives the step: 2 / (least + largest eigenvalue) for descent, 1 / largest with
Nesterov's momentum for accelerated descent; conjugate gradients need none. All seeds and kernels are one `vmap`, all steps one
`lax.scan`.

An edge at θ degrees runs along θ, counted counter-clockwise from the horizontal with y upwards. Its kernel is the derivative
across it, cos φ · Gx + sin φ · Gy with φ = θ + 90, where Gx grows to the right and Gy upwards: at 90 degrees every row is
[1, 0, −1], positive where bright lies left of dark.

    python -m experiments.learn_edges --image photo.jpg
    python -m experiments.learn_edges --dataset cifar10 --data-dir DIR

Expected: accelerated descent and conjugate gradients reach rounding, 1e-5 in float32 and 1e-13 in float64, conjugate gradients in
some ten steps; plain descent is a thousand times slower, because neighbouring pixels are nearly alike.
"""

from collections.abc import Callable
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
from jaxcnn.data import load
from jaxcnn.report import Page
from jaxcnn.train import run_folder

from .comparison import command
from .pictures import PALETTE, grey, numbers, options, photograph, reach, sheet, show

_edge = lambda angle, operator: np.asarray(F.filters.edge_kernel(angle, operator=operator))
TARGETS = {
    "sobel": _edge(90, "sobel"),
    "scharr": _edge(90, "scharr"),
    **{f"edge_{angle}": _edge(angle, "prewitt") for angle in (22, 45, 70)},
}
METHODS = ("descent", "accelerated", "conjugate")
NEAR = 1e-5  # share of the largest weight that counts as found


@dataclass(frozen=True)
class Config:
    """Gradient descent on nine weights."""

    image: Path | None = None
    """A photograph to cut crops from (default: one that comes with scikit-learn)."""
    dataset: str | None = None
    """Learn from the images of a set instead: the name of a TFDS set of small images, digits, or a folder."""
    data_dir: Path | None = None
    """Directory of prepared TFDS sets (default: TFDS_DATA_DIR or TFDS's own)."""
    images: int = 64
    """Images of the set, or crops of the photograph, that are learned from."""
    crop: int = 18
    """Pixels a side of a crop."""
    steps: int = 12000
    """Steps of descent and of accelerated descent; conjugate gradients make a hundredth of them, 60 at least."""
    seeds: int = 3
    """Draws of the images and of the first weights."""
    seed: int = 0
    """The first of the seeds."""
    runs: Path = Path("runs")
    """Folder that keeps the runs, one sub-folder each."""


def main(config: Config) -> None:
    """Learns every kernel by every method in both precisions, prints a line each, writes the page."""
    whole, x = pictures(config)
    with run_folder(config.runs, "learn_edges", config=config, source=__file__) as run:
        paths = {
            (method, dtype): path(config, x, method, dtype) for dtype in ("float32", "float64") for method in METHODS
        }
        rows = [_row(name, i, method, paths) for i, name in enumerate(TARGETS) for method in METHODS]
        _page(config, whole, x, paths, rows).write(run.path / "report.html")
    print(f"report: {run.path / 'report.html'}")
    for name, steps, single, double, found in rows:
        print(
            f"learn_edges/{name} max |W − W*| {single} in float32, {double} in float64 after {steps} steps; "
            f"{NEAR:g} of the largest weight after {found} steps ({config.seeds} seeds)"
        )


def pictures(config: Config) -> tuple[np.ndarray, np.ndarray]:
    """A whole picture `(1, h, w, 1)` to draw, what each seed learns from `(seeds, n, h, w, 1)`, mean 0, deviation 1."""
    if min(config.images, config.steps, config.seeds) < 1:
        raise ValueError(f"images={config.images}, steps={config.steps}, seeds={config.seeds} must be 1 at least")
    random = [np.random.default_rng(seed) for seed in range(config.seed, config.seed + config.seeds)]
    if config.dataset is None:
        whole = np.asarray(grey(photograph(config.image, 320)), float)
        h, w = (size - config.crop + 1 for size in whole.shape[1:3])
        if config.crop < 3 or min(h, w) < 1:
            raise ValueError(
                f"crop={config.crop} must be from 3 to the {min(whole.shape[1:3])} pixels of the photograph"
            )
        corners = [r.integers(0, (h, w), (config.images, 2)) for r in random]
        x = np.array([[whole[0, i : i + config.crop, j : j + config.crop] for i, j in each] for each in corners])
    else:
        images = load(config.dataset, data_dir=config.data_dir).train.images
        if config.images > len(images):
            raise ValueError(f"images={config.images} is more than the {len(images)} of {config.dataset}")
        chosen = np.array([r.permutation(len(images))[: config.images] for r in random])
        x = np.asarray(grey(jnp.asarray(images[chosen.ravel()], jnp.float32) / 255), float)
        x = x.reshape(*chosen.shape, *x.shape[1:])
        whole = x[0, :1]
    mean, deviation = x.mean((1, 2, 3, 4), keepdims=True), x.std((1, 2, 3, 4), keepdims=True)
    return (whole - mean[0]) / deviation[0], (x - mean) / deviation


def eigenvalues(x: np.ndarray) -> np.ndarray:
    """Of the Hessian of each seed `(seeds, 9)`, ascending: the mean product of two pixels of a 3 × 3 window."""
    windows = np.lib.stride_tricks.sliding_window_view(x[..., 0], (3, 3), (2, 3)).reshape(len(x), -1, 9)
    return np.linalg.eigvalsh(np.einsum("sni,snj->sij", windows, windows) / windows.shape[1])


def path(config: Config, x: np.ndarray, method: str, dtype: str) -> np.ndarray:
    """The weights before the first step and after each, `(steps + 1, seeds, targets, 3, 3)`."""
    steps = config.steps if method != "conjugate" else max(60, config.steps // 100)
    low, high = (eigenvalues(x)[:, i] for i in (0, -1))
    first = [
        np.random.default_rng(seed).normal(size=(len(TARGETS), 3, 3))
        for seed in range(config.seed, config.seed + config.seeds)
    ]
    with jax.enable_x64(dtype == "float64"):
        given = (jnp.asarray(value, dtype) for value in (x, np.array(first), low, high))
        hidden = jnp.asarray(np.stack(list(TARGETS.values())), dtype)
        of_kernel = lambda images, low, high, target, start: learn(images, target, start, low, high, method, steps)
        of_seed = lambda images, start, low, high: jax.vmap(partial(of_kernel, images, low, high))(hidden, start)
        return np.moveaxis(np.asarray(jax.jit(jax.vmap(of_seed))(*given), float), 2, 0)


def learn(x: Array, target: Array, start: Array, low: Array, high: Array, method: str, steps: int) -> Array:
    """The weights `(steps + 1, 3, 3)` from `start` to what answers to images `(n, h, w, 1)` as `target` does."""
    respond = lambda w: F.conv2d(x, w[:, :, None, None], padding="valid")
    responses = respond(target)
    gradient = jax.grad(lambda w: jnp.mean((respond(w) - responses) ** 2) / 2)
    step, state = METHOD[method](gradient, start, low, high)
    _, found = jax.lax.scan(lambda state, _: (state := step(state), state[0]), state, length=steps)
    return jnp.concatenate([start[None], found])


def descent(gradient: Callable, start: Array, low: Array, high: Array):
    """Steepest descent; the step halves the worst of both ends of the spectrum."""
    return lambda state: (state[0] - 2 / (low + high) * gradient(state[0]),), (start,)


def accelerated(gradient: Callable, start: Array, low: Array, high: Array):
    """Nesterov's method for a known range of curvature."""
    root = jnp.sqrt(high / low)
    momentum = (root - 1) / (root + 1)

    def step(state):
        now, before = state
        ahead = now + momentum * (now - before)
        return ahead - gradient(ahead) / high, now

    return step, (start, start)


def conjugate(gradient: Callable, start: Array, low: Array, high: Array):
    """Conjugate gradients (Polak and Ribière): exact after as many steps as there are weights, but for rounding."""

    def step(state):
        now, slope, way = state
        bend = jax.jvp(gradient, (now,), (way,))[1]  # Hessian times way
        length, curvature = -jnp.sum(slope * way), jnp.sum(way * bend)
        after = now + jnp.where(curvature > 0, length / curvature, 0) * way
        steep = gradient(after)
        size = jnp.sum(slope**2)
        share = jnp.where(size > 0, jnp.sum(steep * (steep - slope)) / size, 0)
        return after, steep, -steep + jnp.maximum(share, 0) * way

    slope = gradient(start)
    return step, (start, slope, -slope)


METHOD = {"descent": descent, "accelerated": accelerated, "conjugate": conjugate}


def errors(path: np.ndarray, dtype: str) -> np.ndarray:
    """Largest `|W − W*|` after each step, `(steps + 1, seeds, targets)`; W* as the precision holds it."""
    hidden = np.stack(list(TARGETS.values())).astype(dtype).astype(float)
    return np.abs(path - hidden).max((-2, -1))


def _row(name: str, i: int, method: str, paths: dict) -> tuple[str, ...]:
    ends = [errors(paths[method, dtype], dtype)[..., i].max(1) for dtype in ("float32", "float64")]
    near = np.flatnonzero(ends[1] <= NEAR * np.abs(TARGETS[name]).max())
    found = str(near[0]) if len(near) else f"more than {len(ends[1]) - 1}"
    return f"{name}_{method}", str(len(ends[1]) - 1), *(f"{end[-1]:.1e}" for end in ends), found


def _page(config: Config, whole: np.ndarray, x: np.ndarray, paths: dict, rows: list) -> Page:
    page = Page("Kernels that are learned")
    source = config.dataset or config.image or "china.jpg of scikit-learn"
    shape, spectrum = " × ".join(map(str, x.shape[1:4])), eigenvalues(x)
    condition = ", ".join(f"{high / low:,.0f}" for low, high in spectrum[:, [0, -1]])
    page.text(
        f"{source}: {shape} pixels a seed; {options(config)}. Largest over least eigenvalue of the Hessian: {condition}.",
        "note",
    )
    page.text(
        "An edge at θ degrees runs along θ, counter-clockwise from the horizontal; its kernel is the derivative across it, "
        "cos φ · Gx + sin φ · Gy with φ = θ + 90, Gx growing to the right and Gy upwards. Red is positive, blue negative."
    )
    page.heading("The hidden kernels, and descent's weights on the way (float64, first seed)")
    page.figure(_kernels(paths["descent", "float64"]), "hidden kernels and the weights after some steps")
    page.heading("Largest |W − W*| after each step: the mean over seeds and kernels of its logarithm, and the range")
    page.figure(_curves(paths), "error against steps")
    page.heading("Responses: the hidden kernel's, and those of descent's weights")
    page.figure(_responses(whole, paths["descent", "float64"]), "responses of hidden and learned kernels")
    page.heading("The worst of all seeds")
    page.table(("kernel and method", "steps", "float32", "float64", f"steps to {NEAR:g} of the largest weight"), rows)
    return page


def _moments(steps: int) -> list[int]:
    return sorted({0, steps, *(10**k for k in range(5) if 10**k < steps)})


def _kernels(path: np.ndarray) -> Figure:
    moments = _moments(len(path) - 1)
    figure = Figure(figsize=(9, 9 / (len(moments) + 1) * len(TARGETS)), layout="constrained")
    axes = figure.subplots(len(TARGETS), len(moments) + 1)
    for i, (row, (name, hidden)) in enumerate(zip(axes, TARGETS.items())):
        most = float(np.abs(hidden).max())
        numbers(row[0], hidden, name, most=most, size=6.5)
        for axis, step in zip(row[1:], moments):
            numbers(axis, path[step, 0, i], f"step {step:,}", most=most, size=6.5)
    return figure


def _curves(paths: dict) -> Figure:
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    for axis, dtype in zip(figure.subplots(1, 2, sharey=True), ("float32", "float64")):
        for method, colour, style in zip(METHODS, PALETTE, ("-", "--", "-.")):
            each = np.maximum(errors(paths[method, dtype], dtype), 1e-17)
            steps = np.arange(len(each)) + 1
            axis.plot(steps, np.exp(np.log(each).mean((1, 2))), style, color=colour, label=method)
            axis.fill_between(steps, each.min((1, 2)), each.max((1, 2)), color=colour, alpha=0.15, linewidth=0)
        axis.set(title=dtype, xlabel="steps + 1", xscale="log", yscale="log")
        axis.grid(alpha=0.25)
    figure.axes[0].set_ylabel("largest |W − W*|")
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", frameon=False)
    return figure


def _responses(whole: np.ndarray, path: np.ndarray) -> Figure:
    moments = sorted({0, min(10, len(path) - 1), min(100, len(path) - 1), len(path) - 1})
    x, columns = jnp.asarray(whole, jnp.float32), len(moments) + 1
    figure, axes = sheet(len(TARGETS) * columns, columns, whole.shape[1:3])
    for i, (name, hidden) in enumerate(TARGETS.items()):
        true = F.filters.apply(x, hidden)[0]
        show(axes[i * columns], true, f"{name}: ± {reach(true):.2f}", signed=True)
        for axis, step in zip(axes[i * columns + 1 :], moments):
            show(axis, F.filters.apply(x, path[step, 0, i])[0], f"step {step:,}", signed=True, most=reach(true))
    return figure


if __name__ == "__main__":
    command("learn_edges", partial(main, tyro.cli(Config, description=__doc__)), advice="")
