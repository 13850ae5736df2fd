"""Adding a bias to a map: in float32 at least, rounded once.

The derivative in a bias is the sum of the cotangent over all images and pixels. JAX takes that sum in the dtype that the bias
was broadcast in, and a 16-bit sum of ones stops at 256 (bfloat16) or 2048 (float16). So the bias is widened before it is spread.
"""

from jax import Array

from ._broadcast import of_rank
from ._widened import widened


def add_bias(y: Array, bias: Array | None) -> Array:
    """`y + bias` with one number a channel, in the dtype of y; y itself where there is no bias."""
    if bias is None:
        return y
    wide = widened(y)
    return (wide + of_rank(bias.astype(wide.dtype), y.ndim)).astype(y.dtype)
