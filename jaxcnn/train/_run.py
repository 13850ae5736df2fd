"""`run_folder`: the folder that keeps a run, `runs/<experiment>/<time>/`.

While the run lasts the folder is named `<time>.unfinished`; only a run that ends well loses that ending, so no half-written
folder looks finished. A run that fails leaves `error.txt` in it.
"""

import json
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np

T = TypeVar("T")
PACKAGES = ("jaxcnn", "jax", "jaxlib", "flax", "optax", "numpy", "scikit-learn", "tensorflow-datasets")


class Run:
    """A run folder that is being written. `path` moves when the run ends."""

    def __init__(self, path: Path):
        self.path = path

    def write_json(self, name: str, value: Any) -> None:
        """Writes `value` (a dataclass, a mapping, numbers, paths) as `name`."""
        (self.path / name).write_text(json.dumps(_plain(value), indent=2, default=str) + "\n")

    def log(self, record: T, name: str = "metrics.jsonl") -> T:
        """Adds one record as a JSON line and returns it."""
        with open(self.path / name, "a") as file:
            file.write(json.dumps(_plain(record), default=str) + "\n")
        return record

    def write_parameters(self, tree: Any, name: str = "parameters.safetensors") -> None:
        """Writes every array of a pytree under its path, `conv1.kernel`, …"""
        from safetensors.numpy import save_file

        leaves = jax.tree_util.tree_leaves_with_path(tree)
        save_file({dotted(path): np.asarray(leaf, order="C") for path, leaf in leaves}, self.path / name)


@contextmanager
def run_folder(
    root: str | Path, experiment: str, *, config: Any, source: str | Path, resume: str | Path | None = None
) -> Iterator[Run]:
    """A run folder with the configuration, the experiment's source and the versions of what runs it.

    It is a fresh one, or with `resume` the unfinished one there, whose checkpoints then go on.

    Raises: OSError, one line, before anything runs, if the folder cannot be written; ValueError if there is no unfinished run
        of this experiment at `resume`, or it was begun with another configuration (but for `resume` and `runs`).

    >>> import tempfile
    >>> with run_folder(tempfile.mkdtemp(), "demo", config={"epochs": 1}, source=__file__) as run:
    ...     record = run.log({"epoch": 1})
    >>> sorted(file.name for file in run.path.iterdir()), run.path.suffix
    (['_run.py', 'config.json', 'metrics.jsonl', 'versions.json'], '')
    """
    if resume is None:
        run = Run(_create(Path(root) / experiment))
    else:
        run = Run(_reopened(Path(resume), Path(source).name, config))
    try:
        run.write_json("config.json", config)
        run.write_json("versions.json", versions())
        shutil.copy(source, run.path)
        yield run
    except BaseException as error:
        (run.path / "error.txt").write_text(f"{type(error).__name__}: {error}\n")
        raise
    run.path = run.path.rename(run.path.with_suffix(""))


def versions() -> dict[str, Any]:
    """Python, packages, device and command of this process.

    >>> versions()["python"] == platform.python_version()
    True
    """
    found: dict[str, Any] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    device = jax.devices()[0]
    return found | {"platform": device.platform, "device": device.device_kind, "command": sys.argv}


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


def _create(parent: Path) -> Path:
    name = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for attempt in range(1000):
        stem = name if attempt == 0 else f"{name}_{attempt}"
        path = parent / f"{stem}.unfinished"
        if (parent / stem).exists() or path.exists():
            continue
        try:
            path.mkdir(parents=True)
        except FileExistsError:  # of another process in the same second
            continue
        except OSError as error:
            raise OSError(f"run_folder: cannot write to {parent}: {error.strerror}; give another folder") from None
        return path
    raise OSError(f"run_folder: {parent} holds a thousand runs of this second; give another folder")


def _reopened(path: Path, source: str, config: Any) -> Path:
    if path.suffix != ".unfinished" or not path.is_dir():
        raise ValueError(f"run_folder: {path} is no unfinished run; give a folder that ends in .unfinished")
    if not (path / source).exists():
        raise ValueError(f"run_folder: {path} is a run of another experiment: {source} is not in it")
    _check_config(path, json.loads(json.dumps(_plain(config), default=str)))
    (path / "error.txt").unlink(missing_ok=True)
    return path


def _check_config(path: Path, now: Any) -> None:
    file = path / "config.json"
    before = json.loads(file.read_text()) if file.exists() else now
    if not isinstance(now, dict) or not isinstance(before, dict):
        return
    names = [name for name in now if name not in ("resume", "runs") and before.get(name, now[name]) != now[name]]
    if names:
        begun = ", ".join(f"{name}={before[name]!r}" for name in names)
        given = ", ".join(f"{name}={now[name]!r}" for name in names)
        raise ValueError(f"run_folder: {path} was begun with {begun}, not with {given}; give the same options")


def dotted(path: tuple) -> str:
    """The path of a leaf as text: `conv1.kernel`."""
    keys = [getattr(entry, "key", getattr(entry, "name", getattr(entry, "idx", None))) for entry in path]
    if isinstance(path[-1], jax.tree_util.GetAttrKey):  # the array of an nnx.Variable
        keys.pop()
    return ".".join(map(str, keys))
