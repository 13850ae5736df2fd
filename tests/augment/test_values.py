"""Values of the deterministic functions: against Pillow to its rounding, and against formulas in float64."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from jaxcnn import augment as A
from tests.reference import augment as reference

BYTES = np.random.default_rng(0).integers(0, 256, (2, 17, 19, 3), np.uint8)
X = BYTES.astype(np.float32) / 255
LEVEL = 1 / 255  # Pillow rounds at the end; contrast rounds the mean too

# name: ours of a batch, Pillow's of one picture, largest difference
PILLOW = {
    "flip_left_right": (A.flip_left_right, ImageOps.mirror, 0),
    "flip_up_down": (A.flip_up_down, ImageOps.flip, 0),
    "greyscale": (A.greyscale, lambda p: p.convert("L").convert("RGB"), LEVEL),
    **{
        f"{name} {factor}": (
            lambda x, name=name, factor=factor: getattr(A, name)(x, factor),
            lambda p, kind=kind, factor=factor: kind(p).enhance(factor),
            1.5 * LEVEL,
        )
        for name, kind in (
            ("brightness", ImageEnhance.Brightness),
            ("contrast", ImageEnhance.Contrast),
            ("saturation", ImageEnhance.Color),
            ("sharpness", ImageEnhance.Sharpness),
        )
        for factor in (0.0, 0.6, 1.7)
    },
    "edge_enhance": (lambda x: A.edge_enhance(x, 1.0), lambda p: p.filter(ImageFilter.EDGE_ENHANCE), LEVEL),
    "edge_enhance more": (lambda x: A.edge_enhance(x, 2.0), lambda p: p.filter(ImageFilter.EDGE_ENHANCE_MORE), LEVEL),
    "invert": (A.invert, ImageOps.invert, 0),
    "solarize": (lambda x: A.solarize(x, 100 / 255), lambda p: ImageOps.solarize(p, 100), 0),
    "posterize": (lambda x: A.posterize(x, 3), lambda p: ImageOps.posterize(p, 3), 0),
    "autocontrast": (lambda x: A.autocontrast(x / 2), lambda p: ImageOps.autocontrast(_halved(p)), 2.1 * LEVEL),
    "equalize": (A.equalize, ImageOps.equalize, 0),
    "equalize larger": (lambda x: A.equalize(jnp.tile(x, (1, 3, 3, 1))), lambda p: ImageOps.equalize(_tiled(p)), 0),
    "center_crop": (lambda x: A.center_crop(x, (7, 9)), lambda p: p.crop((5, 5, 14, 12)), 0),
    "crop": (lambda x: A.crop(x, jnp.array([3, 2]), (7, 11)), lambda p: p.crop((2, 3, 13, 10)), 0),
    "rotate 90": (lambda x: A.rotate(x[:, :, :17], 90.0), lambda p: p.crop((0, 0, 17, 17)).rotate(90), 1e-5),
    "rotate 33": (
        lambda x: A.rotate(x, 33.0, method="nearest"),
        lambda p: p.rotate(33, Image.Resampling.NEAREST),
        0,
    ),
    **{
        f"resized_crop {size}": (
            lambda x, size=size: A.resized_crop(x, jnp.array([2, 3, 15, 18]), size),
            lambda p, size=size: p.crop((3, 2, 18, 15)).resize(size[::-1], Image.Resampling.BILINEAR),
            1.5 * LEVEL,
        )
        for size in ((5, 7), (23, 8))
    },
}


def _halved(picture):
    return picture.point(lambda level: level // 2)


def _tiled(picture):
    return Image.fromarray(np.tile(np.asarray(picture), (3, 3, 1)))


@pytest.mark.parametrize("name", PILLOW)
def test_values_are_those_of_pillow(name):
    ours, theirs, tolerance = PILLOW[name]
    y = np.asarray(jax.jit(ours)(X))
    expected = np.stack([np.asarray(theirs(Image.fromarray(picture))) for picture in BYTES]) / 255
    np.testing.assert_allclose(y, expected, atol=tolerance + 1e-6)


def _hue(x, turn):
    """The hexagonal HSV of the standard library, pixel by pixel."""
    y = np.empty_like(x)
    for at in np.ndindex(x.shape[:2]):
        h, s, v = colorsys.rgb_to_hsv(*x[at])
        y[at] = colorsys.hsv_to_rgb((h + turn) % 1, s, v)
    return y


FORMULAS = {
    "brightness": (A.brightness, reference.brightness, (0.3, 1.4)),
    "contrast": (A.contrast, reference.contrast, (0.3, 1.4)),
    "saturation": (A.saturation, reference.saturation, (0.3, 1.4)),
    "hue": (A.hue, _hue, (0.3, -0.45)),
    "blur": (lambda x, s: A.blur(x, s, 7), lambda x, s: reference.blur(x, s, 7), (0.4, 2.0)),
    "fancy_pca": (
        lambda x, a: A.fancy_pca(x, jnp.stack([a, 0.5 - a, -a], -1), A.colour_components(BYTES)),
        lambda x, a: reference.fancy_pca(x, np.array([a, 0.5 - a, -a]), BYTES.reshape(-1, 3) / 255),
        (0.3, -1.2),
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_values_are_those_of_the_formula_for_each_image(name):
    ours, formula, given = FORMULAS[name]
    y = np.asarray(jax.jit(ours)(X, jnp.array(given)))
    expected = np.stack([formula(picture, amount) for picture, amount in zip(BYTES / 255, given)])
    np.testing.assert_allclose(y, expected, atol=1e-5)


def test_hue_leaves_grey_pixels_and_whole_turns():
    grey = np.repeat(X[..., :1], 3, -1)
    np.testing.assert_allclose(A.hue(grey, 0.3), grey, atol=1e-6)
    np.testing.assert_allclose(A.hue(X, 1.0), X, atol=1e-5)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 1, 0, 2)])
def test_colour_jitter_goes_in_the_order_given(order):
    functions, amounts = (A.brightness, A.contrast, A.saturation, A.hue), (1.3, 0.5, 1.6, 0.2)
    y = X
    for i in order:
        y = functions[i](y, amounts[i])
    given = dict(zip(("brightness", "contrast", "saturation", "hue"), amounts))
    np.testing.assert_allclose(A.colour_jitter(X, order=order, **given), y, atol=1e-5)


def test_edges_of_tiny_images_are_left():
    small = X[:, :2, :5]
    np.testing.assert_array_equal(A.edge_enhance(small, 1.0), small)


@pytest.mark.parametrize("mode", ["zeros", "reflect"])
def test_crop_pads_first(mode):
    numpy = {"zeros": "constant", "reflect": "reflect"}[mode]
    y = A.crop(X, jnp.array([[0, 1], [4, 3]]), (17, 19), padding=2, padding_mode=mode)
    padded = np.pad(X, ((0, 0), (2, 2), (2, 2), (0, 0)), mode=numpy)
    np.testing.assert_array_equal(y[0], padded[0, :17, 1:20])
    np.testing.assert_array_equal(y[1], padded[1, 4:21, 3:22])


def test_colour_components_are_those_of_the_set():
    pixels = BYTES.reshape(-1, 3) / 255
    values, vectors = A.colour_components(BYTES)
    np.testing.assert_allclose(vectors @ np.diag(values) @ vectors.T, np.cov(pixels.T, bias=True), atol=1e-12)
    assert (np.diff(values) < 0).all()
    np.testing.assert_allclose(A.colour_components(X).values, values, rtol=1e-5)


def test_mixup_mixes_images_and_labels_alike():
    share, partner = np.array([0.25, 0.9]), np.array([1, 0])
    y, labels = A.mixup(X, jnp.eye(2), jnp.array(partner), jnp.array(share))
    weights = share[:, None, None, None]
    np.testing.assert_allclose(y, weights * X + (1 - weights) * X[partner], atol=1e-6)
    np.testing.assert_allclose(labels, [[0.25, 0.75], [0.1, 0.9]], atol=1e-6)


def test_cutmix_pastes_boxes_and_counts_their_pixels():
    boxes = jnp.array([[2, 3, 9, 8], [-4, 10, 5, 40]])
    y, labels = A.cutmix(X, jnp.eye(2), jnp.array([1, 0]), boxes)
    expected = X.copy()
    expected[0, 2:9, 3:8], expected[1, :5, 10:] = X[1, 2:9, 3:8], X[0, :5, 10:]
    np.testing.assert_array_equal(y, expected)
    first, second = 1 - 35 / (17 * 19), 1 - 45 / (17 * 19)
    np.testing.assert_allclose(labels, [[first, 1 - first], [1 - second, second]], atol=1e-6)


def test_cutout_erases_a_square_as_far_as_it_lies_inside():
    y = A.cutout(X, jnp.array([[8.5, 9.5], [1.5, 18.5]]), 5, fill=0.25)
    expected = X.copy()
    expected[0, 6:11, 7:12] = expected[1, :4, 16:] = 0.25
    np.testing.assert_array_equal(y, expected)
