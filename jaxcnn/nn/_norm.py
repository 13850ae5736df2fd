"""`BatchNorm` with the right running variance, and `LayerNorm`."""

import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F
from jaxcnn.functional._numbers import Number, python_number

from ._conv import counts


class BatchNorm(nnx.Module):
    """Normalises each channel: by the batch's own moments in training, by the running ones else.

    Running moments move as PyTorch's: `running = (1 − momentum) · running + momentum · batch`, with the unbiased batch
    variance (m / (m − 1) of the biased one that normalises). Mind that Flax's momentum is 1 minus this one: its 0.99 is 0.01
    here. Moments are float32 at least and do not cancel. Where `frozen` is set (`jaxcnn.weights.freeze`) the running moments
    normalise in training too, and stay.

    Raises: ValueError in training if there is a single value a channel, whose variance is 0.

    >>> layer = BatchNorm(3, rngs=nnx.Rngs(0))
    >>> y = layer(jnp.arange(12.0).reshape(4, 3), train=True)
    >>> layer.var[...].tolist()  # 0.9 · 1 + 0.1 · 15
    [2.4000000953674316, 2.4000000953674316, 2.4000000953674316]
    """

    def __init__(
        self,
        num_features: int,
        *,
        momentum: Number = 0.1,
        epsilon: Number = 1e-5,
        use_scale: bool = True,
        use_bias: bool = True,
        param_dtype=jnp.float32,
        rngs: nnx.Rngs,
    ):
        (num_features,) = counts("BatchNorm", num_features=num_features)
        self.momentum: float = python_number("BatchNorm", "momentum", momentum, low=0, high=1)
        self.epsilon: float = python_number("BatchNorm", "epsilon", epsilon, above=0)
        del rngs  # nothing is random here; the word is there so that every module is built alike
        self.scale = nnx.Param(jnp.ones((num_features,), param_dtype)) if use_scale else None
        self.bias = nnx.Param(jnp.zeros((num_features,), param_dtype)) if use_bias else None
        self.mean = nnx.BatchStat(jnp.zeros((num_features,), jnp.float32))
        self.var = nnx.BatchStat(jnp.ones((num_features,), jnp.float32))
        self.frozen = False

    def __call__(self, x: Float[Array, "... c"], *, train: bool) -> Float[Array, "... c"]:
        if x.shape[-1:] != self.mean.shape or not jnp.issubdtype(x.dtype, jnp.floating):
            wanted = f"floating point with the {self.mean.size} features on its last axis"
            raise ValueError(f"BatchNorm: x is {x.dtype}{list(x.shape)}; it must be {wanted}")
        mean, variance = self._update(x) if train and not self.frozen else (self.mean[...], self.var[...])
        scale, bias = (None if p is None else p[...].astype(mean.dtype) for p in (self.scale, self.bias))
        return F.batch_norm(x, mean, variance, scale, bias, epsilon=self.epsilon)

    def _update(self, x: Array) -> tuple[Array, Array]:
        count = x.size // max(x.shape[-1], 1)
        if count < 2:
            raise ValueError(f"BatchNorm: x has {count} value a channel {x.shape}; training needs at least 2")
        mean, variance = F.moments(x)
        for running, batch in ((self.mean, mean), (self.var, variance * (count / (count - 1)))):
            running[...] = (1 - self.momentum) * running[...] + self.momentum * batch.astype(running.dtype)
        return mean, variance


class LayerNorm(nnx.Module):
    """`functional.layer_norm` of each pixel over its channels, with a learned scale and bias.

    Raises: ValueError if the last axis of x is not `num_features` long.

    >>> LayerNorm(2, epsilon=1e-12, rngs=nnx.Rngs(0))(jnp.array([[1.0, 3.0]])).tolist()
    [[-1.0, 1.0]]
    """

    def __init__(self, num_features: int, *, epsilon: Number = 1e-5, param_dtype=jnp.float32, rngs: nnx.Rngs):
        (num_features,) = counts("LayerNorm", num_features=num_features)
        self.epsilon: float = python_number("LayerNorm", "epsilon", epsilon, above=0)
        del rngs  # nothing is random here
        self.scale = nnx.Param(jnp.ones((num_features,), param_dtype))
        self.bias = nnx.Param(jnp.zeros((num_features,), param_dtype))

    def __call__(self, x: Float[Array, "... c"]) -> Float[Array, "... c"]:
        return F.layer_norm(x, self.scale[...], self.bias[...], epsilon=self.epsilon)
