"""Two images in one, labels mixed alike: mixup (Zhang et al., 2017) and cutmix (Yun et al., 2019)."""

import jax
import jax.numpy as jnp
from jax import Array
from jaxtyping import Float, Int

from jaxcnn.functional import _check
from jaxcnn.functional._widened import widened

from ._amounts import amounts, boxes_of, floating_images, uniform
from ._erase import inside

Images = Float[Array, "n h w c"]
Labels = Float[Array, "n k"]


def mixup(x: Images, labels: Labels, partner: Int[Array, " n"], share: Float[Array, " n"]) -> tuple[Images, Labels]:
    """`share · x[i] + (1 − share) · x[partner[i]]`, and the labels (one-hot, or any distribution) alike.

    >>> images, labels = mixup(jnp.array([0.0, 1.0]).reshape(2, 1, 1, 1), jnp.eye(2), jnp.array([1, 0]), 0.75)
    >>> images.ravel().tolist(), labels.tolist()
    ([0.25, 0.75], [[0.75, 0.25], [0.25, 0.75]])
    """
    x, labels = _checked("mixup", x, labels, partner)
    share = amounts("mixup", "share", share, x)
    y = share * widened(x) + (1 - share) * widened(x[partner])
    return y.astype(x.dtype), _mixed(labels, partner, share)


def random_mixup(key: Array, x: Images, labels: Labels, *, alpha: float = 0.2) -> tuple[Images, Labels]:
    """`mixup` with a random partner and a share of each image's own, from Beta(alpha, alpha).

    >>> images, labels = random_mixup(jax.random.key(0), jnp.ones((3, 5, 7, 1)), jnp.eye(3))
    >>> images.shape, labels.sum(-1).round(3).tolist()
    ((3, 5, 7, 1), [1.0, 1.0, 1.0])
    """
    x, share, partner = _drawn("random_mixup", key, x, alpha)
    with _check.named("mixup", "random_mixup"):
        return mixup(x, labels, partner, share)


def cutmix(x: Images, labels: Labels, partner: Int[Array, " n"], boxes: Float[Array, "n 4"]) -> tuple[Images, Labels]:
    """Each image with its partner's pixels inside the box (y0, x0, y1, x1); labels by the share of the pixels.

    >>> x = jnp.array([[0.0, 0, 0, 0], [1, 1, 1, 1]]).reshape(2, 1, 4, 1)
    >>> images, labels = cutmix(x, jnp.eye(2), jnp.array([1, 0]), jnp.array([0, 0, 1, 1]))
    >>> images[..., 0].tolist(), labels.tolist()
    ([[[1.0, 0.0, 0.0, 0.0]], [[0.0, 1.0, 1.0, 1.0]]], [[0.75, 0.25], [0.25, 0.75]])
    """
    x, labels = _checked("cutmix", x, labels, partner)
    covered = inside(boxes_of("cutmix", boxes, x), x)
    share = 1 - covered.mean((1, 2, 3), dtype=widened(x).dtype, keepdims=True)
    return jnp.where(covered, x[partner], x), _mixed(labels, partner, share)


def random_cutmix(key: Array, x: Images, labels: Labels, *, alpha: float = 1.0) -> tuple[Images, Labels]:
    """`cutmix` with a random partner and a box of each image's own: shaped like the image, its share of the area from
    Beta(alpha, alpha), its centre uniform; what lies outside is lost.

    >>> images, labels = random_cutmix(jax.random.key(0), jnp.ones((3, 5, 7, 1)), jnp.eye(3))
    >>> images.shape, labels.sum(-1).round(3).tolist()
    ((3, 5, 7, 1), [1.0, 1.0, 1.0])
    """
    key, place_key = jax.random.split(key)
    x, share, partner = _drawn("random_cutmix", key, x, alpha)
    space = jnp.array(x.shape[1:3], share.dtype)
    centre = jax.random.uniform(place_key, (x.shape[0], 2), share.dtype) * space
    half = jnp.sqrt(1 - share)[:, None] * space / 2
    boxes = jnp.round(jnp.concatenate([centre - half, centre + half], -1))
    with _check.named("cutmix", "random_cutmix"):
        return cutmix(x, labels, partner, boxes)


def _drawn(name: str, key: Array, x: Array, alpha: float) -> tuple[Array, Array, Array]:
    """The images, a share each and a partner each."""
    x = floating_images(name, x)
    if not 0 < alpha < float("inf"):
        raise ValueError(f"{name}: alpha={alpha} must be positive; 0.2 and 1 are common")
    share_key, partner_key = jax.random.split(key)
    if alpha == 1:  # uniform, and much quicker to compile
        share = uniform(share_key, x, 0, 1)
    else:
        share = jax.random.beta(share_key, alpha, alpha, x.shape[:1], widened(x).dtype)
    return x, share, jax.random.permutation(partner_key, x.shape[0])


def _checked(name: str, x: Array, labels: Array, partner: Array) -> tuple[Array, Array]:
    x, labels = floating_images(name, x), _check.array(name, "labels", labels)
    if labels.ndim != 2 or len(labels) != len(x) or not jnp.issubdtype(labels.dtype, jnp.floating):
        raise ValueError(
            f"{name}: labels is {_check.describe(labels)}; give one-hot rows, jax.nn.one_hot(labels, classes), "
            f"for the {len(x)} images"
        )
    if _check.array(name, "partner", partner).shape != (len(x),):
        raise ValueError(
            f"{name}: partner is {_check.describe(partner)}; give the number of an image for each of {len(x)}"
        )
    return x, labels


def _mixed(labels: Array, partner: Array, share: Array) -> Array:
    share = share.reshape(-1, 1).astype(labels.dtype)
    return share * labels + (1 - share) * labels[partner]
