"""The compiled programs of a run: the start of an ensemble, some steps of it, its evaluation, on one device or a mesh."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcnn.data import ImageSet, Prepare

from ._step import Build, Optimiser, TrainState, initialise, make_epoch, make_evaluate, make_step


class Programs:
    """What `fit` calls, every function under `jax.vmap` over the members.

    Args:
        graphdef, optimiser, loss, compute_dtype, ema: see `make_step`.
        prepare, batch_size, augment, mix: see `make_epoch`.
        views: see `make_evaluate`.
        mesh: devices that share every batch; None for one.
    """

    def __init__(
        self,
        graphdef: nnx.GraphDef,
        optimiser: Optimiser,
        prepare: Prepare,
        batch_size: int,
        *,
        loss: Callable,
        compute_dtype: Any,
        ema: float | None,
        augment: Callable | None,
        mix: Callable | None,
        views: Callable | None,
        mesh: Mesh | None,
    ):
        self.graphdef, self.optimiser, self.batch_size, self.mesh, self.ema = graphdef, optimiser, batch_size, mesh, ema
        self._step = make_step(graphdef, optimiser, loss=loss, compute_dtype=compute_dtype, ema=ema)
        options = {"augment": augment, "mix": mix, "sharding": batch_sharding(mesh, batch_size)}
        self._epoch_of = lambda steps: make_epoch(self._step, prepare, batch_size, **options, steps=steps)
        self.evaluate = jax.jit(jax.vmap(make_evaluate(graphdef, prepare, 1000, views=views), in_axes=(0, None)))
        self._compiled: dict[int, Callable] = {}

    def initialise(self, build: Build, keys: Array, hyper: dict[str, Array] | None) -> TrainState:
        """The members' first states, on every device."""
        start = lambda key, numbers: initialise(build, self.optimiser, key, hyper=numbers, ema=self.ema is not None)
        everywhere = None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())
        return jax.jit(jax.vmap(start), out_shardings=everywhere)(keys, hyper)

    def compiled(self, steps: int, state: TrainState, images: Array, labels: Array) -> Callable:
        """`(state, images, labels) → (state, metrics)`: the next `steps` steps, `state` donated; compiled once."""
        if steps not in self._compiled:
            run = jax.jit(jax.vmap(self._epoch_of(steps), in_axes=(0, None, None)), donate_argnums=0)
            self._compiled[steps] = run.lower(state, images, labels).compile()
        return self._compiled[steps]

    def place(self, data: ImageSet) -> tuple[tuple[Array, Array], Array]:
        """Training images and labels, and test images, on every device."""
        arrays = data.train.images, data.train.labels, data.test.images
        images, labels, test = map(self.replicate, arrays if self.mesh is not None else map(jnp.asarray, arrays))
        return (images, labels), test

    def replicate(self, tree: Any) -> Any:
        """The arrays whole on every device of the mesh."""
        return tree if self.mesh is None else jax.device_put(tree, NamedSharding(self.mesh, PartitionSpec()))


def members_of(
    seeds: int, seed: int, hyper: Mapping[str, Sequence[float]] | None
) -> tuple[Array, dict[str, Array] | None]:
    """A key for every member, and its numbers: all seeds of the first variant, then of the second, …

    Raises: ValueError for a name without values, or names with different numbers of them.

    >>> keys, numbers = members_of(2, 0, {"learning_rate": [0.1, 0.2]})
    >>> keys.shape, [round(float(rate), 1) for rate in numbers["learning_rate"]]
    ((4,), [0.1, 0.1, 0.2, 0.2])
    """
    keys = jax.vmap(jax.random.key)(jnp.arange(seed, seed + seeds))
    if not hyper:
        return keys, None
    counts = {name: len(values) for name, values in hyper.items()}
    if len(set(counts.values())) != 1 or not all(counts.values()):
        raise ValueError(f"fit: hyper has {counts} values; every name must have as many, and some")
    variants = next(iter(counts.values()))
    numbers = {name: jnp.asarray(np.repeat(np.asarray(v, np.float32), seeds)) for name, v in hyper.items()}
    return jnp.tile(keys, variants), numbers


def batch_sharding(mesh: Mesh | None, batch_size: int) -> NamedSharding | None:
    """Images of a batch over the axis "data" of the mesh, their rows over "space" where it has that axis.

    Raises: ValueError for a mesh without "data" or a batch that does not divide among its devices.
    """
    if mesh is None:
        return None
    if "data" not in mesh.axis_names:
        raise ValueError(f"fit: the mesh has the axes {mesh.axis_names}; it must have 'data'")
    if batch_size % mesh.shape["data"]:
        raise ValueError(f"fit: batch_size={batch_size} must divide among the {mesh.shape['data']} devices of 'data'")
    return NamedSharding(mesh, PartitionSpec("data", "space" if "space" in mesh.axis_names else None))
