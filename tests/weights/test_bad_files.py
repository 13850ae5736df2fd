"""`load` of what is no good: strictness, and every kind of bad file, each in a line that says what is wrong."""

import io
import pickle
import re
import tracemalloc
import zipfile

import numpy as np
import pytest
from flax import nnx

from jaxcnn import models, nn, weights
from jaxcnn.weights import WeightFileError

from .mixed import arrays_of, mixed


def test_load_lists_every_name_one_a_line(tmp_path):
    weights.save(models.create("lenet5", rngs=nnx.Rngs(0)), tmp_path / "a.safetensors")
    model = nnx.eval_shape(lambda: models.create("cifar_resnet20", rngs=nnx.Rngs(0)))
    with pytest.raises(WeightFileError) as caught:
        weights.load(model, tmp_path / "a.safetensors")
    first, *lines = str(caught.value).splitlines()
    missing, extra, wrong = (int(number) for number in re.findall(r"\d+", first.partition("CifarResNet")[2]))
    assert missing > 90
    assert [line[:4] for line in lines] == ["  − "] * missing + ["  + "] * extra + ["  ≠ "] * wrong
    assert len(set(lines)) == len(lines)


def test_load_lists_every_array_with_nan(tmp_path):
    arrays = {name: np.full_like(array, np.nan) for name, array in arrays_of(mixed()).items()}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(WeightFileError) as caught:
        weights.load(mixed(), tmp_path / "a.npz")
    first, *lines = str(caught.value).splitlines()
    assert first == f"load: a.npz has NaN or infinite numbers in {len(arrays)} arrays:"
    assert sorted(lines) == sorted(f"  {name} ({array.size:,})" for name, array in arrays.items())


def good_file(kind, path):
    """Weights of `mixed` in a file of that kind."""
    if kind == "npz":
        np.savez(path, **arrays_of(mixed()))
    if kind == "safetensors":
        weights.save(mixed(), path)
    if kind == "pth":
        torch = pytest.importorskip("torch")
        torch.save({name: torch.tensor(array) for name, array in arrays_of(mixed()).items()}, path)


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
        (lambda file: file.mkdir(), {}, "is no orbax checkpoint that can be read: it has no metadata"),
        (lambda file: zip_of(file, {"a.npy": b"\x93NUMPY\x01\x00\x10\x00{'shape': (9999,}"}), {}, "a.npy is no array: "),
        (lambda file: zip_of(file, {"a.npy": b"\x93NUMPY\x01\x00\x10\x00{'shape': (99, }"}), {}, "a.npy is no array: "),
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


def test_load_refuses_integers(tmp_path):
    arrays = arrays_of(mixed()) | {"conv.bias": np.zeros(10, np.int32)}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(WeightFileError, match="a.npz: conv.bias is int32; weights are floating point"):
        weights.load(mixed(), tmp_path / "a.npz")


def test_load_says_that_a_whole_module_is_a_pickle(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.Linear(2, 3), tmp_path / "a.pth")
    with pytest.raises(WeightFileError, match=r"refuses .*a.pth: it holds Python objects \(a pickle\)") as refused:
        weights.load(nn.Dense(2, 3, rngs=nnx.Rngs(0)), tmp_path / "a.pth")
    assert "\x1b" not in str(refused.value)
