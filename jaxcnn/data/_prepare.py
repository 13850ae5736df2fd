"""`preparer`: from uint8 pixels on the device to what a model takes, inside the compiled step; `card_for`: the same as a card."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, UInt8

from jaxcnn.augment import Augment
from jaxcnn.weights import Card

from ._images import ImageSet
from ._stream import StreamedSet

Prepare = Callable[[UInt8[Array, "n h w c"]], Float[Array, "n oh ow c"]]


@dataclass(frozen=True)
class Preparation:
    """Images to `[0, 1]`, enlarged by a whole factor, framed, then with the mean and deviation of each channel taken out."""

    factor: int
    frame: tuple[tuple[int, int], tuple[int, int]]
    mean: np.ndarray
    deviation: np.ndarray

    def __call__(self, images: UInt8[Array, "n h w c"]) -> Float[Array, "n oh ow c"]:
        """What the model takes."""
        x = jnp.asarray(images).astype(jnp.float32) / 255
        n, h, w, c = x.shape
        if self.factor > 1:
            x = jax.image.resize(x, (n, h * self.factor, w * self.factor, c), "linear")
        return (jnp.pad(x, ((0, 0), *self.frame, (0, 0))) - self.mean) / self.deviation

    def augmenting(self, augment: Augment) -> Augment:
        """The same augmentation for prepared images: it sees them in [0, 1], as `jaxcnn.augment` expects, framed already."""

        def prepared(key: Array, x: Array) -> Array:
            return (augment(key, x * self.deviation + self.mean) - self.mean) / self.deviation

        return prepared


def preparer(data: ImageSet | StreamedSet, image_size: tuple[int, int]) -> Preparation:
    """A function that brings images to `image_size`, [0, 1], then zero mean and unit deviation of the training set.

    Smaller images are enlarged bilinearly by whole factors as far as they go, then framed with the colour of their border's
    usual value, 0 (28 → 32 frames; 8 → 28 enlarges by 3 to 24, then frames).

    Raises: ValueError if the images are larger than `image_size`.

    >>> from jaxcnn.data import load
    >>> digits = load("digits")
    >>> preparer(digits, (28, 28))(digits.train.images[:2]).shape
    (2, 28, 28, 1)
    """
    h, w, _ = data.image_shape
    if h > image_size[0] or w > image_size[1]:
        raise ValueError(
            f"preparer: {data.name} has images of {h}×{w} pixels; the model takes {image_size[0]}×{image_size[1]}, "
            "choose a model for larger images"
        )
    factor = min(image_size[0] // h, image_size[1] // w)
    rows, columns = image_size[0] - h * factor, image_size[1] - w * factor
    frame = ((rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
    return Preparation(factor, frame, *data.statistics())


def card_for(data: ImageSet | StreamedSet, prepare: Preparation, *, model: str) -> Card:
    """The card of a model that was trained on such images: `weights.save(…, card=)` writes it, `classify` reads it.

    Pictures of the set's size are prepared as by `prepare`, but that what is enlarged is rounded to 256 colours on each axis; of
    others the short side is brought to that of the set's, then the middle taken.

    Args:
        model: its name in `models.REGISTRY`.

    >>> from jaxcnn.data import load
    >>> digits = load("digits")
    >>> card = card_for(digits, preparer(digits, (28, 28)), model="lenet5")
    >>> card.name, card.image_size, card.resize, card.channels
    ('lenet5.digits', (28, 28), 24, 'L')
    """
    h, w, channels = data.image_shape
    (top, bottom), (left, right) = prepare.frame
    return Card(
        f"{model}.{data.name}",
        model,
        origin=f"trained on {data.name}",
        image_size=(h * prepare.factor + top + bottom, w * prepare.factor + left + right),
        resize=min(h, w) * prepare.factor,
        mean=tuple(map(float, prepare.mean)),
        std=tuple(map(float, prepare.deviation)),
        channels="L" if channels == 1 else "RGB",
        classes=data.name,
    )
