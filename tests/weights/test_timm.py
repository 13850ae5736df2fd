"""Names that timm gives: known ones of each family, none left over, and a whole file read back."""

import re

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file, save_file

from jaxcnn import models, weights
from jaxcnn.weights._layout import entries
from jaxcnn.weights._tables import namings

TIMM = {  # a member of the family: names as timm's own models have them
    "convnext_tiny": {
        "features.0.1.weight": "stem.1.weight", "features.4.1.bias": "stages.2.downsample.1.bias",
        "features.5.8.block.0.weight": "stages.2.blocks.8.conv_dw.weight", "features.1.0.layer_scale": "stages.0.blocks.0.gamma",
        "features.7.2.block.5.bias": "stages.3.blocks.2.mlp.fc2.bias", "classifier.2.weight": "head.fc.weight",
    },
    "vgg11": {"features.0.weight": "features.0.weight", "classifier.0.bias": "pre_logits.fc1.bias",
              "classifier.6.bias": "head.fc.bias"},
    "efficientnet_b3": {
        "features.0.0.weight": "conv_stem.weight", "features.0.1.running_var": "bn1.running_var",
        "features.1.1.block.1.fc2.bias": "blocks.0.1.se.conv_expand.bias",
        "features.1.0.block.2.1.bias": "blocks.0.0.bn2.bias",
        "features.5.4.block.3.0.weight": "blocks.4.4.conv_pwl.weight", "features.8.1.bias": "bn2.bias",
        "classifier.1.bias": "classifier.bias",
    },
    "efficientnet_v2_s": {
        "features.1.1.block.0.0.weight": "blocks.0.1.conv.weight", "features.3.0.block.0.1.bias": "blocks.2.0.bn1.bias",
        "features.2.3.block.1.0.weight": "blocks.1.3.conv_pwl.weight",
        "features.4.0.block.1.0.weight": "blocks.3.0.conv_dw.weight",
        "features.7.0.weight": "conv_head.weight",
    },
    "mobilenet_v2": {
        "features.1.conv.1.weight": "blocks.0.0.conv_pw.weight", "features.1.conv.2.bias": "blocks.0.0.bn2.bias",
        "features.2.conv.0.1.bias": "blocks.1.0.bn1.bias", "features.7.conv.1.0.weight": "blocks.3.0.conv_dw.weight",
        "features.17.conv.3.running_mean": "blocks.6.0.bn3.running_mean", "features.18.0.weight": "conv_head.weight",
    },
    "mobilenet_v3_large": {
        "features.1.block.1.0.weight": "blocks.0.0.conv_pw.weight",
        "features.4.block.2.fc1.weight": "blocks.2.0.se.conv_reduce.weight",
        "features.2.block.2.1.bias": "blocks.1.0.bn3.bias", "features.15.block.3.0.weight": "blocks.5.2.conv_pwl.weight",
        "features.16.1.bias": "blocks.6.0.bn1.bias", "classifier.0.bias": "conv_head.bias",
        "classifier.3.weight": "classifier.weight",
    },
    "mobilenet_v3_small": {
        "features.1.block.1.fc1.weight": "blocks.0.0.se.conv_reduce.weight",
        "features.1.block.2.0.weight": "blocks.0.0.conv_pw.weight",
        "features.11.block.2.fc2.bias": "blocks.4.2.se.conv_expand.bias", "features.12.0.weight": "blocks.5.0.conv.weight",
    },
    "mnasnet0_5": {
        "layers.0.weight": "conv_stem.weight", "layers.6.weight": "blocks.0.0.conv_pw.weight",
        "layers.8.2.layers.3.weight": "blocks.1.2.conv_dw.weight", "layers.13.0.layers.7.bias": "blocks.6.0.bn3.bias",
        "layers.15.bias": "bn2.bias",
    },
    "regnet_y_400mf": {
        "stem.1.bias": "stem.bn.bias", "trunk_output.block1.block1-0.f.a.0.weight": "s1.b1.conv1.conv.weight",
        "trunk_output.block1.block1-0.proj.1.bias": "s1.b1.downsample.bn.bias", "fc.bias": "head.fc.bias",
        "trunk_output.block4.block4-5.f.se.fc2.bias": "s4.b6.se.fc2.bias",
    },
    "resnet18": {"layer1.0.conv1.weight": "layer1.0.conv1.weight"},
}  # fmt: skip
COUNTS = {"mobilenet_v3_large": 174, "efficientnet_b3": 340}  # arrays that timm's publication of the model lists


@pytest.mark.parametrize("name", TIMM)
def test_names_of_timm(name, tmp_path):
    model = nnx.eval_shape(lambda: models.create(name, rngs=nnx.Rngs(0)))
    publisher = {"efficientnet_v2_s": "timm_v2", "mobilenet_v3_small": "timm_small", "resnet18": "pytorch"}.get(
        name, "timm"
    )
    naming, names = namings(model)[publisher], [entry.torch for entry in entries(model)]
    assert {old: naming(old) for old in TIMM[name]} == TIMM[name]
    assert set(TIMM[name]) <= set(names)
    theirs = {naming(old) for old in names}
    assert len(theirs) == len(names)
    learned = [new for new in theirs if "running" not in new]
    assert len(learned) == COUNTS.get(name, len(learned))
    if publisher != "pytorch" and name != "vgg11":
        assert not theirs & set(names)
        assert not [new for new in theirs if re.search(r"^(features|layers|trunk_output)|classifier\.\d|block\.", new)]


def test_load_takes_a_file_of_timm_whose_head_is_a_convolution(tmp_path):
    graphdef, shapes = nnx.split(
        nnx.eval_shape(lambda: models.create("mobilenet_v3_small", num_classes=7, rngs=nnx.Rngs(0)))
    )
    is_key = lambda leaf: jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    normal = np.random.default_rng(0).standard_normal
    drawn = lambda leaf: jax.random.key(0) if is_key(leaf) else np.asarray(normal(leaf.shape), leaf.dtype)
    make = lambda: nnx.merge(graphdef, jax.tree.map(drawn, shapes))
    model, file = make(), tmp_path / "timm.safetensors"
    weights.save(model, file, names="timm_small")
    arrays = load_file(file)
    arrays["conv_head.weight"] = arrays["conv_head.weight"][:, :, None, None]
    save_file(arrays, file)
    found = weights.load(make(), file)
    for (_, one), (_, other) in zip(nnx.to_flat_state(nnx.state(found)), nnx.to_flat_state(nnx.state(model))):
        if not is_key(one[...]):
            np.testing.assert_array_equal(one[...], other[...])


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "efficientnet_v2_s"])
def test_timms_epsilon_comes_with_its_names(name, tmp_path):
    graphdef, shapes = nnx.split(nnx.eval_shape(lambda: models.create(name, rngs=nnx.Rngs(0))))
    is_key = lambda leaf: jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    fill = lambda leaf: jax.random.key(0) if is_key(leaf) else jax.numpy.ones(leaf.shape, leaf.dtype)
    filled = lambda: nnx.merge(graphdef, jax.tree.map(fill, shapes))
    epsilons = lambda model: {module.epsilon for _, module in nnx.iter_modules(model) if hasattr(module, "epsilon")}
    theirs = "timm_small" if name.endswith("small") else "timm_v2"
    for naming in (theirs, "pytorch"):
        weights.save(filled(), tmp_path / naming, names=naming)
    assert epsilons(weights.load(filled(), tmp_path / "pytorch")) == {1e-3}
    loaded = weights.load(filled(), tmp_path / theirs)
    assert epsilons(loaded) == {1e-5}
    weights.save(loaded, tmp_path / "ours")
    assert epsilons(weights.load(filled(), tmp_path / "ours")) == {1e-5}
