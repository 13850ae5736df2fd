"""Every random function: its own amounts for each image and key, under jit and vmap, in the dtype given; what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import augment as A

KEY = jax.random.key(7)
PICTURE = np.random.default_rng(0).random((11, 13, 3)).astype(np.float32)
X = np.stack([PICTURE] * 4)  # one picture four times: what differs is the draw
COMPONENTS = A.ColourComponents(np.array([0.2, 0.02, 0.005]), np.linalg.qr(PICTURE[:3, 0])[0])

RANDOM = {  # with amounts that change something
    "affine": lambda key, x: A.random_affine(key, x, degrees=20, translate=0.1, scale=0.1, shear=0.1),
    "blur": A.random_blur,
    "brightness": lambda key, x: A.random_brightness(key, x, 0.5),
    "colour_jitter": lambda key, x: A.random_colour_jitter(
        key, x, brightness=0.4, contrast=0.4, saturation=0.4, hue=0.1
    ),
    "contrast": lambda key, x: A.random_contrast(key, x, 0.5),
    "crop": lambda key, x: A.random_crop(key, x, (11, 13), padding=4),
    "cutout": lambda key, x: A.random_cutout(key, x, 5),
    "edge_enhance": A.random_edge_enhance,
    "erase": lambda key, x: A.random_erase(key, x, probability=1.0, fill=None),
    "fancy_pca": lambda key, x: A.random_fancy_pca(key, x, COMPONENTS, deviation=1.0),
    "flip_left_right": A.random_flip_left_right,
    "flip_up_down": A.random_flip_up_down,
    "greyscale": lambda key, x: A.random_greyscale(key, x, probability=0.5),
    "hue": lambda key, x: A.random_hue(key, x, 0.3),
    "resized_crop": lambda key, x: A.random_resized_crop(key, x, (11, 13)),
    "rotate": lambda key, x: A.random_rotate(key, x, 30.0),
    "saturation": lambda key, x: A.random_saturation(key, x, 0.5),
    "sharpness": lambda key, x: A.random_sharpness(key, x, 0.9),
    "sometimes": A.sometimes(lambda key, x: A.invert(x)),
}
NOTHING = {  # the same with amounts that change nothing
    "affine": A.random_affine,
    "brightness": lambda key, x: A.random_brightness(key, x, 0),
    "colour_jitter": A.random_colour_jitter,
    "crop": lambda key, x: A.random_crop(key, x, (11, 13)),
    "erase": lambda key, x: A.random_erase(key, x, probability=0.0),
    "fancy_pca": lambda key, x: A.random_fancy_pca(key, x, COMPONENTS, deviation=0),
    "flip_left_right": lambda key, x: A.random_flip_left_right(key, x, probability=0),
    "resized_crop": lambda key, x: A.random_resized_crop(key, x, (11, 13), scale=(1, 1), ratio=(13 / 11, 13 / 11)),
    "rotate": lambda key, x: A.random_rotate(key, x, 0),
    "sharpness": lambda key, x: A.random_sharpness(key, x, 0),
}


@pytest.mark.parametrize("name", RANDOM)
def test_random_draws_for_each_image_and_key(name):
    function = jax.jit(RANDOM[name])
    y = np.asarray(function(KEY, X))
    assert y.shape == X.shape
    assert any(not np.array_equal(y[0], other) for other in y[1:])
    assert not np.array_equal(y, function(jax.random.key(8), X))
    assert np.isfinite(y).all()


@pytest.mark.parametrize("name", RANDOM)
def test_random_under_vmap_is_the_loop_over_keys(name):
    keys = jax.random.split(KEY, 2)
    together = jax.jit(jax.vmap(RANDOM[name], (0, None)))(keys, X)
    one = jax.jit(RANDOM[name])
    np.testing.assert_allclose(together, np.stack([one(key, X) for key in keys]), atol=1e-6)


@pytest.mark.parametrize("name", RANDOM)
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_random_keeps_the_dtype(name, dtype):
    images = jax.ShapeDtypeStruct(X.shape, dtype)
    assert jax.eval_shape(RANDOM[name], KEY, images) == jax.ShapeDtypeStruct(X.shape, dtype)


@pytest.mark.parametrize("name", NOTHING)
def test_random_with_no_amount_is_the_identity(name):
    np.testing.assert_allclose(jax.jit(NOTHING[name])(KEY, X), X, atol=2e-6)


@pytest.mark.parametrize(("random", "alpha"), [(A.random_mixup, 0.4), (A.random_cutmix, 1.0)])
def test_random_mixes_keep_the_sum_of_the_labels(random, alpha):
    shades = np.linspace(0, 1, 5, dtype=np.float32)
    x = np.broadcast_to(shades[:, None, None, None], (5, 11, 13, 1))
    y, labels = jax.jit(lambda key: random(key, x, jnp.eye(5), alpha=alpha))(KEY)
    np.testing.assert_allclose(labels.sum(-1), 1, atol=1e-6)
    np.testing.assert_allclose(y.mean((1, 2, 3)), labels @ shades, atol=1e-5)  # images and labels mixed alike
    assert ((labels > 0.01) & (labels < 0.99)).any()


def test_random_resized_crop_keeps_to_the_scale_and_ratio():
    ramp = np.stack(np.meshgrid(np.arange(40.0), np.arange(60.0), indexing="ij"), -1)  # each pixel knows where it lies
    x = np.broadcast_to(ramp, (200, 40, 60, 2)).astype(np.float32)
    crops = jax.jit(lambda key: A.random_resized_crop(key, x, 40, scale=(0.1, 0.3), ratio=(0.5, 2.0)))(KEY)
    heights, widths = (np.asarray(crops[:, -1, -1, axis] - crops[:, 0, 0, axis]) * 40 / 39 for axis in (0, 1))
    area = heights * widths / 2400
    assert area.min() > 0.08
    assert area.max() < 0.32
    assert area.max() - area.min() > 0.15
    assert (widths / heights).min() > 0.4
    assert (widths / heights).max() < 2.4


def test_random_crop_lies_at_every_place_equally_often():
    """A 5×6 image has 3×4 rectangles of 3×3; of 2,400 draws each has 200, within five deviations of √200."""
    x = np.broadcast_to(np.arange(30.0, dtype=np.float32).reshape(5, 6, 1), (2400, 5, 6, 1))
    corners = np.asarray(jax.jit(lambda key: A.random_crop(key, x, 3))(KEY))[:, 0, 0, 0]
    places, counts = np.unique(corners, return_counts=True)
    np.testing.assert_array_equal(places, [6 * row + column for row in range(3) for column in range(4)])
    assert np.abs(counts - 200).max() < 5 * np.sqrt(200)


def test_random_resized_crop_falls_back_to_the_middle():
    flat = jax.jit(lambda x: A.random_resized_crop(KEY, x, (3, 11), scale=(1, 1), ratio=(8, 9)))
    y = flat(X)  # no box of all the area is so flat
    np.testing.assert_allclose(y, A.resized_crop(X, jnp.array([4, 0, 6, 13]), (3, 11)), atol=1e-6)


def test_compose_gives_every_step_its_own_key():
    keys = []
    pipeline = A.compose(*[lambda key, x: (keys.append(key), x + 1)[1]] * 3)
    np.testing.assert_allclose(pipeline(KEY, X), X + 3, rtol=1e-6)
    assert len({tuple(jax.random.key_data(key).tolist()) for key in keys}) == 3


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: A.brightness(X, jnp.ones(3)), "brightness: factor is .*give one number, or 4, one for each image"),
        (lambda: A.saturation(X[..., :2], 1.0), "saturation: x is .*must have 1 channel .* or 3"),
        (lambda: A.random_hue(KEY, X, 0.7), "random_hue: amount=0.7 must be from 0 to 0.5"),
        (lambda: A.random_contrast(KEY, X, -1), "random_contrast: amount=-1 must be at least 0"),
        (lambda: A.random_colour_jitter(KEY, X, hue=0.6), "random_colour_jitter: hue=0.6 must be from 0 to 0.5"),
        (
            lambda: A.random_flip_up_down(KEY, X, probability=2),
            "random_flip_up_down: probability=2 must be from 0 to 1",
        ),
        (lambda: A.crop(X, jnp.array([0, 0]), 12), "crop: size .12, 12. is larger than x"),
        (lambda: A.crop(X, jnp.array([0]), 3), "crop: corner is .*give y, x once or for each image"),
        (lambda: A.random_crop(KEY, X, 3, padding_mode="mirror"), "random_crop: padding_mode='mirror' is unknown"),
        (lambda: A.random_crop(KEY, X, 3, padding=11, padding_mode="reflect"), "random_crop: padding_mode .reflect."),
        (lambda: A.random_crop(KEY, X, 0), "random_crop: size=0 must be at least 1"),
        (lambda: A.resized_crop(X, jnp.ones(3), 3), "resized_crop: boxes is .*give y0, x0, y1, x1"),
        (lambda: A.random_resized_crop(KEY, X, 3, scale=(0.5, 2)), "random_resized_crop: scale=.0.5, 2. must be two"),
        (lambda: A.random_erase(KEY, X, ratio=(2, 1)), "random_erase: ratio=.2, 1. must be two numbers"),
        (lambda: A.random_cutout(KEY, X, 0), "random_cutout: size=0 must be at least 1"),
        (lambda: A.blur(X, 1.0, 4), "blur: size=4 must be odd"),
        (lambda: A.random_blur(KEY, X, sigma=(0, 1)), "random_blur: sigma=.0, 1. must be two numbers"),
        (lambda: A.mixup(X, jnp.arange(4), jnp.arange(4), 0.5), "mixup: labels is .*give one-hot rows"),
        (lambda: A.random_cutmix(KEY, X, jnp.eye(3)), "random_cutmix: labels is .*for the 4 images"),
        (lambda: A.random_mixup(KEY, X, jnp.eye(4), alpha=0), "random_mixup: alpha=0 must be positive"),
        (lambda: A.mixup(X, jnp.eye(4), jnp.arange(3), 0.5), "mixup: partner is .*for each of 4"),
        (lambda: A.fancy_pca(X, jnp.ones((4, 2)), COMPONENTS), "fancy_pca: alpha is .*must have the shape"),
        (lambda: A.fancy_pca(X[..., :1], jnp.ones((4, 1)), COMPONENTS), "fancy_pca: the components are .*1 channels"),
        (lambda: A.colour_components(np.ones((2, 3))), "colour_components: images is float64"),
        (lambda: A.random_rotate(KEY, X, 3.0, method="cube"), "random_rotate: method='cube' is unknown"),
        (lambda: A.sometimes(lambda key, x: x[:, 1:])(KEY, X), "sometimes: the step makes .* must keep the shape"),
        (lambda: A.flip_left_right(PICTURE), "flip_left_right: x is float32.11,13,3.; it must have the axes"),
    ],
)
def test_augment_refuses(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: A.brightness((X * 255).astype(np.uint8), 1.0), "brightness: x is uint8.*x / 255"),
        (lambda: A.crop(X, jnp.array([0.0, 1.0]), 3), "crop: corner is float32.2.; it must hold integers"),
        (lambda: A.compose(A.random_blur, 3), "compose: 3 is no function"),
        (lambda: A.invert([1.0]), "invert: x is a list"),
    ],
)
def test_augment_refuses_types(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_alternating_flip_shows_both_sides_in_two_epochs():
    x, index = np.random.default_rng(1).random((200, 3, 5, 2)).astype(np.float32), np.arange(200) * 7
    flip = jax.jit(A.alternating_flip_left_right)
    epochs = [np.asarray(flip(KEY, x, index, epoch)) for epoch in range(4)]
    np.testing.assert_array_equal(epochs[1], epochs[0][:, :, ::-1])
    np.testing.assert_array_equal(epochs[2], epochs[0])
    np.testing.assert_array_equal(epochs[3], epochs[1])
    as_is = (epochs[0] == x).all((1, 2, 3))
    np.testing.assert_array_equal(epochs[0][~as_is], x[~as_is][:, :, ::-1])
    assert 60 < as_is.sum() < 140  # a coin for each, 5.6 deviations wide


def test_alternating_flip_goes_by_the_number_of_the_image():
    x, order = (
        np.random.default_rng(2).random((20, 3, 5, 1)).astype(np.float32),
        np.random.default_rng(3).permutation(20),
    )
    whole = np.asarray(A.alternating_flip_left_right(KEY, x, np.arange(20), 1))
    np.testing.assert_array_equal(A.alternating_flip_left_right(KEY, x[order], order, 1), whole[order])
    assert not np.array_equal(whole, A.alternating_flip_left_right(jax.random.key(8), x, np.arange(20), 1))


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (np.arange(3), ValueError, r"index is int\w+\[3\]; give 4, one for each image"),
        (np.arange(4.0), TypeError, "it must hold integers"),
    ],
)
def test_alternating_flip_refuses(index, error, message):
    with pytest.raises(error, match=f"^alternating_flip_left_right: .*{message}"):
        A.alternating_flip_left_right(KEY, X, index, 0)


def test_blur_of_no_pixels_is_the_identity():
    x = jax.random.uniform(jax.random.key(0), (2, 5, 6, 3))
    np.testing.assert_allclose(A.blur(x, 0.0, 3), x, rtol=1e-6)


@pytest.mark.parametrize("box", [[2.6, 2.6, 3.4, 3.4], [2.0, 2.0, 2.0, 2.0], [-9.0, -9.0, -8.0, -8.0]])
def test_resized_crop_of_a_box_without_a_pixel_is_the_nearest_one(box):
    x = jnp.arange(25.0).reshape(1, 5, 5, 1) / 25
    pixel = min(max(int((box[0] + box[2]) / 2), 0), 4)
    np.testing.assert_allclose(A.resized_crop(x, jnp.array(box), 1).ravel(), x[0, pixel, pixel], rtol=1e-6)
