"""The functions are tested under strict promotion of dtypes and ranks, and mostly without LLVM's optimisations."""

import jax
import pytest

# where the code that runs for a user is what is tested: its rounding of exp, log and powers, its NaN, its lowerings
OPTIMISED = {
    *("test_engine_lowerings", "test_engine_winograd", "test_nan", "test_lp_pool", "test_soft_pool", "test_norm"),
    *(
        "test_group_norm",
        "test_upstream",
        "test_published",
        "test_filters",
        "test_pool",
        "test_conv",
        "test_deform_conv",
    ),
}


@pytest.fixture(autouse=True, scope="package")
def strict_promotion():
    """Refuses every implicit promotion, of dtypes and of ranks, while these tests run."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        yield


@pytest.fixture(autouse=True, scope="module")
def quick_compilation(request):
    """A third less to compile, for tests that run each program once or twice."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", request.module.__name__.rpartition(".")[2] not in OPTIMISED)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
