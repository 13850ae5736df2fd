"""What a number was measured on: device, versions, flags, commit, and the peak that the device reaches in practice."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import process_time

import jax
import jax.numpy as jnp

from jaxcnn.train import keep_memory

from .measure import Effort, build, interleave


@dataclass(frozen=True)
class Machine:
    """Device, versions and flags of a run. The peak is that of a square float32 matrix product."""

    device: str
    platform: str
    cores: int
    python: str
    jax: str
    jaxlib: str
    torch: str | None
    flags: str
    commit: str
    peak_gflops: float

    def __str__(self) -> str:
        versions = f"jax {self.jax}" + (f", torch {self.torch}" if self.torch else "")
        return f"{self.device}, {self.cores} cores, {versions}, {self.commit}, peak {self.peak_gflops:.0f} GFLOP/s"


def describe(*, torch: bool = True) -> Machine:
    """The machine that this process runs on; its peak is measured, which takes a second.

    The process keeps its memory from here on, so that no rival's time is the system's for clearing pages.
    """
    kept = keep_memory()
    device = jax.devices()[0]
    return Machine(
        device=_processor() if device.platform == "cpu" else device.device_kind,
        platform=device.platform,
        cores=cores(),
        python=platform.python_version(),
        jax=version("jax"),
        jaxlib=version("jaxlib"),
        torch=_version("torch") if torch else None,
        flags=" ".join(filter(None, (os.environ.get("XLA_FLAGS"), "keep_memory" if kept else ""))),
        commit=_commit(),
        peak_gflops=peak_gflops(2048 if device.platform == "cpu" else 8192),
    )


class Disturbance:
    """Share of the machine's processor time that other processes take from its creation on; the hypervisor's theft counts.

    A rival with a thread on each core waits at every barrier for the core that another process holds, so a number measured
    beside a busy neighbour says little, most of all about PyTorch.
    """

    def __init__(self) -> None:
        self.start = _ticks()

    def share(self) -> float | None:
        """Between 0 and 1; None where the system does not tell."""
        end = _ticks()
        if self.start is None or end is None:
            return None
        passed, busy, own = (now - then for now, then in zip(end, self.start))
        return round(min(max(busy - own, 0.0) / max(passed, 1e-9), 1.0), 3)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_gflops(size: int) -> float:
    """GFLOP/s of the fastest quarter of float32 matrix products of this size."""
    a = jnp.ones((size, size), jnp.float32)
    timing = interleave({"matmul": build(jnp.matmul, a, a).run}, Effort(budget_s=1.0, rounds=4))["matmul"]
    return 2 * size**3 / timing.low_ms / 1e6


def _ticks() -> tuple[float, float, float] | None:
    """Seconds of all cores, seconds in which they were busy, seconds of this process, since some start."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return None
    user, nice, system, idle, wait, *rest = map(int, stat.read_text().split("\n", 1)[0].split()[1:9])
    rate = os.sysconf("SC_CLK_TCK")
    busy = user + nice + system + sum(rest)
    return (busy + idle + wait) / rate, busy / rate, process_time()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str:
    """Short hash of the checked-out commit, with a + where the package differs from it."""
    root = Path(__file__).parent
    git = ["git", "-C", str(root), "describe", "--always", "--abbrev=9", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
