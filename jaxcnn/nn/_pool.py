"""Pooling modules: `MaxPool` and `AvgPool` hold options only; `WeightedPool` learns a coefficient and a bias a channel."""

from collections.abc import Callable, Sequence
from inspect import signature
from math import prod
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F
from jaxcnn.geometry import Padding, per_axis

from ._conv import cast, counts

Ints = int | Sequence[int]


class MaxPool(nnx.Module):
    """`functional.max_pool` with its options fixed.

    >>> MaxPool(2)(jnp.ones((1, 8, 8, 3))).shape
    (1, 4, 4, 3)
    """

    def __init__(self, window: Ints, **options):
        self.window, self.options = window, _known("MaxPool", F.max_pool, options)

    def __call__(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *outputs c"]:
        return F.max_pool(x, self.window, **self.options)


class AvgPool(nnx.Module):
    """`functional.avg_pool` with its options fixed.

    >>> AvgPool(2, stride=1)(jnp.ones((1, 8, 8, 3))).shape
    (1, 7, 7, 3)
    """

    def __init__(self, window: Ints, **options):
        self.window, self.options = window, _known("AvgPool", F.avg_pool, options)

    def __call__(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *outputs c"]:
        return F.avg_pool(x, self.window, **self.options)


class WeightedPool(nnx.Module):
    """LeNet's subsampling: the sum of each window times a trained coefficient, plus a trained bias, one of each a channel.

    The coefficient starts as `1 / window pixels` (an average), the bias as 0. Reference: LeCun et al., Gradient-based
    learning applied to document recognition (1998), section II.B.

    >>> WeightedPool(3, 2, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 3)))[0, 0, 0].tolist()
    [1.0, 1.0, 1.0]
    """

    def __init__(
        self,
        in_features: int,
        window: Ints,
        *,
        stride: Ints | None = None,
        padding: Padding = "valid",
        rank: int = 2,
        dtype=None,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        del rngs  # nothing is random here; the word is there so that every module is built alike
        axes = len(window) if isinstance(window, Sequence) else rank
        sizes = per_axis(window, axes, what="window", name="WeightedPool", least=1)
        (in_features,) = counts("WeightedPool", in_features=in_features)
        self.coefficient = nnx.Param(jnp.full((in_features,), 1 / prod(sizes), param_dtype))
        self.bias = nnx.Param(jnp.zeros((in_features,), param_dtype))
        self.window, self.stride, self.padding, self.dtype = sizes, stride, padding, dtype

    def __call__(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *outputs c"]:
        x, coefficient, bias = cast(self.dtype, x, self.coefficient, self.bias)
        if x.shape[-1:] != bias.shape:
            raise ValueError(f"WeightedPool: x has the shape {x.shape}; its last axis must be the {bias.size} features")
        return F.sum_pool(x, self.window, stride=self.stride, padding=self.padding) * coefficient + bias


def _known(name: str, function: Callable, options: dict[str, Any]) -> dict[str, Any]:
    allowed = [p.name for p in signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY]
    for option in options:
        if option not in allowed:
            raise TypeError(f"{name}: there is no option {option!r}; use {', '.join(allowed)}")
    return options
