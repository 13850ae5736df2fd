"""`Checkpoints`: the state of a run on disk, so that a run stopped at any instant goes on to the same bits.

Orbax writes in the background into a temporary folder and renames it when it is whole, so a killed process leaves the
checkpoints before it as they were. Beside the arrays lie their names, shapes and CRC-32 sums and what the run was
(`identity`): a file that was damaged, or that belongs to another run, is refused by name.
"""

import json
import logging
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import dtypes


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be written or used; the message says which one, why, and what is still good."""


class Checkpoints:
    """The checkpoints in a folder: the last `keep_last` and the `keep_best` of the highest accuracy (needs orbax).

    Args:
        path: the folder; made if it is not there.
        keep_last: how many of the newest stay.
        keep_best: how many of the most accurate stay besides.

    >>> import tempfile, jax.numpy as jnp
    >>> with Checkpoints(tempfile.mkdtemp()) as kept:
    ...     kept.save(3, {"a": jnp.arange(2)}, {"epoch": 1}, identity={"data": "digits"})
    ...     state, progress = kept.restore({"a": jnp.zeros(2, int)}, identity={"data": "digits"})
    >>> state["a"].tolist(), progress
    ([0, 1], {'epoch': 1})
    """

    def __init__(self, path: str | Path, *, keep_last: int = 2, keep_best: int = 1):
        try:
            import orbax.checkpoint as ocp
            from orbax.checkpoint import checkpoint_managers as policies
        except ImportError:
            raise ImportError(
                "Checkpoints are written by orbax-checkpoint; pip install 'jaxcnn[experiments]'"
            ) from None
        if keep_last < 1 or keep_best < 0:
            raise ValueError(f"Checkpoints: keep_last={keep_last} must be at least 1, keep_best={keep_best} at least 0")
        logging.getLogger("absl").setLevel(logging.ERROR)
        self.path, self.keep_best, self._ocp, self._writing = Path(path).absolute(), keep_best, ocp, None
        accuracy = lambda metrics: metrics["accuracy"]
        best = policies.BestN(get_metric_fn=accuracy, n=keep_best, keep_checkpoints_without_metrics=False)
        options = ocp.CheckpointManagerOptions(
            preservation_policy=policies.AnyPreservationPolicy([policies.LatestN(keep_last), best]),
            cleanup_tmp_directories=True,
            best_fn=accuracy,  # without it the accuracies are not written, and a second run would forget the best
        )
        try:
            self._manager = ocp.CheckpointManager(self.path, options=options)
        except OSError as error:
            raise CheckpointError(f"Checkpoints: {self.path} cannot be used: {error}; give another folder") from None

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._manager.close()
        except Exception:
            if error[0] is None:
                raise

    @property
    def steps(self) -> list[int]:
        """Steps of the checkpoints that are whole, in order."""
        return sorted(self._manager.all_steps())

    @property
    def best(self) -> int | None:
        """The step of the highest accuracy among those that are kept, the last of equals; None where none has one."""
        return self._manager.best_step()

    def save(
        self,
        step: int,
        state: Any,
        progress: Mapping[str, Any],
        *,
        identity: Mapping[str, Any],
        accuracy: float | None = None,
        wait: bool = True,
    ) -> None:
        """Writes the arrays of `state` and the plain values of `progress`; without `wait`, in the background.

        Raises: CheckpointError if it, or the one before it in the background, could not be written.
        """
        arrays = _named(state)
        facts = {
            "leaves": _leaves(state),
            "sums": {name: zlib.crc32(array.tobytes()) for name, array in arrays.items()},
        }
        save, metrics = self._ocp.args, None if accuracy is None else {"accuracy": accuracy}
        items = save.Composite(
            state=save.StandardSave(arrays),
            facts=save.JsonSave(facts | {"identity": dict(identity), "progress": dict(progress)}),
        )
        self.wait()
        self._writing = step
        with self._failing():
            if not self._manager.save(step, args=items, metrics=metrics):
                raise ValueError(f"it does not come after step {self._manager.latest_step()}, the last one")
        if wait:
            self.wait()

    def wait(self) -> None:
        """Returns when what was saved in the background is on disk.

        Raises: CheckpointError if it could not be written.
        """
        with self._failing():
            self._manager.wait_until_finished()

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Whatever goes wrong inside means that the step which was being written is not there."""
        try:
            yield
        except Exception as error:
            good = [kept for kept in self.steps if kept != self._writing]
            rest = f"the one of step {good[-1]} is good" if good else "there is none before it"
            raise CheckpointError(
                f"Checkpoints: step {self._writing} was not written to {self.path}: {_short(error)}; {rest}"
            ) from error

    def restore(self, like: Any, *, identity: Mapping[str, Any], step: int | None = None) -> tuple[Any, dict] | None:
        """The state, with the structure of `like`, and the progress at `step` or the last one; None if there is none.

        Raises: CheckpointError if it is not there, damaged, none of jaxcnn's, or of another run or network.
        """
        found = self.steps
        if step is not None and step not in found:
            raise CheckpointError(f"Checkpoints: {self.path} has no step {step}; it has {found}")
        if not found:
            return None
        step = found[-1] if step is None else step
        if not (self.path / str(step) / "facts").is_dir():
            raise CheckpointError(f"Checkpoints: {self.path / str(step)} is none of jaxcnn's; give another folder")
        which, read = f"Checkpoints: step {step} in {self.path}", self._ocp.args
        advice = f"remove {self.path / str(step)}"
        with _damaged(which, advice):
            facts = self._manager.restore(step, args=read.Composite(facts=read.JsonRestore()))["facts"]
        _check_identity(which, facts, _leaves(like), json.loads(json.dumps(dict(identity))))
        with _damaged(which, advice):
            items = read.Composite(state=read.StandardRestore(_named(like)))
            arrays = self._manager.restore(step, args=items)["state"]
            _check_sums(arrays, facts)
        return _rebuilt(like, arrays), facts["progress"]


@contextmanager
def _damaged(which: str, advice: str) -> Iterator[None]:
    """Whatever goes wrong inside means that the checkpoint cannot be read."""
    try:
        yield
    except Exception as error:
        raise CheckpointError(f"{which} is damaged: {_short(error)}; {advice}") from error


def _check_sums(arrays: Mapping[str, Any], facts: dict) -> None:
    for name, array in arrays.items():
        if zlib.crc32(np.asarray(array).tobytes()) != facts["sums"][name]:
            raise ValueError(f"the sum of {facts['leaves'][int(name)][0]} is wrong")


def _check_identity(which: str, facts: dict, leaves: list, identity: dict) -> None:
    theirs = facts["identity"]
    for name in [*theirs, *identity]:
        if theirs.get(name) != identity.get(name):
            raise CheckpointError(
                f"{which} is of another run: its {name} is {theirs.get(name)!r}, this run's {identity.get(name)!r}"
            )
    for theirs, ours in zip(facts["leaves"], leaves):
        if theirs != ours:
            raise CheckpointError(f"{which} is of another network: it has {theirs}, this network {ours}")
    if len(facts["leaves"]) != len(leaves):
        counts = f"it has {len(facts['leaves'])} arrays, this network {len(leaves)}"
        raise CheckpointError(f"{which} is of another network: {counts}")


def _leaves(state: Any) -> list[list]:
    """`[path, shape, dtype]` of every array, as JSON writes it."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return [[jax.tree_util.keystr(path), list(leaf.shape), str(leaf.dtype)] for path, leaf in leaves]


def _named(state: Any) -> dict[str, np.ndarray]:
    """The arrays under their numbers, keys as their bits, on the host."""
    return {f"{i:04d}": np.array(_bits(leaf), order="C") for i, leaf in enumerate(jax.tree.leaves(state))}


def _rebuilt(like: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    leaves, structure = jax.tree.flatten(like)
    wrap = lambda leaf, array: (
        jax.random.wrap_key_data(array, impl=jax.random.key_impl(leaf)) if is_key(leaf) else array
    )
    restored = [wrap(leaf, jax.numpy.asarray(arrays[f"{i:04d}"])) for i, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, restored)


def _bits(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if is_key(leaf) else leaf


def is_key(leaf: Any) -> bool:
    """Whether the array holds random keys, which are not numbers."""
    return jax.numpy.issubdtype(leaf.dtype, dtypes.prng_key)


def _short(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
