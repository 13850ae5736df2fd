"""What GoogLeNet and Inception v3 share: a convolution with its normalisation, branches side by side, the colours of their
weights."""

from collections.abc import Iterable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import nn

from ._init import normal

# mean and deviation of red, green and blue that other ImageNet weights are normalised with
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class BasicConv(nnx.Module):
    """Convolution without bias → batch normalisation → ReLU; pads `(size − 1) / 2` each side unless told.

    >>> layer = lambda x: BasicConv(3, 8, (1, 7), stddev=0.1, rngs=nnx.Rngs(0))(x, train=False)
    >>> jax.eval_shape(layer, jnp.ones((1, 9, 9, 3))).shape
    (1, 9, 9, 8)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: int | tuple[int, int],
        *,
        stddev: float,
        padding: str | None = None,
        stride: int = 1,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        size = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
        options = {"padding": padding or tuple((k - 1) // 2 for k in size), "stride": stride, "use_bias": False}
        init = normal(stddev)
        self.conv = nn.Conv(in_features, out_features, size, kernel_init=init, dtype=dtype, rngs=rngs, **options)
        self.bn = nn.BatchNorm(out_features, epsilon=1e-3, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        return jax.nn.relu(self.bn(self.conv(x), train=train))


def chain(x: Array, *layers: BasicConv, train: bool) -> Array:
    """One layer after the other.

    >>> chain(jnp.zeros(2), train=False).tolist()
    [0.0, 0.0]
    """
    for layer in layers:
        x = layer(x, train=train)
    return x


def join(branches: Iterable[Array]) -> Array:
    """The branches' channels side by side.

    >>> join([jnp.zeros((1, 2)), jnp.ones((1, 1))]).tolist()
    [[0.0, 0.0, 1.0]]
    """
    return jnp.concatenate([*branches], -1)


def half_range(x: Float[Array, "n h w 3"]) -> Float[Array, "n h w 3"]:
    """Images normalised by ImageNet's mean and deviation, as the original weights want them: (colour − 0.5) / 0.5.

    >>> white = (1 - jnp.array(MEAN)) / jnp.array(DEVIATION)
    >>> half_range(white).round(3).tolist()
    [1.0, 1.0, 1.0]
    """
    mean, deviation = jnp.array(MEAN, x.dtype), jnp.array(DEVIATION, x.dtype)
    return (x * deviation + mean - 0.5) / 0.5
