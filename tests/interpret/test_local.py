"""What occlusion computes for the changed units alone equals the whole network, in every kind of operation, and is a part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx

from jaxcnn import functional as F
from jaxcnn import models
from jaxcnn.interpret import occlusion
from jaxcnn.interpret._local import Local

KEY = jax.random.key(0)
STARTS = np.array([[0, 0], [3, 8], [16, 15], [29, 30], [31, 2]])
SIZE = (5, 4)
kernel = lambda *shape: jax.random.normal(jax.random.key(sum(shape)), shape) / 4
relu = jax.nn.relu

OPERATIONS = {
    "padded": lambda x: relu(F.conv(x, kernel(3, 5, 3, 4), padding="same")),
    "strided": lambda x: F.conv(F.conv(x, kernel(3, 3, 3, 4), stride=2, padding="same"), kernel(2, 3, 4, 2), stride=2),
    "one pixel of three": lambda x: F.conv(x, kernel(1, 1, 3, 4), stride=3),
    "dilated": lambda x: F.conv(x, kernel(3, 3, 3, 4), dilation=2, padding=((3, 1), (0, 2))),
    "cropped": lambda x: F.conv(x, kernel(3, 3, 3, 4), padding=((-2, -1), (-3, 0))),
    "depthwise": lambda x: F.depthwise_conv(x, kernel(3, 3, 3, 1)),
    "grouped": lambda x: F.conv(F.conv(x, kernel(1, 1, 3, 4)), kernel(3, 3, 2, 6), groups=2),
    "max": lambda x: F.max_pool(x - 9, 3, stride=2, padding=1),
    "min": lambda x: F.min_pool(x + 9, 3, stride=2, padding="same"),
    "ragged": lambda x: F.max_pool(x, 3, stride=2, ceil_mode=True),
    "mean": lambda x: F.avg_pool(x, (2, 3), stride=(2, 1), padding=1),
    "residual": lambda x: relu(x + F.conv(F.conv(x, kernel(3, 3, 3, 5)), kernel(3, 3, 5, 3))),
    "concatenated": lambda x: jnp.concatenate([F.conv(x, kernel(1, 1, 3, 2)), F.conv(x, kernel(5, 5, 3, 2))], -1),
    "normalised": lambda x: F.batch_norm(x, jnp.arange(3.0), jnp.ones(3), 1 + jnp.arange(3.0), jnp.ones(3)),
    "placed": lambda x: x * jnp.arange(36.0)[:, None, None] + kernel(36, 36, 3),
    "spread": lambda x: x + jnp.broadcast_to(jnp.arange(3.0), x.shape),
    "channels": lambda x: F.channel_shuffle(F.conv(x, kernel(3, 3, 3, 6)), 3),
    "dense": lambda x: relu(x @ kernel(3, 7)) @ kernel(7, 2),
    "split": lambda x: jnp.split(F.conv(x, kernel(3, 3, 3, 6)), 2, -1)[1],
    "flax": lambda x: linen.max_pool(linen.relu(jax.lax.conv_general_dilated(
        x, kernel(3, 3, 3, 4), (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))), (2, 2), (2, 2)),
    "gated": lambda x: F.conv(x, kernel(3, 3, 3, 4)) * jax.nn.sigmoid(F.global_avg_pool(x) @ kernel(3, 4))[:, None, None],
    "enlarged": lambda x: F.conv(F.resize(F.max_pool(x, 2), 36), kernel(3, 3, 3, 4)),
    "transposed": lambda x: F.conv_transpose(x, kernel(3, 3, 4, 3), stride=2),
    "flattened": lambda x: F.max_pool(x, 2).reshape(len(x), -1) @ kernel(18 * 18 * 3, 2),
}  # fmt: skip
WHOLE = {"cropped", "gated", "enlarged", "transposed", "flattened", "flax"}  # their results come from a whole map


@pytest.fixture(scope="module")
def x():
    return jax.random.normal(KEY, (2, 36, 36, 3))


def changed(x):
    """The images with other numbers in each of the rectangles, cut at the border."""
    other, out = jax.random.normal(jax.random.key(1), x.shape), []
    for y, left in STARTS:
        inside = (slice(None), slice(y, y + SIZE[0]), slice(left, left + SIZE[1]))
        out.append(x.at[inside].set(other[inside]))
    return jnp.stack(out)


@pytest.mark.parametrize("name", OPERATIONS)
def test_patches_equal_the_whole(name, x):
    function, parts = OPERATIONS[name], {}

    def run(x, images):
        local = Local(function, x, STARTS, SIZE)
        parts.update(result=local.patches[local.jaxpr.outvars[0]])
        return jax.vmap(local.changed)(jnp.arange(len(STARTS)), images)

    expected = np.stack([function(one) for one in changed(x)])
    away = np.abs(expected - np.asarray(function(x))).reshape(len(STARTS), -1)
    assert (away.max(1) > 1e-3).sum() >= len(STARTS) - 2  # a crop or a stride may leave a rectangle out
    np.testing.assert_allclose(jax.jit(run)(x, changed(x)), expected, rtol=1e-4, atol=1e-4)
    assert (parts["result"] is None) == (name in WHOLE)


def test_missing_pixels_reach_what_sees_them(x):
    x = x.at[0, 20, 20, 0].set(jnp.nan)
    function = lambda x: F.max_pool(F.conv(x, kernel(3, 3, 3, 4)), 2)
    local = Local(function, x, STARTS, SIZE)
    found = jax.vmap(local.changed)(jnp.arange(len(STARTS)), changed(x))
    np.testing.assert_allclose(found, np.stack([function(one) for one in changed(x)]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["squeezenet1_1", "cifar_resnet20", "shufflenet_v2_x0_5"])
def test_occlusion_of_networks_equals_a_loop(name):
    model, size = models.create(name, num_classes=5, rngs=nnx.Rngs(0)), 48
    x, windows = jax.random.normal(KEY, (1, size, size, 3)), ((0, 0), (0, 32), (32, 0), (32, 32))
    score = jax.jit(lambda x: model(x, train=False)[:, 2])
    whole = score(x)
    expected = [whole - score(x.at[:, y : y + 16, left : left + 16].set(0)) for y, left in windows]
    found = occlusion(model, x, 2, window=16, stride=16, batch=3)
    corners = np.array([found[0, y, left] for y, left in windows])
    np.testing.assert_allclose(corners, np.concatenate(expected), rtol=1e-3, atol=1e-5 * float(jnp.abs(whole).max()))
