"""`keep_memory`: large arrays in pages that the process already has.

glibc gives every freed block above 32 MiB back to the system, so each large result of a compiled program is made of new pages,
and the system clears and maps them one by one: on the machine of the benchmarks `x * 2` of 147 MiB took 52 ms, and 8 ms in pages
that were kept. JAX, and PyTorch too, allocate this way on CPU.
"""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # malloc.h
SETTINGS = {MMAP_MAX: 0, TRIM_THRESHOLD: -1, ARENA_MAX: 1}  # a thread's own arena holds no block above 64 MiB


def keep_memory() -> bool:
    """Lets the process keep the memory that it frees, for its next arrays; call it once, before anything asks JAX for a device.

    The process then holds what it needed at most at any time until it ends. It is what the environment variables
    `MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=-1 MALLOC_ARENA_MAX=1` do from its start. Arrays on accelerators are not concerned.

    Returns: whether the C library could (glibc on Linux); False changes nothing.

    >>> keep_memory()  # doctest: +SKIP
    True
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not (hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt")):
        return False
    accepted = [library.mallopt(name, value) for name, value in SETTINGS.items()]
    return all(accepted)
