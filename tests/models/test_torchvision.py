"""Every family against torchvision's definition with the same weights: logits, input gradients, running moments.

Each case is a small member of its family, with one of every kind of block.
"""

from functools import partial
from inspect import signature

import numpy as np
import pytest

from jaxcnn import models
from tests.models.torch_names import (
    blank,
    gradients,
    load,
    random_network,
    relative,
    torch_gradients,
    torchvision_models,
)

STILL = {"dropout": 0.0, "stochastic_depth": 0.0}  # nothing random


def _resnet(tv, block, depths, **options):
    return tv.resnet.ResNet(getattr(tv.resnet, block), depths, num_classes=7, **options)


def _vgg(tv, widths, batch_norm):
    network = tv.vgg.VGG(tv.vgg.make_layers(widths, batch_norm), init_weights=False)
    network.classifier[0], network.classifier[3] = _linear(25088, 16), _linear(16, 16)
    network.classifier[6] = _linear(16, 7)
    return network


def _linear(inputs, outputs):
    import torch

    return torch.nn.Linear(inputs, outputs)


def _alexnet(tv):
    network = tv.alexnet()
    network.classifier[1], network.classifier[4] = _linear(9216, 16), _linear(16, 16)
    network.classifier[6] = _linear(16, 7)
    return network


def _convnext(tv):
    blocks = [tv.convnext.CNBlockConfig(8, 16, 2), tv.convnext.CNBlockConfig(16, None, 1)]
    return tv.convnext.ConvNeXt(blocks, 0.0, num_classes=7)


def _mobilenet_v3(tv):
    rows = models.mobilenet_v3.SMALL[:2] + models.mobilenet_v3.SMALL[3:5]
    before = (16, *(row.features for row in rows))
    names = {True: "HS", False: "RE"}
    settings = [
        tv.mobilenetv3.InvertedResidualConfig(
            c, r.kernel_size, r.expanded, r.features, r.squeeze, names[r.hard], r.stride, 1, 1
        )
        for c, r in zip(before, rows)
    ]
    return tv.mobilenetv3.MobileNetV3(settings, 32, num_classes=7)


ROWS = models.mobilenet_v3.SMALL[:2] + models.mobilenet_v3.SMALL[3:5]
SMALL = {  # family: theirs, ours, pixels of a side
    "resnet": (
        partial(_resnet, block="BasicBlock", depths=[1, 2, 1, 1]),
        partial(models.ResNet, block=models.resnet.BasicBlock, depths=(1, 2, 1, 1)),
        64,
    ),
    "vgg": (
        partial(_vgg, widths=[64, "M", 128, "M", 256, "M", 512, "M", 512, 512, "M"], batch_norm=True),
        partial(models.VGG, depths=(1, 1, 1, 1, 2), batch_norm=True, hidden_features=16),
        32,
    ),
    "alexnet": (_alexnet, partial(models.AlexNet, hidden_features=16), 64),
    "squeezenet": (
        lambda tv: tv.squeezenet1_1(num_classes=7),
        partial(models.SqueezeNet, version="1.1"),
        64,
    ),
    "mobilenet_v2": (
        lambda tv: tv.MobileNetV2(
            num_classes=7, inverted_residual_setting=[[1, 16, 1, 1], [6, 24, 2, 2]], width_mult=0.75
        ),
        partial(models.MobileNetV2, stages=((1, 16, 1, 1), (6, 24, 2, 2)), width=0.75),
        32,
    ),
    "mobilenet_v3": (_mobilenet_v3, partial(models.MobileNetV3, rows=ROWS, hidden_features=32), 64),
    "convnext": (_convnext, partial(models.ConvNeXt, depths=(2, 1), widths=(8, 16)), 64),
}


def without_chance(build):
    """The model with every rate at 0 that its constructor has."""
    words = signature(getattr(build, "func", build).__init__).parameters
    return partial(build, **{word: rate for word, rate in STILL.items() if word in words})


def quiet(network):
    """Sets every rate of PyTorch's modules to 0."""
    for module in network.modules():
        if type(module).__name__ in ("Dropout", "StochasticDepth"):
            module.p = 0.0
    return network


def check(theirs, ours, side, classes):
    """Both networks on the same images, in evaluation and in training."""
    random = np.random.default_rng(1)
    x = random.standard_normal((3, side, side, 3), np.float32)
    weights = random.standard_normal((3, classes), np.float32)
    load(ours, theirs.state_dict())
    *modes, dp, moments = gradients(ours, x, weights)
    for train, (logits, dx) in zip((False, True), modes):
        expected, expected_dx = torch_gradients(theirs, x, weights, train=train)
        assert relative(logits, expected) < 1e-4
        assert relative(dx, expected_dx) < 1e-3
        if not train:
            check_parameters(dp, theirs)
    for name, moment in moments.items():
        np.testing.assert_allclose(moment, theirs.get_buffer(name), rtol=1e-3, atol=1e-4, err_msg=name)


def check_parameters(dp, theirs):
    """Every parameter has a gradient, PyTorch's."""
    for name, gradient in dp.items():
        assert np.isfinite(gradient).all(), name
        assert np.abs(gradient).max() > 0, name
        assert relative(gradient, theirs.get_parameter(name).grad) < 1e-3, name


@pytest.mark.parametrize("family", SMALL)
def test_family_agrees_with_torchvision(family):
    build_theirs, build_ours, side = SMALL[family]
    theirs = quiet(random_network(partial(build_theirs, torchvision_models())))
    check(theirs, blank(partial(without_chance(build_ours), num_classes=7)), side, 7)
