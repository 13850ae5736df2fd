"""How much does augmentation help when images are few? (L0.7)

One network and few images; each transform of the lecture alone, then all together. The page shows a picture of each.

    python -m experiments.augmentation --data-dir DIR
    python -m experiments.augmentation --dataset digits --train-images 100

Expected: crops, flips and turns gain most on photographs; a flip costs on digits, whose mirror images are others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import tyro
from jax import Array

from jaxcnn import augment as A
from jaxcnn import models
from jaxcnn.augment import Augment
from jaxcnn.data import ImageSet, preparer
from jaxcnn.report import contact_sheet

from .comparison import Contender, Options, command, compare, load_part, seen_size


@dataclass(frozen=True)
class Config(Options):
    """Each transform alone and all together, on few images."""

    dataset: str = "cifar10"
    """Name of a TFDS set of small images, digits, or a folder of pictures, train/<class>/*.jpg."""
    train_images: int | None = 1000
    """Use only so many training images, the first ones of each class alike."""
    epochs: int = 40
    """Passes over the training images."""
    batch_size: int = 50
    """Images a step."""
    widths: tuple[int, ...] = (16, 32, 64)
    """Channels of each stage."""


def main(config: Config) -> None:
    """Trains one network without augmentation, one with each transform, one with all; writes the page."""
    data, made_for = load_part(config)
    prepare = preparer(data, seen_size(data))
    build = lambda rngs: models.create("plain", rngs=rngs, widths=config.widths, **made_for)
    pipelines = transforms(data)
    contenders = {"none": Contender(build)} | {
        name: Contender(build, augment=prepare.augmenting(pipeline)) for name, pipeline in pipelines.items()
    }
    pictures = jnp.asarray(data.train.first_of_each_class(1).images) / 255
    sheet = contact_sheet(jax.random.key(config.seed), pictures, pipelines)
    compare(
        "augmentation",
        f"Augmentation of {len(data.train):,} images",
        config,
        data,
        contenders,
        __file__,
        pictures={"What each transform makes of the first image of every class": sheet},
    )


def transforms(data: ImageSet) -> Mapping[str, Augment]:
    """The lecture's transforms for images in [0, 1], and all of them in turn; grey images have no colours to change."""
    grey = data.image_shape[2] == 1
    tones = {"brightness": 0.4, "contrast": 0.4} | ({} if grey else {"saturation": 0.4, "hue": 0.1})
    components = A.colour_components(data.train.images)
    alone = {
        "flip": A.random_flip_left_right,
        "crop": _moved,
        "rotate": lambda key, x: A.random_rotate(key, x, 15.0),
        "colour_jitter": lambda key, x: A.random_colour_jitter(key, x, **tones),
        "edge_enhance": A.random_edge_enhance,
        "fancy_pca": lambda key, x: A.random_fancy_pca(key, x, components),
    }
    return alone | {"all": A.compose(*alone.values())}


def _moved(key: Array, x: Array) -> Array:
    return A.random_crop(key, x, x.shape[1:3], padding=max(1, x.shape[1] // 8), padding_mode="replicate")


if __name__ == "__main__":
    command("augmentation", partial(main, tyro.cli(Config, description=__doc__)))
