"""The rival of `benchmarks.models` in plain Flax: a model of ours with every layer replaced by Flax's own.

The graph of the network stays, so do the names and the arrays, so that one set of parameters fits both. Convolutions become
`nnx.Conv`, dense layers `nnx.Linear`, norms `nnx.BatchNorm` and `nnx.LayerNorm`; what a model calls as a function (pooling) is
exchanged while it is traced.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import jax.numpy as jnp
from flax import nnx
from jax import Array

from jaxcnn import functional as F
from jaxcnn import nn

from .train_networks import FlaxNorm

Ints = int | tuple[int, ...]


def in_flax(model: nnx.Module) -> nnx.Module:
    """The model with Flax's layers, changed in place; the parameters are the same variables.

    Raises: ValueError for a layer that Flax has not.
    """
    for _, parent in list(nnx.iter_graph(model)):
        if isinstance(parent, nnx.Pytree):
            for name, layer in list(vars(parent).items()):
                if type(layer) in TWINS:
                    setattr(parent, name, _twin(layer))
                elif type(layer).__module__.startswith("jaxcnn.nn") and nnx.state(layer):
                    raise ValueError(f"in_flax: there is no twin of {type(layer).__name__}")
    return model


@contextmanager
def flax_pools() -> Iterator[None]:
    """Within it the pooling functions that our models call are Flax's."""
    with ExitStack() as stack:
        for name, function in POOLS.items():
            stack.enter_context(patch.object(F, name, function))
        yield


def traced_with_flax_pools(function: Callable) -> Callable:
    """The function, which is traced within `flax_pools`."""

    def traced(*arguments):
        with flax_pools():
            return function(*arguments)

    return traced


def _twin(layer: Any) -> nnx.Module:
    twin = nnx.eval_shape(lambda: TWINS[type(layer)](layer))
    for name in ("kernel", "scale", "bias", "mean", "var"):
        if hasattr(layer, name):
            setattr(twin, name, getattr(layer, name))
    return twin


def _conv(layer: nn.Conv) -> nnx.Conv:
    options, (*size, inputs, outputs) = layer.options, layer.kernel.shape
    if options["padding_mode"] != "zeros":
        raise ValueError(f"in_flax: nnx.Conv pads no {options['padding_mode']!r} here")
    return nnx.Conv(
        inputs * options["groups"],
        outputs,
        tuple(size),
        options["stride"],
        padding=_pads(options["padding"], len(size)),
        kernel_dilation=options["dilation"],
        feature_group_count=options["groups"],
        use_bias=layer.bias is not None,
        rngs=nnx.Rngs(0),
    )


def _dense(layer: nn.Dense) -> nnx.Linear:
    return nnx.Linear(*layer.kernel.shape, use_bias=layer.bias is not None, rngs=nnx.Rngs(0))


def _batch_norm(layer: nn.BatchNorm) -> FlaxNorm:
    return FlaxNorm(layer.mean.size, momentum=layer.momentum, epsilon=layer.epsilon, rngs=nnx.Rngs(0))


def _layer_norm(layer: nn.LayerNorm) -> nnx.LayerNorm:
    return nnx.LayerNorm(layer.scale.size, epsilon=layer.epsilon, rngs=nnx.Rngs(0))


def _pads(padding: Any, rank: int) -> Any:
    """Words as Flax writes them; numbers as a pair an axis."""
    if isinstance(padding, str):
        return padding.upper()
    each = (padding,) * rank if isinstance(padding, int) else padding
    return tuple((pad, pad) if isinstance(pad, int) else tuple(pad) for pad in each)


def _pool(pool: Callable, x: Array, window: Ints, *, stride: Ints | None = None, padding: Any = "valid") -> Array:
    size = (window,) * (x.ndim - 2) if isinstance(window, int) else window
    strides = size if stride is None else (stride,) * len(size) if isinstance(stride, int) else stride
    return pool(x, size, strides, _pads(padding, len(size)))


def _global_average(x: Array, *, keepdims: bool = False) -> Array:
    return jnp.mean(x, range(1, x.ndim - 1), keepdims=keepdims)


TWINS: dict[type, Callable[[Any], nnx.Module]] = {
    nn.Conv: _conv,
    nn.Dense: _dense,
    nn.BatchNorm: _batch_norm,
    nn.LayerNorm: _layer_norm,
}
POOLS = {
    "max_pool": partial(_pool, nnx.max_pool),
    "avg_pool": partial(_pool, nnx.avg_pool),
    "global_avg_pool": _global_average,
}
