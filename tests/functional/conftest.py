"""The functions are tested under strict promotion: no dtype and no rank may change silently."""

import jax
import pytest


@pytest.fixture(autouse=True, scope="package")
def strict_promotion():
    """Refuses every implicit promotion, of dtypes and of ranks, while these tests run."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield
