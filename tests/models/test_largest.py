"""The largest name of the registry beside torchvision's definition: 644,812,894 parameters, each copy 2.6 GB.

PyTorch's answer comes first; then its tensors go over into our model one by one and are let go of. The process needed 4.2 GB
at most.
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
from tests.models.test_torchvision import of_torchvision
from tests.models.torch_names import random_network, relative

NAME, NEEDED = "regnet_y_128gf", 6  # GB


def available():
    """GB of memory that are free, or can be made so; what is needed where the system does not say."""
    meminfo = Path("/proc/meminfo")
    lines = meminfo.read_text().splitlines() if meminfo.is_file() else []
    return next((int(line.split()[1]) / 1e6 for line in lines if line.startswith("MemAvailable")), NEEDED)


def theirs(x):
    """Logits of torchvision's network in evaluation, and its arrays."""
    import torch

    network = random_network(partial(of_torchvision, NAME)).eval()
    with torch.inference_mode():
        logits = network(torch.from_numpy(x).permute(0, 3, 1, 2)).numpy()
    return logits, network.state_dict()


@pytest.mark.slow
def test_largest_network_agrees_with_torchvision():
    if available() < NEEDED:
        pytest.skip(f"needs {NEEDED} GB of memory")
    x = np.random.default_rng(1).standard_normal((2, 64, 64, 3), np.float32)
    expected, arrays = theirs(x)
    ours, total = nnx.eval_shape(lambda: models.create(NAME, rngs=nnx.Rngs(0))), 0
    for entry in entries(ours):
        array = arrays.pop(entry.torch).numpy()
        total += array.size * ("running" not in entry.torch)
        entry.variable.set_value(jnp.asarray(entry.from_torch(array)))
    assert {name.rpartition(".")[2] for name in arrays} == {"num_batches_tracked"}
    assert total == 644_812_894
    logits = jax.jit(lambda model, x: model(x, train=False))(ours, x)
    assert relative(logits, expected) < 1e-4
