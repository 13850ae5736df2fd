"""Programs that compile in half the time, for tests that run each of them once or twice.

LLVM optimises nothing, and before jax 0.12 XLA:CPU writes its loops for LLVM directly: its newer emitters take three times as
long to compile (14 operations with their gradients: 3.7 s of processor time, 1.5 without). 0.12 has no other emitters.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import jax
import pytest
from jax._src import compiler  # no public setting gives an option to every compilation
from jax._src.interpreters import mlir

OPTIONS = {} if jax.__version_info__ >= (0, 12) else {"xla_cpu_use_fusion_emitters": False}
PATIENCE_S = 1800  # a machine may be busy with other things


def environment(devices: int = 1) -> dict[str, str]:
    """Variables for a process of its own: quick compilation, so many simulated devices, and collectives that wait for them."""
    waits = {f"xla_cpu_collective_{what}_seconds": PATIENCE_S for what in ("call_terminate_timeout", "timeout")}
    options = OPTIONS | waits | {"xla_force_host_platform_device_count": devices}
    flags = " ".join(f"--{name}={str(value).lower()}" for name, value in options.items())
    return {"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


make_ir_context = mlir.make_ir_context


@cache
def one_context() -> mlir.ir.Context:
    """What programs are written in: a new one takes 4 ms, a quarter of the time of a program of one operation."""
    return make_ir_context()


@contextmanager
def quick() -> Iterator[None]:
    """What compiles within is not optimised."""
    before, options_of = jax.config.read("jax_disable_most_optimizations"), compiler.get_compile_options

    def unoptimised(*args, **kwargs):
        options = options_of(*args, **kwargs)
        options.env_option_overrides = [*options.env_option_overrides, *OPTIONS.items()]
        return options

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiler, "get_compile_options", unoptimised)
        patch.setattr(mlir, "make_ir_context", one_context)
        jax.config.update("jax_disable_most_optimizations", True)
        yield
        jax.config.update("jax_disable_most_optimizations", before)
