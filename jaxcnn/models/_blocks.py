"""What several families are built of: layers in a row, convolution + normalisation + activation, squeeze and excitation."""

from collections.abc import Callable, Iterable
from functools import cache
from inspect import signature
from typing import Any

import jax
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F
from jaxcnn import nn
from jaxcnn.geometry import Padding

from ._init import Initializer, he_normal_fan_out, zeros
from ._tap import Tap

Activation = Callable[[Array], Array]


class Sequential(nnx.List):
    """Layers in a row. A layer may be a function; `None` passes on what it gets; `train` goes to those that take it.

    The place of a layer is its name, as in PyTorch's `nn.Sequential`, so `None` and functions keep the numbers of published
    weights.

    >>> import jax.numpy as jnp
    >>> Sequential([None, nn.Dropout(0.5, rngs=nnx.Rngs(0)), jax.nn.relu])(jnp.array([-1.0, 2.0]), train=False).tolist()
    [0.0, 2.0]
    """

    def __call__(self, x: Array, *, train: bool) -> Array:
        for layer in self:
            x = apply(layer, x, train=train)
        return x


def apply(layer: Callable | None, x: Array, *, train: bool) -> Array:
    """`layer(x)`, with `train` if the layer takes it; x itself if the layer is None.

    >>> apply(abs, -3, train=True), apply(None, -3, train=True)
    (3, -3)
    """
    if layer is None:
        return x
    return layer(x, train=train) if _takes_train(type(layer)) else layer(x)


def run(layers: Iterable, names: Iterable[str | None], x: Array, *, train: bool, tap: Tap) -> Array:
    """The layers in a row; what comes out of one goes through `tap` if the layer has a name.

    >>> run([abs, abs], [None, "b"], -3, train=False, tap=lambda name, x: (name, x))
    ('b', 3)
    """
    for layer, name in zip(layers, names, strict=True):
        x = apply(layer, x, train=train)
        x = x if name is None else tap(name, x)
    return x


@cache
def _takes_train(kind: type) -> bool:
    return issubclass(kind, nnx.Pytree) and "train" in signature(kind.__call__).parameters


class ConvNorm(Sequential):
    """Convolution without bias → batch normalisation → activation (None: there is none).

    Args:
        padding: None means `(span − 1) / 2` each side, whatever the stride.
        norm: options of `nn.BatchNorm`.
        folded: whether there is no normalisation, because the kernel was multiplied by its scale; the convolution has a bias.
        options: of `nn.Conv`.

    >>> import jax.numpy as jnp
    >>> layer = lambda x: ConvNorm(3, 8, 5, stride=2, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 9, 9, 3))).shape
    (1, 5, 5, 8)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int = 3,
        *,
        padding: Padding | None = None,
        activation: Activation | None = jax.nn.relu,
        norm: dict[str, Any] | None = None,
        folded: bool = False,
        kernel_init=he_normal_fan_out,
        rngs: nnx.Rngs,
        **options,
    ):
        padding = (kernel_size - 1) // 2 if padding is None else padding
        options = {"padding": padding, "use_bias": folded, "kernel_init": kernel_init} | options
        conv = nn.Conv(in_features, out_features, kernel_size, **options, rngs=rngs)
        normalise = None if folded else nn.BatchNorm(out_features, **(norm or {}), rngs=rngs)
        super().__init__([conv, normalise, activation])


class SqueezeExcite(nnx.Module):
    """Scales each channel by `gate(fc2(activation(fc1(mean over the pixels))))`, in two 1×1 convolutions.

    Reference: Hu, Shen & Sun, Squeeze-and-excitation networks (2018).

    Args:
        bias_init: from a layer's fan-in to how its bias starts.

    >>> import jax.numpy as jnp
    >>> layer = lambda x: SqueezeExcite(8, 2, rngs=nnx.Rngs(0))(x)
    >>> jax.eval_shape(layer, jnp.ones((1, 5, 5, 8))).shape
    (1, 5, 5, 8)
    """

    def __init__(
        self,
        features: int,
        squeezed: int,
        *,
        activation: Activation = jax.nn.relu,
        gate: Activation = jax.nn.sigmoid,
        bias_init: Callable[[int], Initializer] = lambda fan_in: zeros,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        options = {"kernel_init": he_normal_fan_out, "dtype": dtype, "rngs": rngs}
        self.fc1 = nn.Conv(features, squeezed, 1, bias_init=bias_init(features), **options)
        self.fc2 = nn.Conv(squeezed, features, 1, bias_init=bias_init(squeezed), **options)
        self.activation, self.gate = activation, gate

    def __call__(self, x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
        squeezed = F.global_avg_pool(x, keepdims=True)  # (n, 1, 1, c)
        return x * self.gate(self.fc2(self.activation(self.fc1(squeezed))))


def rounded(channels: float, divisor: int = 8) -> int:
    """Channels to the nearest multiple of the divisor, at least one of it, and never below nine tenths of what was asked.

    Reference: the authors' code of MobileNet and EfficientNet.

    >>> rounded(32 * 0.75), rounded(10), rounded(3)
    (24, 16, 8)
    """
    near = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return near + divisor if near < 0.9 * channels else near


def flat(x: Float[Array, "n h w c"]) -> Float[Array, "n f"]:
    """Each image as one row, channel by channel as in PyTorch, so that published weights of a dense layer fit as they are.

    >>> import jax.numpy as jnp
    >>> flat(jnp.arange(8).reshape(1, 2, 2, 2)).tolist()
    [[0, 2, 4, 6, 1, 3, 5, 7]]
    """
    return x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # (n, c·h·w)
