"""The registry: published counts, arithmetic and receptive fields, names of taps, dtypes, names with a typo, feature pyramids."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models
from jaxcnn.interpret import capture, summarise


def abstract(name, **options):
    """The model without its numbers."""
    return nnx.eval_shape(lambda: models.create(name, rngs=nnx.Rngs(0), **options))


PUBLISHED = {  # parameters, billions of multiply-adds of one image of its size
    "resnext50_32x4d": (25_028_904, 4.23),
    "squeezenet1_0": (1_248_424, 0.819),
    "squeezenet1_1": (1_235_496, 0.349),
    "mobilenet_v1": (4_231_976, 0.569),  # 4.2 million and 569 million in the paper's table 4
    "mobilenet_v2": (3_504_872, 0.301),
    "mobilenet_v3_small": (2_542_856, 0.057),
    "convnext_tiny": (28_589_128, 4.456),
}
# Araujo, Norris & Sim, Computing receptive fields of convolutional neural networks (2019): pixels that one unit sees
FIELDS = {"mobilenet_v1": ("features.13", 315)}

TAPS = {  # in the order of computation
    "squeezenet1_1": "conv1 pool1 fire2 fire3 pool3 fire4 fire5 pool5 fire6 fire7 fire8 fire9 conv10 logits",
    "mobilenet_v1": " ".join([*(f"features.{i}" for i in range(14)), "average logits"]),
    "mobilenet_v2": " ".join([*(f"features.{i}" for i in range(19)), "average logits"]),
    "mobilenet_v3_small": " ".join([*(f"features.{i}" for i in range(13)), "average hidden logits"]),
    "convnext_tiny": (
        "features.0 features.1.0 features.1.1 features.1.2 features.2 features.3.0 features.3.1 features.3.2 features.4 "
        + " ".join(f"features.5.{i}" for i in range(9))
        + " features.6 features.7.0 features.7.1 features.7.2 average logits"
    ),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_summary_agrees_with_the_publications(name):
    parameters, billions = PUBLISHED[name]
    summary = summarise(abstract(name), (1, *models.image_size(name), 3))
    assert summary.parameters == parameters
    assert abs(summary.multiply_adds / 1e9 - billions) < 0.001 * max(1, billions)
    tap, size = FIELDS.get(name, (None, None))
    fields = {row.name: row.field.size for row in summary.rows if row.field is not None}
    assert fields.get(tap) == (size and (size, size))
    names = [row.name for row in summary.rows if row.name != "(rest)"]
    assert names == TAPS.get(name, " ".join(names)).split()


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


def test_pyramid_is_the_last_map_of_each_size():
    maps = lambda x: models.pyramid(models.create("resnet18", num_classes=3, rngs=nnx.Rngs(0)), x)
    shapes = jax.eval_shape(maps, jnp.zeros((1, 64, 96, 3)))
    found = {name: y.shape for name, y in shapes.items()}
    assert found == {
        "conv1": (1, 32, 48, 64),
        "layer1.1": (1, 16, 24, 64),
        "layer2.1": (1, 8, 12, 128),
        "layer3.1": (1, 4, 6, 256),
        "layer4.1": (1, 2, 3, 512),
    }


def test_list_follows_the_pattern():
    assert models.list("vgg1?") == ["vgg11", "vgg13", "vgg16", "vgg19"]
    assert models.list("mobile*_v?") == ["mobilenet_v1", "mobilenet_v2"]
    assert models.list() == [*models.REGISTRY]
    assert models.list("vit*") == []


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("resnet5", "resnet50"),
        ("ResNet-50", "resnet50"),
        ("mobilenetv2", "mobilenet_v2"),
        ("convnext_tny", "convnext_tiny"),
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


def test_pyramid_goes_from_large_to_small_through_the_tap():
    model = models.UNet(widths=(1, 2), padding="same", rngs=nnx.Rngs(0))
    seen = []
    maps = models.pyramid(model, jnp.ones((1, 8, 12, 1)), tap=lambda name, y: (seen.append(name), 0 * y)[1])
    assert seen == ["down1", "down2", "up1", "logits"]
    assert [(name, y.shape) for name, y in maps.items()] == [("logits", (1, 8, 12, 2)), ("down2", (1, 4, 6, 2))]
    assert not any(y.any() for y in maps.values())


def test_zero_init_residual_starts_as_the_identity():
    options = {"block": models.resnet.BasicBlock, "depths": (1, 1, 1, 1), "zero_init_residual": True}
    first = jax.jit(lambda x: models.ResNet(**options, rngs=nnx.Rngs(0)).layer1[0](x, train=False))
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, 64))
    np.testing.assert_array_equal(first(x), jax.nn.relu(x))
