"""The rivals of `benchmarks.train` on JAX: `OurLoop` as `train.fit` runs it, `FlaxLoop` as a Flax user writes it.

A loop trains by SGD with Nesterov momentum and goes on from where it stands at every call of `run`, which returns the losses of
its steps, `(steps, members)`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array

from jaxcnn.data import ImageSet, preparer
from jaxcnn.train import graph_of, initialise, make_epoch, make_step, over_members

from .train_networks import Task

RATE, PER_CALL = 0.01, 100
Weights = Mapping[tuple, np.ndarray]  # path in the network → parameter


def sgd() -> optax.GradientTransformation:
    """The same for both libraries; PyTorch's SGD of these numbers is the same arithmetic."""
    return optax.sgd(RATE, 0.9, nesterov=True)


class OurLoop:
    """`members` networks from seeds that start at 0, `make_epoch` by `over_members`, up to 100 steps a call.

    Not `together`, they run one after the other, each as an ensemble of one.
    """

    def __init__(self, task: Task, data: ImageSet, members: int = 1, *, together: bool = True):
        build, self.batch, self.steps = lambda rngs: task.ours(rngs=rngs), task.batch, len(data.train) // task.batch
        keys = jax.vmap(jax.random.key)(jnp.arange(members))
        self.start = jax.jit(jax.vmap(partial(initialise, build, sgd())))(keys)
        parts = [slice(None)] if together else [slice(i, i + 1) for i in range(members)]
        self.states = [jax.tree.map(lambda a, part=part: jnp.copy(a[part]), self.start) for part in parts]
        self.data = jnp.asarray(data.train.images), jnp.asarray(data.train.labels)
        step, prepare = make_step(graph_of(build), sgd()), preparer(data, data.image_shape[:2])
        self.calls = {steps: self._call(step, prepare, steps) for steps in {self._next(0), self._next(-1)}}

    def run(self) -> np.ndarray:
        """An epoch in an order of its own."""
        return np.concatenate([self._epoch(number) for number in range(len(self.states))], 1)

    def _epoch(self, number: int) -> np.ndarray:
        losses, done = [], 0
        while done < self.steps:
            program = self.calls[self._next(done)]
            self.states[number], metrics = program(self.states[number], *self.data)
            losses.append(np.asarray(metrics.loss))
            done += self._next(done)
        return np.concatenate(losses, 1).T  # (steps, members)

    def order(self, steps: int) -> np.ndarray:
        """The first batches of an epoch from the start, `(steps, members, batch)`: an epoch over numbers instead of images."""
        look = lambda state, x, labels: (state._replace(step=state.step + 1), x)
        numbers = jnp.arange(len(self.data[1]))
        _, seen = jax.jit(self._call(look, lambda x: x, steps))(self.start, numbers, numbers)
        return np.moveaxis(np.asarray(seen), 0, 1)

    def weights(self) -> Weights:
        """The parameters of all members at the start."""
        return {path: np.asarray(value[...]) for path, value in nnx.to_flat_state(self.start.parameters)}

    def _next(self, done: int) -> int:
        """Steps of the call behind `done` steps of an epoch; of the last call for -1."""
        return min(PER_CALL, self.steps - done) if done >= 0 else (self.steps - 1) % PER_CALL + 1

    def _call(self, step, prepare, steps: int):
        epoch = make_epoch(step, prepare, self.batch, steps=steps)
        return jax.jit(over_members(epoch), donate_argnums=0)


class FlaxLoop:
    """An `nnx.jit` step in a Python loop; for an ensemble the step under `nnx.vmap`, every member with its own batches."""

    def __init__(self, task: Task, data: ImageSet, weights: Weights):
        self.members, self.batch = len(next(iter(weights.values()))), task.batch
        mean, deviation = data.statistics()
        self.prepare = lambda x: (x.astype(jnp.float32) / 255 - mean) / deviation
        self.data = jnp.asarray(data.train.images), jnp.asarray(data.train.labels)
        self.key = jax.random.key(0)
        if self.members == 1:
            self.model = task.flax(rngs=nnx.Rngs(0))
            self._load(weights, lambda array: array[0])
            self.optimiser = nnx.Optimizer(self.model, sgd(), wrt=nnx.Param)
            self.step = nnx.jit(self._step)
        else:
            self.model = nnx.vmap(lambda key: task.flax(rngs=nnx.Rngs(key)))(jax.random.split(self.key, self.members))
            self._load(weights, lambda array: array)
            self.optimiser = nnx.vmap(lambda model: nnx.Optimizer(model, sgd(), wrt=nnx.Param))(self.model)
            self.step = nnx.jit(nnx.vmap(self._step, in_axes=(0, 0, None, None, 0)))

    def run(self, order: np.ndarray | None = None) -> np.ndarray:
        """An epoch in an order of its own, or the batches of `order` `(steps, members, batch)`."""
        batches = self._draw() if order is None else jnp.asarray(order)
        batches = batches[:, 0] if self.members == 1 else batches
        losses = [self.step(self.model, self.optimiser, *self.data, chosen) for chosen in batches]
        return np.asarray(jnp.stack(losses)).reshape(len(losses), self.members)

    def _draw(self) -> Array:
        self.key, *keys = jax.random.split(self.key, self.members + 1)
        steps, count = len(self.data[1]) // self.batch, len(self.data[1])
        orders = jnp.stack([jax.random.permutation(key, count)[: steps * self.batch] for key in keys])
        return jnp.moveaxis(orders.reshape(self.members, steps, self.batch), 0, 1)

    def _step(self, model: Any, optimiser: Any, images: Array, labels: Array, chosen: Array) -> Array:
        def objective(model):
            logits = model(self.prepare(images[chosen]), train=True)
            return optax.softmax_cross_entropy_with_integer_labels(logits, labels[chosen]).mean()

        loss, gradient = nnx.value_and_grad(objective)(model)
        optimiser.update(model, gradient)
        return loss

    def _load(self, weights: Weights, pick) -> None:
        state = nnx.to_flat_state(nnx.state(self.model, nnx.Param))
        own = {path: value.replace(jnp.asarray(pick(weights[path]))) for path, value in state}
        nnx.update(self.model, nnx.from_flat_state(own))
