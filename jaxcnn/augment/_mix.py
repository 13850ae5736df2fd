"""Two images in one, labels mixed alike: mixup (Zhang et al., 2017) and cutmix (Yun et al., 2019)."""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxcnn.functional import _check
from jaxcnn.functional._numbers import concrete, scalar
from jaxcnn.functional._widened import widened

from ._amounts import amounts, boxes_of, floating_images, uniform
from ._erase import inside
from ._meshes import on_meshes

Images = Float[Array, "n h w c"]
Labels = Float[Array, "n k"]


@on_meshes
def mixup(
    x: Images, labels: Labels, partner: Int[Array, " n"], share: float | Float[Array, " n"]
) -> tuple[Images, Labels]:
    """`share · x[i] + (1 − share) · x[partner[i]]`, and the labels (one-hot, or any distribution) alike.

    An image whose share is 0 is not seen: a missing pixel (NaN) in it is not in the result.

    >>> images, labels = mixup(jnp.array([0.0, 1.0]).reshape(2, 1, 1, 1), jnp.eye(2), jnp.array([1, 0]), 0.75)
    >>> images.ravel().tolist(), labels.tolist()
    ([0.25, 0.75], [[0.75, 0.25], [0.25, 0.75]])
    """
    x, labels, partner = _checked("mixup", x, labels, partner)
    share, wide = amounts("mixup", "share", share, x), widened(x)
    y = _part(share, wide) + _part(1 - share, wide[partner])
    return y.astype(x.dtype), _mixed(labels, partner, share)


@on_meshes
def random_mixup(key: Array, x: Images, labels: Labels, *, alpha: float = 0.2) -> tuple[Images, Labels]:
    """`mixup` with a random partner and a share of each image's own, from Beta(alpha, alpha).

    Args:
        alpha: above 0. A traced one passes unchecked, and its draws for 1 are others than those of the Python number.

    >>> images, labels = random_mixup(jax.random.key(0), jnp.ones((3, 5, 7, 1)), jnp.eye(3))
    >>> images.shape, labels.sum(-1).round(3).tolist()
    ((3, 5, 7, 1), [1.0, 1.0, 1.0])
    """
    x, share, partner = _drawn("random_mixup", key, x, alpha)
    with _check.named("mixup", "random_mixup"):
        return mixup(x, labels, partner, share)


@on_meshes
def cutmix(x: Images, labels: Labels, partner: Int[Array, " n"], boxes: Float[Array, "n 4"]) -> tuple[Images, Labels]:
    """Each image with its partner's pixels inside the box (y0, x0, y1, x1); labels by the share of the pixels.

    >>> x = jnp.array([[0.0, 0, 0, 0], [1, 1, 1, 1]]).reshape(2, 1, 4, 1)
    >>> images, labels = cutmix(x, jnp.eye(2), jnp.array([1, 0]), jnp.array([0, 0, 1, 1]))
    >>> images[..., 0].tolist(), labels.tolist()
    ([[[1.0, 0.0, 0.0, 0.0]], [[0.0, 1.0, 1.0, 1.0]]], [[0.75, 0.25], [0.25, 0.75]])
    """
    x, labels, partner = _checked("cutmix", x, labels, partner)
    wide, covered = widened(x), inside(boxes_of("cutmix", boxes, x), x)
    share = 1 - covered.mean((1, 2, 3), dtype=wide.dtype, keepdims=True)
    return jnp.where(covered, wide[partner], wide).astype(x.dtype), _mixed(labels, partner, share)


@on_meshes
def random_cutmix(key: Array, x: Images, labels: Labels, *, alpha: float = 1.0) -> tuple[Images, Labels]:
    """`cutmix` with a random partner and a box of each image's own: shaped like the image, its share of the area from
    Beta(alpha, alpha), its centre uniform; what lies outside is lost.

    Args:
        alpha: as of `random_mixup`.

    >>> images, labels = random_cutmix(jax.random.key(0), jnp.ones((3, 5, 7, 1)), jnp.eye(3))
    >>> images.shape, labels.sum(-1).round(3).tolist()
    ((3, 5, 7, 1), [1.0, 1.0, 1.0])
    """
    key, place_key = jax.random.split(_check.random_key("random_cutmix", key))
    x, share, partner = _drawn("random_cutmix", key, x, alpha)
    space = jnp.array([x.shape[1:3]], share.dtype)
    centre = jax.random.uniform(place_key, (x.shape[0], 2), share.dtype) * space
    half = jnp.sqrt(1 - share)[:, None] * space / 2
    boxes = jnp.round(jnp.concatenate([centre - half, centre + half], -1))
    with _check.named("cutmix", "random_cutmix"):
        return cutmix(x, labels, partner, boxes)


def _drawn(name: str, key: Array, x: Array, alpha: Any) -> tuple[Array, Array, Array]:
    """The images, a share each and a partner each."""
    key, x = _check.random_key(name, key), floating_images(name, x)
    alpha = scalar(name, "alpha", alpha, above=0, below=float("inf"))
    share_key, partner_key = jax.random.split(key)
    if concrete(alpha) == 1:  # uniform, and much quicker to compile
        share = uniform(share_key, x, 0, 1)
    else:
        share = jax.random.beta(share_key, alpha, alpha, x.shape[:1], widened(x).dtype)
    return x, share, jax.random.permutation(partner_key, x.shape[0])


def _checked(name: str, x: Array, labels: Array, partner: Array) -> tuple[Array, Array, Array]:
    x, labels = floating_images(name, x), _check.array(name, "labels", labels)
    if labels.ndim != 2 or len(labels) != len(x) or not jnp.issubdtype(labels.dtype, jnp.floating):
        raise ValueError(
            f"{name}: labels is {_check.describe(labels)}; give one-hot rows, jax.nn.one_hot(labels, classes), "
            f"for the {len(x)} images"
        )
    partner = _check.array(name, "partner", partner)
    if partner.shape != (len(x),) or not jnp.issubdtype(partner.dtype, jnp.integer):
        raise ValueError(
            f"{name}: partner is {_check.describe(partner)}; give the number of an image for each of {len(x)}"
        )
    return x, labels, partner


def _mixed(labels: Array, partner: Array, share: Array) -> Array:
    """Gathered in float32 at least: the derivative is a sum over the images with the same partner."""
    wide = widened(labels)
    share = share.reshape(-1, 1).astype(wide.dtype)
    return (_part(share, wide) + _part(1 - share, wide[partner])).astype(labels.dtype)


def _part(share: Array, x: Array) -> Array:
    """The product, in which 0 times what is not finite is 0."""
    return share * jnp.where((share != 0) | jnp.isfinite(x), x, 0)
