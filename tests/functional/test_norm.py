"""`moments` and `batch_norm` against their formulas in float64."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference.arrays import normal


@pytest.mark.parametrize("shape", [(17, 3), (2, 11, 3), (2, 7, 5, 3), (2, 5, 3, 7, 2)])
def test_moments_are_mean_and_biased_variance(shape):
    x = normal(*shape).astype(np.float32)
    axes = tuple(range(len(shape) - 1))
    mean, variance = F.moments(x)
    np.testing.assert_allclose(mean, x.mean(axes, dtype=np.float64), atol=1e-6)
    np.testing.assert_allclose(variance, x.astype(np.float64).var(axes), rtol=1e-5)


def test_batch_norm_does_not_cancel_at_a_large_mean():
    x = (1e4 + 0.1 * normal(64, 7, 5, 3)).astype(np.float32)
    mean, variance = F.moments(x)
    exact = x.astype(np.float64)
    # the mean is a float32 near 1e4, spacing 2^-10: it may be off by 1e-3, one hundredth of the deviation of 0.1
    np.testing.assert_allclose(variance, exact.var((0, 1, 2)), rtol=1e-3)
    y = np.asarray(F.batch_norm(x, mean, variance, epsilon=0.0))
    np.testing.assert_allclose(y.std((0, 1, 2)), 1, rtol=1e-3)
    np.testing.assert_allclose(y.mean((0, 1, 2)), 0, atol=2e-2)


@pytest.mark.parametrize("words", [(), ("scale",), ("bias",), ("scale", "bias")], ids=str)
def test_batch_norm_is_its_formula(words):
    x, mean, variance = normal(2, 7, 5, 3), normal(3), normal(3, seed=1) ** 2
    affine = {"scale": normal(3, seed=2), "bias": normal(3, seed=3)}
    full = {"scale": np.ones(3), "bias": np.zeros(3)} | {word: affine[word] for word in words}
    expected = (x - mean) / np.sqrt(variance + 1e-3) * full["scale"] + full["bias"]
    given = {word: jnp.asarray(affine[word], jnp.float32) for word in words}
    actual = F.batch_norm(*(jnp.asarray(v, jnp.float32) for v in (x, mean, variance)), epsilon=1e-3, **given)
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_moments_of_bfloat16_are_float32():
    x = jnp.asarray(normal(64, 3) + 3, jnp.bfloat16)
    mean, variance = F.moments(x)
    exact = np.asarray(x, np.float64)
    assert (mean.dtype, variance.dtype) == (jnp.float32, jnp.float32)
    np.testing.assert_allclose(mean, exact.mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, exact.var(0), rtol=1e-5)


def test_batch_norm_of_bfloat16_computes_in_float32():
    x, statistics = jnp.asarray([[130.0], [131.0]], jnp.bfloat16), (jnp.array([130.3]), jnp.array([1.0]))
    expected = np.array([[-0.3], [0.7]]) / np.sqrt(1 + 1e-5)  # in bfloat16 the mean itself would be 130
    np.testing.assert_allclose(np.asarray(F.batch_norm(x, *statistics), np.float64), expected, rtol=2.0**-8)


def test_batch_norm_of_bfloat16_moments_computes_in_float32():
    x, one = jnp.asarray([[131.0]], jnp.bfloat16), jnp.ones(1, jnp.bfloat16)
    y = F.batch_norm(x, 128 * one, 3 * one, 7 * one, one)
    np.testing.assert_allclose(np.asarray(y, np.float64), [[1 + 3 * 7 / np.sqrt(3 + 1e-5)]], rtol=2.0**-8)


def test_training_on_cpu_writes_no_centred_map():
    """Maps written, forward and back: y, the cotangent behind the ReLU and dx, but neither x − mean nor a map of means."""

    def layer(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
        return jnp.maximum(F.batch_norm(x, *F.moments(x), scale, bias), 0)

    def both(x: jax.Array, scale: jax.Array, bias: jax.Array, g: jax.Array):
        y, back = jax.vjp(layer, x, scale, bias)
        return y, back(g)

    shape = (8, 28, 28, 64)
    arguments = (jax.ShapeDtypeStruct(s, jnp.float32) for s in (shape, shape[-1:], shape[-1:], shape))
    text = jax.jit(both).lower(*arguments).compile().as_text() or ""
    written = re.findall(r"= f32\[8,28,28,64\]\S* (?!parameter)[\w-]+\(", text[text.index("ENTRY") :])
    assert len(written) == 3
