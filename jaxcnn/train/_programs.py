"""The compiled programs of a run: the start of an ensemble, some steps of it, its evaluation, on one device or a mesh."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxcnn.data import Prepare

from ._checkpoint import is_key
from ._members import over_members
from ._mesh import automatic
from ._step import Build, Optimiser, TrainState, initialise, make_batch_step, make_epoch, make_evaluate, make_step

PIXELS = 1 << 20  # of the images that are evaluated at a time, where a training batch has fewer


class Programs:
    """What `fit` calls, every function over all members.

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
        mesh = mesh and automatic(mesh)
        self.graphdef, self.optimiser, self.batch_size, self.mesh, self.ema = graphdef, optimiser, batch_size, mesh, ema
        self._over_members = partial(over_members, one_by_one=mesh is not None)
        self._step = make_step(graphdef, optimiser, loss=loss, compute_dtype=compute_dtype, ema=ema)
        options = {"augment": augment, "mix": mix, "sharding": batch_sharding(mesh, batch_size)}
        self._epoch_of = lambda steps: make_epoch(self._step, prepare, batch_size, **options, steps=steps)
        self._batch_step = make_batch_step(self._step, prepare, **options)
        self.evaluate = jax.jit(self._over_members(self._evaluation(prepare, views)), out_shardings=self._everywhere)
        self._compiled: dict[Any, Callable] = {}

    def _evaluation(self, prepare: Prepare, views: Callable | None) -> Callable:
        """Logits of any number of images, about as many pixels a step as a thousand small ones have."""

        def evaluate(state: TrainState, images: Array) -> Array:
            h, w = images.shape[1:3]
            size = min(1000, max(self.batch_size, PIXELS // (h * w)))
            if self.mesh is not None:  # as many for every device, and no more than there are images for
                each = self.mesh.shape["data"]
                size = -(-min(size, len(images)) // each) * each
            sharding = batch_sharding(self.mesh, size)
            return make_evaluate(self.graphdef, prepare, size, views=views, sharding=sharding)(state, images)

        return evaluate

    def initialise(self, build: Build, keys: Array, hyper: dict[str, Array] | None) -> TrainState:
        """The members' first states, on every device."""
        start = lambda key, numbers: initialise(build, self.optimiser, key, hyper=numbers, ema=self.ema is not None)
        return jax.jit(jax.vmap(start), out_shardings=self._everywhere)(keys, hyper)

    def compiled(self, steps: int, state: TrainState, images: Array, labels: Array) -> Callable:
        """`(state, images, labels) → (state, metrics)`: the next `steps` steps on the set, `state` donated; compiled once."""
        return self._once(steps, self._epoch_of(steps), state, images, labels)

    def compiled_batch(self, state: TrainState, image_shape: tuple[int, ...]) -> Callable:
        """`(state, images, labels) → (state, metrics)`: a step on one batch of uint8 images, `state` donated; compiled once."""
        place = self.raw_sharding
        images = jax.ShapeDtypeStruct((self.batch_size, *image_shape), jnp.uint8, sharding=place)
        labels = jax.ShapeDtypeStruct((self.batch_size,), jnp.int32, sharding=place)
        return self._once("batch", self._batch_step, state, images, labels)

    @property
    def raw_sharding(self) -> NamedSharding | None:
        """Of a batch as it comes from a stream: the images over the axis "data"."""
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec("data"))

    def place(self, tree: Any) -> Any:
        """The arrays whole on every device of the mesh."""
        return jax.tree.map(jnp.asarray if self.mesh is None else self._placed, tree)

    def _placed(self, leaf: Any) -> Array:
        if is_key(leaf):  # device_put cannot bring keys to the devices of another process
            bits = jax.device_put(jax.random.key_data(leaf), self._everywhere)
            return jax.random.wrap_key_data(bits, impl=jax.random.key_impl(leaf))
        return jax.device_put(leaf, self._everywhere)

    @property
    def _everywhere(self) -> NamedSharding | None:
        return None if self.mesh is None else NamedSharding(self.mesh, PartitionSpec())

    def _once(self, name: Any, function: Callable, *arguments: Any) -> Callable:
        if name not in self._compiled:
            run = jax.jit(self._over_members(function), donate_argnums=0, out_shardings=self._everywhere)
            self._compiled[name] = run.lower(*arguments).compile()
        return self._compiled[name]


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
