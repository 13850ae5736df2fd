"""`sizes`: classes and channels are read off the file, under any publisher's names, and believed within bounds."""

import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from jaxcnn import models, weights
from jaxcnn.weights import WeightFileError, sizes
from jaxcnn.weights._load import best_naming, shape_in
from jaxcnn.weights._tables import namings


def maker(name):
    return lambda **options: models.create(name, rngs=nnx.Rngs(0), **options)


def write(file, name, names, **options):
    """Zeros of the shapes that the model has, under a publisher's names."""
    model = nnx.eval_shape(lambda: maker(name)(**options))
    wanted, naming = best_naming(model, {}, namings(model)[names])
    save_file({key: np.zeros(shape_in(entry, naming), np.float16) for key, entry in wanted.items()}, file)


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("resnet18", "pytorch"), ("mobilenet_v3_small", "timm_small"), ("mobilenet_v2", "timm"), ("regnet_y_400mf", "timm"),
        ("convnext_tiny", "timm"), ("mnasnet0_5", "timm"), ("efficientnet_b0", "timm"), ("squeezenet1_1", "caffe"),
        ("densenet121", "torchvision_2017"), ("lenet5", "jaxcnn"), ("dense", "jaxcnn"), ("airbench", "jaxcnn"),
        ("cifar_resnet20", "pytorch"), ("googlenet", "pytorch"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("options", [{"num_classes": 7, "in_features": 1}, {"num_classes": 1, "in_features": 3}])
def test_sizes_are_those_of_the_file(name, names, options, tmp_path):
    write(tmp_path / "a", name, names, **options)
    assert sizes(maker(name), tmp_path / "a") == options


def test_sizes_of_a_model_that_has_no_others(tmp_path):
    write(tmp_path / "a", "lenet5_1998", "jaxcnn")
    assert sizes(maker("lenet5_1998"), tmp_path / "a") == {}


def test_sizes_of_another_network_are_what_its_names_say(tmp_path):
    write(tmp_path / "a", "vgg11", "pytorch", num_classes=7)
    assert sizes(maker("lenet5"), tmp_path / "a") == {}


@pytest.mark.parametrize("classes", [(1 << 17) + 1, 0])
def test_sizes_refuses_classes_that_cannot_be_true(classes, tmp_path):
    write(tmp_path / "a", "cifar_resnet20", "pytorch")
    arrays = load_file(tmp_path / "a")
    arrays |= {"linear.bias": np.zeros(classes, np.float16), "linear.weight": np.zeros((classes, 64), np.float16)}
    save_file(arrays, tmp_path / "a")
    with pytest.raises(WeightFileError, match=f"load: a has {classes:,} classes; from 1 to 131,072 can be true"):
        sizes(maker("cifar_resnet20"), tmp_path / "a")


def test_load_into_a_model_of_another_head_is_refused(tmp_path):
    write(tmp_path / "a", "mobilenet_v3_small", "timm_small", num_classes=7)
    model = nnx.eval_shape(lambda: maker("mobilenet_v3_small")(num_classes=5))
    with pytest.raises(
        WeightFileError, match=r"0 missing, 0 unexpected, 2 of another shape\n  ≠ classifier\.bias: \[7\]"
    ):
        weights.load(model, tmp_path / "a")
