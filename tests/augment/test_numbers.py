"""Amounts, colours and corners as arrays: 0-d, traced, one an image, one a channel; corners outside; images without colour."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import augment as A

KEY = jax.random.key(0)
X = np.random.default_rng(0).random((2, 7, 6, 3)).astype(np.float32)
LABELS = np.eye(2, dtype=np.float32)
COLOUR = np.array([0.1, 0.2, 0.3], np.float32)
BOXES = np.array([2, 1, 5, 4])
COMPONENTS = A.ColourComponents(np.array([0.5, 0.2, 0.1]), np.eye(3))

ONE = {  # functions of images and one number, and the number
    "brightness": (A.brightness, 0.5),
    "contrast": (A.contrast, 0.5),
    "saturation": (A.saturation, 0.5),
    "hue": (A.hue, 0.25),
    "sharpness": (A.sharpness, 0.5),
    "edge_enhance": (A.edge_enhance, 0.5),
    "blur": (lambda x, s: A.blur(x, s, 3), 0.75),
    "solarize": (A.solarize, 0.5),
    "posterize": (A.posterize, 3),
    "colour_jitter": (lambda x, v: A.colour_jitter(x, brightness=v, hue=v), 0.25),
    "rotate": (A.rotate, 30),
    "rotate fill": (lambda x, v: A.rotate(x, 30, fill=v), 0.25),
    "affine fill": (lambda x, v: A.affine(x, 2 * jnp.tile(jnp.eye(2), (2, 1, 1)), jnp.ones((2, 2)), fill=v), 0.25),
    "erase fill": (lambda x, v: A.erase(x, BOXES, fill=v), 0.25),
    "cutout fill": (lambda x, v: A.cutout(x, np.array([3.0, 3.0]), 3, fill=v), 0.25),
    "mixup": (lambda x, v: A.mixup(x, LABELS, jnp.array([1, 0]), v), 0.25),
    "apply_operation": (lambda x, v: A.apply_operation(x, jnp.array([1, 6]), v), 0.25),
    "apply_operation fill": (lambda x, v: A.apply_operation(x, jnp.array([3, 4]), 2.0, fill=v), 0.25),
    "random_affine degrees": (lambda x, v: A.random_affine(KEY, x, degrees=v), 30),
    "random_affine": (lambda x, v: A.random_affine(KEY, x, translate=v, scale=v, shear=v), 0.25),
    "random_affine fill": (lambda x, v: A.random_affine(KEY, x, translate=0.5, fill=v), 0.25),
    "random_rotate": (lambda x, v: A.random_rotate(KEY, x, v), 30),
    "random_rotate fill": (lambda x, v: A.random_rotate(KEY, x, 30, fill=v), 0.25),
    "random_brightness": (lambda x, v: A.random_brightness(KEY, x, v), 0.5),
    "random_contrast": (lambda x, v: A.random_contrast(KEY, x, v), 0.5),
    "random_saturation": (lambda x, v: A.random_saturation(KEY, x, v), 0.5),
    "random_hue": (lambda x, v: A.random_hue(KEY, x, v), 0.25),
    "random_sharpness": (lambda x, v: A.random_sharpness(KEY, x, v), 0.5),
    "random_edge_enhance": (lambda x, v: A.random_edge_enhance(KEY, x, amount=v), 0.5),
    "random_blur": (lambda x, v: A.random_blur(KEY, x, sigma=(v, 2.0), size=3), 0.5),
    "random_fancy_pca": (lambda x, v: A.random_fancy_pca(KEY, x, COMPONENTS, deviation=v), 0.5),
    "random_colour_jitter": (
        lambda x, v: A.random_colour_jitter(KEY, x, brightness=v, contrast=v, saturation=v, hue=v),
        0.25,
    ),
    "random_greyscale": (lambda x, v: A.random_greyscale(KEY, x, probability=v), 0.5),
    "random_flip_left_right": (lambda x, v: A.random_flip_left_right(KEY, x, probability=v), 0.5),
    "sometimes": (lambda x, v: A.sometimes(lambda key, x: A.invert(x), probability=v)(KEY, x), 0.5),
    "random_erase": (lambda x, v: A.random_erase(KEY, x, probability=v), 0.75),
    "random_erase scale": (lambda x, v: A.random_erase(KEY, x, probability=1, scale=(v, 0.5), ratio=(v, 2.0)), 0.25),
    "random_erase fill": (lambda x, v: A.random_erase(KEY, x, probability=1, fill=v), 0.25),
    "random_cutout fill": (lambda x, v: A.random_cutout(KEY, x, 3, fill=v), 0.25),
    "random_resized_crop": (lambda x, v: A.random_resized_crop(KEY, x, 4, scale=(v, 1.0), ratio=(v, 2.0)), 0.5),
    "random_mixup": (lambda x, v: A.random_mixup(KEY, x, LABELS, alpha=v), 0.5),
    "random_cutmix": (lambda x, v: A.random_cutmix(KEY, x, LABELS, alpha=v), 0.5),
    "rand_augment": (lambda x, v: A.rand_augment(KEY, x, magnitude=v), 8),
    "rand_augment fill": (lambda x, v: A.rand_augment(KEY, x, fill=v), 0.25),
    "trivial_augment": (lambda x, v: A.trivial_augment(KEY, x, bins=v), 8),
    "trivial_augment fill": (lambda x, v: A.trivial_augment(KEY, x, fill=v), 0.25),
}
FILLS = [name for name in ONE if "fill" in name]


@pytest.mark.parametrize("name", ONE)
def test_a_number_is_the_same_in_every_form(name):
    function, value = ONE[name]
    expected = function(X, value)
    kinds = (np.float64(value), np.array(value, np.float32), jnp.array(value))
    results = [function(X, v) for v in kinds] + [jax.jit(function)(X, v) for v in (value, jnp.array(value))]
    for got in results:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-5), got, expected)


@pytest.mark.parametrize("name", ONE)
@pytest.mark.parametrize(("value", "error"), [(True, TypeError), ("1", TypeError), (float("nan"), ValueError)])
def test_what_is_no_number_is_refused_in_one_line(name, value, error):
    if value != value and name in FILLS:
        pytest.skip("a NaN marks what is filled")
    with pytest.raises(error, match=r"^(random_\w+|[a-z_]+): \w+( is|=).*") as caught:
        ONE[name][0](X, value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", FILLS)
def test_a_colour_fills_each_channel_with_its_own(name):
    function = ONE[name][0]
    filled, shade = function(X, COLOUR), [function(X, v) for v in COLOUR]
    expected = np.stack([np.asarray(v)[..., i] for i, v in enumerate(shade)], -1)
    np.testing.assert_allclose(filled, expected, atol=1e-6)
    np.testing.assert_allclose(jax.jit(function)(X, COLOUR.tolist()), filled, atol=1e-6)
    with pytest.raises(ValueError, match="fill is .*; give one number, or 3, one for each"):
        function(X, np.ones(2))


def test_rotate_takes_no_angle_without_end():
    with pytest.raises(ValueError, match="rotate: degrees=inf must be finite"):
        A.rotate(X, float("inf"))


def test_a_schedule_of_strength_compiles_once():
    traces = []

    @jax.jit
    def step(key, x, strength):
        traces.append(strength)
        x = A.random_colour_jitter(key, x, brightness=strength, hue=strength / 2)
        x = A.random_affine(key, x, degrees=30 * strength, scale=strength)
        return A.rand_augment(key, A.random_erase(key, x, probability=strength), magnitude=9 * strength)

    first, second = (np.asarray(step(KEY, X, strength)) for strength in (0.1, 0.9))
    assert len(traces) == 1
    assert not np.allclose(first, second)


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("corner", [(-1, -1), (-2, 3), (0, -9), (-10, 0), (-11, 4), (100, -1), (5, 120)])
def test_crop_moves_a_corner_inside(dtype, corner):
    x = np.arange(200.0).reshape(2, 10, 10, 1)
    y, x0 = (min(max(v, 0), 7) for v in corner)
    given = np.array(corner, dtype)
    for at in (given, jnp.asarray(given), np.stack([given, given])):
        np.testing.assert_array_equal(A.crop(x, at, 3), x[:, y : y + 3, x0 : x0 + 3])
    traced = jax.jit(lambda at: A.crop(x, at, 3))(given)
    np.testing.assert_array_equal(traced, x[:, y : y + 3, x0 : x0 + 3])


@pytest.mark.parametrize("corner", [np.array([2**31 - 1, -(2**31)]), np.array([2**40, -(2**40)])])
def test_crop_moves_a_huge_corner_inside(corner):
    x = np.arange(100.0).reshape(1, 10, 10, 1)
    np.testing.assert_array_equal(A.crop(x, corner, 3), x[:, 7:, :3])
    np.testing.assert_array_equal(A.crop(x, corner.astype(np.uint64) >> 1, 3)[0, 0, 0], [77])


def test_crop_of_padded_images_and_its_gradient():
    x = np.arange(16.0, dtype=np.float32).reshape(1, 4, 4, 1)
    crop = lambda x: A.crop(x, jnp.array([-3, 9]), 2, padding=1, padding_mode="replicate")
    np.testing.assert_array_equal(crop(x), np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")[:, :2, 4:])
    expected = np.zeros_like(x)
    expected[0, 0, 3, 0] = 4
    np.testing.assert_array_equal(jax.grad(lambda x: crop(x).sum())(x), expected)
    each = jax.vmap(lambda at: A.crop(x, at, 2))(jnp.array([[-1, 1], [1, -1]]))
    np.testing.assert_array_equal(each[:, 0, 0, 0, 0], [1, 4])


@pytest.mark.parametrize("c", [2, 4, 5])
def test_images_without_colour(c):
    x = np.random.default_rng(c).random((2, 7, 6, c)).astype(np.float32)
    np.testing.assert_allclose(A.brightness(x, 0.5), x / 2, rtol=1e-6)
    mean = x.mean((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(A.contrast(x, 0.5), (x + mean) / 2, atol=1e-6)
    both = A.colour_jitter(x, brightness=0.5, contrast=0.5)
    np.testing.assert_allclose(both, (x + mean) / 4, atol=1e-6)
    alone = A.random_colour_jitter(KEY, x, brightness=0.5)
    ratio = (alone / x).min((1, 2, 3)), np.median(alone / x, (1, 2, 3))
    assert (0 < ratio[0]).all()
    assert (ratio[1] <= 1.5).all()
    components = A.colour_components(x)
    moved = A.fancy_pca(x, np.full((2, c), 0.1, np.float32), components)
    expected = np.clip(x + 0.1 * (components.vectors * components.values).sum(-1), 0, 1)
    np.testing.assert_allclose(moved, expected, atol=1e-6)
    saturation = A.OPERATIONS.index("saturation")
    np.testing.assert_array_equal(A.apply_operation(x, jnp.array(saturation), 0.5), x)
    assert A.rand_augment(KEY, x, fill=np.zeros(c)).shape == A.trivial_augment(KEY, x).shape == x.shape


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: A.colour_jitter(x, saturation=0.5), "colour_jitter: x is .*; saturation needs 1 channel"),
        (lambda x: A.random_colour_jitter(KEY, x, hue=0.1), "random_colour_jitter: x is .*; hue needs 1 channel"),
        (lambda x: A.greyscale(x), "greyscale: x is .*must have 1 channel .* or 3"),
        (lambda x: A.random_hue(KEY, x, 0.1), "random_hue: x is .*must have 1 channel"),
        (lambda x: jax.jit(lambda s: A.random_blur(KEY, x, sigma=(0.1, s)))(1.0), "random_blur: .*give a size"),
        (lambda x: A.blur(x, -1.0, 3), "blur: sigma=-1.0 must be at least 0"),
        (lambda x: A.cutout(x, jnp.zeros(3), 1), "cutout: centre is float32.3.; give y, x once or for each image"),
        (lambda x: A.erase(x, BOXES, fill=np.ones((2, 3, 6, 4))), "erase: fill is .*must have the shape"),
    ],
)
def test_augment_refuses(call, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        call(jnp.ones((2, 7, 6, 4)))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("impl", ["rbg", "unsafe_rbg"])
def test_alternating_flip_of_other_generators_goes_by_the_number(impl):
    x = np.random.default_rng(2).random((9, 2, 3, 1)).astype(np.float32)
    key, order = jax.random.key(3, impl=impl), np.random.default_rng(3).permutation(9)
    whole = np.asarray(A.alternating_flip_left_right(key, x, np.arange(9), 1))
    np.testing.assert_array_equal(A.alternating_flip_left_right(key, x[order], order, 1), whole[order])


@pytest.mark.parametrize("call", [A.random_blur, A.rand_augment, A.random_flip_up_down, A.compose(A.random_blur)])
def test_what_is_no_key_is_refused(call):
    with pytest.raises(TypeError, match=r"^\w+: key is .*it must be one random key"):
        call(0, X)
