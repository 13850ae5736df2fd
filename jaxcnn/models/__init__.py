"""Architectures, one family a file. `create(name, ...)` builds one; `REGISTRY` lists them literally."""

from collections.abc import Callable
from difflib import get_close_matches

from flax import nnx

from ._tap import Tap as Tap
from ._tap import identity as identity
from .cifar_resnet import DEPTHS, of_depth
from .cifar_resnet import CifarResNet as CifarResNet
from .dense import DenseNetwork as DenseNetwork
from .lenet import LeNet5 as LeNet5
from .lenet import LeNet5Original as LeNet5Original
from .plain import PlainNetwork as PlainNetwork

REGISTRY: dict[str, tuple[Callable[..., nnx.Module], tuple[int, int]]] = {  # name: constructor, image size (h, w)
    "lenet5": (LeNet5, (28, 28)),
    "lenet5_1998": (LeNet5Original, (32, 32)),
    "dense": (DenseNetwork, (28, 28)),
    "plain": (PlainNetwork, (28, 28)),
    **{f"cifar_resnet{depth}": (of_depth(depth), (32, 32)) for depth in DEPTHS},
}


def create(name: str, *, rngs: nnx.Rngs, **options) -> nnx.Module:
    """The model of that name; `options` are its constructor's: `num_classes`, `in_features`, `image_size`, …

    Raises: ValueError for an unknown name, with the nearest ones.

    >>> type(create("lenet5", num_classes=3, rngs=nnx.Rngs(0))).__name__
    'LeNet5'
    """
    return _entry("create", name)[0](**({"image_size": image_size(name)} | options), rngs=rngs)


def image_size(name: str) -> tuple[int, int]:
    """Height and width in pixels of the images that the model of that name was made for.

    Raises: ValueError for an unknown name.

    >>> image_size("lenet5_1998")
    (32, 32)
    """
    return _entry("image_size", name)[1]


def _entry(function: str, name: str):
    if name not in REGISTRY:
        near = get_close_matches(name, REGISTRY, n=3, cutoff=0.4) or list(REGISTRY)
        raise ValueError(f"{function}: there is no model {name!r}; nearest: {', '.join(near)}")
    return REGISTRY[name]
