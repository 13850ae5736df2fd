"""The functions are tested under strict promotion: no dtype may change silently."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="package")
def strict_promotion():
    """Refuses every implicit promotion while these tests run."""
    with jax.numpy_dtype_promotion("strict"):
        yield
