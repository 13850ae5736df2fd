"""The compiled step and the compiled epoch.

A model is split once into its graph (static) and arrays; `TrainState` holds every array that training changes. A step is a pure
function `(state, images, labels) → (state, loss, correct)`; an epoch over a set that lives on the device shuffles it and scans
the step, one compiled call. `jax.vmap` over the state trains an ensemble: seeds, or anything else that is an array there.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from jaxcnn.data import Prepare

Build = Callable[[nnx.Rngs], nnx.Module]
Augment = Callable[[Array, Array], Array]  # (key, prepared images) → images


class TrainState(NamedTuple):
    """Arrays that training changes: parameters, other model state, optimiser state, steps done, random key."""

    parameters: Any
    state: Any
    optimiser: Any
    step: Int[Array, ""]
    key: Array


class Metrics(NamedTuple):
    """Mean loss and number of right answers of each step (training) or of the whole set (evaluation)."""

    loss: Float[Array, "*steps"]
    correct: Int[Array, "*steps"]


def graph_of(build: Build) -> nnx.GraphDef:
    """The static half of the model that `build` makes; computes nothing."""
    return nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))[0]


def initialise(build: Build, optimiser: optax.GradientTransformation, key: Array) -> TrainState:
    """A fresh model and optimiser from one key; under `jax.vmap` over keys, an ensemble of them."""
    params_key, dropout_key, train_key = jax.random.split(key, 3)
    model = build(nnx.Rngs(params=params_key, dropout=dropout_key))
    _, parameters, state = nnx.split(model, nnx.Param, ...)
    return TrainState(parameters, state, optimiser.init(parameters), jnp.zeros((), jnp.int32), train_key)


def cross_entropy(logits: Float[Array, "n k"], labels: Int[Array, " n"]) -> Float[Array, ""]:
    """Mean softmax cross-entropy in nats.

    >>> round(cross_entropy(jnp.zeros((2, 10)), jnp.array([3, 7])).item(), 4)
    2.3026
    """
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def make_step(
    graphdef: nnx.GraphDef,
    optimiser: optax.GradientTransformation,
    *,
    loss: Callable[[Array, Array], Array] = cross_entropy,
) -> Callable[[TrainState, Array, Array], tuple[TrainState, Metrics]]:
    """One step of the optimiser on prepared images `(n, h, w, c)` and labels `(n,)`."""

    def objective(parameters, state, key, images, labels):
        model = nnx.merge(graphdef, parameters, state, copy=True)
        nnx.reseed(model, default=key, dropout=key)
        logits = model(images, train=True)
        return loss(logits, labels), (nnx.split(model, nnx.Param, ...)[2], logits)

    def step(state: TrainState, images: Array, labels: Array) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(state.key, state.step)
        gradient = jax.value_and_grad(objective, has_aux=True)
        (value, (rest, logits)), grads = gradient(state.parameters, state.state, key, images, labels)
        updates, optimiser_state = optimiser.update(grads, state.optimiser, state.parameters)
        parameters = optax.apply_updates(state.parameters, updates)
        after = TrainState(parameters, rest, optimiser_state, state.step + 1, state.key)
        return after, Metrics(value, jnp.sum(jnp.argmax(logits, -1) == labels))

    return step


def make_epoch(
    step: Callable, prepare: Prepare, batch_size: int, *, augment: Augment | None = None
) -> Callable[[TrainState, Array, Array], tuple[TrainState, Metrics]]:
    """One pass over images that live on the device, in an order drawn from the state's key; a remainder sits out.

    The result takes `(state, images uint8 (n, h, w, c), labels (n,))` and returns the metrics of every step. `augment` is
    called with a key of its own on every prepared batch.

    Raises: ValueError if the batch is larger than the set.
    """

    def epoch(state: TrainState, images: Array, labels: Array) -> tuple[TrainState, Metrics]:
        steps = len(labels) // batch_size
        if not 0 < batch_size <= len(labels):
            raise ValueError(f"epoch: batch_size={batch_size} must be from 1 to the {len(labels)} images of the set")
        key = jax.random.fold_in(state.key, -state.step - 1)
        order = jax.random.permutation(key, len(labels))[: steps * batch_size].reshape(steps, batch_size)

        def one(state, chosen):
            x = prepare(images[chosen])
            if augment is not None:
                x = augment(jax.random.fold_in(key, state.step), x)
            return step(state, x, labels[chosen])

        return jax.lax.scan(one, state, order)

    return epoch


def make_evaluate(
    graphdef: nnx.GraphDef, prepare: Prepare, batch_size: int
) -> Callable[[TrainState, Array], Float[Array, "n k"]]:
    """Logits of images that live on the device, `batch_size` at a time."""

    def evaluate(state: TrainState, images: Array) -> Array:
        model = nnx.merge(graphdef, state.parameters, state.state, copy=True)
        logits = lambda batch: model(prepare(batch), train=False)
        whole = len(images) // batch_size * batch_size
        parts = []
        if whole:
            batches = images[:whole].reshape(-1, batch_size, *images.shape[1:])  # (steps, batch, h, w, c)
            parts.append(jax.lax.map(logits, batches).reshape(whole, -1))
        if whole < len(images):
            parts.append(logits(images[whole:]))
        return jnp.concatenate(parts)

    return evaluate
