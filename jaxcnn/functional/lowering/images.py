"""Runs of images: the dense kernel gradient summed over a loop of a few images at a time.

    dk = Σ_blocks  kernel_grad(x[block], g[block])

Written as a convolution (`direct`), a kernel gradient has the batch where a convolution has its input channels and g where that
has its kernel, which is read anew for each tap. Of two images it stays in the cache: from 20 MiB of g on that is up to six times
faster, below 10 MiB up to twice slower.
"""

import jax.numpy as jnp
from jax import Array, lax

from . import direct
from ._case import Case

AT_ONCE = 2


def supports(case: Case) -> str | None:
    """Kernel gradients of a batch without groups, on one device."""
    if case.direction != "kernel_grad":
        return "it computes kernel gradients alone"
    if case.groups != 1:
        return f"it needs one group, here are {case.groups}"
    if case.n <= AT_ONCE:
        return f"it needs more than {AT_ONCE} images, here are {case.n}"
    return "its loop over images would gather a batch that lies on several devices" if case.partitioned else None


def kernel_grad(x: Array, g: Array, case: Case) -> Array:
    """The loop over runs of images; those that are left over come first."""
    rest, part = case.n % AT_ONCE, case.replace(n=AT_ONCE)
    first = (
        direct.kernel_grad(x[:rest], g[:rest], case.replace(n=rest)) if rest else jnp.zeros(case.kernel_shape, g.dtype)
    )

    def step(i: Array, total: Array) -> Array:
        of_x, of_g = (lax.dynamic_slice_in_dim(v, rest + i * AT_ONCE, AT_ONCE) for v in (x, g))
        return total + direct.kernel_grad(of_x, of_g, part)

    return lax.fori_loop(0, case.n // AT_ONCE, step, first)
