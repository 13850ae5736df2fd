"""Pooling modules: `MaxPool` and `AvgPool` hold options only; `WeightedPool` and `MixedPool` learn, `StochasticPool` and
`FractionalMaxPool` hold a source of random keys."""

from collections.abc import Callable, Sequence
from inspect import signature
from math import prod
from typing import Any

import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F
from jaxcnn.functional._bias import add_bias
from jaxcnn.functional._broadcast import of_rank
from jaxcnn.functional._numbers import Number, scalar
from jaxcnn.functional._widened import widened
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

    With `each_tap` every pixel of the window has a coefficient of its own: `functional.weighted_pool`. Coefficients start as
    `1 / window pixels` (an average), the bias as 0. Reference: LeCun et al., Gradient-based learning applied to document
    recognition (1998), section II.B.

    >>> WeightedPool(3, 2, rngs=nnx.Rngs(0))(jnp.ones((1, 8, 8, 3)))[0, 0, 0].tolist()
    [1.0, 1.0, 1.0]
    >>> WeightedPool(3, 2, each_tap=True, rngs=nnx.Rngs(0)).coefficient.shape
    (2, 2, 3)
    """

    def __init__(
        self,
        in_features: int,
        window: Ints,
        *,
        stride: Ints | None = None,
        padding: Padding = "valid",
        rank: int = 2,
        each_tap: bool = False,
        dtype=None,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        del rngs  # nothing is random here; the word is there so that every module is built alike
        axes = np.size(window) if np.ndim(window) else rank
        sizes = per_axis(window, axes, what="window", name="WeightedPool", least=1)
        (in_features,) = counts("WeightedPool", in_features=in_features)
        shape = (*sizes, in_features) if each_tap else (in_features,)
        self.coefficient = nnx.Param(jnp.full(shape, 1 / prod(sizes), param_dtype))
        self.bias = nnx.Param(jnp.zeros((in_features,), param_dtype))
        self.window, self.stride, self.padding, self.dtype = sizes, stride, padding, dtype

    def __call__(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *outputs c"]:
        x, coefficient, bias = cast(self.dtype, x, self.coefficient, self.bias)
        if x.shape[-1:] != bias.shape:
            raise ValueError(f"WeightedPool: x has the shape {x.shape}; its last axis must be the {bias.size} features")
        options = {"stride": self.stride, "padding": self.padding}
        if coefficient.ndim > 1:
            return add_bias(F.weighted_pool(x, coefficient, **options), bias)
        sums = F.sum_pool(widened(x), self.window, **options)
        each = of_rank(coefficient.astype(sums.dtype), x.ndim)  # widened before it is spread, as a bias
        return add_bias(sums * each, bias).astype(x.dtype)


class MixedPool(nnx.Module):
    """`functional.mixed_pool` with a learned alpha: `alpha · maximum + (1 − alpha) · mean`.

    One for the layer or, with `in_features`, one a channel; it starts at `alpha` and is not kept between 0 and 1.

    >>> MixedPool(2, rngs=nnx.Rngs(0))(jnp.array([[[3.0], [1.0]]]))[0, 0].tolist()
    [2.5]
    """

    def __init__(
        self,
        window: Ints,
        *,
        in_features: int | None = None,
        alpha: Number = 0.5,
        dtype=None,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
        **options,
    ):
        del rngs  # nothing is random here
        shape = () if in_features is None else counts("MixedPool", in_features=in_features)
        alpha = scalar("MixedPool", "alpha", alpha)
        self.alpha = nnx.Param(jnp.full(shape, alpha, param_dtype))
        self.window, self.dtype, self.options = window, dtype, _known("MixedPool", F.mixed_pool, options)

    def __call__(self, x: Float[Array, "n *space c"]) -> Float[Array, "n *outputs c"]:
        x, alpha, _ = cast(self.dtype, x, self.alpha, None)
        return F.mixed_pool(x, self.window, alpha, **self.options)


class StochasticPool(nnx.Module):
    """`functional.stochastic_pool` with a source of keys: draws in training, averages else.

    Keys come from the `dropout` stream of the `rngs` it was built with; a compiled step reseeds it.

    >>> pool = StochasticPool(2, rngs=nnx.Rngs(0))
    >>> pool(jnp.array([[[0.0], [2.0]]]), train=True)[0, 0].tolist()
    [2.0]
    """

    def __init__(self, window: Ints, *, rngs: nnx.Rngs, **options):
        self.window, self.options = window, _known("StochasticPool", F.stochastic_pool, options, without=("train",))
        self.rngs = rngs.dropout.fork()

    def __call__(self, x: Float[Array, "n *space c"], *, train: bool) -> Float[Array, "n *outputs c"]:
        return F.stochastic_pool(self.rngs() if train else None, x, self.window, train=train, **self.options)


class FractionalMaxPool(nnx.Module):
    """`functional.fractional_max_pool` with a source of keys; else than in training all windows lie alike, with u = ½.

    Keys come from the `dropout` stream of the `rngs` it was built with; a compiled step reseeds it.

    Args:
        options: `output_size` or `ratio`.

    >>> FractionalMaxPool(2, ratio=0.7, rngs=nnx.Rngs(0))(jnp.ones((1, 10, 10, 3)), train=True).shape
    (1, 7, 7, 3)
    """

    def __init__(self, window: Ints, *, rngs: nnx.Rngs, **options):
        known = _known("FractionalMaxPool", F.fractional_max_pool, options, without=("samples",))
        self.window, self.options, self.rngs = window, known, rngs.dropout.fork()

    def __call__(self, x: Float[Array, "n *space c"], *, train: bool) -> Float[Array, "n *outputs c"]:
        key = self.rngs() if train else None
        samples = None if train else jnp.full((x.shape[0], x.ndim - 2, x.shape[-1]), 0.5)
        return F.fractional_max_pool(key, x, self.window, samples=samples, **self.options)


def _known(name: str, function: Callable, options: dict[str, Any], *, without: Sequence[str] = ()) -> dict[str, Any]:
    words = signature(function).parameters.values()
    allowed = [p.name for p in words if p.kind is p.KEYWORD_ONLY and p.name not in without]
    for option in options:
        if option not in allowed:
            raise TypeError(f"{name}: there is no option {option!r}; use {', '.join(allowed)}")
    return options
