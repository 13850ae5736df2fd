"""`roi_pool`, `ps_roi_pool` and `ps_roi_align` against float64 oracles and numbers of torchvision 0.29; gradients; edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference import roi_align, roi_pool
from tests.reference.arrays import distinct, normal

X = np.asarray(distinct(3, 7, 5, 12), np.float64)
BOXES = {
    "inside": [0.3, 1.1, 5.9, 4.2],
    "image": [0, 0, 7, 5],
    "small": [2.2, 1.3, 2.7, 1.4],
    "halves": [0.5, 1.5, 2.5, 3.5],
    "turned": [5.0, 4.0, 1.3, 1.2],
    "over the edge": [-1.7, -0.4, 3.1, 4.3],
    "outside": [9.0, -6.0, 12.0, -3.0],
    "larger than the image": [-9.0, -8.0, 21.0, 17.0],
}
ALL, INDEX = np.array(list(BOXES.values())), np.array([0, 1, 2, 0, 1, 2, 0, 1])
OPERATIONS = {
    "roi_pool": (F.roi_pool, roi_pool.roi_pool),
    "ps_roi_pool": (F.ps_roi_pool, roi_pool.ps_roi_pool),
    "ps_roi_align": (
        lambda *args, **options: F.ps_roi_align(*args, sampling_ratio=2, **options),
        lambda *args, **options: roi_align.ps_roi_align(*args, sampling_ratio=2, **options),
    ),
}

# of torchvision 0.29 in float64: the last channel of x below, and the gradient along a direction
TORCHVISION = {
    "roi_pool": (
        [0.96858571, 0.96858571, 0.94515544, 0.94515544, 0.79099538, 0.9304097]
        + [0.73862287, 0.95713347, 0.9304097, 0.9304097, 0.97751741, 0.97751741],
        2.3525924191039387,
    ),
    "ps_roi_pool": (
        [0.99482679, -0.87287896, -0.99717102, 0.94515544, 0.4508418, -0.80078342]
        + [-0.62583372, 0.86070254, 0.82180066, -0.98040903, -0.73615266, 0.94377158],
        0.7555484952062286,
    ),
    "ps_roi_align": (
        [0.86425452, -0.87445704, -0.83874635, 0.88375721, 0.43331229, -0.70587918]
        + [-0.57910128, 0.77687736, 0.42292399, -0.42559668, -0.79467364, 0.86902656],
        -0.02499743354259973,
    ),
}


@pytest.fixture(autouse=True)
def float64():
    """Compared in double precision."""
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize(("scale", "bins"), [(1.0, (2, 3)), (0.5, (3, 2)), (1.0, (1, 1))], ids=str)
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_box_is_its_formula(name, scale, bins):
    ours, oracle = OPERATIONS[name]
    y = ours(jnp.asarray(X), jnp.asarray(ALL), jnp.asarray(INDEX), bins, spatial_scale=scale)
    expected = oracle(X, ALL, INDEX, bins, spatial_scale=scale)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", OPERATIONS)
def test_gradient_in_the_image_is_the_difference(name):
    ours, oracle = OPERATIONS[name]
    weights, direction = normal(8, 2, 3, oracle(X, ALL, INDEX, (2, 3)).shape[-1]), normal(*X.shape, seed=1)
    loss = lambda x: jnp.sum(weights * ours(x, jnp.asarray(ALL), jnp.asarray(INDEX), (2, 3)))
    gradient, step = jax.jit(jax.grad(loss))(jnp.asarray(X)), 2.0**-20  # less than distinct numbers are apart
    above, below = (np.sum(weights * oracle(X + s * direction, ALL, INDEX, (2, 3))) for s in (step, -step))
    np.testing.assert_allclose(np.vdot(gradient, direction), (above - below) / (2 * step), rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", OPERATIONS)
def test_numbers_are_those_of_torchvision(name):
    x = np.sin(np.arange(2 * 5 * 6 * 8) * 1.7).reshape(2, 5, 6, 8)
    boxes = jnp.array([[0.6, 1.2, 3.1, 3.8], [1.0, 0.0, 2.4, 4.2], [-1.5, 2.0, 3.4, 3.9]])
    pooled = lambda x: OPERATIONS[name][0](x, boxes, jnp.array([0, 1, 1]), 2, spatial_scale=0.9)
    y, pull = jax.vjp(pooled, jnp.asarray(x))
    weights = np.cos(np.arange(y.size)).reshape(3, y.shape[-1], 2, 2)
    (dx,) = pull(jnp.moveaxis(jnp.asarray(weights), 1, -1))
    values, slope = TORCHVISION[name]
    np.testing.assert_allclose(y[..., -1].ravel(), values, rtol=0, atol=6e-9)
    np.testing.assert_allclose(np.vdot(dx, np.cos(3 * np.arange(x.size)).reshape(x.shape)), slope, rtol=1e-12)


def test_bins_are_found_in_whole_numbers():
    """In float32 7 · (10 / 7) is above 10, which would add a row to the last bin."""
    x = jnp.arange(20.0).reshape(1, 20, 1, 1)
    y = F.roi_pool(x, jnp.array([[0.0, 0.0, 9.0, 0.0]]), jnp.array([0]), (7, 1))
    assert y.ravel().tolist() == [1.0, 2.0, 4.0, 5.0, 7.0, 8.0, 9.0]


def test_equal_pixels_send_the_gradient_to_the_first():
    x, box = jnp.ones((1, 3, 3, 1)), jnp.array([[0.0, 1.0, 2.0, 2.0]])
    dx = jax.grad(lambda x: F.roi_pool(x, box, jnp.array([0]), 1).sum())(x)
    assert dx[0, :, :, 0].tolist() == [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def test_nan_is_the_largest_and_minus_infinity_a_number():
    x = jnp.asarray([[1.0, np.nan, 5.0, -np.inf]]).reshape(1, 1, 4, 1)
    y = F.roi_pool(x, jnp.array([[0.0, 0.0, 0.0, 2.0], [0.0, 3.0, 0.0, 3.0]]), jnp.array([0, 0]), 1)
    np.testing.assert_array_equal(y.ravel(), [np.nan, -np.inf])


def test_last_row_and_column_count():
    x = jnp.zeros((1, 3, 3, 1)).at[0, 2, 2, 0].set(9.0)
    assert F.ps_roi_pool(x, jnp.array([[0.0, 0.0, 3.0, 3.0]]), jnp.array([0]), 1).item() == 1.0


@pytest.mark.parametrize("name", OPERATIONS)
def test_box_of_no_image_is_nan_inside_jit(name):
    pooled = jax.jit(lambda x, index: OPERATIONS[name][0](x, jnp.asarray(ALL[:4]), index, (2, 3)))
    y = pooled(jnp.asarray(X), jnp.array([0, -1, 3, 2]))
    np.testing.assert_array_equal(np.isnan(y).all((1, 2, 3)), [False, True, True, False])
    assert F.roi_pool(jnp.asarray(X[:0]), jnp.zeros((0, 4)), jnp.zeros(0, int), (2, 3)).shape == (0, 2, 3, 12)
