"""The page of `invariance`: what each transformation makes of an image, the curves of every network, and the tables."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from jaxcnn.report import Page, deviation, over_seeds

from .equivariance import Equivariance
from .transformations import TRANSFORMATIONS, Transformation

METRICS = {"same": "same answer", "accuracy": "accuracy", "probability": "probability of the right class"}
SHOWN = {  # amounts of the table and of the strip of pictures
    "translation": (0.5, 1, 2, 4), "rotation": (15, 45, 90, 180), "scale": (2**-0.5, 2**0.5), "viewpoint": (30, 60),
    "brightness": (0.5, 2), "gamma": (0.5, 2), "contrast": (0.5, 2),
}  # fmt: skip

# Okabe and Ito's colours, which colour-blind eyes tell apart: a colour and a marker a pooling, dashes without augmentation
STYLES = {"max": ("#0072B2", "o"), "blur": ("#D55E00", "s"), "max_blur": ("#009E73", "^")}
OTHERS = ("black", "D")
Curves = Mapping[str, Mapping[str, Mapping[str, np.ndarray]]]  # transformation → metric → network → (amounts, members)


class Measured(NamedTuple):
    """What the page shows: the curves; test accuracy and consistencies `(members,)` of each network; the convolutions alone.

    `unstrided` says how far the logits of untrained networks move when images move around a circle, in words → share.
    """

    curves: Curves
    accuracy: Mapping[str, np.ndarray]
    circular: Mapping[str, np.ndarray]
    reflected: Mapping[str, np.ndarray]
    layers: Sequence[Equivariance]
    unstrided: Mapping[str, float]

    @property
    def lines(self) -> list[str]:
        """A line a layer, an untrained network, then a trained one."""
        alone = [f"equivariance of {layer.line}" for layer in self.layers]
        whole = [f"logits of {name} move by {share:.2g} of the largest" for name, share in self.unstrided.items()]
        trained = (
            f"{name} test accuracy {over_seeds(self.accuracy[name])}, "
            f"consistency {over_seeds(self.circular[name])} shifted around a circle, "
            f"{over_seeds(self.reflected[name])} with a reflected border"
            for name in self.accuracy
        )
        return [*alone, *whole, *trained]


def write(page: Page, measured: Measured, picture: np.ndarray, method: str, images: int) -> None:
    """Adds the sections; `picture (h, w, c)` is the one that is shown transformed, `images` were measured."""
    page.heading("Does the answer stay?")
    page.text("A network that is invariant to translation changes no answer when the image moves.", "lead")
    for name, of_metrics in measured.curves["translation"]["same"].items():
        page.text(verdict(name, of_metrics))
    page.figure(strip(_examples(picture, method)), "one test image under each transformation")
    page.text(
        f"Beyond its border an image is reflected. Between the pixels it is read by {method} interpolation, which blurs it a "
        "little, so that a shift by half a pixel is two changes.",
        "note",
    )
    for metric, label in METRICS.items():
        page.heading(f"{label[0].upper()}{label[1:]} against each transformation, {images:,} test images")
        curves = {name: of_metrics[metric] for name, of_metrics in measured.curves.items()}
        page.figure(response_curves(curves, label), f"{label} against each transformation")
        if metric == "same":
            page.table(("share with the same answer", *map(_words, measured.accuracy)), _rows(curves))
    page.heading("Consistency: do two random shifts of an image get the same class?")
    columns = ("network", "test accuracy", "shifted around a circle", "with a reflected border")
    shown = (measured.accuracy, measured.circular, measured.reflected)
    page.table(columns, [(_words(name), *(_spread(of[name]) for of in shown)) for name in measured.accuracy])
    _convolutions(page, measured)


def verdict(name: str, same: np.ndarray) -> str:
    """How many answers change when images move to the right: same `(amounts, members)` of the translation.

    >>> verdict("max", np.full((17, 2), 0.75))
    'max: moved by half a pixel, by one and by four, 25.0 %, 25.0 % and 25.0 % of the images get another answer.'
    """
    amounts = TRANSFORMATIONS["translation"].amounts
    half, one, four = (100 * (1 - same[amounts.index(by)].mean()) for by in (0.5, 1, 4))
    moves = "moved by half a pixel, by one and by four"
    return f"{_words(name)}: {moves}, {half:.1f} %, {one:.1f} % and {four:.1f} % of the images get another answer."


def _convolutions(page: Page, measured: Measured) -> None:
    page.heading("Is a convolution equivariant?")
    page.text(
        "Greatest difference of conv(shift x) and shift conv(x) over shifts by 1 to 4 pixels, as a share of the largest output. "
        "Images move around a circle; 0 means the same bits."
    )
    parts = ("circular", "zeros: inside", "at the border", "stride 2: even", "odd shifts")
    rows = [(*layer[:3], *map(_share, layer[3:])) for layer in measured.layers]
    page.table(("convolution", "dtype", "run by", *parts), rows)
    page.text("Greatest change of the logits of an untrained network when its images move around a circle:")
    shares = [(name, _share(value)) for name, value in measured.unstrided.items()]
    page.table(("network", "share of the largest"), shares)


def strip(rows: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """A row a transformation: label of the amount → picture `(h, w, c)` of 8 bits."""
    columns = max(map(len, rows.values()))
    figure = Figure(figsize=(9, 1.36 * len(rows)))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    figure.subplots_adjust(0.04, 0.005, 0.995, 0.975, 0.05, 0.2)
    for axis in axes.flat:
        axis.set_axis_off()
    for row, (name, pictures) in zip(axes, rows.items()):
        for axis, (amount, picture) in zip(row, pictures.items()):
            axis.imshow(picture[..., 0] if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=255)
            axis.set_title(amount, fontsize=8, pad=2)
        row[0].text(-0.12, 0.5, name, transform=row[0].transAxes, rotation=90, ha="right", va="center", fontsize=9)
    return figure


def response_curves(measured: Mapping[str, Mapping[str, np.ndarray]], label: str) -> Figure:
    """A panel a transformation, a line a network: mean over its seeds, shaded by their standard deviation.

    Args:
        measured: transformation → network → one number an amount and seed `(amounts, seeds)`.
        label: what the numbers are, of the axes.
    """
    rows = -(-(len(measured) + 1) // 3)
    figure = Figure(figsize=(9, 2.7 * rows), layout="constrained")
    axes = figure.subplots(rows, 3, squeeze=False).ravel()
    for axis, (name, of_networks) in zip(axes, measured.items()):
        transformation = TRANSFORMATIONS[name]
        for network, values in of_networks.items():
            _line(axis, transformation.amounts, values, network)
        _scale(axis, name, transformation)
        lowest = min(float(values.mean(1).min()) for values in of_networks.values())
        axis.set_ylim(max(0.0, lowest - 0.05), axis.get_ylim()[1])
        axis.grid(alpha=0.25)
    for axis in axes[0::3]:
        axis.set_ylabel(label, fontsize=9)
    for axis in axes[len(measured) :]:
        axis.set_axis_off()
    axes[len(measured)].legend(*axes[0].get_legend_handles_labels(), loc="center left", frameon=False, fontsize=9)
    return figure


def _line(axis, amounts: Sequence[float], values: np.ndarray, network: str) -> None:
    colour, marker = STYLES.get(network.removesuffix("_augmented"), OTHERS)
    dashed = "--" if network in STYLES else "-" if network.endswith("_augmented") else ":"
    mean, spread = values.mean(1), values.std(1, ddof=1) if values.shape[1] > 1 else 0 * values[:, 0]
    style = {"color": colour, "marker": marker, "markersize": 3.5, "linewidth": 1.4, "linestyle": dashed}
    axis.plot(
        amounts, mean, label=network.replace("_", " "), markerfacecolor="white" if dashed == "--" else colour, **style
    )
    axis.fill_between(amounts, mean - spread, mean + spread, color=colour, alpha=0.12, linewidth=0)


def _scale(axis, name: str, transformation: Transformation) -> None:
    axis.set_title(name, fontsize=10)
    axis.set_xlabel(transformation.unit, fontsize=9)
    axis.tick_params(labelsize=8)
    if transformation.logarithmic:
        axis.set_xscale("log", base=2)
        axis.xaxis.set_major_locator(FixedLocator((0.25, 0.5, 1, 2, 4)))
        axis.xaxis.set_minor_locator(NullLocator())
        axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_xlim(transformation.amounts[0] / 1.07, transformation.amounts[-1] * 1.07)
    elif transformation.amounts[-1] >= 60:
        axis.xaxis.set_major_locator(FixedLocator(range(-180, 181, 90 if transformation.amounts[-1] > 90 else 30)))


def _examples(picture: np.ndarray, method: str) -> dict[str, dict[str, np.ndarray]]:
    """Seven amounts of each transformation, from the least to the largest, the untouched picture in the middle."""
    rows = {}
    for name, change in TRANSFORMATIONS.items():
        chosen = [change.amounts[i] for i in np.linspace(0, len(change.amounts) - 1, 7).round().astype(int)]
        rows[name] = {_amount(amount): change.apply(picture[None], amount, method)[0] for amount in chosen}
    return rows


def _rows(curves: Mapping[str, Mapping[str, np.ndarray]]) -> list[tuple[str, ...]]:
    rows = []
    for name, amounts in SHOWN.items():
        for amount in amounts:
            at = int(np.argmin(np.abs(np.array(TRANSFORMATIONS[name].amounts) - amount)))
            means = (f"{values[at].mean():.3f}" for values in curves[name].values())
            rows.append((f"{name} {_amount(amount)} {TRANSFORMATIONS[name].unit}", *means))
    return rows


def _amount(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _words(name: str) -> str:
    return name.replace("_", " ")


def _spread(values: np.ndarray) -> str:
    return f"{values.mean():.3f} ± {deviation(values):.3f}"


def _share(value: float) -> str:
    return f"{value:.1e}" if 0 < value < 1e-3 else f"{value:.2g}"
