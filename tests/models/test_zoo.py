"""The registry: published counts, arithmetic and receptive fields, names of taps, dtypes, names with a typo."""

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
    "alexnet": (61_100_840, 0.714),
    "vgg16": (138_357_544, 15.47),
    "resnet18": (11_689_512, 1.814),
    "resnet50": (25_557_032, 4.089),
    "resnext50_32x4d": (25_028_904, 4.23),
    "squeezenet1_0": (1_248_424, 0.819),
    "squeezenet1_1": (1_235_496, 0.349),
    "mobilenet_v1": (4_231_976, 0.569),  # 4.2 million and 569 million in the paper's table 4
    "mobilenet_v2": (3_504_872, 0.301),
    "mobilenet_v3_small": (2_542_856, 0.057),
    "efficientnet_b0": (5_288_548, 0.386),
    "convnext_tiny": (28_589_128, 4.456),
    "densenet121": (7_978_856, 2.834),
    "googlenet": (13_004_888, 1.498),
    "inception_v3": (27_161_264, 5.713),
    "shufflenet_v2_x1_0": (2_278_604, 0.145),
    "mnasnet1_0": (4_383_312, 0.314),
    "regnet_x_400mf": (5_495_976, 0.414),
    "regnet_y_400mf": (4_344_144, 0.402),
}
# pixels that one unit sees: Araujo, Norris & Sim, Computing receptive fields of convolutional neural networks (2019); there
# ResNet-50 sees 483, as its strides come a block later
FIELDS = {
    "alexnet": ("pool5", 195),
    "vgg16": ("pool5", 212),
    "resnet50": ("layer4.2", 427),
    "mobilenet_v1": ("features.13", 315),
}

TAPS = {  # in the order of computation
    "alexnet": "conv1 pool1 conv2 pool2 conv3 conv4 conv5 pool5 fc6 fc7 logits",
    "vgg16": (
        "conv1_1 conv1_2 pool1 conv2_1 conv2_2 pool2 conv3_1 conv3_2 conv3_3 pool3 conv4_1 conv4_2 conv4_3 pool4 "
        "conv5_1 conv5_2 conv5_3 pool5 fc6 fc7 logits"
    ),
    "resnet18": "conv1 pool1 layer1.0 layer1.1 layer2.0 layer2.1 layer3.0 layer3.1 layer4.0 layer4.1 average logits",
    "squeezenet1_1": "conv1 pool1 fire2 fire3 pool3 fire4 fire5 pool5 fire6 fire7 fire8 fire9 conv10 logits",
    "mobilenet_v1": " ".join([*(f"features.{i}" for i in range(14)), "average logits"]),
    "mobilenet_v2": " ".join([*(f"features.{i}" for i in range(19)), "average logits"]),
    "mobilenet_v3_small": " ".join([*(f"features.{i}" for i in range(13)), "average hidden logits"]),
    "efficientnet_b0": (
        "features.0 features.1.0 features.2.0 features.2.1 features.3.0 features.3.1 features.4.0 features.4.1 features.4.2 "
        "features.5.0 features.5.1 features.5.2 features.6.0 features.6.1 features.6.2 features.6.3 features.7.0 features.8 "
        "average logits"
    ),
    "convnext_tiny": (
        "features.0 features.1.0 features.1.1 features.1.2 features.2 features.3.0 features.3.1 features.3.2 features.4 "
        + " ".join(f"features.5.{i}" for i in range(9))
        + " features.6 features.7.0 features.7.1 features.7.2 average logits"
    ),
    "googlenet": (
        "conv1 pool1 conv2 conv3 pool2 inception3a inception3b pool3 inception4a inception4b inception4c inception4d "
        "inception4e pool4 inception5a inception5b average logits"
    ),
    "inception_v3": (
        "Conv2d_1a_3x3 Conv2d_2a_3x3 Conv2d_2b_3x3 pool1 Conv2d_3b_1x1 Conv2d_4a_3x3 pool2 Mixed_5b Mixed_5c Mixed_5d Mixed_6a "
        "Mixed_6b Mixed_6c Mixed_6d Mixed_6e Mixed_7a Mixed_7b Mixed_7c average logits"
    ),
    "shufflenet_v2_x1_0": (
        "conv1 pool1 stage2.0 stage2.1 stage2.2 stage2.3 stage3.0 stage3.1 stage3.2 stage3.3 stage3.4 stage3.5 stage3.6 stage3.7 "
        "stage4.0 stage4.1 stage4.2 stage4.3 conv5 average logits"
    ),
    "mnasnet1_0": (
        "stem layers.8.0 layers.8.1 layers.8.2 layers.9.0 layers.9.1 layers.9.2 layers.10.0 layers.10.1 layers.10.2 layers.11.0 "
        "layers.11.1 layers.12.0 layers.12.1 layers.12.2 layers.12.3 layers.13.0 head average logits"
    ),
    "regnet_y_400mf": (
        "stem block1.0 block2.0 block2.1 block2.2 block3.0 block3.1 block3.2 block3.3 block3.4 block3.5 block4.0 block4.1 "
        "block4.2 block4.3 block4.4 block4.5 average logits"
    ),
    "densenet121": " ".join(
        [
            "conv0 pool0",
            *(f"denseblock1.denselayer{i}" for i in range(1, 7)),
            *("transition1", *(f"denseblock2.denselayer{i}" for i in range(1, 13))),
            *("transition2", *(f"denseblock3.denselayer{i}" for i in range(1, 25))),
            *("transition3", *(f"denseblock4.denselayer{i}" for i in range(1, 17))),
            "norm5 average logits",
        ]
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


def test_list_follows_the_pattern():
    assert models.list("vgg1?") == ["vgg11", "vgg13", "vgg16", "vgg19"]
    assert models.list("*net*_v2_?") == ["efficientnet_v2_s", "efficientnet_v2_m", "efficientnet_v2_l"]
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


def test_zero_init_residual_starts_as_the_identity():
    options = {"block": models.resnet.BasicBlock, "depths": (1, 1, 1, 1), "zero_init_residual": True}
    first = jax.jit(lambda x: models.ResNet(**options, rngs=nnx.Rngs(0)).layer1[0](x, train=False))
    x = jax.random.normal(jax.random.key(0), (1, 8, 8, 64))
    np.testing.assert_array_equal(first(x), jax.nn.relu(x))


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
