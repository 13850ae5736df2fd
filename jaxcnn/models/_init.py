"""How the networks' authors draw initial weights, and layers that start as PyTorch's do.

A kernel `(*size, c_in // groups, c_out)` has fan-in `prod(size) · c_in // groups` and fan-out `prod(size) · c_out`.
References: He et al., Delving deep into rectifiers (2015): variance 2 / fan. PyTorch: uniform within ±1 / √(fan-in), the
bias too. Where torchvision cuts a normal at ±2, that is 20 deviations away or more: here it is not cut.
"""

from typing import Any

import jax
from jax import Array
from jax.nn.initializers import Initializer as Initializer
from jax.nn.initializers import normal as normal
from jax.nn.initializers import variance_scaling as variance_scaling
from jax.nn.initializers import zeros as zeros

from jaxcnn import nn

he_normal_fan_out = variance_scaling(2.0, "fan_out", "normal")
he_normal_fan_in = variance_scaling(2.0, "fan_in", "normal")
he_uniform_fan_in = variance_scaling(2.0, "fan_in", "uniform")


def uniform(bound: float) -> Any:
    """Uniform within ±bound.

    >>> values = uniform(0.5)(jax.random.key(0), (1000,))
    >>> bool(abs(values).max() < 0.5), bool(values.min() < -0.49)
    (True, True)
    """

    def init(key: Array, shape, dtype=float, out_sharding=None) -> Array:
        return jax.random.uniform(key, shape, dtype, -bound, bound, out_sharding=out_sharding)

    return init


def conv(in_features: int, out_features: int, kernel_size: int, **options) -> nn.Conv:
    """`nn.Conv` whose kernel and bias start as PyTorch's.

    >>> from flax import nnx
    >>> conv(1, 2, 5, rngs=nnx.Rngs(0)).kernel.shape
    (5, 5, 1, 2)
    """
    init = uniform((in_features // options.get("groups", 1) * kernel_size**2) ** -0.5)
    return nn.Conv(in_features, out_features, kernel_size, kernel_init=init, bias_init=init, **options)


def dense(in_features: int, out_features: int, **options) -> nn.Dense:
    """`nn.Dense` whose kernel and bias start as PyTorch's.

    >>> from flax import nnx
    >>> dense(1, 2, rngs=nnx.Rngs(0)).bias.shape
    (2,)
    """
    init = uniform(in_features**-0.5)
    return nn.Dense(in_features, out_features, kernel_init=init, bias_init=init, **options)
