"""LeNet-5, as published in 1998 and as it is written today.

The original: 32×32 grey images, three convolutions of 5×5, subsampling with a trained coefficient and bias a map, the scaled
tanh `1.7159 · tanh(2/3 · x)`, a partial connection table from S2 to C3 and fixed Gaussian connections at the output, one 7×12
bitmap a digit. Its 60,000 parameters: C1 156, S2 12, C3 1,516, S4 32, C5 48,120, F6 10,164.

Reference: LeCun, Bottou, Bengio & Haffner, Gradient-based learning applied to document recognition (1998), section II.B.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F
from jaxcnn import nn
from jaxcnn.geometry import Window

from ._tap import Tap, identity

# Table I of the paper: the maps of S2 that each of the 16 maps of C3 sees.
CONNECTIONS = (
    *((i, (i + 1) % 6, (i + 2) % 6) for i in range(6)),
    *(tuple(sorted((i + j) % 6 for j in range(4))) for i in range(6)),
    (0, 1, 3, 4),
    (1, 2, 4, 5),
    (0, 2, 3, 5),
    (0, 1, 2, 3, 4, 5),
)

# Ten digits of 7 columns and 12 rows, a row a hexadecimal pair (the highest of 7 bits is the left column).
_BITMAPS = (
    "00 1c 36 63 63 63 63 63 63 36 1c 00",
    "00 0c 1c 3c 0c 0c 0c 0c 0c 0c 3f 00",
    "00 3e 63 03 03 06 0c 18 30 60 7f 00",
    "00 3e 63 03 03 1e 03 03 03 63 3e 00",
    "00 06 0e 1e 36 66 66 7f 06 06 06 00",
    "00 7f 60 60 60 7e 03 03 03 63 3e 00",
    "00 1e 30 60 60 7e 63 63 63 63 3e 00",
    "00 7f 03 03 06 06 0c 0c 18 18 18 00",
    "00 3e 63 63 63 3e 63 63 63 63 3e 00",
    "00 3e 63 63 63 63 3f 03 03 06 3c 00",
)


class LeNet5(nnx.Module):
    """LeNet-5 of today: convolutions of 5×5, ReLU, max pooling, three dense layers; 61,706 parameters at 28×28×1.

    The first convolution keeps the size, so images of 28×28 give the 14, 10, 5 of the paper.

    >>> model = LeNet5(rngs=nnx.Rngs(0))
    >>> model(jnp.ones((2, 28, 28, 1)), train=False).shape
    (2, 10)
    """

    head_name = "logits"

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_features: int = 1,
        image_size: tuple[int, int] = (28, 28),
        dropout: float = 0.0,
        dtype=None,
        rngs: nnx.Rngs,
    ):
        self.conv1 = nn.Conv(in_features, 6, 5, dtype=dtype, rngs=rngs)
        self.conv2 = nn.Conv(6, 16, 5, padding="valid", dtype=dtype, rngs=rngs)
        self.dense1 = nn.Dense(_flat_features(image_size), 120, dtype=dtype, rngs=rngs)
        self.dense2 = nn.Dense(120, 84, dtype=dtype, rngs=rngs)
        self.dropout = nn.Dropout(dropout, rngs=rngs)
        self.logits = nn.Dense(84, num_classes, dtype=dtype, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        x = tap("conv1", jax.nn.relu(self.conv1(x)))
        x = tap("pool1", F.max_pool(x, 2))
        x = tap("conv2", jax.nn.relu(self.conv2(x)))
        x = tap("pool2", F.max_pool(x, 2))
        x = x.reshape(x.shape[0], -1)  # (n, h·w·16)
        x = tap("dense1", jax.nn.relu(self.dense1(x)))
        x = tap("dense2", jax.nn.relu(self.dense2(x)))
        return tap("logits", self.logits(self.dropout(x, train=train)))


class LeNet5Original(nnx.Module):
    """LeNet-5 of 1998: exactly 60,000 trainable parameters, for 32×32×1 images of the ten digits.

    Its outputs are minus the squared distances of F6 to the ten bitmaps, so the largest is the digit and softmax
    cross-entropy is the paper's discriminative criterion (equation 9) without its rubbish class.

    >>> model = LeNet5Original(rngs=nnx.Rngs(0))
    >>> model(jnp.ones((2, 32, 32, 1)), train=False).shape
    (2, 10)
    """

    head_name = ""  # none that `replace_head` could change

    def __init__(self, *, num_classes: int = 10, in_features: int = 1, image_size=(32, 32), rngs: nnx.Rngs):
        if (num_classes, in_features, tuple(image_size)) != (10, 1, (32, 32)):
            raise ValueError(
                f"LeNet5Original: num_classes={num_classes}, in_features={in_features}, image_size={tuple(image_size)}; "
                "the 1998 network reads ten digits from 32×32×1 images, LeNet5 takes others"
            )
        options = {"padding": "valid", "kernel_init": uniform_by_fan_in, "rngs": rngs}
        self.c1 = nn.Conv(1, 6, 5, **options)
        self.s2 = nn.WeightedPool(6, 2, rngs=rngs)
        self.c3 = PartialConv(6, CONNECTIONS, 5, rngs=rngs)
        self.s4 = nn.WeightedPool(16, 2, rngs=rngs)
        self.c5 = nn.Conv(16, 120, 5, **options)
        self.f6 = nn.Dense(120, 84, kernel_init=uniform_by_fan_in, rngs=rngs)

    def __call__(self, x: Float[Array, "n 32 32 1"], *, train: bool, tap: Tap = identity) -> Float[Array, "n 10"]:
        if x.shape[1:] != (32, 32, 1):
            raise ValueError(f"LeNet5Original: x has the shape {x.shape}; it must be (n, 32, 32, 1)")
        for name in ("c1", "s2", "c3", "s4", "c5"):
            x = tap(name, squash(getattr(self, name)(x)))
        x = tap("f6", squash(self.f6(x.reshape(x.shape[0], -1))))  # (n, 84)
        return tap("output", -radial_distances(x, digit_bitmaps()))


class PartialConv(nnx.Module):
    """Convolution in which output map i sees the input maps `connections[i]` only; no weight exists for the others.

    >>> layer = PartialConv(6, CONNECTIONS, 5, rngs=nnx.Rngs(0))
    >>> layer.kernel.size + layer.bias.size
    1516
    """

    def __init__(self, in_features: int, connections: tuple[tuple[int, ...], ...], kernel_size: int, *, rngs: nnx.Rngs):
        pairs = [(seen, i) for i, maps in enumerate(connections) for seen in maps]
        reach = 1 / np.sqrt([kernel_size**2 * len(connections[i]) for _, i in pairs])
        weights = jax.random.uniform(rngs.params(), (kernel_size, kernel_size, len(pairs)), minval=-1.7, maxval=1.7)
        self.kernel = nnx.Param(weights * jnp.asarray(reach, weights.dtype))  # (kh, kw, connections)
        self.bias = nnx.Param(jnp.zeros((len(connections),)))
        self.in_features, self.pairs = in_features, tuple(pairs)

    def __call__(self, x: Float[Array, "n h w c_in"]) -> Float[Array, "n oh ow c_out"]:
        seen, output = np.transpose(self.pairs)
        weights = self.kernel[...]
        empty = jnp.zeros((*weights.shape[:2], self.in_features, self.bias.size), weights.dtype)
        kernel = empty.at[:, :, seen, output].set(weights)  # (kh, kw, c_in, c_out)
        return F.conv(x, kernel, self.bias[...], padding="valid")


def squash(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """The paper's activation `1.7159 · tanh(2/3 · x)`, which maps ±1 to ±1.

    >>> squash(jnp.array(1.0)).round(3).item()
    1.0
    """
    return 1.7159 * jnp.tanh(x * (2 / 3))


def digit_bitmaps() -> np.ndarray:
    """The fixed weights of the output: ten bitmaps of ±1, `(10, 84)`, 12 rows of 7 pixels each.

    >>> digit_bitmaps().shape
    (10, 84)
    """
    rows = [[int(pair, 16) for pair in digit.split()] for digit in _BITMAPS]
    bits = np.array(rows)[:, :, None] >> np.arange(6, -1, -1) & 1  # (10, 12, 7)
    return (2.0 * bits - 1).reshape(10, 84).astype(np.float32)


def radial_distances(x: Float[Array, "n d"], centres: Float[np.ndarray, "k d"]) -> Float[Array, "n k"]:
    """Squared Euclidean distance of each row to each centre.

    >>> radial_distances(jnp.zeros((1, 2)), np.array([[3.0, 4.0]], np.float32)).tolist()
    [[25.0]]
    """
    return jnp.sum(jnp.square(x[:, None] - centres[None]), -1)  # (n, k, d) → (n, k)


def uniform_by_fan_in(key: Array, shape, dtype=jnp.float32, out_sharding=None) -> Array:
    """Uniform weights of variance about `1 / fan_in`, so that the sums lie where `squash` bends.

    >>> uniform_by_fan_in(jax.random.key(0), (5, 5, 1, 6)).shape
    (5, 5, 1, 6)
    """
    reach = 1.7 / np.sqrt(np.prod(shape[:-1]))
    return jax.random.uniform(key, shape, dtype, -reach, reach)


def _flat_features(image_size: tuple[int, int]) -> int:
    space = tuple(image_size)
    steps: tuple[Callable, ...] = (
        lambda s: Window.resolve(2, s, stride=2, name="LeNet5: pool1"),
        lambda s: Window.resolve(5, s, name="LeNet5: conv2"),
        lambda s: Window.resolve(2, s, stride=2, name="LeNet5: pool2"),
    )
    for step in steps:
        space = step(space).output_size(space)
    return space[0] * space[1] * 16
