"""`resize`: what sees what, gradients in 16 bits, and long lines in little memory."""

from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.functional.test_resize import NAMES, OPTIONS
from tests.reference.arrays import normal
from tests.reference.resize import resize as oracle

CHANGES = [(8, 16), (16, 8), (9, 14), (14, 9), (64, 3), (3, 64), (5, 1), (1, 5), (13, 12)]


def weights(n, m, options):
    """The matrix (m, n): what the oracle makes of each pixel alone; rounding errors are no weights."""
    matrix = oracle(np.eye(n)[..., None], (m,), **options)[..., 0].T
    return np.where(np.abs(matrix) < 1e-12, 0, matrix)


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_one_pixel_reaches_the_outputs_in_which_it_has_a_weight(options):
    for (n, m), value in product(CHANGES, [np.nan, np.inf, -np.inf]):
        seen = weights(n, m, options) != 0
        lines = jnp.where(jnp.eye(n, dtype=bool), value, jnp.asarray(normal(n), jnp.float32))[..., None]  # (n, n, 1)
        y = np.asarray(F.resize(lines, m, **options))[..., 0]
        np.testing.assert_array_equal(np.isfinite(y), ~seen.T)
        g = jnp.where(jnp.eye(m, dtype=bool), value, jnp.asarray(normal(m), jnp.float32))[..., None]
        (dx,) = jax.vjp(partial(F.resize, output_size=m, **options), jnp.zeros((m, n, 1)))[1](g)
        np.testing.assert_array_equal(np.isfinite(dx[..., 0]), ~seen)


def test_one_nan_pixel_of_a_plane():
    x = jnp.ones((1, 16, 16, 1)).at[0, 5, 5].set(jnp.nan)
    assert int(jnp.isnan(F.resize(x, 32)).sum()) == 16
    assert int(jnp.isnan(F.resize(x, 32, method="cubic")).sum()) == 64
    assert int(jnp.isnan(F.resize(x, 8, antialias=True)).sum()) == 4
    assert int(jnp.isnan(F.resize(x, 8, method="area")).sum()) == 1


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_gradient_is_the_transposed_matrix(options):
    for n, m in [*CHANGES, (200, 7), (7, 200)]:
        g = normal(2, m, 3).astype(np.float32)
        (dx,) = jax.vjp(partial(F.resize, output_size=m, **options), jnp.zeros((2, n, 3)))[1](jnp.asarray(g))
        expected = np.einsum("amc,mn->anc", g, weights(n, m, options))
        np.testing.assert_allclose(dx, expected, rtol=1e-5, atol=1e-5 * max(1, m / n))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_gradient_of_16_bits_is_added_in_float32(options, dtype):
    """Ones over 4,000 outputs of 3 pixels: [1334, 1333, 1333] by the nearest methods."""
    slope = lambda dtype: jax.grad(lambda x: F.resize(x, 4_000, **options).astype(jnp.float32).sum())(
        jnp.ones((1, 3, 1), dtype)
    )
    np.testing.assert_allclose(slope(dtype).astype(jnp.float32), slope("float32"), rtol=float(jnp.finfo(dtype).eps) / 2)


def test_gradient_of_nearest_counts_the_copies():
    slope = jax.grad(lambda x: F.resize(x, 4_000, method="nearest").sum())(jnp.ones((1, 3, 1)))
    assert slope[0, :, 0].tolist() == [1334, 1333, 1333]


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
@pytest.mark.parametrize(("n", "m"), [(4_801, 7), (7, 4_801), (501, 499), (200, 600)])
def test_long_line_is_its_formula(n, m, options):
    x = normal(1, n, 2).astype(np.float32)
    np.testing.assert_allclose(F.resize(jnp.asarray(x), m, **options), oracle(x, (m,), **options), atol=1e-5)


LONG = {
    "up": (160_000, 480_000, {}),
    "cubic": (160_000, 480_000, {"method": "cubic"}),
    "smooth": (8_000, 16_000, {"antialias": True}),
    "down": (480_000, 160_000, {"antialias": True}),
    "to few": (48_000, 7, {"method": "area"}),
    "to few, smooth": (48_000, 7, {"method": "cubic", "antialias": True}),
    "from few": (7, 48_000, {"method": "linear", "align_corners": True}),
    "nearest": (48_000, 47_999, {"method": "nearest"}),
}


@pytest.mark.parametrize(("n", "m", "options"), LONG.values(), ids=LONG)
def test_long_line_takes_little_memory(n, m, options):
    """Beside the line, its result and a few tables of about as many numbers; the matrix of the first row has 307 GB."""
    x = jax.ShapeDtypeStruct((1, n, 1), "float32")
    forward = lambda x: F.resize(x, m, **options)
    for function in (forward, jax.grad(lambda x: forward(x).sum())):
        compiled = jax.jit(function).lower(x).compile()
        assert compiled.memory_analysis().temp_size_in_bytes < 24 * (n + m)


@pytest.mark.parametrize("options", OPTIONS, ids=NAMES)
def test_derivatives_of_all_modes_agree(options):
    x, t = jnp.asarray(normal(2, 7, 11, 2), jnp.float32), jnp.asarray(normal(2, 7, 11, 2, seed=1), jnp.float32)
    f = lambda x: F.resize(x, (12, 5), **options)
    y, dy = jax.jvp(f, (x,), (t,))
    np.testing.assert_allclose(dy, f(t), atol=1e-5)
    g = jnp.asarray(normal(*y.shape, seed=2), jnp.float32)
    assert jnp.vdot(jax.vjp(f, x)[1](g)[0], t) == pytest.approx(float(jnp.vdot(g, dy)), rel=1e-4, abs=1e-4)
    np.testing.assert_allclose(jax.vmap(f, 1, 1)(x[:, None]), y[:, None], atol=1e-6)
    curved = lambda x: jnp.sin(f(x)).sum()
    along = jax.jvp(jax.grad(curved), (x,), (t,))[1]
    np.testing.assert_allclose(along, jax.vjp(f, x)[1](-jnp.sin(y) * dy)[0], atol=1e-5)
