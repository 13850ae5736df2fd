"""Parts of images covered: `erase`, random erasing (Zhong et al., 2017) and cutout (DeVries & Taylor, 2017)."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float

from jaxcnn.functional._widened import widened
from jaxcnn.geometry import per_axis

from ._amounts import boxes_of, floating_images, sometimes
from ._crop import random_boxes

Images = Float[Array, "n h w c"]


def erase(x: Images, boxes: Float[Array, "n 4"], *, fill: float | Float[Array, "n h w c"] = 0.0) -> Images:
    """The pixels whose centres lie in the boxes (y0, x0, y1, x1), one or one an image, replaced by `fill`.

    >>> erase(jnp.ones((1, 2, 3, 1)), jnp.array([0, 0, 1, 2]))[0, ..., 0].tolist()
    [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    """
    x = floating_images("erase", x)
    return jnp.where(inside(boxes_of("erase", boxes, x), x), jnp.asarray(fill, x.dtype), x)


def random_erase(
    key: Array,
    x: Images,
    *,
    probability: float = 0.5,
    scale: tuple[float, float] = (0.02, 0.33),
    ratio: tuple[float, float] = (0.3, 3.3),
    fill: float | None = 0.0,
) -> Images:
    """Of each image, with that probability, a random box erased: torchvision's RandomErasing.

    Args:
        scale: share of the image's area, uniform.
        ratio: width / height of the box, uniform in the logarithm; where none of ten draws fits nothing is erased.
        fill: None means normal noise, one draw a pixel and channel.

    >>> random_erase(jax.random.key(0), jnp.ones((2, 8, 9, 3))).shape
    (2, 8, 9, 3)
    """
    x = floating_images("random_erase", x)
    key, box_key, noise_key = jax.random.split(key, 3)
    boxes = random_boxes("random_erase", box_key, x, scale, ratio, whole=False)
    colour = jax.random.normal(noise_key, x.shape, x.dtype) if fill is None else fill
    return sometimes("random_erase", key, probability, x, erase(x, boxes, fill=colour))


def cutout(x: Images, centre: Float[Array, "n 2"], size: int, *, fill: float = 0.0) -> Images:
    """A square of `size` pixels about the point `centre` (y, x) erased; what of it lies outside is lost.

    >>> cutout(jnp.ones((1, 2, 3, 1)), jnp.array([[0.0, 1.0]]), 2)[0, ..., 0].tolist()
    [[0.0, 0.0, 1.0], [1.0, 1.0, 1.0]]
    """
    x = floating_images("cutout", x)
    (size,) = per_axis(size, 1, what="size", name="cutout", least=1)
    centre = jnp.broadcast_to(jnp.asarray(centre, widened(x).dtype), (x.shape[0], 2))
    return erase(x, jnp.concatenate([centre - size / 2, centre + size / 2], -1), fill=fill)


def random_cutout(key: Array, x: Images, size: int, *, fill: float = 0.0) -> Images:
    """`cutout` about a random point of each image.

    >>> random_cutout(jax.random.key(0), jnp.ones((2, 8, 9, 3)), 4).shape
    (2, 8, 9, 3)
    """
    x = floating_images("random_cutout", x)
    room = jnp.array(x.shape[1:3], widened(x).dtype)
    at = jnp.floor(jax.random.uniform(key, (x.shape[0], 2), room.dtype) * room)
    # an odd square has its centre on a pixel's centre, an even one between pixels
    return cutout(x, at + 0.5 * (per_axis(size, 1, what="size", name="random_cutout", least=1)[0] % 2), size, fill=fill)


def inside(boxes: Array, x: Array) -> Array:
    """Which pixels `(n, h, w, 1)` of x have their centres in the boxes `(n, 4)`."""
    between = lambda n, low, high: (jnp.arange(n) + 0.5 > low[:, None]) & (jnp.arange(n) + 0.5 < high[:, None])
    rows = between(x.shape[1], boxes[:, 0], boxes[:, 2])
    columns = between(x.shape[2], boxes[:, 1], boxes[:, 3])
    return (rows[:, :, None] & columns[:, None, :])[..., None]
