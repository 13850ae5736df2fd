"""The registry: names, patterns, options and refusals; what single models do. `test_every.py` goes through all of it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models
from jaxcnn.interpret import capture, summarise
from tests.models.registry import abstract


def test_unet_is_the_papers():
    summary = summarise(abstract("unet"), (1, 572, 572, 1))
    assert summary.parameters == 31_030_658
    assert [row.name for row in summary.rows] == "down1 down2 down3 down4 down5 up1 up2 up3 up4 logits".split()
    assert [row.shape[1] for row in summary.rows] == [568, 280, 136, 64, 28, 52, 100, 196, 388, 388]


def test_unet_puts_the_middle_of_what_it_skipped_beside():
    model = models.UNet(widths=(1, 2), dropout=0.0, rngs=nnx.Rngs(0))
    seen = capture(model, jax.random.normal(jax.random.key(0), (1, 20, 22, 1)))[1]
    enlarged = model.enlarge[0](seen["down2"])
    joined = jnp.concatenate([seen["down1"][:, 4:-4, 4:-4], enlarged], -1)
    np.testing.assert_allclose(seen["up1"], model.up[0](joined), rtol=1e-5, atol=1e-6)


def test_list_follows_the_pattern():
    assert models.list("vgg1?") == ["vgg11", "vgg13", "vgg16", "vgg19"]
    assert models.list("eff*net*_v2_?") == ["efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l"]
    assert models.list() == [*models.REGISTRY]
    assert models.list("vit*") == []


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet5", "resnet50"),
        ("ResNet-50", "resnet50"),
        ("mobilenetv2", "mobilenet_v2"),
        ("efficentnet_b3", "efficientnet_b3"),
    ],
)
def test_create_offers_the_nearest_names(name, near):
    with pytest.raises(ValueError, match=rf"^create: there is no model '{name}'; nearest: .*\b{near}\b") as caught:
        models.create(name, rngs=nnx.Rngs(0))
    assert str(caught.value).count(",") == 2


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda r: models.create("resnet18", classes=3, rngs=r),
            TypeError,
            "create: resnet18 has no option 'classes'; use block,",
        ),
        (
            lambda r: models.SqueezeNet(version="1.2", rngs=r),
            ValueError,
            "SqueezeNet: version='1.2' must be one of 1.0, 1.1",
        ),
        (
            lambda r: models.ResNet(block=models.resnet.BasicBlock, depths=(1,), groups=2, rngs=r),
            ValueError,
            "BasicBlock: groups=2, width_per_group=64; a Bottleneck",
        ),
    ],
)
def test_zoo_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call(nnx.Rngs(0))


@pytest.mark.parametrize("name", ["cifar_resnet20", "lenet5", "dense", "plain"])
def test_small_networks_compute_in_bfloat16(name):
    model = models.create(name, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, *models.image_size(name), 3 if name == "cifar_resnet20" else 1))
    taken = {}
    y = model(x, train=False, tap=lambda name, value: taken.setdefault(name, value))
    assert {value.dtype for value in taken.values()} == {jnp.dtype("bfloat16")}
    exact = models.create(name, rngs=nnx.Rngs(0))(x, train=False)
    np.testing.assert_allclose(y, exact, atol=0.05 * np.abs(exact).max())


@pytest.mark.parametrize(("block", "features", "last"), [("BasicBlock", 64, "bn2"), ("Bottleneck", 256, "bn3")])
def test_zero_init_residual_starts_as_the_identity(block, features, last):
    """The last scale of each block is 0 and no other: behind two of them no gradient would reach what lies before."""
    options = {"block": getattr(models.resnet, block), "depths": (2, 1, 1, 1), "zero_init_residual": True}
    model = jax.jit(lambda: models.ResNet(**options, rngs=nnx.Rngs(0)))()
    scales = {path: v[...] for path, v in nnx.to_flat_state(nnx.state(model, nnx.Param)) if path[-1] == "scale"}
    zero = {path for path, scale in scales.items() if not scale.any()}
    assert zero == {path for path in scales if path[-2] == last}
    assert len(zero) == 5
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, features))
    np.testing.assert_array_equal(model.layer1[1](x, train=False), jax.nn.relu(x))


def test_aux_logits_go_to_their_taps_in_training():
    def shapes(train):
        model = lambda x: capture(models.create("googlenet", num_classes=5, rngs=nnx.Rngs(0)), x, train=train)[1]
        return {name: y.shape for name, y in jax.eval_shape(model, jnp.zeros((2, 64, 64, 3))).items()}

    still, training = shapes(False), shapes(True)
    assert training["aux1"] == training["aux2"] == training["logits"] == (2, 5)
    assert training.keys() - still.keys() == {"aux1", "aux2"}


class Seen(Exception):
    """What a layer was given."""


class Spy(nnx.Module):
    """A layer that tells what it is given."""

    def __call__(self, x, *, train):
        raise Seen(x)


@pytest.mark.parametrize(("name", "first"), [("googlenet", "conv1"), ("inception_v3", "Conv2d_1a_3x3")])
def test_transform_input_takes_imagenet_colours_to_the_half_range(name, first):
    model = abstract(name, num_classes=2, aux_logits=False, transform_input=True)
    setattr(model, first, Spy())
    mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = np.random.default_rng(0).uniform(size=(1, 8, 8, 3))
    with pytest.raises(Seen) as seen:
        model(jnp.asarray((x - mean) / deviation), train=False)
    np.testing.assert_allclose(seen.value.args[0], 2 * x - 1, atol=1e-5)
