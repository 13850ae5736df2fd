"""Weight files as names, shapes and arrays that are read when they are asked for.

Kinds are told by their first bytes, not by their ending: safetensors, npz, PyTorch's `.pth`, an orbax folder. Nothing is
unpickled by Python itself: npz files with objects are refused, `.pth` files go through PyTorch's weights-only loader. Names,
shapes and types come first, from headers that must agree with the sizes of the file, so that no array is decompressed
before it is known to be one of the model's.
"""

import logging
import re
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any

import jax
import numpy as np

from ._array import Stored, WeightFileError
from ._quantised import dequantised

HEADER = 1 << 16  # bytes of the longest header of an array that is read
WRAPPED = re.compile(r"^(module\.|_orig_mod\.)+")  # what DataParallel and torch.compile put before every name
STATES = (
    "state_dict",
    "model_state_dict",
    "model",
    "model_ema",
    "state_dict_ema",
)  # where a training checkpoint has it
PICKLED = "it holds Python objects (a pickle), which could run code; save model.state_dict() instead"
KINDS = "a .safetensors, .npz or .pth file, or an orbax folder"


@contextmanager
def opened(path: str | Path) -> Iterator[Mapping[str, Stored]]:
    """The arrays of a file by name, while it is open; weights in place of 8-bit integers with a scale (`_quantised`).

    Raises: WeightFileError for a file that is not there, cut short, of no known kind, or that holds more than arrays.

    >>> import tempfile
    >>> file = tempfile.mkdtemp() + "/a.npz"
    >>> np.savez(file, bias=np.zeros(3))
    >>> with opened(file) as arrays:
    ...     arrays["bias"].shape
    (3,)
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise WeightFileError(f"load: {path} does not exist")
    try:
        with _reader(path)(path) as arrays:
            yield dequantised({WRAPPED.sub("", name): stored for name, stored in arrays.items()}, path.name)
    except (WeightFileError, ImportError):
        raise
    except (OSError, zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise WeightFileError(f"load: {path} is damaged or cut short: {line_of(error)}") from None


def _reader(path: Path) -> Callable:
    if path.is_dir():
        return _orbax
    with open(path, "rb") as file:
        start = file.read(9)
    if start[:2] == b"PK":
        with zipfile.ZipFile(path) as archive:
            return _torch if any(name.endswith("data.pkl") for name in archive.namelist()) else _npz
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        return _torch
    if start[8:9] == b"{":
        return _safetensors
    what = "is empty" if not start else "is no weight file"
    raise WeightFileError(f"load: {path} {what}; give {KINDS}")


@contextmanager
def _safetensors(path: Path) -> Iterator[dict[str, Stored]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "np") as file:
            shape = lambda name: tuple(file.get_slice(name).get_shape())
            yield {name: Stored(shape(name), lambda name=name: file.get_tensor(name)) for name in file.keys()}
    except SafetensorError as error:
        raise WeightFileError(f"load: {path} is damaged or cut short: {line_of(error)}") from None


@contextmanager
def _npz(path: Path) -> Iterator[dict[str, Stored]]:
    with zipfile.ZipFile(path) as archive:
        yield {info.filename.removesuffix(".npy"): _member(archive, info, path) for info in archive.infolist()}


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> Stored:
    """An array of an npz, from its header; the header, the size in the archive and the array must agree."""
    where, form = f"load: {path}: {info.filename}", np.lib.format
    with archive.open(info) as file:
        try:
            major, _ = form.read_magic(file)
            _check_header(file.read(2 if major == 1 else 4))
            file.seek(form.MAGIC_LEN)
            shape, fortran, dtype = (form.read_array_header_1_0 if major == 1 else form.read_array_header_2_0)(file)
        except (ValueError, SyntaxError, TokenError, RecursionError, MemoryError) as error:  # NumPy parses it as Python
            raise WeightFileError(f"{where} is no array: {line_of(error)}") from None
        start = file.tell()
    if dtype.hasobject:
        raise WeightFileError(f"{where} holds Python objects (a pickle), which could run code; it is not read")
    size = prod(shape) * dtype.itemsize
    if start + size != info.file_size:
        raise WeightFileError(f"{where} says {size:,} bytes and has {info.file_size - start:,}; the file is damaged")

    def read() -> np.ndarray:
        with archive.open(info) as file:
            data = file.read(start + size)  # to the end, where the check sum is compared
        return np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")

    return Stored(tuple(shape), read)


def _check_header(length: bytes) -> None:
    """Refuses a header that would fill the memory before it is known to be none."""
    if int.from_bytes(length, "little") > HEADER:
        raise ValueError(f"its header says that it is {int.from_bytes(length, 'little'):,} bytes long")


@contextmanager
def _torch(path: Path) -> Iterator[dict[str, Stored]]:
    try:
        import torch
    except ImportError:
        raise ImportError(f"load: {path} is PyTorch's; install torch, or save it as .safetensors where it is") from None
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            packed = [info.filename for info in archive.infolist() if info.file_size > info.compress_size]
        if packed:  # PyTorch stores what it writes as it is
            raise WeightFileError(f"load: {path}: {packed[0]} is compressed; PyTorch writes none, so it is not read")
    try:
        with warnings.catch_warnings(action="ignore"):
            found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        pickled = "weights_only" in str(error) or "Unsupported" in str(error)
        why = PICKLED if pickled else line_of(error).partition(" Please file")[0]
        raise WeightFileError(f"load: PyTorch's weights-only loader refuses {path}: {why}") from None
    for key in STATES:
        found = found[key] if isinstance(found, dict) and isinstance(found.get(key), dict) else found
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise WeightFileError(f"load: {path} holds no state dict of tensors")
    read = lambda tensor: (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    yield {name: Stored(tuple(tensor.shape), lambda tensor=tensor: read(tensor)) for name, tensor in found.items()}


@contextmanager
def _orbax(path: Path) -> Iterator[dict[str, Stored]]:
    try:
        import orbax.checkpoint as ocp
    except ImportError:
        raise ImportError(f"load: {path} is read by orbax-checkpoint; pip install 'jaxcnn[experiments]'") from None
    try:
        with ocp.PyTreeCheckpointer() as checkpointer, _silent("absl"):
            found = checkpointer.metadata(path.absolute()).item_metadata
            if found is None:
                raise ValueError("it has no metadata")
            shapes, flat = found.tree, dict(_flat(found.tree, ()))
    except Exception as error:
        raise WeightFileError(f"load: {path} is no orbax checkpoint that can be read: {line_of(error)}") from None

    @cache
    def restored() -> dict[str, np.ndarray]:
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), shapes)
        try:
            with ocp.PyTreeCheckpointer() as checkpointer:
                tree = checkpointer.restore(path.absolute(), restore_args=as_numpy)
        except Exception as error:
            raise WeightFileError(f"load: {path} is no orbax checkpoint that can be read: {line_of(error)}") from None
        return {name: np.asarray(leaf) for name, leaf in _flat(tree, ())}

    yield {name: Stored(tuple(leaf.shape or ()), lambda name=name: restored()[name]) for name, leaf in flat.items()}


@contextmanager
def _silent(logger: str) -> Iterator[None]:
    """Without the lines that a library logs about what becomes an error of ours."""
    found = logging.getLogger(logger)
    level = found.level
    found.setLevel(logging.ERROR)
    try:
        yield
    finally:
        found.setLevel(level)


def _flat(tree: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """Leaves under dotted names; the `value` that NNX puts under each variable is left out."""
    if isinstance(tree, Mapping) or isinstance(tree, list):
        items = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
        for key, value in items:
            yield from _flat(value, (*path, str(key)))
    elif tree is not None:
        yield ".".join(path[:-1] if path[-1:] == ("value",) else path), tree


def line_of(error: BaseException) -> str:
    """What went wrong, in one short line.

    >>> line_of(OSError())
    'OSError'
    """
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


def bytes_of(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> bytes:
    """A safetensors file.

    >>> len(bytes_of({"a": np.zeros(2, np.float32)}, {})) % 8
    0
    """
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, metadata)
