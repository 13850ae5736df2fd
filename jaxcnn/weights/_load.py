"""`load` and `save`: the parameters and batch statistics of a model from and to files, strictly."""

import os
import re
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TypeVar

import jax.numpy as jnp
import numpy as np
from flax import nnx

from jaxcnn import nn

from ._array import Stored, WeightFileError
from ._cards import Card
from ._description import description, texts
from ._download import check_sha256, fetch, is_url
from ._files import bytes_of, opened
from ._layout import Entry, entries
from ._tables import AUXILIARY, IGNORED, Naming, family, namings

Model = TypeVar("Model", bound=nnx.Module)
LINE = 8  # names that a line of an error lists; more stand one a line


def load(model: Model, source: str | Path | Card, *, names: str | None = None, sha256: str | None = None) -> Model:
    """Fills the model with the arrays of a file, in place, and returns it: all of them, or none if one does not fit.

    Reads safetensors, npz, PyTorch's `.pth` (through its weights-only loader, where installed) and orbax folders. Arrays are
    cast to the dtype of the model's, integers of 8 bits with a scale turned into floating point (`_quantised`);
    `num_batches_tracked` and auxiliary heads that the model was built without are left out.
    Where a publisher's batch normalisations have an epsilon of their own (timm's), the model's take it on.

    Args:
        source: a path; a URL, or the card of a known weight set, which is fetched into the cache.
        names: whose names the file has: "jaxcnn" (what `save` writes), "pytorch" (torchvision's), or another publisher that
            the family's table has; None takes the one that fits best.
        sha256: of the file, or its first digits; None checks a card's alone.

    Raises: WeightFileError, a ValueError, for a file that is damaged, holds objects or has another sha256; for one that does
        not fit, with all that is missing (−), unexpected (+) or of another shape (≠); for NaN and infinite numbers.

    >>> import tempfile
    >>> from jaxcnn import nn
    >>> layer, file = nn.Dense(2, 3, rngs=nnx.Rngs(0)), tempfile.mkdtemp() + "/layer.safetensors"
    >>> save(layer, file)
    >>> bool((load(nn.Dense(2, 3, rngs=nnx.Rngs(1)), file).kernel[...] == layer.kernel[...]).all())
    True
    >>> load(nn.Dense(2, 4, rngs=nnx.Rngs(1)), file)
    Traceback (most recent call last):
    ...
    jaxcnn.weights._array.WeightFileError: load: layer.safetensors does not fit Dense: 0 missing, 0 unexpected, 2 of another shape
      ≠ bias: [3] for [4]
      ≠ kernel: [2, 3] for [2, 4]
    """
    if isinstance(source, Card):
        source, names = fetch(source), names or source.names
    elif isinstance(source, str) and is_url(source):
        source, sha256 = fetch(source, sha256=sha256), None  # it has looked
    path = Path(source).expanduser()
    if sha256 is not None:
        check_sha256(path, sha256)
    known = namings(model)
    if names is not None and names not in known:
        raise ValueError(f"load: there are no names {names!r} for {type(model).__name__}; use {', '.join(known)}")
    with opened(path) as stored:
        wanted, naming = best_naming(model, stored, known[names] if names else None)
        extra = _unexpected(model, wanted, stored)
        _check_fit(model, path, wanted, stored, extra, naming)
        arrays = [
            (entry, _converted(stored[name].read(), entry, naming, f"{path.name}: {name}"))
            for name, entry in wanted.items()
        ]
    _check_finite(path, arrays)
    for entry, array in arrays:
        entry.variable[...] = jnp.asarray(array, entry.variable.dtype)
    _set_epsilon(model, naming.epsilon if not naming.ours else description(path).epsilon)
    return model


def save(
    model: nnx.Module,
    path: str | Path,
    *,
    names: str = "jaxcnn",
    card: Card | None = None,
    class_names: Sequence[str] = (),
) -> None:
    """Writes every parameter and batch statistic as safetensors; a file of that name is replaced when the new one is whole.

    Args:
        names: "jaxcnn" for our names and layouts, "pytorch" for a state dict that torchvision's model of that name loads, or
            another publisher that the family's table has.
        card: whose preprocessing the model was trained with; the file holds it whole, and `description` tells.
        class_names: one for each output, written into the file too.

    Raises: ValueError for names that the family has not; TypeError for class names that are one text; OSError.

    >>> import tempfile
    >>> from safetensors.numpy import load_file
    >>> from jaxcnn import nn
    >>> file = tempfile.mkdtemp() + "/layer.safetensors"
    >>> save(nn.Conv(3, 8, 5, rngs=nnx.Rngs(0)), file, names="pytorch")
    >>> load_file(file)["weight"].shape
    (8, 3, 5, 5)
    """
    known = namings(model)
    if names not in known:
        raise ValueError(f"save: there are no names {names!r} for {type(model).__name__}; use {', '.join(known)}")
    if isinstance(class_names, str):
        raise TypeError(f"save: class_names={class_names!r} is one text; give a list of names")
    naming = known[names]
    arrays = {_name(e, naming): _stored_layout(e, naming) for e in entries(model)}
    path = Path(path).expanduser()
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.part")
    epsilons = {module.epsilon for module in _norms(model)}
    said = texts(card, class_names, epsilons.pop() if len(epsilons) == 1 else None)
    unfinished.write_bytes(bytes_of(arrays, {"format": "jaxcnn" if naming.ours else "pt"} | said))
    unfinished.replace(path)


def _norms(model: nnx.Module) -> list[nn.BatchNorm]:
    return [module for _, module in nnx.iter_modules(model) if isinstance(module, nn.BatchNorm)]


def _set_epsilon(model: nnx.Module, epsilon: float | None) -> None:
    if epsilon is not None:
        for norm in _norms(model):
            norm.epsilon = epsilon


def _name(entry: Entry, naming: Naming) -> str:
    return entry.ours if naming.ours else naming(entry.torch)


def _stored_layout(entry: Entry, naming: Naming) -> np.ndarray:
    array = np.asarray(entry.variable[...])
    return array if naming.ours else entry.to_torch(array)


def shape_in(entry: Entry, naming: Naming) -> tuple[int, ...]:
    """The shape that an array has in a file with that naming."""
    return tuple(entry.variable.shape) if naming.ours else entry.torch_shape


def best_naming(
    model: nnx.Module, stored: Mapping[str, Stored], only: Naming | None = None
) -> tuple[dict[str, Entry], Naming]:
    """The naming that fits a file best, or the given one, and the model's arrays by these names."""
    candidates = [only] if only else namings(model).values()
    pairs = [({_name(entry, naming): entry for entry in entries(model)}, naming) for naming in candidates]
    return min(pairs, key=lambda pair: len(pair[0].keys() ^ stored.keys()))


def _unexpected(model: nnx.Module, wanted: Mapping[str, Entry], stored: Mapping[str, Stored]) -> list[str]:
    """Names of the file that the model has no place for, but those that are left out on purpose."""
    extra = [name for name in stored if name not in wanted and not IGNORED.search(name)]
    auxiliary = re.compile(AUXILIARY.get(family(model), "(?!)"))
    return extra if any(map(auxiliary.match, wanted)) else [name for name in extra if not auxiliary.match(name)]


def _check_fit(model, path: Path, wanted: Mapping[str, Entry], stored, extra: list[str], naming: Naming) -> None:
    missing = [f"− {name}" for name in wanted if name not in stored]
    wrong = [
        f"≠ {name}: {list(stored[name].shape)} for {list(shape_in(entry, naming))}"
        for name, entry in wanted.items()
        if name in stored and not _same(stored[name].shape, shape_in(entry, naming))
    ]
    if missing or wrong or extra:
        head = f"load: {path.name} does not fit {type(model).__name__}"
        counts = f"{len(missing)} missing, {len(extra)} unexpected, {len(wrong)} of another shape"
        lines = [*missing, *(f"+ {name}" for name in extra), *wrong]
        raise WeightFileError("\n  ".join([f"{head}: {counts}", *lines]))


def _same(theirs: tuple[int, ...], ours: tuple[int, ...]) -> bool:
    """The same shape, or as many numbers for as many outputs: a convolution of all pixels is a dense layer, (c, 1, 1) is (c,)."""
    alike = len(theirs) != len(ours) and theirs[:1] == ours[:1] and prod(theirs) == prod(ours)
    return theirs == ours or alike


def _converted(array: np.ndarray, entry: Entry, naming: Naming, where: str) -> np.ndarray:
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise WeightFileError(f"load: {where} is {array.dtype}; weights are floating point")
    return array.reshape(entry.variable.shape) if naming.ours else entry.from_torch(array)


def _check_finite(path: Path, arrays: list[tuple[Entry, np.ndarray]]) -> None:
    counts = {entry.ours: int((~np.isfinite(array.astype(np.float32))).sum()) for entry, array in arrays}
    bad = [f"{name} ({count:,})" for name, count in counts.items() if count]
    if bad:
        where = f" {', '.join(bad)}" if len(bad) <= LINE else "\n  ".join([f" {len(bad)} arrays:", *bad])
        raise WeightFileError(f"load: {path.name} has NaN or infinite numbers in{where}")
