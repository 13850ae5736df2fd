"""The two LeNets and the dense network (L1.13, L1.14, L2.5)."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models
from jaxcnn.interpret import capture, summarise
from jaxcnn.models.lenet import CONNECTIONS, PartialConv, digit_bitmaps, squash

COUNTS = {  # model: trainable parameters of each named activation, in order
    "lenet5": [156, 0, 2416, 0, 48120, 10164, 850],
    "lenet5_1998": [156, 12, 1516, 32, 48120, 10164, 0],
    "dense": [235_500, 30_100, 1010],
}


@pytest.mark.parametrize("name", COUNTS)
def test_model_parameters(name):
    model = models.create(name, rngs=nnx.Rngs(0))
    summary = summarise(model, (1, *models.image_size(name), 1))
    assert [row.parameters for row in summary.rows] == COUNTS[name]
    assert summary.parameters == sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize("name", [*COUNTS, "plain", "cifar_resnet20"])
def test_model_every_parameter_gets_a_gradient(name):
    graphdef, parameters, rest = nnx.split(models.create(name, rngs=nnx.Rngs(0)), nnx.Param, ...)
    x = jax.random.normal(jax.random.key(0), (3, *models.image_size(name), 3 if "resnet" in name else 1))
    weights = jax.random.normal(jax.random.key(1), (3, 10))
    f = lambda p: jnp.vdot(nnx.merge(graphdef, p, rest, copy=True)(x, train=False), weights)
    for path, grad in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(f))(parameters)):
        assert np.isfinite(grad).all(), path
        assert np.abs(grad).max() > 0, path


@pytest.mark.parametrize("name", [*COUNTS, "plain", "cifar_resnet20"])
def test_model_tap_can_replace_an_activation(name):
    model = models.create(name, rngs=nnx.Rngs(0))
    x = jnp.ones((1, *models.image_size(name), 3 if "resnet" in name else 1))
    first = list(capture(model, x)[1])[0]
    zeroed = model(x, train=False, tap=lambda at, v: jnp.zeros_like(v) if at == first else v)
    assert not np.allclose(zeroed, model(x, train=False))


def test_connections_are_table_1_of_the_paper():
    assert sum(map(len, CONNECTIONS)) == 60
    assert [len(c) for c in CONNECTIONS] == [3] * 6 + [4] * 9 + [6]
    assert set(CONNECTIONS[:6]) == {tuple((i + j) % 6 for j in range(3)) for i in range(6)}
    assert len(set(map(frozenset, CONNECTIONS))) == 16
    assert [sum(i in c for c in CONNECTIONS) for i in range(6)] == [10] * 6


def test_partial_conv_sees_its_connections_only():
    layer = PartialConv(6, CONNECTIONS, 5, rngs=nnx.Rngs(0))
    x = jnp.zeros((1, 5, 5, 6))
    moved = np.stack([layer(x.at[..., i].set(1.0))[0, 0, 0] != layer(x)[0, 0, 0] for i in range(6)])  # (6, 16)
    expected = [[i in maps for maps in CONNECTIONS] for i in range(6)]
    np.testing.assert_array_equal(moved, expected)


def test_digit_bitmaps_are_distinct():
    bitmaps = digit_bitmaps()
    assert set(np.unique(bitmaps)) == {-1.0, 1.0}
    assert min((a != b).sum() for a, b in itertools.combinations(bitmaps, 2)) >= 4


def test_original_output_is_minus_squared_distance():
    model = models.create("lenet5_1998", rngs=nnx.Rngs(0))
    output, activations = capture(model, jax.random.normal(jax.random.key(0), (2, 32, 32, 1)))
    f6 = np.asarray(activations["f6"], np.float64)
    expected = [[-((row - centre) ** 2).sum() for centre in digit_bitmaps()] for row in f6]
    np.testing.assert_allclose(output, expected, rtol=1e-5)


def test_squash_is_the_papers():
    np.testing.assert_allclose(squash(jnp.array([-1.0, 0.0, 1.0])), [-1, 0, 1], atol=1e-4)
    assert abs(float(squash(jnp.array(100.0))) - 1.7159) < 1e-4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: models.create("lenet", rngs=r), "create: there is no model 'lenet'; nearest: lenet5"),
        (lambda r: models.image_size("x"), r"image_size: there is no model 'x'; nearest: see models.list\(\)"),
        (lambda r: models.create("lenet5", image_size=(8, 8), rngs=r), "LeNet5: conv2: window"),
        (lambda r: models.create("lenet5_1998", num_classes=3, rngs=r), "LeNet5Original: num_classes=3"),
    ],
)
def test_models_refuse(call, message):
    with pytest.raises(ValueError, match=message):
        call(nnx.Rngs(0))
