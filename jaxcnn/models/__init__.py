"""Architectures, one family a file. `create(name, ...)` builds one; `REGISTRY` lists them, `list(pattern)` by pattern."""

import builtins
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import partial
from inspect import signature

from flax import nnx

from . import (
    convnext,
    densenet,
    efficientnet,
    mnasnet,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    regnet,
    resnet,
    shufflenet,
    squeezenet,
    vgg,
)
from ._pyramid import pyramid as pyramid
from ._tap import Tap as Tap
from ._tap import identity as identity
from .airbench import AirbenchNetwork as AirbenchNetwork
from .airbench import whitening_filters as whitening_filters
from .alexnet import AlexNet as AlexNet
from .cifar_resnet import DEPTHS, of_depth
from .cifar_resnet import CifarResNet as CifarResNet
from .convnext import ConvNeXt as ConvNeXt
from .dense import DenseNetwork as DenseNetwork
from .densenet import DenseNet as DenseNet
from .efficientnet import EfficientNet as EfficientNet
from .googlenet import GoogLeNet as GoogLeNet
from .inception import InceptionV3 as InceptionV3
from .lenet import LeNet5 as LeNet5
from .lenet import LeNet5Original as LeNet5Original
from .mnasnet import MNASNet as MNASNet
from .mobilenet_v1 import MobileNetV1 as MobileNetV1
from .mobilenet_v2 import MobileNetV2 as MobileNetV2
from .mobilenet_v3 import MobileNetV3 as MobileNetV3
from .plain import PlainNetwork as PlainNetwork
from .regnet import RegNet as RegNet
from .resnet import ResNet as ResNet
from .shufflenet import ShuffleNetV2 as ShuffleNetV2
from .squeezenet import SqueezeNet as SqueezeNet
from .unet import UNet as UNet
from .vgg import VGG as VGG

Entry = tuple[Callable[..., nnx.Module], tuple[int, int]]


def _family(
    model: Callable[..., nnx.Module], variants: dict[str, dict], sides: Mapping[str, int] | None = None
) -> dict[str, Entry]:
    """The entries of a family; `sides` are the pixels of a side of the images that each variant is made for, 224 by default."""
    sides = sides or dict.fromkeys(variants, 224)
    return {name: (partial(model, **options), (sides[name], sides[name])) for name, options in variants.items()}


REGISTRY: dict[str, Entry] = {  # name: constructor, image size (h, w)
    "lenet5": (LeNet5, (28, 28)),
    "lenet5_1998": (LeNet5Original, (32, 32)),
    "dense": (DenseNetwork, (28, 28)),
    "plain": (PlainNetwork, (28, 28)),
    "airbench": (AirbenchNetwork, (32, 32)),
    **{f"cifar_resnet{depth}": (of_depth(depth), (32, 32)) for depth in DEPTHS},
    "alexnet": (AlexNet, (224, 224)),
    **_family(VGG, vgg.VARIANTS),
    **_family(ResNet, resnet.VARIANTS),
    **_family(DenseNet, densenet.VARIANTS),
    **_family(SqueezeNet, squeezenet.VARIANTS),
    **_family(MobileNetV1, mobilenet_v1.VARIANTS, mobilenet_v1.SIDES),
    **_family(MobileNetV2, mobilenet_v2.VARIANTS),
    **_family(MobileNetV3, mobilenet_v3.VARIANTS),
    **_family(EfficientNet, efficientnet.VARIANTS, efficientnet.SIDES),
    **_family(ConvNeXt, convnext.VARIANTS),
    "googlenet": (GoogLeNet, (224, 224)),
    "inception_v3": (InceptionV3, (299, 299)),
    **_family(ShuffleNetV2, shufflenet.VARIANTS),
    **_family(MNASNet, mnasnet.VARIANTS),
    **_family(RegNet, regnet.VARIANTS),
    "unet": (UNet, (572, 572)),
}


def create(name: str, *, rngs: nnx.Rngs, **options) -> nnx.Module:
    """The model of that name; `options` are its constructor's: `num_classes`, `in_features`, `dtype`, `image_size`, …

    A model that takes images of any size has no `image_size`; the word is then passed over.

    Raises: ValueError for an unknown name, with the nearest ones; TypeError for an option that the constructor does not have.

    >>> type(create("lenet5", num_classes=3, rngs=nnx.Rngs(0))).__name__
    'LeNet5'
    """
    build, size = _entry("create", name)
    words = [*signature(getattr(build, "func", build).__init__).parameters][1:]
    if "image_size" in words:
        options = {"image_size": size} | options
    else:
        options.pop("image_size", None)
    unknown = [word for word in options if word not in words]
    if unknown:
        raise TypeError(f"create: {name} has no option {unknown[0]!r}; use {', '.join(words)}")
    return build(**options, rngs=rngs)


def list(pattern: str = "*", /) -> builtins.list[str]:
    """The names that match a pattern of `*`, `?` and `[…]`, in the order of `REGISTRY`.

    >>> list("resnet?0")
    ['resnet50']
    """
    return [name for name in REGISTRY if fnmatchcase(name, pattern)]


def image_size(name: str) -> tuple[int, int]:
    """Height and width in pixels of the images that the model of that name was made for.

    Raises: ValueError for an unknown name.

    >>> image_size("lenet5_1998")
    (32, 32)
    """
    return _entry("image_size", name)[1]


def _entry(function: str, name: str) -> Entry:
    if name not in REGISTRY:
        near = get_close_matches(name.lower().replace("-", "_"), REGISTRY, n=3, cutoff=0.4) or ["see models.list()"]
        raise ValueError(f"{function}: there is no model {name!r}; nearest: {', '.join(near)}")
    return REGISTRY[name]
