"""The rivals on JAX: ours and XLA's own convolution, as functions of (x, kernel, g).

A gradient is `jax.vjp` for one operand alone under `jax.jit`, so the compiler removes everything that the other operand's
gradient would need. `lax` is what a user writes without this package: `conv_general_dilated`, `conv_transpose`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from jaxcnn import functional as F

from .cases import Case, Direction

Conv = Callable[[Array, Array], Array]
_SPECS = {1: ("NWC", "WIO", "NWC"), 2: ("NHWC", "HWIO", "NHWC"), 3: ("NDHWC", "DHWIO", "NDHWC")}


@dataclass(frozen=True)
class Arrays:
    """The operands of a case: x, its kernel, and g, the gradient that arrives at the result."""

    x: np.ndarray
    kernel: np.ndarray
    g: np.ndarray

    @classmethod
    def of(cls, case: Case, dtype: str = "float32", seed: int = 0) -> "Arrays":
        """Independent normal numbers, so that sums have zero mean."""
        rng = np.random.default_rng(seed)
        draw = lambda shape: rng.standard_normal(shape, np.float32).astype(jnp.dtype(dtype))
        return cls(draw(case.x), draw(case.kernel), draw(case.y))


def ours(case: Case) -> Conv | None:
    """The package's function for this case; None where it has none."""
    function = getattr(F, "conv_transpose" if case.transposed else "conv", None)
    if function is None:
        return None
    options = {"stride": case.stride, "padding": case.padding, "dilation": case.dilation, "groups": case.groups}
    if case.transposed:
        options["output_padding"] = case.output_padding
    return lambda x, kernel: function(x, kernel, **options)


def plain(case: Case) -> Conv:
    """The same by `jax.lax` alone."""
    if case.transposed:
        return _plain_transpose(case)
    return lambda x, kernel: lax.conv_general_dilated(
        x,
        kernel,
        case.stride,
        case.padding,
        rhs_dilation=case.dilation,
        dimension_numbers=_SPECS[case.rank],
        feature_group_count=case.groups,
    )


def directed(conv: Conv, direction: Direction) -> Callable[[Array, Array, Array], Array]:
    """The convolution or one of its gradients, as a function of (x, kernel, g)."""
    return {
        "forward": lambda x, kernel, g: conv(x, kernel),
        "input_grad": lambda x, kernel, g: jax.vjp(lambda x: conv(x, kernel), x)[1](g)[0],
        "kernel_grad": lambda x, kernel, g: jax.vjp(lambda kernel: conv(x, kernel), kernel)[1](g)[0],
    }[direction]


def _plain_transpose(case: Case) -> Conv:
    if case.groups != 1:
        raise ValueError(f"plain: {case.name} has groups={case.groups}; lax.conv_transpose has no groups")
    padding = case.window.transposed(case.large).window.padding
    return lambda x, kernel: lax.conv_transpose(
        x,
        kernel,
        case.stride,
        padding,
        rhs_dilation=case.dilation,
        dimension_numbers=_SPECS[case.rank],
        transpose_kernel=True,
    )
