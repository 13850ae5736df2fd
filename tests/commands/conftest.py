"""A random network in a file, for every command."""

import jax
import pytest
from flax import nnx

from jaxcnn import models, weights


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    """A random CIFAR ResNet-20, and its file."""
    model = jax.jit(lambda: models.create("cifar_resnet20", rngs=nnx.Rngs(0)))()
    file = tmp_path_factory.mktemp("weights") / "random.safetensors"
    weights.save(model, file)
    return model, file
