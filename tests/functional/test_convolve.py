"""`convolve` against NumPy's and SciPy's convolution, which flip the kernel too."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference import conv as oracle
from tests.reference.arrays import integers
from tests.reference.padding import resolve


def single(grid):
    """One image, one channel; small integers, so that every sum is exact."""
    return jnp.asarray(grid, jnp.float32)[None, ..., None]


def kernel(grid):
    return jnp.asarray(grid, jnp.float32)[..., None, None]


@pytest.mark.parametrize("mode", ["full", "valid"])
@pytest.mark.parametrize("size", [1, 2, 3, 11])
def test_convolve_matches_numpy(mode, size):
    f, g = integers(11), integers(size, seed=1)
    np.testing.assert_array_equal(F.convolve(single(f), kernel(g), padding=mode)[0, :, 0], np.convolve(f, g, mode))


@pytest.mark.parametrize("mode", ["full", "valid", "same"])
@pytest.mark.parametrize("shapes", [((11,), (3,)), ((7, 5), (3, 1)), ((7, 5, 3), (3, 5, 1))])
def test_convolve_matches_scipy(mode, shapes):
    signal = pytest.importorskip("scipy.signal", reason="SciPy is an optional oracle")
    f, g = (integers(*shape) for shape in shapes)
    expected = signal.convolve(f, g, mode, method="direct")
    np.testing.assert_array_equal(F.convolve(single(f), kernel(g), padding=mode)[0, ..., 0], expected)


def test_convolve_is_commutative():
    f, g = integers(7, 5), integers(3, 2)
    np.testing.assert_array_equal(F.convolve(single(f), kernel(g)), F.convolve(single(g), kernel(f)))


def test_convolve_takes_the_options_of_conv():
    x, k, bias = (integers(*shape) for shape in [(2, 7, 5, 6), (3, 2, 3, 8), (8,)])
    options = {"stride": (2, 1), "padding": ((3, 1), (0, 2)), "dilation": (1, 2)}
    arrays = [jnp.asarray(v, jnp.int32) for v in (x, k, bias)]
    actual = F.convolve(*arrays, groups=2, padding_mode="reflect", **options)
    words = resolve((7, 5), (3, 2), **options)
    np.testing.assert_array_equal(actual, oracle.conv(x, k[::-1, ::-1], bias, groups=2, mode="reflect", **words))
