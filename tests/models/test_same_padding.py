"""The networks that timm calls `tf_…` against torchvision's definitions, whose convolutions are padded by TensorFlow's rule."""

from functools import partial

import jax
import pytest
from flax import nnx

from jaxcnn import models, weights
from tests.models.registry import abstract
from tests.models.test_torchvision import (
    SMALL,
    check_in_float32,
    check_in_float64,
    quiet,
    without_chance,
)
from tests.models.test_torchvision_names import of_torchvision
from tests.models.torch_names import random_network, torchvision_models


def padded(network):
    """Every convolution of k taps sees `total = max((⌈n / s⌉ − 1) · s + k − n, 0)` zeros, the smaller half in front."""
    import torch

    def widen(conv, given):
        (x,), pads = given, []
        for n, k, s in zip(x.shape[:1:-1], conv.kernel_size[::-1], conv.stride[::-1]):  # the last axis first
            total = max((-(-n // s) - 1) * s + k - n, 0)
            pads += [total // 2, total - total // 2]
        return torch.nn.functional.pad(x, pads)

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and max(module.kernel_size) > 1:
            module.padding = (0, 0)
            module.register_forward_pre_hook(widen)
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eps, module.momentum = 1e-3, 0.01
    return quiet(network)


@pytest.mark.parametrize("side", [64, 61])
@pytest.mark.parametrize("family", ["efficientnet", "mobilenet_v3"])
def test_family_agrees_with_torchvision_padded_so(family, side):
    build_theirs, build_ours, _ = SMALL[family]
    theirs = padded(random_network(partial(build_theirs, torchvision_models())))
    check_in_float32(theirs, partial(without_chance(build_ours), num_classes=7, padding="same"), side, 7)


NAMES = models.list("tf_*")


def calm(network):
    """A quarter of every residual branch: 79 random blocks in a row blow rounding in float64 up to all that there is."""
    import torch

    for block in network.modules():
        if getattr(block, "use_res_connect", False):
            *_, norm = (module for module in block.modules() if isinstance(module, torch.nn.BatchNorm2d))
            with torch.no_grad():
                norm.weight.mul_(0.25)
    return network


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_name_agrees_with_torchvision_padded_so(name):
    theirs = padded(calm(random_network(partial(of_torchvision, name.removeprefix("tf_")))))
    check_in_float64(theirs, without_chance(models.REGISTRY[name][0]), 64, 1000)


@pytest.mark.parametrize("name", ["tf_efficientnet_b0", "tf_mobilenet_v3_small"])
def test_windows_lie_further_behind(name):
    convolutions = [module for _, module in nnx.iter_modules(abstract(name)) if hasattr(module, "options")]
    strided = [conv for conv in convolutions if conv.options["stride"] != (1, 1)]
    assert len(strided) == 5
    assert {conv.options["padding"] for conv in convolutions if max(conv.kernel.shape[:2]) > 1} == {"same"}


def test_names_of_timm_leave_their_epsilon(tmp_path):
    make = lambda name: jax.jit(lambda: models.create(name, num_classes=3, rngs=nnx.Rngs(0)))()
    saved = make("tf_mobilenet_v3_small")
    weights.save(saved, tmp_path / "timm.safetensors", names="timm_small")
    loaded = {
        name: weights.load(make(name), tmp_path / "timm.safetensors") for name in (NAMES[1], "mobilenet_v3_small")
    }
    epsilon = lambda model: {module.epsilon for _, module in nnx.iter_modules(model) if hasattr(module, "epsilon")}
    assert {name: epsilon(model) for name, model in loaded.items()} == {NAMES[1]: {1e-3}, "mobilenet_v3_small": {1e-5}}
