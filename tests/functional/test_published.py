"""Answers that cs231n publishes for its convolution, pooling and batch normalisation exercises."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F


@pytest.fixture
def answers(shared):
    """The published numbers, by exercise."""
    return json.loads((shared / "data/worked_examples/cs231n_expected.json").read_text())


def images(start, stop, *shape):
    """The exercises' inputs: evenly spaced numbers, channels first, here turned to channels last."""
    x = np.linspace(start, stop, int(np.prod(shape))).reshape(shape)
    return F.to_channels_last(jnp.asarray(x, jnp.float32))


def test_conv_gives_the_published_answer(answers):
    kernel = jnp.moveaxis(jnp.linspace(-0.2, 0.3, 144).reshape(3, 3, 4, 4), (0, 1), (3, 2))  # OIHW to HWIO
    y = F.conv2d(images(-0.1, 0.5, 2, 3, 4, 4), kernel, jnp.linspace(-0.1, 0.2, 3), stride=2, padding=1)
    np.testing.assert_allclose(F.to_channels_first(y), answers["conv2d"]["out"], rtol=1e-5, atol=1e-6)


def test_max_pool_gives_the_published_answer(answers):
    y = F.max_pool2d(images(-0.3, 0.4, 2, 3, 4, 4), 2, stride=2)
    np.testing.assert_allclose(F.to_channels_first(y), answers["max_pool2d"]["out"], rtol=1e-5, atol=1e-8)


def test_batch_norm_gives_the_published_moments(answers):
    published = answers["spatial_batchnorm_train"]
    x = 4 * np.random.RandomState(231).randn(2, 3, 4, 5) + 10
    x = F.to_channels_last(jnp.asarray(x, jnp.float32))
    mean, variance = F.moments(x)
    np.testing.assert_allclose(mean, published["x_means"], rtol=1e-6)
    np.testing.assert_allclose(jnp.sqrt(variance), published["x_stds"], rtol=1e-6)
    scale, bias = (jnp.array(published[name], jnp.float32) for name in ("gamma", "beta"))
    out_mean, out_variance = F.moments(F.batch_norm(x, mean, variance, scale, bias, epsilon=published["eps"]))
    np.testing.assert_allclose(out_mean, published["out_means"], rtol=1e-6)
    np.testing.assert_allclose(jnp.sqrt(out_variance), published["out_stds"], rtol=1e-6)
