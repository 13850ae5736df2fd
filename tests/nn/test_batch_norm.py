"""`BatchNorm` against float64 formulas and PyTorch: the faults of upstream.md pinned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import nn

RNG = np.random.default_rng(5)
X = RNG.normal(3.0, 2.0, (3, 5, 7, 4)).astype(np.float32)


def test_batch_norm_training_normalises_with_batch_moments():
    layer = nn.BatchNorm(4, rngs=nnx.Rngs(0))
    wide = X.astype(np.float64)
    expected = (wide - wide.mean((0, 1, 2))) / np.sqrt(wide.var((0, 1, 2)) + 1e-5)
    np.testing.assert_allclose(layer(jnp.asarray(X), train=True), expected, rtol=2e-5, atol=2e-5)


def test_batch_norm_running_variance_is_unbiased():
    layer = nn.BatchNorm(4, momentum=0.1, rngs=nnx.Rngs(0))
    layer(jnp.asarray(X), train=True)
    wide = X.astype(np.float64)
    np.testing.assert_allclose(layer.var[...], 0.9 + 0.1 * wide.var((0, 1, 2), ddof=1), rtol=1e-5)
    np.testing.assert_allclose(layer.mean[...], 0.1 * wide.mean((0, 1, 2)), rtol=1e-5)


def test_batch_norm_does_not_cancel():
    x = jnp.asarray(RNG.normal(1e4, 0.1, (64, 8, 8, 2)).astype(np.float32))
    y = nn.BatchNorm(2, rngs=nnx.Rngs(0))(x, train=True)
    assert abs(float(jnp.std(y)) - 1) < 0.01  # E[x²] − E[x]² gives 18.6 here (measured on Flax)


def test_batch_norm_evaluation_leaves_statistics():
    layer = nn.BatchNorm(4, rngs=nnx.Rngs(0))
    before = np.asarray(layer.mean[...])
    y = layer(jnp.asarray(X), train=False)
    np.testing.assert_array_equal(layer.mean[...], before)
    np.testing.assert_allclose(y, X / np.sqrt(1 + 1e-5), rtol=1e-5)


def test_batch_norm_keeps_bfloat16_with_float32_statistics():
    layer = nn.BatchNorm(4, rngs=nnx.Rngs(0))
    assert layer(jnp.asarray(X, jnp.bfloat16), train=True).dtype == jnp.bfloat16
    assert layer.var[...].dtype == jnp.float32


def test_batch_norm_agrees_with_torch():
    torch = pytest.importorskip("torch")
    theirs = torch.nn.BatchNorm2d(4)
    ours = nn.BatchNorm(4, rngs=nnx.Rngs(0))
    scale, bias = RNG.normal(size=4).astype(np.float32), RNG.normal(size=4).astype(np.float32)
    theirs.weight.data, theirs.bias.data = torch.tensor(scale), torch.tensor(bias)
    ours.scale[...], ours.bias[...] = jnp.asarray(scale), jnp.asarray(bias)
    for _ in range(3):
        expected = theirs(torch.tensor(X).permute(0, 3, 1, 2)).detach().permute(0, 2, 3, 1).numpy()
        np.testing.assert_allclose(ours(jnp.asarray(X), train=True), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours.var[...], theirs.running_var.numpy(), rtol=1e-5)
    np.testing.assert_allclose(ours.mean[...], theirs.running_mean.numpy(), rtol=1e-5)


def test_batch_norm_gradient_matches_finite_differences():
    x = jnp.asarray(X[:, :1, :2])
    layer = nn.BatchNorm(4, rngs=nnx.Rngs(0))
    graphdef, state = nnx.split(layer)
    weights = jnp.asarray(RNG.normal(size=x.shape).astype(np.float32))
    f = lambda x: jnp.vdot(weights, nnx.merge(graphdef, state, copy=True)(x, train=True))
    direction = jnp.asarray(RNG.normal(size=x.shape).astype(np.float32))
    slope = (f(x + 1e-2 * direction) - f(x - 1e-2 * direction)) / 2e-2
    np.testing.assert_allclose(jnp.vdot(jax.grad(f)(x), direction), slope, rtol=2e-2)
