"""RandAugment and TrivialAugment: every operation against Pillow, amounts against torchvision's tables."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from jaxcnn.augment import OPERATIONS, apply_operation, rand_augment, trivial_augment
from jaxcnn.augment._policy import Space, _amount

BYTES = np.random.default_rng(0).integers(0, 256, (1, 37, 31, 3), np.uint8)
PICTURE = Image.fromarray(BYTES[0])


def moved(matrix):
    return lambda: PICTURE.transform(PICTURE.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)


EXPECTED = {  # operation, amount, picture, largest difference in levels
    "identity": (0.0, lambda: PICTURE, 0),
    "shear_x": (0.27, moved((1, 0.27, 0, 0, 1, 0)), 0),
    "shear_y": (-0.27, moved((1, 0, 0, -0.27, 1, 0)), 0),
    "translate_x": (5.0, moved((1, 0, -5, 0, 1, 0)), 0),
    "translate_y": (-3.0, moved((1, 0, 0, 0, 1, 3)), 0),
    "rotate": (23.0, lambda: PICTURE.rotate(23), 0),
    "brightness": (1.4, lambda: ImageEnhance.Brightness(PICTURE).enhance(1.4), 1),
    "saturation": (0.3, lambda: ImageEnhance.Color(PICTURE).enhance(0.3), 1.5),
    "contrast": (1.4, lambda: ImageEnhance.Contrast(PICTURE).enhance(1.4), 1.5),
    "sharpness": (1.7, lambda: ImageEnhance.Sharpness(PICTURE).enhance(1.7), 1.5),
    "posterize": (4.0, lambda: ImageOps.posterize(PICTURE, 4), 0),
    "solarize": (100 / 255, lambda: ImageOps.solarize(PICTURE, 100), 0),
    "autocontrast": (0.0, lambda: ImageOps.autocontrast(PICTURE), 1),
    "equalize": (0.0, lambda: ImageOps.equalize(PICTURE), 0),
}


@pytest.fixture(scope="module")
def results():
    """Every operation at once, one an image: that they do not disturb each other is tested too."""
    x = jnp.asarray(np.repeat(BYTES, len(OPERATIONS), 0) / 255, jnp.float32)
    amounts = jnp.array([EXPECTED[name][0] for name in OPERATIONS])
    return np.asarray(jax.jit(apply_operation)(x, jnp.arange(len(OPERATIONS)), amounts))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operation_is_pillows(results, name):
    _, picture, levels = EXPECTED[name]
    np.testing.assert_allclose(results[OPERATIONS.index(name)] * 255, np.asarray(picture()), atol=levels + 1e-3)


def test_amounts_are_torchvisions():
    """`RandAugment._augmentation_space` at magnitude 9 and 30 of 31 bins, 32×64 pixels, minus signs."""
    space = Space(0.3, (150 / 331 * 32, 150 / 331 * 64), 30, 0.9, 4)
    bins = {name: i for i, name in enumerate(OPERATIONS)}
    at = lambda name, magnitude: float(
        _amount(jnp.array([bins[name]]), jnp.array([magnitude / 30]), jnp.array([-1.0]), space)[0]
    )
    table = {  # linspace(0, largest, 31)[magnitude], truncated for pixels
        "shear_x": (-0.09, -0.3), "translate_x": (-8, -29), "translate_y": (-4, -14), "rotate": (-9, -30),
        "contrast": (0.73, 0.1), "posterize": (7, 4), "solarize": (0.7, 0.0),
    }  # fmt: skip
    for name, expected in table.items():
        np.testing.assert_allclose([at(name, 9), at(name, 30)], expected, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("policy", [rand_augment, trivial_augment])
def test_policy_draws_for_each_image(policy):
    x = jnp.asarray(np.repeat(BYTES, 6, 0) / 255, jnp.float32)
    y = np.asarray(jax.jit(policy)(jax.random.key(0), x))
    assert len(np.unique(y.reshape(6, -1), axis=0)) >= 4
    assert y.min() >= 0
    assert y.max() <= 1


def test_rand_augment_of_no_step_is_the_identity():
    x = jnp.asarray(BYTES / 255, jnp.float32)
    np.testing.assert_array_equal(rand_augment(jax.random.key(0), x, count=0), x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: rand_augment(jax.random.key(0), x, magnitude=31), "rand_augment: magnitude=31 must be from 0 to 30"),
        (lambda x: trivial_augment(jax.random.key(0), x, bins=1), "trivial_augment: bins=1 must be at least 2"),
        (lambda x: apply_operation(x, jnp.zeros(1), 0.0), "apply_operation: operation is float32.1.; give integers"),
    ],
)
def test_policy_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.zeros((1, 5, 5, 3)))
