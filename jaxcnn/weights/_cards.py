"""Cards: what one must know of a set of weights to use it rightly, and the list of those that are known."""

from dataclasses import KW_ONLY, dataclass
from difflib import get_close_matches
from math import isfinite
from numbers import Integral, Real
from pathlib import Path
from typing import Any

from ._torchvision import BASE, HALF, LICENCE, ORIGIN, ROWS

CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}  # how many numbers a pixel has
METHODS = {"bilinear": "linear", "bicubic": "cubic"}
BACKGROUND = "+background"  # behind the name of a set of classes
LONGEST = 1 << 13  # pixels of a side: a file that asks for more is damaged
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Card:
    """A set of weights. One of one's own needs a name, its model, and what differs from images as they are, in [0, 1].

    Args:
        name: `model.publisher`.
        model: name in `models.REGISTRY`.
        origin: who trained it, and where that is written.
        licence: of the weights.
        url: where the file is; None if it must be given by path.
        sha256: of the file, or its first digits; empty where it is not known.
        image_size: height and width that the network was tested with.
        resize: pixels of the short side before the middle of `image_size` is cut out; 0 means the short side of that.
        central_fraction: share of height and width that is cut out of the middle and then brought to `image_size`, whatever its
            proportions, as TensorFlow's networks were tested; 0 means that `resize` holds.
        interpolation: "bilinear" or "bicubic", Pillow's, antialiased.
        range: white before the mean is taken out, 1 or 255.
        mean, std: of each channel, in that range and order; one number means all channels, none 0 and 1.
        channels: "RGB", "BGR" or "L", which is grey.
        names: whose names the file has (`load`).
        classes: the data set whose classes it tells apart; "+background" behind it where output 0 is none of them.
        published: top-1 and top-5 accuracy in percent, as published; None where it is not.
        ours: what was measured with this library, and on what; empty where the file was not at hand.

    Raises: ValueError, TypeError for what cannot be done to a picture.

    >>> card("cifar_resnet20.idelbayev").published
    (91.73, None)
    >>> mine = Card("lenet5.mine", "lenet5", image_size=(28, 28), mean=(0.13,), std=(0.31,), channels="L")
    >>> mine.resize, mine.range
    (28, 1.0)
    """

    name: str
    model: str
    _: KW_ONLY
    origin: str = ""
    licence: str = ""
    url: str | None = None
    sha256: str = ""
    image_size: tuple[int, int] = (224, 224)
    resize: int = 0
    central_fraction: float = 0.0
    interpolation: str = "bilinear"
    range: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    channels: str = "RGB"
    names: str = "jaxcnn"
    classes: str = ""
    published: tuple[float | None, float | None] = (None, None)
    ours: str = ""

    def __post_init__(self) -> None:
        if self.channels not in CHANNELS or self.interpolation not in METHODS:
            raise ValueError(
                f"Card: channels={self.channels!r}, interpolation={self.interpolation!r}; use {', '.join(CHANNELS)}, and "
                f"{' or '.join(METHODS)}"
            )
        size, count = _numbers(self.image_size, "image_size", Integral), CHANNELS[self.channels]
        (resize,), (white,) = _numbers(self.resize or min(size), "resize", Integral), _numbers(self.range, "range")
        if len(size) != 2 or not 1 <= min(*size, resize) <= max(*size, resize) <= LONGEST or white <= 0:
            raise ValueError(
                f"Card: image_size={size}, resize={resize}, range={white}; give height and width, 1 to {LONGEST:,} pixels, and "
                "a white above 0"
            )
        (fraction,) = _numbers(self.central_fraction, "central_fraction")
        if not 0 <= fraction <= 1:
            raise ValueError(f"Card: central_fraction={fraction}; give a share from 0 to 1")
        mean, std = _numbers(self.mean or 0.0, "mean"), _numbers(self.std or 1.0, "std")
        takes = "1" if count == 1 else f"1 or {count}"
        if not {len(mean), len(std)} <= {1, count} or min(std) <= 0:
            raise ValueError(f"Card: mean={mean}, std={std}; {self.channels!r} takes {takes}, each std above 0")
        each = {"mean": mean * (count // len(mean)), "std": std * (count // len(std))}
        each |= {"image_size": size, "resize": resize, "central_fraction": fraction, "range": white}
        for name, value in each.items():
            object.__setattr__(self, name, value)

    @property
    def in_features(self) -> int:
        """Numbers of a pixel, as the network takes them."""
        return CHANNELS[self.channels]

    @property
    def background(self) -> int:
        """Outputs before that of the data set's first class: 1 where output 0 is the background, else 0."""
        return int(self.classes.endswith(BACKGROUND))


def _numbers(value: Any, name: str, kind: type = Real) -> tuple[Any, ...]:
    """One number or several as a tuple of int or float."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    if not all(isinstance(one, kind) and not isinstance(one, bool) and isfinite(one) for one in values):
        raise TypeError(f"Card: {name}={value!r} must be {'integers' if kind is Integral else 'finite numbers'}")
    return tuple((int if kind is Integral else float)(one) for one in values)


def _torchvision(row: tuple) -> Card:
    model, version, file, resize, size, interpolation, *accuracy = row
    mean, std = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)) if model in HALF else (IMAGENET_MEAN, IMAGENET_STD)
    digits = Path(file).stem.rpartition("-")[2]
    return Card(
        f"{model}.torchvision_{version}", model, origin=ORIGIN, licence=LICENCE, url=BASE + file, sha256=digits,
        image_size=(size, size), resize=resize, interpolation=interpolation, mean=mean, std=std, names="pytorch",
        classes="imagenet", published=(accuracy[0], accuracy[1]),
    )  # fmt: skip


def _google_coral(row: tuple) -> Card:
    model, file, sha256, side, top1, ours = row
    return Card(
        f"{model}.google_coral", model, origin=f"Google, github.com/google-coral/test_data, {file}_quant.tflite as npz",
        licence="Apache-2.0", sha256=sha256, image_size=(side, side), central_fraction=0.875, range=255.0,
        mean=(128.0, 128.0, 128.0), std=(128.0, 128.0, 128.0), names="tf_slim", classes="imagenet" + BACKGROUND,
        published=(top1, None), ours=f"{ours} of 36 ImageNet photographs at top-1",
    )  # fmt: skip


CORAL = (  # model, file, sha256 of the npz, side, top-1 with all arithmetic in 8 bits, right at top-1
    ("tflite_mobilenet_v1_025", "mobilenet_v1_0.25_128",
     "4f636e79f5dae6ab7b254d25741d8c0f97e8216f308ed7d7eb549a14a9e62a89", 128, 39.9, 13),
    ("tflite_mobilenet_v2", "mobilenet_v2_1.0_224",
     "d2c10a9b466ea2beb3ea3ec5c563b72128e24adbdee1bb03f67f7b8d4271d499", 224, 70.8, 27),
)  # fmt: skip
CARDS: dict[str, Card] = {
    card.name: card
    for card in (
        Card(
            name="cifar_resnet20.idelbayev",
            model="cifar_resnet20",
            origin="Yerlan Idelbayev, github.com/akamaster/pytorch_resnet_cifar10, resnet20-12fca82f.th as npz",
            licence="BSD-2-Clause",
            url=None,
            sha256="7db2ed048755c815689e055b0e68e2d53db7f9f6e0f9b3bc9b6f837ab168774e",
            image_size=(32, 32),
            resize=32,
            interpolation="bilinear",
            range=1.0,
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            channels="RGB",
            names="pytorch",
            classes="cifar10",
            published=(91.73, None),
            ours="9,173 of the 10,000 test images",
        ),
        Card(
            name="squeezenet1_1.iandola",
            model="squeezenet1_1",
            origin="Iandola et al., github.com/forresti/SqueezeNet, v1.1; float16 as in nihui/ncnn-assets, as npz",
            licence="BSD-2-Clause (the float32 original)",
            url=None,
            sha256="d00f9b3386088e01bc53ca6c924aa08e7de6412474f2b620ea36de0c296d6aaa",
            image_size=(227, 227),
            resize=256,
            interpolation="bilinear",
            range=255.0,
            mean=(104.0, 117.0, 123.0),
            std=(1.0, 1.0, 1.0),
            channels="BGR",
            names="caffe",
            classes="imagenet",
            published=(None, 80.3),
            ours="26 of 36 ImageNet photographs at top-1",
        ),
        *map(_google_coral, CORAL),
        *map(_torchvision, ROWS),
    )
}


def card(name: str) -> Card:
    """The card of that name.

    Raises: ValueError for an unknown name, with the nearest ones.

    >>> card("resnet50.torchvision_V2").resize
    232
    """
    if name not in CARDS:
        near = get_close_matches(name, CARDS, n=3, cutoff=0.4) or list(CARDS)[:3]
        raise ValueError(f"card: there are no weights {name!r}; nearest: {', '.join(near)}")
    return CARDS[name]


def cards_of(model: str) -> list[Card]:
    """Every card for a model of that registry name, the preferred one last.

    >>> [card.name for card in cards_of("resnet50")]
    ['resnet50.torchvision_V1', 'resnet50.torchvision_V2']
    """
    return [card for card in CARDS.values() if card.model == model]


def card_with_sha256(sha256: str) -> Card | None:
    """The card of the file with that sha256, 64 digits.

    >>> card_with_sha256("0" * 64) is None
    True
    """
    return next((card for card in CARDS.values() if sha256.startswith(card.sha256)), None)
