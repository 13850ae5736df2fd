"""`affine` against SciPy's float64 `affine_transform`; `random_affine`."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.augment import affine, random_affine

X = np.random.default_rng(0).random((3, 7, 5, 2)).astype(np.float32)


@pytest.mark.parametrize(("degrees", "shift"), [(0, (0, 0)), (0, (1.5, -0.25)), (30, (0, 0)), (-75, (0.5, 2))])
def test_affine_agrees_with_scipy(degrees, shift):
    ndimage = pytest.importorskip("scipy.ndimage")
    angle = np.deg2rad(degrees)
    matrix = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    y = affine(jnp.asarray(X), jnp.asarray(np.stack([matrix] * 3), jnp.float32), jnp.array([shift] * 3, jnp.float32))
    middle = (np.array(X.shape[1:3]) - 1) / 2
    offset = middle - matrix @ (middle + shift)
    for n, c in np.ndindex(3, 2):
        expected = ndimage.affine_transform(X[n, ..., c].astype(np.float64), matrix, offset, order=1, mode="nearest")
        np.testing.assert_allclose(y[n, ..., c], expected, atol=2e-5)


def test_affine_quarter_turn_is_exact():
    square = jnp.asarray(X[:, :5])
    y = affine(square, jnp.array([[[0.0, 1.0], [-1.0, 0.0]]] * 3), jnp.zeros((3, 2)))
    np.testing.assert_allclose(y, np.rot90(square, 1, (1, 2)), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: affine(X[0], jnp.eye(2), jnp.zeros(2)), "affine: x is float32"),
        (lambda: affine(X, jnp.eye(2)[None], jnp.zeros((3, 2))), "affine: matrix is float32.* must have the shape"),
        (lambda: random_affine(jax.random.key(0), X, scale=-2), "random_affine: scale=-2 must be above -1"),
        (lambda: random_affine(jax.random.key(0), X[0]), "random_affine: x is float32"),
    ],
)
def test_affine_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_random_affine_without_amounts_is_the_identity():
    np.testing.assert_allclose(random_affine(jax.random.key(0), jnp.asarray(X)), X, atol=1e-6)


def test_random_affine_differs_between_images_and_keys():
    x = jnp.asarray(np.stack([X[0]] * 2))
    first, second = (random_affine(jax.random.key(i), x, degrees=20, translate=0.2) for i in (0, 1))
    assert not np.allclose(first[0], first[1])
    assert not np.allclose(first, second)
    np.testing.assert_array_equal(first, random_affine(jax.random.key(0), x, degrees=20, translate=0.2))
