"""The network of airbench94: published count, whitening against an eigen-decomposition in float64, the whole against PyTorch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models
from jaxcnn.models.airbench import identity_first

RNG = np.random.default_rng(0)


def test_airbench_parameters():
    model = nnx.eval_shape(lambda: models.create("airbench", rngs=nnx.Rngs(0)))
    assert sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param))) == 1_971_352
    assert model.filters.shape == (2, 2, 3, 24)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_whitening_filters_are_scaled_eigenvectors(size):
    mixing = RNG.normal(size=(3, 3))
    images = (RNG.normal(size=(5, 11, 7, 3)) @ mixing + 0.3).astype(np.float32)
    count = size * size * 3
    windows = np.lib.stride_tricks.sliding_window_view(images.astype(np.float64), (size, size), (1, 2))
    patches = np.moveaxis(windows, 3, -1).reshape(-1, count)  # rows, columns, channels of a patch
    values, vectors = np.linalg.eigh(patches.T @ patches / len(patches))
    filters = np.asarray(models.whitening_filters(images, size=size, epsilon=0.01), np.float64).reshape(
        count, 2 * count
    )
    np.testing.assert_array_equal(filters[:, count:], -filters[:, :count])
    for i in range(count):
        value, vector, ours = values[-1 - i], vectors[:, -1 - i], filters[:, i]
        np.testing.assert_allclose(
            np.outer(ours, ours), np.outer(vector, vector) / (value + 0.01), rtol=2e-3, atol=2e-3
        )


def test_whitening_filters_whiten():
    images = (RNG.normal(size=(6, 13, 11, 3)) @ RNG.normal(size=(3, 3))).astype(np.float32)
    filters = models.whitening_filters(images, epsilon=0.0)
    y = jax.lax.conv_general_dilated(images, filters, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    flat = np.asarray(y, np.float64).reshape(-1, 24)[:, :12]
    np.testing.assert_allclose(flat.T @ flat / len(flat), np.eye(12), atol=1e-3)


@pytest.mark.parametrize("size", [0, 6])
def test_whitening_filters_refuse(size):
    with pytest.raises(
        ValueError, match=rf"whitening_filters: the images are \(2, 7, 5, 3\); patches of {size}×{size} do"
    ):
        models.whitening_filters(jnp.zeros((2, 7, 5, 3)), size=size)


def test_identity_first_passes_its_channels():
    kernel = identity_first(jax.random.key(0), (3, 3, 5, 7))
    x = RNG.normal(size=(2, 4, 6, 5)).astype(np.float32)
    y = jax.lax.conv_general_dilated(x, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    np.testing.assert_allclose(y[..., :5], x, rtol=1e-5, atol=1e-6)
    rest = np.abs(np.asarray(kernel[..., 5:]))
    assert 0.1 < rest.max() <= 45**-0.5  # uniform within 1/√(3·3·5)


def test_airbench_equals_pytorch():
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    model = models.create("airbench", widths=(5, 7, 11), num_classes=3, rngs=nnx.Rngs(1))
    for group in model.groups:  # the identity would hide an axis in the wrong place
        group.conv2.kernel[...] = jnp.asarray(RNG.normal(size=group.conv2.kernel.shape) / 5, jnp.float32)
        group.norm1.bias[...] = jnp.asarray(RNG.normal(size=group.norm1.bias.shape), jnp.float32)
    model.whitening_bias[...] = jnp.asarray(RNG.normal(size=24), jnp.float32)
    x = RNG.normal(size=(4, 32, 32, 3)).astype(np.float32)
    array = lambda values: torch.tensor(np.asarray(values[...], np.float64))
    kernel = lambda values: array(values).permute(3, 2, 0, 1)

    def normalised(z, norm):
        moments = torch.zeros_like(array(norm.bias)), torch.ones_like(array(norm.bias))
        return f.batch_norm(z, *moments, None, array(norm.bias), training=True, eps=1e-12)

    z = torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2)
    z = f.gelu(f.conv2d(z, kernel(model.filters), array(model.whitening_bias)))
    for group in model.groups:
        z = f.max_pool2d(f.conv2d(z, kernel(group.conv1.kernel), padding="same"), 2)
        z = f.conv2d(f.gelu(normalised(z, group.norm1)), kernel(group.conv2.kernel), padding="same")
        z = f.gelu(normalised(z, group.norm2))
    expected = f.max_pool2d(z, 3).flatten(1) @ array(model.logits.kernel) / 9
    np.testing.assert_allclose(model(x, train=True), expected.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(model.groups[0].norm1.momentum, 0.4)
