"""The dense-only network that convolutional ones are compared with."""

from collections.abc import Sequence

import jax
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import nn

from ._tap import Tap, identity


class DenseNetwork(nnx.Module):
    """Pixels in a row, then dense layers with ReLU; 266,610 parameters at 28×28×1 with the default layers.

    The layer sizes 300 and 100 are those of LeCun et al. (1998), section III.C.

    >>> import jax.numpy as jnp
    >>> DenseNetwork(rngs=nnx.Rngs(0))(jnp.ones((2, 28, 28, 1)), train=False).shape
    (2, 10)
    """

    head_name = "logits"

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_features: int = 1,
        image_size: tuple[int, int] = (28, 28),
        hidden_features: Sequence[int] = (300, 100),
        dropout: float = 0.0,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        sizes = [image_size[0] * image_size[1] * in_features, *hidden_features]
        self.hidden = nnx.List([nn.Dense(a, b, dtype=dtype, rngs=rngs) for a, b in zip(sizes, sizes[1:])])
        self.dropout = nn.Dropout(dropout, rngs=rngs)
        self.logits = nn.Dense(sizes[-1], num_classes, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = x.reshape(x.shape[0], -1)  # (n, h·w·c)
        for i, layer in enumerate(self.hidden, 1):
            x = tap(f"dense{i}", jax.nn.relu(layer(x)))
        return tap("logits", self.logits(self.dropout(x, train=train)))
