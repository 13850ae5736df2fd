"""Every operation, its value and its gradients, exported for CPU, CUDA and TPU at once; read back it gives the same numbers."""

import jax
import jax.export
import pytest

from .operations import OPERATIONS, arrays, assert_close, compiled

PLATFORMS = ("cpu", "cuda", "tpu")


@pytest.fixture(autouse=True)
def float64():
    """Everything here is double precision."""
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", OPERATIONS)
def test_exported_step_is_the_step(name):
    args = arrays(OPERATIONS[name][1:])
    exported = jax.export.export(compiled(name), platforms=PLATFORMS)(*args)
    assert exported.platforms == PLATFORMS
    assert_close(jax.export.deserialize(exported.serialize()).call(*args), compiled(name)(*args))
