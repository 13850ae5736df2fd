"""The registry as tests go through it: a member of each family always, all others with `-m slow`; models without numbers."""

from functools import cache

import pytest
from flax import nnx

from jaxcnn import models

SMALLEST = (
    "lenet5 lenet5_1998 dense plain airbench cifar_resnet20 alexnet vgg11 vgg11_bn resnet18 resnet50 densenet121 "
    "squeezenet1_0 squeezenet1_1 mobilenet_v1 tflite_mobilenet_v1_025 mobilenet_v2 tflite_mobilenet_v2 mobilenet_v3_small "
    "tf_mobilenet_v3_small efficientnet_b0 convnext_tiny googlenet inception_v3 shufflenet_v2_x0_5 mnasnet0_5 regnet_x_400mf "
    "regnet_y_400mf unet"
).split()
EVERY = [pytest.param(name, marks=() if name in SMALLEST else pytest.mark.slow) for name in models.list()]
GREY = ("lenet5", "lenet5_1998", "dense", "plain", "unet")
SIDES = {"inception_v3": 299, "unet": 188} | dict.fromkeys(("lenet5", "dense", "plain"), 28)
SIDES |= dict.fromkeys(("lenet5_1998", "airbench", *models.list("cifar_*")), 32)


def shape_of(name: str, count: int = 2) -> tuple[int, int, int, int]:
    """Images that are large enough for the model, and hardly larger."""
    side = SIDES.get(name, 64)
    return count, side, side, 1 if name in GREY else 3


@cache
def parts(name: str, **options) -> tuple:
    """Graph, parameters' shapes and those of the rest of the state."""
    return nnx.split(nnx.eval_shape(lambda: models.create(name, rngs=nnx.Rngs(0), **options)), nnx.Param, ...)


def abstract(name: str, **options) -> nnx.Module:
    """The model without its numbers."""
    return nnx.merge(*parts(name, **options))
