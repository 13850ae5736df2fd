"""Image filters: kernels against the textbook, responses against SciPy's, the separable route against the dense one."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.functional import filters
from tests.reference import conv as oracle
from tests.reference.arrays import integers, normal

ANGLES = [0, 90, 180, 270, 360, -90, 450]
DENSE = {
    "prewitt": (filters.prewitt, filters.edge_kernel(90)),
    "sobel": (filters.sobel, filters.edge_kernel(90, operator="sobel")),
    "scharr": (filters.scharr, filters.edge_kernel(90, operator="scharr")),
    "edge": (lambda x, **p: filters.edge(x, 22, **p), filters.edge_kernel(22)),
    "line": (lambda x, **p: filters.line(x, 70, size=5, **p), filters.line_kernel(70, size=5)),
    "laplacian": (filters.laplacian, np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])),
    "laplacian diagonal": (
        lambda x, **p: filters.laplacian(x, diagonal=True, **p),
        np.array([[1, 1, 1], [1, -8, 1], [1, 1, 1]]),
    ),
    "box": (lambda x, **p: filters.box(x, 4, **p), np.full((4, 4), 1 / 16)),
    "gaussian": (lambda x, **p: filters.gaussian(x, 0.7, **p), np.outer(*[filters.gaussian_kernel(0.7)] * 2)),
    "sharpen": (lambda x, **p: filters.sharpen(x, 0.5, **p), np.array([[0, -0.5, 0], [-0.5, 3, -0.5], [0, -0.5, 0]])),
    "apply": (lambda x, **p: filters.apply(x, np.arange(6).reshape(3, 2), **p), np.arange(6).reshape(3, 2)),
}


def response(x, kernel, pairs, mode):
    """The oracle, channel by channel."""
    words = {"stride": (1, 1), "dilation": (1, 1), "pairs": pairs, "mode": mode}
    each = [oracle.conv(x[..., [c]], kernel[:, :, None, None], **words) for c in range(x.shape[-1])]
    return np.concatenate(each, -1)


@pytest.mark.parametrize(("function", "kernel"), DENSE.values(), ids=DENSE)
def test_filter_slides_its_kernel(function, kernel):
    x = normal(2, 11, 13, 3).astype(np.float32)
    pairs = [((k - 1) // 2, k // 2) for k in kernel.shape]
    np.testing.assert_allclose(function(x), response(x, kernel, pairs, "replicate"), rtol=0, atol=5e-5)


@pytest.mark.parametrize("name", ["sobel", "edge", "gaussian", "line"])
def test_filter_takes_other_padding(name):
    function, kernel = DENSE[name]
    x = normal(2, 11, 13, 3).astype(np.float32)
    valid = response(x, kernel, [(0, 0), (0, 0)], "zeros")
    np.testing.assert_allclose(function(x, padding="valid"), valid, rtol=0, atol=5e-5)
    pairs = [((k - 1) // 2, k // 2) for k in kernel.shape]
    circular = response(x, kernel, pairs, "circular")
    np.testing.assert_allclose(function(x, padding_mode="circular"), circular, rtol=0, atol=5e-5)


@pytest.mark.parametrize("operator", ["prewitt", "sobel", "scharr"])
@pytest.mark.parametrize("angle", ANGLES)
def test_edge_separable_route_is_the_dense_one(operator, angle):
    x = jnp.asarray(integers(1, 7, 5, 2), jnp.float32)
    kernel = filters.edge_kernel(angle, operator=operator)
    np.testing.assert_array_equal(filters.edge(x, angle, operator=operator), filters.apply(x, kernel))


@pytest.mark.parametrize("angle", [10, 22, 45, 70, 110, 160])
def test_edge_answers_most_to_its_own_angle(angle):
    y, x = np.mgrid[10:-11:-1, -10:11]
    angles = np.arange(0, 180, 5)
    # a ramp that falls to the right of a line at that angle: bright left of dark, y upwards
    ramps = [(y * np.cos(np.radians(a)) - x * np.sin(np.radians(a)))[None, :, :, None] for a in angles]
    answers = [filters.scharr(jnp.asarray(r, jnp.float32), angle)[0, 10, 10, 0] for r in ramps]
    assert abs(angles[np.argmax(answers)] - angle) <= 2.5


def test_edge_absolute_takes_both_polarities():
    x = normal(1, 7, 5, 2).astype(np.float32)
    np.testing.assert_array_equal(filters.edge(x, absolute=True), np.abs(filters.edge(x)))
    np.testing.assert_array_equal(filters.edge(x, 270), -filters.edge(x, 90))


@pytest.mark.parametrize("name", ["sobel", "prewitt"])
def test_edge_matches_scipy(name):
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is an optional oracle")
    x = integers(7, 5).astype(np.float32)
    ours = getattr(filters, name)(x[None, :, :, None])[0, :, :, 0]
    np.testing.assert_array_equal(ours, -getattr(ndimage, name)(x, axis=1, mode="nearest"))


def test_gaussian_matches_scipy():
    ndimage = pytest.importorskip("scipy.ndimage", reason="SciPy is an optional oracle")
    x = normal(13, 11)
    expected = ndimage.gaussian_filter(x, 1.25, mode="nearest", truncate=4)
    actual = filters.gaussian(jnp.asarray(x, jnp.float32)[None, :, :, None], 1.25)[0, :, :, 0]
    np.testing.assert_allclose(actual, expected, atol=1e-6)


@pytest.mark.parametrize(("sigma", "size"), [(0.5, None), (1.0, 3), (2.0, 7), (3.3, None)])
def test_gaussian_kernel_is_its_formula(sigma, size):
    kernel = filters.gaussian_kernel(sigma, size=size)
    reach = len(kernel) // 2
    ratio = kernel / kernel[reach]
    assert len(kernel) == (size or 2 * int(np.ceil(4 * sigma)) + 1)
    np.testing.assert_allclose(kernel.sum(), 1, rtol=1e-14)
    np.testing.assert_allclose(ratio, [np.exp(-(d**2) / (2 * sigma**2)) for d in range(-reach, reach + 1)], rtol=1e-12)


@pytest.mark.parametrize(
    ("angle", "kernel"),
    [
        (0, [[0, 0, 0], [1, 1, 1], [0, 0, 0]]),
        (45, [[0, 0, 1], [0, 1, 0], [1, 0, 0]]),
        (90, [[0, 1, 0]] * 3),
        (135, [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        (180, [[0, 0, 0], [1, 1, 1], [0, 0, 0]]),
    ],
)
def test_line_kernel_known(angle, kernel):
    assert filters.line_kernel(angle).tolist() == kernel


@pytest.mark.parametrize("angle", [10, 30, 75, 100])
def test_line_kernel_runs_at_its_angle(angle):
    kernel = filters.line_kernel(angle, size=21)
    y, x = np.mgrid[10:-11:-1, -10:11]
    spread = np.cov(np.stack([x.ravel(), y.ravel()]), aweights=kernel.ravel())
    along = np.linalg.eigh(spread)[1][:, -1]
    assert abs(np.degrees(np.arctan2(along[1], along[0])) % 180 - angle) < 2


def test_gradient_magnitude_of_a_ramp():
    y, x = np.mgrid[:7, :5]
    ramp = jnp.asarray(3 * x + 4 * y, jnp.float32)[None, :, :, None]
    inner = filters.gradient_magnitude(ramp)[0, 1:-1, 1:-1, 0]
    np.testing.assert_allclose(inner, 8 * 5, rtol=1e-6)  # Sobel weighs a unit slope by 8


def test_edge_enhance_is_the_unsharp_mask():
    x = normal(1, 11, 13, 2).astype(np.float32)
    blurred = np.asarray(filters.gaussian(x, 2.0))
    np.testing.assert_allclose(filters.edge_enhance(x, 0.7, sigma=2.0), x + 0.7 * (x - blurred), atol=1e-6)


def test_apply_separable_is_apply_of_the_outer_product():
    x, column, row = jnp.asarray(integers(2, 7, 5, 3), jnp.float32), np.array([1, 2, 3]), np.array([5, -7])
    expected = filters.apply(x, np.outer(column, row))
    np.testing.assert_array_equal(filters.apply_separable(x, column, row), expected)
