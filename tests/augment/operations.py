"""Every function of `jaxcnn.augment`, one row a way of calling it, in the form of `tests/functional/operations.py`.

Images lie in [0, 1]; amounts are differentiable arguments, one an image, kept in their range by `share`.
"""

import functools

import jax.numpy as jnp
import numpy as np

from jaxcnn import augment as A
from tests.functional.operations import bind

RGB, GREY = "n h 5 3", "n h 5 1"
COMPONENTS = A.ColourComponents(
    np.array([0.5, 0.25, 0.125]), np.array([[0.6, 0.8, 0.0], [0.8, -0.6, 0.0], [0.0, 0.0, 1.0]])
)


def share(v):
    """Any number as one between 0 and 1."""
    return (jnp.tanh(v) + 1) / 2


def of_images(function, **options):
    """A row of images alone, then of amounts: what the table gives them is brought into [0, 1]."""

    def row(x, *amounts):
        return function(share(x), *map(share, amounts), **options)

    return row


def random(function, *args, **options):
    """A row of a key and images."""
    return lambda key, x: function(key, share(x), *args, **options)


def boxes(v):
    """Boxes (y0, x0, y1, x1) on images of 4 × 5 pixels, of any four numbers an image."""
    corner, side = 2 * share(v[:, :2]), 1 + share(v[:, 2:])
    return jnp.concatenate([corner, corner + side], -1)


def mixed(function):
    """A row of images and labels, each image with its neighbour."""
    return lambda x, labels, amounts: function(share(x), labels, jnp.arange(len(x)) ^ 1, amounts)


AUGMENTATIONS = {
    "affine": (lambda x, m, s: A.affine(share(x), m, s), RGB, "n 2 2", "n 2"),
    "affine of a colour": (lambda x, m, s, f: A.affine(share(x), m, s, fill=share(f)), RGB, "n 2 2", "n 2", "3"),
    "affine filled": (lambda x, m, s: A.affine(share(x), m, s, fill=0.5, method="cubic"), RGB, "n 2 2", "n 2"),
    "random_affine": (random(A.random_affine, degrees=20, translate=0.1, scale=0.2, shear=0.1), "key", RGB),
    "rotate": (lambda x, a: A.rotate(share(x), 30 * a), RGB, "n"),
    "random_rotate": (random(A.random_rotate, 30), "key", RGB),
    "brightness": (of_images(A.brightness), RGB, "n"),
    "brightness of 4 channels": (of_images(A.brightness), "n h 3 4", "n"),
    "contrast": (of_images(A.contrast), RGB, "n"),
    "contrast of 4 channels": (of_images(A.contrast), "n h 3 4", "n"),
    "contrast of grey": (of_images(A.contrast), GREY, "n"),
    "saturation": (of_images(A.saturation), RGB, "n"),
    "hue": (of_images(A.hue), RGB, "n"),
    "greyscale": (of_images(A.greyscale), RGB),
    "colour_jitter": (
        lambda x, *f: A.colour_jitter(
            share(x), **dict(zip(("brightness", "contrast", "saturation", "hue"), map(share, f))), order=(3, 1, 0, 2)
        ),
        RGB,
        *["n"] * 4,
    ),
    "random_brightness": (random(A.random_brightness, 0.4), "key", RGB),
    "random_contrast": (random(A.random_contrast, 0.4), "key", RGB),
    "random_saturation": (random(A.random_saturation, 0.4), "key", RGB),
    "random_hue": (random(A.random_hue, 0.4), "key", RGB),
    "random_greyscale": (random(A.random_greyscale, probability=0.5), "key", RGB),
    "random_colour_jitter": (
        random(A.random_colour_jitter, brightness=0.4, contrast=0.3, saturation=0.2, hue=0.1),
        "key",
        RGB,
    ),
    "compose": (random(A.compose(lambda key, x: A.invert(x), A.random_flip_left_right)), "key", RGB),
    "sometimes": (random(A.sometimes(lambda key, x: A.invert(x))), "key", RGB),
    "crop": (lambda x, corner: A.crop(share(x), corner, (2, 3), padding=1, padding_mode="reflect"), RGB, "n 2 < 3"),
    "center_crop": (of_images(functools.partial(A.center_crop, size=(2, 3))), RGB),
    "random_crop": (random(A.random_crop, (3, 4), padding=1), "key", RGB),
    "resized_crop": (lambda x, b: A.resized_crop(share(x), boxes(b), (3, 2)), RGB, "n 4"),
    "random_resized_crop": (random(A.random_resized_crop, (3, 2)), "key", RGB),
    "erase": (lambda x, b, f: A.erase(share(x), boxes(b), fill=share(f)), RGB, "n 4 < 3", ""),
    "erase of a colour": (lambda x, b, f: A.erase(share(x), boxes(b), fill=share(f)), RGB, "n 4 < 3", "3"),
    "random_erase": (random(A.random_erase, probability=0.7), "key", RGB),
    "cutout": (lambda x, c: A.cutout(share(x), c.astype(jnp.float32), 2), RGB, "n 2 < 4"),
    "random_cutout": (random(A.random_cutout, 2), "key", RGB),
    "flip_left_right": (of_images(A.flip_left_right), RGB),
    "flip_up_down": (of_images(A.flip_up_down), RGB),
    "random_flip_left_right": (random(A.random_flip_left_right), "key", RGB),
    "random_flip_up_down": (random(A.random_flip_up_down), "key", RGB),
    "alternating_flip_left_right": (
        lambda k, x, i: A.alternating_flip_left_right(k, share(x), i, 1),
        "key",
        RGB,
        "n < 9",
    ),
    "mixup": (mixed(lambda x, y, p, s: A.mixup(x, y, p, share(s))), RGB, "n 3", "n"),
    "random_mixup": (lambda k, x, y: A.random_mixup(k, share(x), y, alpha=0.5), "key", RGB, "n 3"),
    "cutmix": (mixed(A.cutmix), RGB, "n 3", "n 4 < 4"),
    "random_cutmix": (lambda k, x, y: A.random_cutmix(k, share(x), y), "key", RGB, "n 3"),
    "fancy_pca": (lambda x, a: A.fancy_pca(share(x), a / 8, COMPONENTS), RGB, "n 3"),
    "random_fancy_pca": (random(A.random_fancy_pca, COMPONENTS), "key", RGB),
    "apply_operation": (
        lambda x, o, a: A.apply_operation(share(x), o, share(a)),
        RGB,
        "n < 14",
        "n",
    ),
    "apply_operation of a colour": (
        lambda x, o, f: A.apply_operation(share(x), o, 2.0, fill=share(f)),
        RGB,
        "n < 6",
        "3",
    ),
    "rand_augment": (random(A.rand_augment), "key", RGB),
    "rand_augment of 4 channels": (random(A.rand_augment), "key", "n h 3 4"),
    "trivial_augment": (random(A.trivial_augment), "key", RGB),
    "blur": (lambda x, s: A.blur(share(x), 0.5 + share(s), 3), RGB, "n"),
    "random_blur": (random(A.random_blur, sigma=(0.5, 1.0)), "key", RGB),
    "sharpness": (of_images(A.sharpness), RGB, "n"),
    "random_sharpness": (random(A.random_sharpness, 0.5), "key", RGB),
    "edge_enhance": (of_images(A.edge_enhance), RGB, "n"),
    "random_edge_enhance": (random(A.random_edge_enhance), "key", RGB),
    "autocontrast": (of_images(A.autocontrast), RGB),
    "equalize": (of_images(A.equalize), RGB),
    "invert": (of_images(A.invert), RGB),
    "posterize": (of_images(bind(A.posterize, bits=3)), RGB),
    "solarize": (of_images(A.solarize), RGB, "n"),
}
