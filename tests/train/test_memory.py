"""`keep_memory` in a process of its own: a large array made again and again soon needs no new pages.

Soon, not at once: XLA's small blocks cut into the hole that the last array left until there are holes for both, about ten arrays
later; how many depends on which thread frees first. Without `keep_memory` each array is made of new pages, for ever.
"""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import jax, jax.numpy as jnp
from jaxcnn.train import keep_memory
if "keep" in sys.argv:
    assert keep_memory()
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
twice, x = jax.jit(lambda x: x * 2), jnp.ones(20_000_000)  # 76 MiB: more than an arena of a thread holds
before = faults()
for _ in range(60):
    twice(x).block_until_ready()
print(faults() - before)
"""


def faults(*arguments: str) -> int:
    run = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True)
    return int(run.stdout)


def test_keep_memory_makes_no_new_pages():
    import ctypes

    if not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        pytest.skip("keep_memory asks glibc; this C library is another one")
    assert faults("keep") < faults() / 2
