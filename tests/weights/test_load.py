"""`load` and `save`: layouts against PyTorch's own layers, strictness, and every kind of bad file."""

import io
import pickle
import re
import tracemalloc
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import models, nn, weights
from jaxcnn.weights import WeightFileError


class Mixed(nnx.Module):
    """One of every layer that has a layout of its own; attribute names as in the PyTorch twin below."""

    def __init__(self, rngs):
        self.conv = nn.Conv(6, 10, (3, 2), groups=2, padding="valid", rngs=rngs)
        self.norm = nn.BatchNorm(10, rngs=rngs)
        self.depthwise = nn.DepthwiseConv(10, 3, multiplier=3, padding="valid", rngs=rngs)
        self.blocks = nnx.List([nn.Conv(30, 7, 1, use_bias=False, rngs=rngs), None, nn.Dense(7, 5, rngs=rngs)])
        self.layer_scale = nnx.Param(jnp.ones((1, 1, 5)))
        self.dropout = nn.Dropout(0.5, rngs=rngs)

    def __call__(self, x, *, train):
        x = self.norm(self.conv(x), train=train)
        x = self.blocks[2](self.blocks[0](self.depthwise(x)))
        return self.dropout(x * self.layer_scale[...], train=train)


def mixed(seed=0):
    return Mixed(nnx.Rngs(seed))


def arrays_of(model):
    return {".".join(map(str, path)): np.array(leaf) for path, leaf in leaves(model)}


def leaves(model):
    return [(path, v[...]) for path, v in nnx.to_flat_state(nnx.state(model, nnx.Any(nnx.Param, nnx.BatchStat)))]


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


def test_load_lists_all_that_does_not_fit(tmp_path):
    arrays = arrays_of(mixed())
    del arrays["conv.bias"], arrays["norm.var"]
    arrays |= {"extra.kernel": np.zeros(3, np.float32), "norm.mean": np.zeros(9, np.float32)}
    np.savez(tmp_path / "a.npz", **arrays)
    model = mixed(5)
    before = arrays_of(model)
    with pytest.raises(WeightFileError) as caught:
        weights.load(model, tmp_path / "a.npz")
    assert str(caught.value).splitlines() == [
        "load: a.npz does not fit Mixed: 2 missing, 1 unexpected, 1 of another shape",
        "  − conv.bias", "  − norm.var", "  + extra.kernel", "  ≠ norm.mean: [9] for [10]",
    ]  # fmt: skip
    assert all(np.array_equal(before[name], after) for name, after in arrays_of(model).items())


def test_load_refuses_another_architecture(tmp_path):
    weights.save(models.create("lenet5", rngs=nnx.Rngs(0)), tmp_path / "lenet.safetensors")
    with pytest.raises(WeightFileError, match=r"lenet.safetensors does not fit CifarResNet: \d+ missing, 9 unexpected"):
        weights.load(models.create("cifar_resnet20", rngs=nnx.Rngs(0)), tmp_path / "lenet.safetensors")


def good_file(kind, path):
    """Weights of `mixed` in a file of that kind."""
    if kind == "npz":
        np.savez(path, **arrays_of(mixed()))
    if kind == "safetensors":
        weights.save(mixed(), path)
    if kind == "pth":
        torch = pytest.importorskip("torch")
        torch.save({name: torch.tensor(array) for name, array in arrays_of(mixed()).items()}, path)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 0.98])
@pytest.mark.parametrize("kind", ["npz", "safetensors", "pth"])
def test_load_refuses_a_truncated_file(kind, share, tmp_path):
    file = tmp_path / f"a.{kind}"
    good_file(kind, file)
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(
        WeightFileError, match=r"^load: .*a\.[a-z]+ .*(damaged|is empty|is no weight|refuses|no state dict)"
    ):
        weights.load(mixed(), file)


@pytest.mark.parametrize("place", [0.4, 0.6])
def test_load_notices_changed_bytes(place, tmp_path):
    good_file("npz", tmp_path / "a.npz")
    data = bytearray((tmp_path / "a.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        start = archive.getinfo("depthwise.kernel.npy").header_offset + 400
    data[start + int(place * 100)] ^= 255
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(WeightFileError, match="damaged or cut short: Bad CRC-32"):
        weights.load(mixed(), tmp_path / "a.npz")


class Trap:
    """Says so if it is unpickled."""

    def __reduce__(self):
        return exec, ("raise SystemExit('the pickle ran')",)


def test_load_never_unpickles(tmp_path):
    objects = np.empty(1, object)
    objects[0] = Trap()
    np.savez(tmp_path / "a.npz", **(arrays_of(mixed()) | {"conv.bias": objects}))
    with pytest.raises(WeightFileError, match=r"conv\.bias\.npy holds Python objects \(a pickle\)"):
        weights.load(mixed(), tmp_path / "a.npz")
    (tmp_path / "a.pth").write_bytes(pickle.dumps({"conv.bias": Trap()}))
    pytest.importorskip("torch")
    with pytest.raises(WeightFileError, match="weights-only loader refuses"):
        weights.load(mixed(), tmp_path / "a.pth")


def zip_of(path, members, compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_load_never_inflates_a_zip_bomb(tmp_path):
    bomb = npy(np.zeros(1 << 24, np.float32))  # 64 MiB of zeros in 64 KiB
    zip_of(
        tmp_path / "a.npz", {f"{name}.npy": npy(a) for name, a in arrays_of(mixed()).items()} | {"conv.bias.npy": bomb}
    )
    zip_of(tmp_path / "a.pth", {"a/data.pkl": bomb})
    assert (tmp_path / "a.npz").stat().st_size < 1 << 18
    tracemalloc.start()
    with pytest.raises(WeightFileError, match=r"≠ conv\.bias: \[16777216\] for \[10\]"):
        weights.load(mixed(), tmp_path / "a.npz")
    pytest.importorskip("torch")
    with pytest.raises(WeightFileError, match="data.pkl is compressed; PyTorch writes none"):
        weights.load(mixed(), tmp_path / "a.pth")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 48 << 20


def test_load_refuses_a_header_that_lies(tmp_path):
    data = npy(np.zeros(10, np.float32)).replace(b"(10,)", b"(99,)")
    zip_of(tmp_path / "a.npz", {"conv.bias.npy": data})
    with pytest.raises(WeightFileError, match="says 396 bytes and has 40; the file is damaged"):
        weights.load(mixed(), tmp_path / "a.npz")


def test_load_refuses_a_header_of_many_bytes(tmp_path):
    header = b"\x93NUMPY\x02\x00" + (64 << 20).to_bytes(4, "little") + bytes(64 << 20)
    zip_of(tmp_path / "a.npz", {"conv.bias.npy": header})
    tracemalloc.start()
    with pytest.raises(WeightFileError, match="is no array: its header says that it is 67,108,864 bytes long"):
        weights.load(mixed(), tmp_path / "a.npz")
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


def test_load_refuses_a_damaged_compression(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", **arrays_of(mixed()))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    with zipfile.ZipFile(tmp_path / "a.npz") as archive:
        head = archive.getinfo("conv.kernel.npy").header_offset
    start = head + 30 + len("conv.kernel.npy") + int.from_bytes(data[head + 28 : head + 30], "little")
    data[start : start + 20] = b"\xff" * 20  # no block of deflate begins so
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(WeightFileError, match="a.npz is damaged or cut short: Error -3"):
        weights.load(mixed(), tmp_path / "a.npz")


def test_load_refuses_nan(tmp_path):
    arrays = arrays_of(mixed())
    arrays["conv.kernel"][0, 0] = np.nan
    arrays["norm.var"][3] = np.inf
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(WeightFileError, match=r"has NaN or infinite numbers in conv.kernel \(30\), norm.var \(1\)$"):
        weights.load(mixed(), tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda file: None, {}, "does not exist"),
        (lambda file: file.write_bytes(b"hello, world"), {}, "is no weight file; give a .safetensors, .npz or .pth"),
        (lambda file: file.mkdir(), {}, "is no orbax checkpoint that can be read"),
        (lambda file: np.savez(file, a=np.zeros(3, int)), {"sha256": "0" * 64}, "it must begin with '0000"),
        (lambda file: zip_of(file, {"conv.bias.npy": b"no array"}), {}, "conv.bias.npy is no array"),
        (lambda file: good_file("npz", file), {"names": "caffe"}, "there are no names 'caffe' for Mixed; use jaxcnn, pytorch"),
    ],
)  # fmt: skip
def test_load_refuses(make, options, message, tmp_path):
    file = tmp_path / "a.npz"
    make(file)
    with pytest.raises(ValueError, match=re.escape(message)):
        weights.load(mixed(), file, **options)


def test_load_takes_a_convolution_of_all_pixels_as_a_dense_layer(tmp_path):
    weight = np.random.default_rng(0).normal(size=(5, 2, 3, 4)).astype(np.float32)
    np.savez(tmp_path / "a.npz", weight=weight, bias=np.zeros((5, 1, 1), np.float32))
    layer = weights.load(nn.Dense(24, 5, rngs=nnx.Rngs(0)), tmp_path / "a.npz")
    np.testing.assert_array_equal(layer.kernel[...], weight.reshape(5, 24).T)
    np.savez(tmp_path / "b.npz", weight=weight.reshape(10, 12), bias=np.zeros(5, np.float32))
    with pytest.raises(WeightFileError, match=r"≠ weight: \[10, 12\] for \[5, 24\]$"):
        weights.load(nn.Dense(24, 5, rngs=nnx.Rngs(0)), tmp_path / "b.npz")


def test_load_refuses_integers(tmp_path):
    arrays = arrays_of(mixed()) | {"conv.bias": np.zeros(10, np.int32)}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(WeightFileError, match="a.npz: conv.bias is int32; weights are floating point"):
        weights.load(mixed(), tmp_path / "a.npz")


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


def test_load_says_that_a_whole_module_is_a_pickle(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 3), tmp_path / "a.pth")
    with pytest.raises(WeightFileError, match=r"refuses .*a.pth: it holds Python objects \(a pickle\)") as refused:
        weights.load(nn.Dense(2, 3, rngs=nnx.Rngs(0)), tmp_path / "a.pth")
    assert "\x1b" not in str(refused.value)


def test_save_refuses_class_names_that_are_one_text(tmp_path):
    with pytest.raises(TypeError, match="save: class_names='cat' is one text"):
        weights.save(nn.Dense(2, 3, rngs=nnx.Rngs(0)), tmp_path / "a.safetensors", class_names="cat")
