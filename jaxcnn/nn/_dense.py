"""`Dense`, `Dropout` and `StochasticDepth`."""

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jaxtyping import Float

from jaxcnn import functional as F
from jaxcnn.functional._bias import add_bias
from jaxcnn.functional._numbers import Number, concrete, python_number
from jaxcnn.functional._widened import widened

from ._conv import cast, counts, fan_in_normal, zeros


class Dense(nnx.Module):
    """`x @ kernel + bias` over the last axis; kernel `(in_features, out_features)`.

    Raises: ValueError if the last axis of x is not `in_features` long.

    >>> Dense(784, 10, rngs=nnx.Rngs(0))(jnp.ones((2, 784))).shape
    (2, 10)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        use_bias: bool = True,
        dtype=None,
        param_dtype=jnp.float32,
        kernel_init=fan_in_normal,
        bias_init=zeros,
        rngs: nnx.Rngs,
    ):
        in_features, out_features = counts("Dense", in_features=in_features, out_features=out_features)
        self.kernel = nnx.Param(kernel_init(rngs.params(), (in_features, out_features), param_dtype))
        self.bias = nnx.Param(bias_init(rngs.params(), (out_features,), param_dtype)) if use_bias else None
        self.dtype = dtype

    def __call__(self, x: Float[Array, "*batch in_features"]) -> Float[Array, "*batch out_features"]:
        x, kernel, bias = cast(self.dtype, x, self.kernel, self.bias)
        if x.shape[-1:] != kernel.shape[:1]:
            raise ValueError(f"Dense: x has the shape {x.shape}; its last axis must be the {kernel.shape[0]} features")
        y = _product(x, kernel)
        return add_bias(y, bias)


def _product(x: Array, kernel: Array) -> Array:
    """`x @ kernel`; of maps as a 1×1 convolution, which is this product, and whose kernel gradient is twice as fast on CPU.

    Of vectors the sums, those going back too, are float32 by their type, because nothing else says that 16 bits do not do.
    """
    summed_over = jax.typeof(kernel).sharding.spec[:1]  # a convolution refuses to have this split on an explicit mesh
    if not 3 <= x.ndim <= 5 or any(summed_over):
        return jnp.matmul(x, kernel, preferred_element_type=widened(x).dtype).astype(x.dtype)
    return F.conv(x, kernel.reshape(*[1] * (x.ndim - 2), *kernel.shape), lowering="patches")


class Dropout(nnx.Module):
    """In training sets a share `rate` of the entries to 0 and scales the others by `1 / (1 − rate)`; else does nothing.

    The key comes from the `dropout` stream of the `rngs` it was built with; a compiled step reseeds it.

    Raises: ValueError for a rate outside [0, 1).

    >>> Dropout(0.5, rngs=nnx.Rngs(0))(jnp.ones(4), train=False).tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    def __init__(self, rate: Number, *, rngs: nnx.Rngs):
        self.rate = python_number(type(self).__name__, "rate", rate, low=0, below=1)
        self.rngs = None if concrete(self.rate) == 0 else rngs.dropout.fork()

    def __call__(self, x: Float[Array, "..."], *, train: bool) -> Float[Array, "..."]:
        if not train or self.rngs is None:
            return x
        keep = jax.random.bernoulli(self.rngs(), 1 - self.rate, self.shape(x))
        return jnp.where(keep, x / (1 - self.rate), 0).astype(x.dtype)

    def shape(self, x: Array) -> tuple[int, ...]:
        """Shape of what is drawn: one number an entry."""
        return x.shape


class StochasticDepth(Dropout):
    """`Dropout` of whole examples: what a residual branch adds is 0 for a share `rate` of the images, scaled for the others.

    Reference: Huang et al., Deep networks with stochastic depth (2016).

    Raises: ValueError for a rate outside [0, 1).

    >>> x = StochasticDepth(0.5, rngs=nnx.Rngs(0))(jnp.ones((8, 3, 3, 2)), train=True)
    >>> bool((x == x[:, :1, :1, :1]).all())  # an image is dropped or doubled as a whole
    True
    """

    def shape(self, x: Array) -> tuple[int, ...]:
        """Shape of what is drawn: one number an example."""
        return (len(x), *(1,) * (x.ndim - 1))
