"""The largest name of the registry beside torchvision's definition: 644,812,894 parameters, each copy 5.2 GB in float64.

`test_torchvision_names.py` asks the same of every other name, and for the gradient of each parameter besides, which would take
two more copies. Here PyTorch's answers come first; then its tensors go over into our model one by one and are let go of.
"""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models
from jaxcnn.weights._layout import entries
from tests.models.test_torchvision_names import LARGEST, of_torchvision
from tests.models.torch_names import random_network, relative

NEEDED = 11  # GB; 9.4 at most were in use


def available():
    """GB of memory that are free, or can be made so; what is needed where the system does not say."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text().splitlines() if meminfo.is_file() else []
    return next((int(line.split()[1]) / 1e6 for line in lines if line.startswith("MemAvailable")), NEEDED)


def of_theirs(x, weights):
    """Logits and input gradients in evaluation and in training, moments after that, and the arrays before."""
    import torch

    network = random_network(partial(of_torchvision, LARGEST)).double().requires_grad_(False)
    arrays = {name: v.clone() if "running" in name else v for name, v in network.state_dict().items()}
    answers, image = [], torch.from_numpy(x).permute(0, 3, 1, 2)
    for train in (False, True):
        image = image.detach().requires_grad_()
        y = network.train(train)(image)
        (slope,) = torch.autograd.grad((y * torch.from_numpy(weights)).sum(), image)
        answers += [y.detach().numpy(), slope.permute(0, 2, 3, 1).numpy()]
    moments = {name: v.numpy() for name, v in network.state_dict().items() if "running" in name}
    return answers, moments, arrays


@jax.jit
def of_ours(model, x, weights):
    """The same of our model."""
    graphdef, state = nnx.split(model)

    def loss(x, train):
        network = nnx.merge(graphdef, state, copy=True)
        y = network(x, train=train)
        return jnp.vdot(y, weights), (y, nnx.state(network, nnx.BatchStat))

    answers = []
    for train in (False, True):
        (_, (y, moments)), slope = jax.value_and_grad(partial(loss, train=train), has_aux=True)(x)
        answers += [y, slope]
    return answers, moments


@pytest.mark.slow
def test_largest_network_agrees_with_torchvision():
    if available() < NEEDED:
        pytest.skip(f"needs {NEEDED} GB of memory")
    random = np.random.default_rng(1)
    x, weights = random.standard_normal((2, 64, 64, 3)), random.standard_normal((2, 1000))
    expected, moments, arrays = of_theirs(x, weights)
    ours, total = nnx.eval_shape(lambda: models.create(LARGEST, rngs=nnx.Rngs(0))), 0
    with jax.enable_x64(True):
        for entry in entries(ours):
            array = arrays.pop(entry.torch).numpy()
            total += array.size * ("running" not in entry.torch)
            entry.variable.set_value(jnp.asarray(entry.from_torch(array)))
        assert {name.rpartition(".")[2] for name in arrays} == {"num_batches_tracked"}
        assert total == 644_812_894
        found, moved = of_ours(ours, x, weights)
    assert max(map(relative, found, expected)) < 1e-9
    nnx.update(ours, moved)
    after = {
        entry.torch: entry.to_torch(np.asarray(entry.variable[...]))
        for entry in entries(ours)
        if entry.torch in moments
    }
    assert after.keys() == moments.keys()
    assert max(relative(after[name], moments[name]) for name in moments) < 1e-9
