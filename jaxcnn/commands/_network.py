"""What `classify` and `evaluate` are told of a network: its weights, and how its pictures are prepared."""

from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from rich.console import Console

from jaxcnn import models, weights
from jaxcnn.weights import Card


@dataclass(frozen=True)
class Network:
    """A network with its weights, and what is not as the weights' card says.

    Args:
        weights: file of weights (.safetensors, .npz, .pth, orbax folder), or a URL or the name of a card, which is fetched.
        model: name of the model (default: that of the weights' card).
        card: weights whose preprocessing is used (default: what the file is or says, else the model's usual one).
        sha256: the first digits that the file's must have.
        input: height and width that the network sees (default: the card's; the model's own where there is none).
        resize: pixels of the short side before the middle is cut out (default: the card's; the short side of the input).
        interpolation: bilinear or bicubic (default: the card's; bilinear).
        channels: RGB, BGR, or L for grey (default: the card's; RGB).
        range: white before the mean is taken out, 1 or 255 (default: the card's; 1).
        mean: of each channel, in that range (default: the card's).
        std: deviation of each channel, in that range (default: the card's).
    """

    weights: str
    model: str | None = None
    card: str | None = None
    sha256: str | None = None
    input: tuple[int, int] | None = None
    resize: int | None = None
    interpolation: str | None = None
    channels: str | None = None
    range: float | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    @property
    def given(self) -> dict[str, Any]:
        """The fields of a card that were said."""
        named = {name: getattr(self, name) for name in ("resize", "interpolation", "channels", "range", "mean", "std")}
        named |= {"image_size": self.input}
        return {name: value for name, value in named.items() if value not in (None, ())}


def found(network: Network, console: Console) -> tuple[Path, Card | None]:
    """Where the weights lie, and their card if they are known ones or bring one along.

    Raises: ValueError for weights that are not there, or have another sha256.
    """
    source, wanted = network.weights, network.sha256
    path, card = Path(source).expanduser(), None
    if weights.is_url(source):
        path = _fetched(source, wanted, console)
    elif not path.exists():
        if source not in weights.CARDS:
            near = get_close_matches(source, weights.CARDS, n=3, cutoff=0.4)
            nearest = f"; nearest cards: {', '.join(near)}" if near else ""
            raise ValueError(f"{source} does not exist, and is no name of a card{nearest}")
        card = weights.card(source)
        path = _fetched(card, None, console)
    digest = None if wanted is None else weights.check_sha256(path, wanted)
    if path.is_file():
        card = card or weights.card_with_sha256(digest or weights.sha256_of(path)) or weights.description(path).card
    return path, card


def prepared(network: Network, name: str, own: Card | None) -> tuple[Card, str]:
    """The card by which pictures are prepared for the model of that name, and a word on where it comes from.

    Raises: ValueError for an unknown card, or if none is known and too little is given.
    """
    base = own if network.card is None else weights.card(network.card)
    given, word = network.given, ""
    if base is None and {"mean", "std"} <= given.keys():
        whole: dict[str, Any] = {"image_size": models.image_size(name)} | given
        return Card(f"{name}.given", name, **whole), "preprocessing as given"
    if base is None:
        base, word = _usual(name), " (the model's usual one; --card chooses another)"
    if "channels" in given and weights.Card("", "", channels=given["channels"]).in_features != base.in_features:
        given = {"mean": (), "std": ()} | given
        if not (given["mean"] and given["std"]):
            raise ValueError(f"channels={given['channels']}: {base.name} has other channels; give --mean and --std too")
    if "resize" in given:
        given |= {"central_fraction": 0.0}  # the short side is resized, in place of what the card says
    elif "image_size" in given:
        given |= {"resize": round(base.resize * min(given["image_size"]) / min(base.image_size))}
    options = ", ".join("--input" if option == "image_size" else f"--{option}" for option in network.given)
    but = f" but for {options}" if options else ""
    return replace(base, model=name, **given), f"preprocessing of {base.name}{word}{but}"


def _usual(name: str) -> Card:
    """The preferred card of a model, where it does not matter much which."""
    cards = weights.cards_of(name)
    if not cards:
        raise ValueError(
            f"no card is known for {name}: its preprocessing is not; give --mean and --std, or choose one by --card"
        )
    if len({(card.range, card.mean, card.std, card.channels) for card in cards}) > 1:
        names = ", ".join(card.name for card in cards)
        raise ValueError(
            f"the cards of {name} want different preprocessing; choose one by --card: {names}; or give --mean and --std"
        )
    return cards[-1]


def _fetched(card: Card | str, sha256: str | None, console: Console) -> Path:
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task(card if isinstance(card, str) else card.name, total=None)
        show = lambda done, total: bar.update(task, completed=done, total=total)
        return weights.fetch(card, sha256=sha256, on_bytes=show)
