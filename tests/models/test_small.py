"""The plain network and the CIFAR ResNets: published counts, every option, the shortcut of option A."""

from functools import partial
from typing import get_args

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models
from jaxcnn.interpret import capture, summarise
from jaxcnn.models.cifar_resnet import BasicBlock
from jaxcnn.models.plain import Convolution, Downsample


def parameters(model):
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


@pytest.mark.parametrize(
    ("depth", "count"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_cifar_resnet_parameters(depth, count):
    build = lambda: models.create(f"cifar_resnet{depth}", rngs=nnx.Rngs(0))
    assert parameters(nnx.eval_shape(build)) == count


def test_cifar_resnet20_counts_and_field():
    summary = summarise(models.create("cifar_resnet20", rngs=nnx.Rngs(0)), (1, 32, 32, 3))
    assert summary.multiply_adds == 40_551_040  # 40.55 M: 0.44 + 14.16 + 12.98 + 12.98 M, and 640 of the dense layer
    assert [row.name for row in summary.rows][:3] == ["conv1", "layer1.0", "layer1.1"]


def test_cifar_resnet_shortcut_is_option_a():
    block = BasicBlock(2, 6, stride=2, rngs=nnx.Rngs(0))
    block.bn2.scale[...] = jnp.zeros(6)
    x = jnp.arange(1.0, 33.0).reshape(1, 4, 4, 2)
    y = block(x, train=False)
    np.testing.assert_array_equal(y[..., 2:4], x[:, ::2, ::2])
    assert not y[..., :2].any()
    assert not y[..., 4:].any()


@pytest.mark.parametrize("convolution", get_args(Convolution))
def test_plain_network_parameters(convolution):
    model = models.create("plain", convolution=convolution, widths=(4, 8), depth=1, rngs=nnx.Rngs(0))
    second = {"standard": 9 * 4 * 8, "spatially_separable": 3 * 4 * 8 + 3 * 8 * 8, "separable": 9 * 4 + 4 * 8}
    assert parameters(model) == 9 * 4 + 8 + second[convolution] + 16 + 8 * 10 + 10


@pytest.mark.parametrize("downsample", get_args(Downsample))
def test_plain_network_halves_between_stages(downsample):
    model = models.create("plain", downsample=downsample, widths=(2, 3), depth=1, rngs=nnx.Rngs(0))
    shapes = {}
    tap = lambda name, x: shapes.setdefault(name, x.shape) and x
    jax.eval_shape(lambda x: model(x, train=False, tap=tap), jnp.zeros((1, 9, 9, 1)))
    side = {"none": 9, "stride": 5, "blur": 5}.get(downsample, 4)
    assert shapes["conv2_1"] == (1, side, side, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"convolution": "dense"}, "PlainNetwork: convolution='dense' must be one of standard, "),
        ({"downsample": "maximum"}, "PlainNetwork: downsample='maximum' must be one of none, stride"),
        ({"kernel_size": (3,)}, r"PlainNetwork: kernel_size=\[3\] has 1 entries; depth=2 needs as many"),
    ],
)
def test_plain_network_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("plain", rngs=nnx.Rngs(0), **options)


def test_cifar_resnet_refuses_other_depths():
    with pytest.raises(ValueError, match=r"CifarResNet: depth=21 must be 6n \+ 2, such as 20, 32"):
        models.CifarResNet(depth=21, rngs=nnx.Rngs(0))


TAPS = {
    "mobilenet_v1": ("features.0", "features.1", "features.13", "average", "logits"),
    "unet": ("down1", "down2", "down3", "up1", "up2", "logits"),
}
SMALL = {
    "cifar_resnet20": (lambda **options: models.create("cifar_resnet20", **options), (2, 16, 16, 3)),
    "mobilenet_v1": (partial(models.MobileNetV1, width=0.25, num_classes=7), (2, 32, 32, 3)),
    "unet": (partial(models.UNet, widths=(4, 8, 16), dropout=0.0), (2, 60, 44, 1)),
    "plain": (partial(models.PlainNetwork, widths=(4, 8), convolution="separable"), (2, 12, 12, 1)),
}


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_give_every_parameter_a_gradient(name):
    build, shape = SMALL[name]
    graphdef, parameters, rest = nnx.split(build(rngs=nnx.Rngs(0)), nnx.Param, ...)
    x = jax.random.normal(jax.random.key(0), shape)

    def loss(parameters):
        y = nnx.merge(graphdef, parameters, rest, copy=True)(x, train=True)
        return jnp.vdot(y, jax.random.normal(jax.random.key(1), y.shape))

    for path, grad in jax.tree_util.tree_leaves_with_path(jax.jit(jax.grad(loss))(parameters)):
        assert np.isfinite(grad).all(), path
        assert np.abs(grad).max() > 0, path


@pytest.mark.parametrize("name", SMALL)
def test_small_networks_compute_in_bfloat16(name):
    build, shape = SMALL[name]
    model = build(rngs=nnx.Rngs(0))
    x = jax.random.uniform(jax.random.key(0), shape)
    half = jax.tree.map(lambda v: v.astype(jnp.bfloat16) if v.dtype == jnp.float32 else v, nnx.split(model)[1])
    run = jax.jit(lambda state, x: nnx.merge(nnx.split(model)[0], state)(x, train=False))
    exact, rough = run(nnx.split(model)[1], x), run(half, x.astype(jnp.bfloat16))
    assert rough.dtype == jnp.bfloat16
    assert np.abs(exact - rough.astype(jnp.float32)).max() < 0.1 * np.abs(exact).max()


@pytest.mark.parametrize("name", TAPS)
def test_taps_of_small_networks_keep_their_names(name):
    build, shape = SMALL[name]
    names = jax.eval_shape(lambda x: capture(build(rngs=nnx.Rngs(0)), x)[1], jnp.zeros(shape))
    assert set(TAPS[name]) <= set(names)
