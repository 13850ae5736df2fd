"""Every name of the registry that torchvision also has, beside its definition: parameters always, the rest with `-m slow`."""

import re
from contextlib import nullcontext
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from benchmarks.drawn import blank
from jaxcnn import models
from jaxcnn.weights._layout import entries
from tests.models.test_torchvision import check_in_float64, on_cpu, quiet, without_chance
from tests.models.torch_names import random_network, relative, torchvision_models

OWN = {"lenet5", "lenet5_1998", "dense", "plain", "airbench", "mobilenet_v1", "unet"}  # not in torchvision
NAMES = [name for name in models.list() if name not in OWN and not name.startswith(("cifar_", "tf_", "tflite_"))]
LARGEST = "regnet_y_128gf"  # its arrays, twice with gradients, are more than most machines hold: `test_largest.py`
AUXILIARY = {"googlenet": ("aux1", "aux2"), "inception_v3": ("aux",)}
SIDES = {"inception_v3": 299}  # its auxiliary head needs the full size


def of_torchvision(name, **options):
    """Theirs of that name; a RegNet computes its widths, which takes real tensors."""
    options = ({"init_weights": False} if name in AUXILIARY else {}) | options
    with on_cpu() if name.startswith("regnet") else nullcontext():
        return torchvision_models().get_model(name, weights=None, **options)


FAST = ("googlenet", "inception_v3", "mnasnet0_5")  # families without a small member in `test_torchvision.py`


@pytest.mark.parametrize("name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in NAMES])
def test_name_has_torchvisions_parameters(name):
    import torch

    with torch.device("meta"):
        theirs = of_torchvision(name)
    ours = nnx.eval_shape(lambda: models.create(name, rngs=nnx.Rngs(0)))
    expected = {name: tuple(v.shape) for name, v in theirs.state_dict().items() if "num_batches" not in name}
    assert {entry.torch: entry.torch_shape for entry in entries(ours)} == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NAMES if name != LARGEST])
def test_name_agrees_with_torchvision(name):
    theirs = quiet(random_network(partial(of_torchvision, name)))
    build = without_chance(models.REGISTRY[name][0])
    check_in_float64(theirs, build, SIDES.get(name, 64), 1000, auxiliary=AUXILIARY.get(name, ()))


def test_no_name_of_torchvision_is_left_out():
    theirs = set(torchvision_models().list_models(torchvision_models()))
    assert set(NAMES) <= theirs
    families = {re.match("[a-z]+", name)[0] for name in NAMES}
    assert {name for name in theirs - set(NAMES) if re.match("[a-z]+", name)[0] in families} == set()


FAMILIES = (
    "alexnet vgg11_bn resnet18 squeezenet1_1 mobilenet_v2 mobilenet_v3_small efficientnet_b0 convnext_tiny densenet121 googlenet "
    "inception_v3 shufflenet_v2_x0_5 mnasnet0_5 regnet_y_400mf"
).split()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_initial_numbers_are_drawn_as_torchvisions(name):
    import torch

    torch.manual_seed(0)
    options = {"init_weights": True} if name in AUXILIARY else {}
    theirs = {key: v.numpy() for key, v in of_torchvision(name, **options).state_dict().items()}
    ours = jax.jit(lambda: models.create(name, rngs=nnx.Rngs(0)))()
    for entry in entries(ours):
        value, expected = np.asarray(entry.variable[...]), theirs[entry.torch]
        slack = 6 / np.sqrt(value.size) * expected.std() + 1e-9
        assert abs(value.std() - expected.std()) <= slack, entry.ours
        assert abs(value.mean() - expected.mean()) <= slack, entry.ours


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_bfloat16_is_near_float32(name):
    options = {"aux_logits": False} if name in AUXILIARY else {}
    ours = jax.jit(lambda: models.create(name, rngs=nnx.Rngs(0), **options))()
    graphdef = nnx.split(blank(partial(models.create, name, dtype=jnp.bfloat16, **options)))[0]
    x = jax.random.normal(jax.random.key(0), (2, 96, 96, 3))
    exact = jax.jit(lambda model, x: model(x, train=False))(ours, x)
    rough = jax.jit(lambda state, x: nnx.merge(graphdef, state)(x, train=False))(
        nnx.split(ours)[1], x.astype(jnp.bfloat16)
    )
    assert rough.dtype == jnp.bfloat16
    assert relative(rough.astype(jnp.float32), exact) < 0.1
