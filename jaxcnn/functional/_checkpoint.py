"""What `jax.checkpoint` keeps."""

from typing import Any

import jax

from . import engine


def dots_and_convolutions_saveable(primitive: Any, *avals: Any, **params: Any) -> bool:
    """A policy of `jax.checkpoint`: products and convolutions are kept, what is cheap between them is computed again.

    `jax.checkpoint_policies.dots_saveable` and the convolutions of this library, which it does not know: `conv`,
    `conv_transpose`, all that is made of them, and their derivatives. Not poolings, whose results are computed again.

    >>> from jaxcnn import functional as F
    >>> x, kernel = jax.numpy.ones((1, 8, 8, 3)), jax.numpy.ones((3, 3, 3, 3))
    >>> block = lambda kernel: jax.nn.gelu(F.conv(jax.nn.gelu(F.conv(x, kernel)), kernel)).sum()
    >>> convolutions = lambda loss: str(jax.make_jaxpr(jax.grad(loss))(kernel)).count("jaxcnn_conv")
    >>> keep = {"policy": F.dots_and_convolutions_saveable}
    >>> convolutions(block), convolutions(jax.checkpoint(block)), convolutions(jax.checkpoint(block, **keep))
    (5, 7, 5)
    """
    return primitive in engine.FAMILY or bool(jax.checkpoint_policies.dots_saveable(primitive, *avals, **params))
