"""`load` and `save`: layouts against PyTorch's own layers, every kind of file, both ways."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models, nn, weights
from jaxcnn.weights import WeightFileError

from .mixed import arrays_of, mixed


def same(a, b):
    first, second = arrays_of(a), arrays_of(b)
    return first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture(scope="module")
def twin():
    """The same network in PyTorch, with random statistics."""
    torch = pytest.importorskip("torch")
    net = torch.nn.Module()
    net.conv = torch.nn.Conv2d(6, 10, (3, 2), groups=2)
    net.norm = torch.nn.BatchNorm2d(10)
    net.depthwise = torch.nn.Conv2d(10, 30, 3, groups=10)
    net.blocks = torch.nn.ModuleList(
        [torch.nn.Conv2d(30, 7, 1, bias=False), torch.nn.Identity(), torch.nn.Linear(7, 5)]
    )
    net.layer_scale = torch.nn.Parameter(torch.randn(5, 1, 1))
    torch.nn.init.uniform_(net.norm.running_var, 0.5, 2)
    for tensor in (net.norm.weight, net.norm.bias, net.norm.running_mean):
        torch.nn.init.normal_(tensor)
    return net.eval()


def forward(net, x):
    """What the twin computes, channels last."""
    import torch

    with torch.no_grad():
        y = net.blocks[0](net.depthwise(net.norm(net.conv(torch.tensor(x).permute(0, 3, 1, 2)))))
        return (net.blocks[2](y.permute(0, 2, 3, 1)) * net.layer_scale.permute(1, 2, 0)).numpy()


@pytest.mark.parametrize("kind", ["pth", "safetensors", "npz"])
def test_load_gives_what_pytorch_computes(twin, kind, tmp_path):
    import torch
    from safetensors.torch import save_file

    file, state = tmp_path / f"a.{kind}", twin.state_dict()
    if kind == "pth":
        torch.save({"state_dict": {f"module.{name}": tensor for name, tensor in state.items()}}, file)
    if kind == "safetensors":
        save_file(state, file)
    if kind == "npz":
        np.savez(file, **{name: tensor.numpy() for name, tensor in state.items()})
    x = np.random.default_rng(0).normal(size=(2, 7, 6, 6)).astype(np.float32)
    loaded = weights.load(mixed(), file)
    np.testing.assert_allclose(loaded(x, train=False), forward(twin, x), rtol=1e-4, atol=1e-5)


def test_save_gives_pytorch_its_state_dict(twin, tmp_path):
    from safetensors.torch import load_file

    model = mixed(3)
    weights.save(model, tmp_path / "a.safetensors", names="pytorch")
    found = load_file(tmp_path / "a.safetensors")
    twin.load_state_dict(found)
    x = np.random.default_rng(1).normal(size=(1, 5, 5, 6)).astype(np.float32)
    np.testing.assert_allclose(model(x, train=False), forward(twin, x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("names", ["jaxcnn", "pytorch"])
def test_save_and_load_give_the_same_bits(names, tmp_path):
    model, file = mixed(1), tmp_path / "a.safetensors"
    weights.save(model, file, names=names)
    assert same(weights.load(mixed(2), file), model)
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_load_reads_orbax(tmp_path):
    import orbax.checkpoint as ocp

    model = mixed(1)
    tree = nnx.to_pure_dict(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "saved", tree)
    assert same(weights.load(mixed(2), tmp_path / "saved"), model)


def test_load_casts_half_precision_and_keeps_the_models_dtype(tmp_path):
    rng, arrays = np.random.default_rng(0), arrays_of(mixed(1))
    np.savez(
        tmp_path / "a.npz", **{name: a.astype(np.float16) for name, a in arrays.items()}, unrelated_order=rng.normal()
    )
    with pytest.raises(WeightFileError, match=r"0 missing, 1 unexpected, 0 of another shape\n  \+ unrelated_order$"):
        weights.load(mixed(), tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", **{name: a.astype(np.float16) for name, a in arrays.items()})
    loaded = arrays_of(weights.load(mixed(), tmp_path / "a.npz"))
    assert {str(a.dtype) for a in loaded.values()} == {"float32"}
    np.testing.assert_array_equal(loaded["conv.kernel"], arrays["conv.kernel"].astype(np.float16))


def test_load_takes_a_convolution_of_all_pixels_as_a_dense_layer(tmp_path):
    weight = np.random.default_rng(0).normal(size=(5, 2, 3, 4)).astype(np.float32)
    np.savez(tmp_path / "a.npz", weight=weight, bias=np.zeros((5, 1, 1), np.float32))
    layer = weights.load(nn.Dense(24, 5, rngs=nnx.Rngs(0)), tmp_path / "a.npz")
    np.testing.assert_array_equal(layer.kernel[...], weight.reshape(5, 24).T)
    np.savez(tmp_path / "b.npz", weight=weight.reshape(10, 12), bias=np.zeros(5, np.float32))
    with pytest.raises(WeightFileError, match=r"≠ weight: \[10, 12\] for \[5, 24\]$"):
        weights.load(nn.Dense(24, 5, rngs=nnx.Rngs(0)), tmp_path / "b.npz")


def test_load_of_the_shared_resnet20(shared):
    card = weights.card("cifar_resnet20.idelbayev")
    file = shared / "data/weights/resnet_cifar10/resnet20-12fca82f.npz"
    model = weights.load(models.create(card.model, rngs=nnx.Rngs(0)), file, names=card.names, sha256=card.sha256)
    theirs = np.load(file)
    np.testing.assert_array_equal(
        model.layer2[1].conv2.kernel[...], theirs["layer2.1.conv2.weight"].transpose(2, 3, 1, 0)
    )
    np.testing.assert_array_equal(model.linear.kernel[...], theirs["linear.weight"].T)
    np.testing.assert_array_equal(model.bn1.var[...], theirs["bn1.running_var"])
    assert weights.card_with_sha256(weights.sha256_of(file)) == card
    assert jax.tree.all(jax.tree.map(lambda a: bool(jnp.isfinite(a).all()), nnx.state(model, nnx.Param)))


@pytest.mark.parametrize(
    ("key", "prefix"), [("model_state_dict", ""), ("state_dict_ema", "module."), (None, "_orig_mod.")]
)
def test_load_finds_the_state_in_a_training_checkpoint(tmp_path, key, prefix):
    torch = pytest.importorskip("torch")
    layer = torch.nn.Linear(2, 3)
    state = {prefix + name: value for name, value in layer.state_dict().items()}
    torch.save(state if key is None else {"epoch": 3, key: state}, tmp_path / "a.pth")
    loaded = weights.load(nn.Dense(2, 3, rngs=nnx.Rngs(0)), tmp_path / "a.pth")
    np.testing.assert_array_equal(loaded.kernel[...], layer.weight.detach().numpy().T)


def test_save_refuses_class_names_that_are_one_text(tmp_path):
    with pytest.raises(TypeError, match="save: class_names='cat' is one text"):
        weights.save(nn.Dense(2, 3, rngs=nnx.Rngs(0)), tmp_path / "a.safetensors", class_names="cat")
