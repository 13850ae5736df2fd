"""What every test shares: a warm compilation cache, short hypothesis runs and the folder of real data."""

import os
from pathlib import Path

import hypothesis
import jax
import pytest

ROOT = Path(__file__).parent.parent
SHARED = Path(os.environ.get("JAXCNN_SHARED", ROOT.parent / "shared"))

jax.config.update("jax_compilation_cache_dir", str(ROOT / ".jax_cache"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

hypothesis.settings.register_profile("house", deadline=None, max_examples=25, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("house")


def pytest_configure(config):
    # two workers write the cache without a lock (jax's LRUCache): a half-written entry is a miss, not a failure
    config.addinivalue_line("filterwarnings", "ignore:Error (reading|writing) persistent compilation cache:UserWarning")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of data and worked examples beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f"no shared folder at {SHARED}; set JAXCNN_SHARED")
    return SHARED
