"""`pyramid`: a model's feature maps, one a size, for detection and segmentation."""

from collections.abc import Callable

from jaxtyping import Array, Float

from ._tap import Tap, identity


def pyramid(
    model: Callable[..., Array], x: Float[Array, "n h w c"], *, train: bool = False, tap: Tap = identity
) -> dict[str, Float[Array, "n h w f"]]:
    """The last named map of each size, by its tap's name, from the largest to the smallest; maps of class scores are none.

    Under jit nothing that these maps do not need is computed. `interpret.capture` gives every named activation.

    >>> import jax
    >>> import jax.numpy as jnp
    >>> from flax import nnx
    >>> from jaxcnn import models
    >>> maps = lambda x: pyramid(models.create("cifar_resnet20", rngs=nnx.Rngs(0)), x)
    >>> [(name, y.shape[1:]) for name, y in jax.eval_shape(maps, jnp.ones((1, 32, 32, 3))).items()]
    [('layer1.2', (32, 32, 16)), ('layer2.2', (16, 16, 32)), ('layer3.2', (8, 8, 64))]
    """
    scores = getattr(model, "score_maps", ())
    last: dict[tuple[int, ...], tuple[str, Array]] = {}

    def keep(name: str, y: Array) -> Array:
        y = tap(name, y)
        if y.ndim == x.ndim and name not in scores:
            last[y.shape[1:-1]] = name, y
        return y

    model(x, train=train, tap=keep)
    return dict(last[size] for size in sorted(last, reverse=True))
