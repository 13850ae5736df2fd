"""`pyramid`: the maps of each size, any map by name, pattern or place, and nothing computed after the last of them."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models
from jaxcnn.interpret import capture


def shapes(name, side, *, in_features=3, **options):
    """The shapes of the maps of a model without numbers, in their order (a program's results are in that of their names)."""
    found = {}

    def maps(x):
        model = models.create(name, in_features=in_features, rngs=nnx.Rngs(0))
        found.update({name: y.shape[1:] for name, y in models.pyramid(model, x, **options).items()})

    jax.eval_shape(maps, jnp.zeros((1, side, side + 32, in_features)))
    return found


def test_pyramid_is_the_last_map_of_each_size():
    assert shapes("resnet18", 64) == {
        "conv1": (32, 48, 64),
        "layer1.1": (16, 24, 64),
        "layer2.1": (8, 12, 128),
        "layer3.1": (4, 6, 256),
        "layer4.1": (2, 3, 512),
    }


def test_pyramid_goes_from_large_to_small_through_the_tap():
    model = models.UNet(widths=(1, 2), padding="same", rngs=nnx.Rngs(0))
    seen = []
    maps = models.pyramid(model, jnp.ones((1, 8, 12, 1)), tap=lambda name, y: (seen.append(name), 0 * y)[1])
    assert seen == ["down1", "down2", "up1"]
    assert [(name, y.shape) for name, y in maps.items()] == [("up1", (1, 8, 12, 1)), ("down2", (1, 4, 6, 2))]
    assert not any(y.any() for y in maps.values())


def test_pyramid_ends_before_maps_of_class_scores():
    found = shapes("squeezenet1_1", 64)
    assert list(found)[-1] == "fire9"
    assert found["fire9"] == (3, 5, 512)


STAGES = {  # a model and what is asked for: the maps that come
    ("resnet50", 2): ["layer2.3"],
    ("resnet50", -1): ["layer4.2"],
    ("resnet50", "layer?.0"): ["layer1.0", "layer2.0", "layer3.0", "layer4.0"],
    ("resnet50", ("layer3.*", 0, "pool1", "layer3.1")): ["conv1", "pool1", *(f"layer3.{i}" for i in range(6))],
    ("vgg11_bn", ("conv3_?", 4)): ["conv3_1", "conv3_2", "conv5_2"],
    ("densenet121", "transition*"): ["transition1", "transition2", "transition3"],
    ("mobilenet_v3_small", "features.1"): ["features.1"],
    ("efficientnet_b0", ("features.8", np.int64(1))): ["features.2.1", "features.8"],
    ("convnext_tiny", "features.[135].*2"): ["features.1.2", "features.3.2", "features.5.2"],
    ("googlenet", "inception4?"): [f"inception4{letter}" for letter in "abcde"],
    ("regnet_x_400mf", (-2, "stem")): ["stem", "block3.6"],
    ("squeezenet1_0", "conv10"): ["conv10"],  # a map of class scores, asked for by name
}


@pytest.mark.parametrize(("name", "stages"), STAGES)
def test_pyramid_of_stages(name, stages):
    assert list(shapes(name, 96, stages=stages)) == STAGES[name, stages]


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize(
    ("build", "shape", "stages"),
    [
        (partial(models.create, "cifar_resnet20"), (2, 16, 16, 3), ("layer2.1", "conv1")),
        (partial(models.UNet, widths=(2, 4, 8), in_features=3, padding="same"), (2, 16, 16, 3), (2, "up1")),
        (partial(models.create, "squeezenet1_1", num_classes=3), (2, 48, 48, 3), "fire3"),
    ],
)
def test_maps_of_stages_are_those_of_the_whole_model(build, shape, stages, train):
    model = build(rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), shape)
    every = capture(nnx.clone(model), x, train=train)[1]
    found = models.pyramid(nnx.clone(model), x, stages=stages, train=train)
    assert found
    for name, y in found.items():
        np.testing.assert_array_equal(y, every[name])


def convolutions(name, side, **options):
    """How many convolutions a program has."""
    model = nnx.eval_shape(lambda: models.create(name, num_classes=3, rngs=nnx.Rngs(0)))
    graphdef, state = nnx.split(model)
    program = jax.make_jaxpr(lambda state, x: models.pyramid(nnx.merge(graphdef, state), x, **options))
    return str(program(state, jnp.zeros((1, side, side, 3)))).count("= jaxcnn_conv[")


@pytest.mark.parametrize(
    ("name", "stages", "count"),
    [
        ("resnet50", "conv1", 1),
        ("resnet50", "layer1.2", 1 + 10),
        ("resnet50", None, 53),
        ("vgg16", "pool3", 7),
        ("densenet121", "denseblock1.denselayer2", 1 + 4),
        ("mobilenet_v2", "features.2", 1 + 2 + 3),
        ("convnext_tiny", 0, 1 + 9),
        ("squeezenet1_1", None, 25),  # all but the one that gives the classes
        ("inception_v3", "pool1", 3),
    ],
)
def test_later_layers_are_not_in_the_program(name, stages, count):
    assert convolutions(name, 96, stages=stages) == count


class Counted(nnx.Module):
    """Three layers that count their calls, and a normalisation's moments after them."""

    def __init__(self):
        self.calls, self.moment = [], nnx.BatchStat(jnp.zeros(()))

    def __call__(self, x, *, train, tap):
        for name in "abc":
            if not isinstance(x, jax.core.Tracer):
                self.calls.append(name)
            x = tap(name, x + 1)
        self.moment[...] = x.mean()
        return x


def test_later_layers_are_not_run():
    model = Counted()
    (y,) = models.pyramid(model, jnp.zeros((1, 2, 2, 1)), stages="b", train=True).values()
    assert model.calls == ["a", "b"]
    assert (y == 2).all()
    assert model.moment[...] == 0  # nor moved by looking at the model


def test_pyramid_takes_a_function():
    function = lambda x, *, train, tap: tap("b", tap("a", x) * 2)
    assert [*models.pyramid(function, jnp.ones((1, 2, 2, 1)), stages="a")] == ["a"]


@pytest.mark.parametrize(
    ("stages", "error", "text"),
    [
        ("layer5.1", ValueError, "no feature map is named like 'layer5.1'; such are layer3.1, layer2.1, layer1.1"),
        (
            "stage*",
            ValueError,
            "no feature map is named like 'stage*'; such are conv1, layer1.0, layer1.1, layer1.2, layer2.0, layer2.1, "
            "layer2.2, layer3.0, …",
        ),
        ("linear", ValueError, "no feature map is named like 'linear'; such are "),
        ((0, 3), ValueError, "there is no place 3 among the 3 maps layer1.2, layer2.2, layer3.2"),
        (-4, ValueError, "there is no place -4 among the 3 maps layer1.2, layer2.2, layer3.2"),
        (1.5, TypeError, "stages=1.5 must be a name, a pattern, a place, or several of these"),
        ([None], TypeError, "stages=None must be a name, a pattern, a place, or several of these"),
    ],
)
def test_pyramid_refuses_stages_that_there_are_not(stages, error, text):
    model = models.create("cifar_resnet20", rngs=nnx.Rngs(0))
    with pytest.raises(error, match=f"^{re.escape(f'pyramid: {text}')}.*$"):
        models.pyramid(model, jnp.zeros((1, 8, 8, 3)), stages=stages)
