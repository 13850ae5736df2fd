"""The network of airbench94, which reads CIFAR-10 at 94 % after ten passes, and the whitening of its first layer.

    filters 2×2, bias → GELU → three groups → largest of 3×3 → dense → / 9
    group: convolution 3×3 → largest of 2×2 → normalise → GELU → convolution 3×3 → normalise → GELU

The first layer's filters are the eigenvectors of the covariance of 2×2 patches of the training images, divided by the roots
of their eigenvalues, each with both signs: its outputs are uncorrelated and of one size. They are not trained. The other
convolutions start as the identity in as many filters as they have inputs. Normalisations have a bias and no scale.

Reference: Jordan, 94% on CIFAR-10 in 3.29 seconds on a single GPU (2024), sections 3.1 to 3.3, and airbench94.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import functional as F
from jaxcnn import nn

from ._tap import Tap, identity

gelu = partial(jax.nn.gelu, approximate=False)
uniform = jax.nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")  # within ± 1/√fan_in


class FixedFilters(nnx.BatchStat):
    """Filters that come from the training images and are not trained.

    >>> FixedFilters(jnp.zeros((2, 2, 3, 24))).shape
    (2, 2, 3, 24)
    """


class AirbenchNetwork(nnx.Module):
    """1,971,352 trained parameters for ten classes of 32×32 RGB; `filters` are to be set with `whitening_filters`.

    Args:
        num_classes: outputs.
        in_features: channels of the images.
        image_size: is not used (24 pixels a side and more work); the word is there so that every small model is built alike.
        widths: channels of each group.

    >>> AirbenchNetwork(widths=(4, 8, 8), rngs=nnx.Rngs(0))(jnp.ones((2, 32, 32, 3)), train=False).shape
    (2, 10)
    """

    head_name = "logits"

    def __init__(
        self,
        *,
        num_classes: int = 10,
        in_features: int = 3,
        image_size: tuple[int, int] = (32, 32),
        widths: Sequence[int] = (64, 256, 256),
        rngs: nnx.Rngs,
    ):
        del image_size
        count = 8 * in_features
        self.filters = FixedFilters(uniform(rngs.params(), (2, 2, in_features, count), jnp.float32))
        self.whitening_bias = nnx.Param(jnp.zeros(count))
        self.groups = nnx.List([Group(a, b, rngs=rngs) for a, b in zip((count, *widths), widths)])
        self.logits = nn.Dense(widths[-1], num_classes, use_bias=False, kernel_init=uniform, rngs=rngs)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool, tap: Tap = identity) -> Float[Array, "n classes"]:
        filters, bias = self.filters[...].astype(x.dtype), self.whitening_bias[...].astype(x.dtype)
        x = tap("whitened", gelu(F.conv2d(x, filters, bias, padding="valid")))
        for number, group in enumerate(self.groups, 1):
            x = tap(f"group{number}", group(x, train=train))
        x = tap("largest", F.max_pool2d(x, 3))
        return tap("logits", self.logits(x.reshape(len(x), -1)) / 9)


class Group(nnx.Module):
    """Two convolutions, the map halved after the first.

    >>> Group(4, 8, rngs=nnx.Rngs(0))(jnp.ones((1, 31, 31, 4)), train=False).shape
    (1, 15, 15, 8)
    """

    def __init__(self, in_features: int, out_features: int, *, rngs: nnx.Rngs):
        conv: Any = partial(nn.Conv, kernel_size=3, use_bias=False, rngs=rngs, **{"kernel_init": identity_first})
        norm = partial(nn.BatchNorm, momentum=0.4, epsilon=1e-12, use_scale=False, rngs=rngs)
        self.conv1, self.norm1 = conv(in_features, out_features), norm(out_features)
        self.conv2, self.norm2 = conv(out_features, out_features), norm(out_features)

    def __call__(self, x: Float[Array, "n h w c"], *, train: bool) -> Float[Array, "n oh ow f"]:
        x = gelu(self.norm1(F.max_pool2d(self.conv1(x), 2), train=train))
        return gelu(self.norm2(self.conv2(x), train=train))


def identity_first(key: Array, shape: Sequence[int], dtype=jnp.float32) -> Array:
    """Kernels `(kh, kw, c_in, c_out)`: the first c_in filters pass their channel on, the others are random.

    >>> identity_first(jax.random.key(0), (3, 3, 2, 3))[1, 1, :, :2].tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    kh, kw, c_in, c_out = shape
    kernel, passed = uniform(key, shape, dtype), min(c_in, c_out)
    kernel = kernel.at[..., :passed].set(0)
    return kernel.at[kh // 2, kw // 2, jnp.arange(passed), jnp.arange(passed)].set(1)


def whitening_filters(
    images: Float[Array, "n h w c"], *, size: int = 2, epsilon: float = 5e-4
) -> Float[Array, "size size c f"]:
    """Filters `(size, size, c, 2 · size² · c)` that make uncorrelated values of unit size of the patches of the images.

    With P the (size² · c)-vectors of all patches and `E[P Pᵀ] = Σ λ_i v_i v_iᵀ`, filter i is `v_i / √(λ_i + epsilon)`, the
    largest λ first; after all of them come their negatives.

    Raises: ValueError if the images are smaller than a patch.

    >>> x = jax.random.normal(jax.random.key(0), (8, 9, 9, 1))
    >>> y = F.conv2d(x, whitening_filters(x), padding="valid").reshape(-1, 8)[:, :4]
    >>> bool(jnp.allclose(y.T @ y / len(y), jnp.eye(4), atol=2e-3))
    True
    """
    n, h, w, c = images.shape
    if not 1 <= size <= min(h, w) or not n:
        raise ValueError(f"whitening_filters: the images are {images.shape}; patches of {size}×{size} do not fit")
    rows, columns = h - size + 1, w - size + 1
    taps = [images[:, i : i + rows, j : j + columns] for i in range(size) for j in range(size)]
    patches = jnp.stack(taps, -2).reshape(-1, size * size * c)  # (n·rows·columns, size·size·c)
    covariance = jnp.matmul(patches.T, patches, precision="highest") / len(patches)
    values, vectors = jnp.linalg.eigh(covariance)
    scaled = (vectors / jnp.sqrt(jnp.maximum(values, 0) + epsilon))[:, ::-1]
    return jnp.concatenate([scaled, -scaled], 1).reshape(size, size, c, -1)
