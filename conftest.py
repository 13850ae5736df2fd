"""For every test and every example in a docstring: quick compilation, its cache, short hypothesis runs, the real data."""

import gc
import os
from contextlib import nullcontext
from pathlib import Path

import hypothesis
import jax
import pytest

from tests.compilation import quick

ROOT = Path(__file__).parent
SHARED = Path(os.environ.get("JAXCNN_SHARED", ROOT.parent / "shared"))

# where the code that runs for a user is what is tested: its rounding of exp, log and powers, its NaN, its lowerings, its time
OPTIMISED = {
    *("test_engine_optimised", "test_engine_winograd", "test_nan", "test_lp_pool", "test_soft_pool", "test_norm"),
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

# tracing makes many objects that live: a tenth of the processor time went into looking for what dies among them
gc.set_threshold(50_000, 20, 100)
jax.config.update("jax_compilation_cache_dir", str(ROOT / ".jax_cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

hypothesis.settings.register_profile(
    "house",
    deadline=None,  # nor is it a fault that a busy machine draws slowly
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    max_examples=25,
    derandomize="CI" in os.environ,
)
hypothesis.settings.load_profile("house")


def pytest_configure(config):
    # two workers write the cache without a lock (jax's LRUCache): a half-written entry is a miss, not a failure
    config.addinivalue_line("filterwarnings", "ignore:Error (reading|writing) persistent compilation cache:UserWarning")


@pytest.fixture(autouse=True, scope="module")
def old_objects():
    """What lives when a module begins is never again searched for what is dead: jax keeps a million objects."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def quick_compilation(request):
    """Unoptimised programs, where the test is not of what compilation does to them."""
    optimised = request.module.__name__.rpartition(".")[2] in OPTIMISED
    with nullcontext() if optimised else quick():
        yield


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data and worked examples beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared folder at {SHARED}; set JAXCNN_SHARED")
    return SHARED


@pytest.fixture
def compilations():
    """Grows by one with every function that jax traces, lowers or compiles."""
    events, active = [], [True]
    jax.monitoring.register_event_duration_secs_listener(lambda name, *_, **__: events.append(name) if active else None)
    yield events
    active.clear()
