"""`preparer`: from uint8 pixels on the device to what a model takes, inside the compiled step."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float, UInt8

from jaxcnn.augment import Augment

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
