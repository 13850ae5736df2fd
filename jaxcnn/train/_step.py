"""The compiled step and the compiled epoch.

A model is split once into its graph (static) and arrays; `TrainState` holds every array that training changes. A step is a pure
function `(state, images, labels) → (state, loss, correct)`; an epoch over a set that lives on the device shuffles it and scans
the step, one compiled call, or in several calls that give the same bits. `jax.vmap` over the state trains an ensemble: seeds,
learning rates, or anything else that is an array there.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from jaxcnn.augment import Augment
from jaxcnn.data import Prepare
from jaxcnn.geometry import per_axis

from ._losses import cross_entropy
from ._mesh import automatic

ASIDE = np.uint32(2**32 - 1)  # folded into a key beside what counts from 0 there: steps, and those of `augment.compose`
Build = Callable[[nnx.Rngs], nnx.Module]
Mix = Callable[[Array, Array, Array], tuple[Array, Array]]  # (key, prepared images, labels) → images, labels or shares
Views = Callable[[Array], tuple[Array, ...]]  # prepared images → the images as they are, mirrored, …
Optimiser = optax.GradientTransformation | Callable[..., optax.GradientTransformation]


class TrainState(NamedTuple):
    """Arrays that training changes: parameters, other model state, optimiser state, steps done, random key.

    `average` holds the moving averages of parameters and model state, where one is kept; `hyper` the numbers that the
    optimiser is made with, where they differ between the members of an ensemble.
    """

    parameters: Any
    state: Any
    optimiser: Any
    step: Int[Array, ""]
    key: Array
    average: Any = None
    hyper: Any = None

    @property
    def evaluated(self) -> tuple[Any, Any]:
        """Parameters and model state that evaluation uses: the averages where there are any."""
        return (self.parameters, self.state) if self.average is None else self.average


class Metrics(NamedTuple):
    """Mean loss and number of right answers of each step (training) or of the whole set (evaluation)."""

    loss: Float[Array, "*steps"]
    correct: Int[Array, "*steps"]


def graph_of(build: Build) -> nnx.GraphDef:
    """The static half of the model that `build` makes; computes nothing."""
    return nnx.split(nnx.eval_shape(lambda: build(nnx.Rngs(0))))[0]


def initialise(build: Build, optimiser: Optimiser, key: Array, *, hyper: Any = None, ema: bool = False) -> TrainState:
    """A fresh model and optimiser from one key; under `jax.vmap` over keys (and `hyper`), an ensemble of them."""
    params_key, dropout_key, train_key = jax.random.split(key, 3)
    model = build(nnx.Rngs(params=params_key, dropout=dropout_key))
    _, parameters, state = nnx.split(model, nnx.Param, ...)
    chain = _chain(optimiser, hyper)
    average = jax.tree.map(jnp.copy, (parameters, state)) if ema else None
    return TrainState(parameters, state, chain.init(parameters), jnp.zeros((), jnp.int32), train_key, average, hyper)


def make_step(
    graphdef: nnx.GraphDef,
    optimiser: Optimiser,
    *,
    loss: Callable[[Array, Array], Array] = cross_entropy,
    compute_dtype: Any = None,
    ema: float | None = None,
) -> Callable[[TrainState, Array, Array], tuple[TrainState, Metrics]]:
    """One step of the optimiser on prepared images `(n, h, w, c)` and labels, `(n,)` or shares of classes `(n, k)`.

    Args:
        graphdef: the static half of the model (`graph_of`).
        optimiser: an optax chain, or a function of the numbers in `TrainState.hyper` that makes one.
        loss: of logits and labels; its logits are float32.
        compute_dtype: of images and kernels within the model, such as `jnp.bfloat16`; the parameters that the optimiser
            sees keep theirs.
        ema: decay of the moving average of parameters and model state, such as 0.999; None keeps none.

    Raises: ValueError for a decay that is not from 0 to 1.
    """
    if ema is not None and not 0 <= ema <= 1:
        raise ValueError(f"make_step: ema={ema} must be from 0 to 1, such as 0.999")

    def objective(parameters, state, key, images, labels):
        if compute_dtype is not None:
            parameters, images = _cast(parameters, compute_dtype), images.astype(compute_dtype)
        model = nnx.merge(graphdef, parameters, state, copy=True)
        nnx.reseed(model, default=key, dropout=key)
        logits = model(images, train=True).astype(jnp.promote_types(images.dtype, jnp.float32))
        return loss(logits, labels), (nnx.split(model, nnx.Param, ...)[2], logits)

    def step(state: TrainState, images: Array, labels: Array) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(state.key, state.step)
        gradient = jax.value_and_grad(objective, has_aux=True)
        (value, (rest, logits)), grads = gradient(state.parameters, state.state, key, images, labels)
        chain = _chain(optimiser, state.hyper)
        updates, optimiser_state = chain.update(grads, state.optimiser, state.parameters)
        parameters = optax.apply_updates(state.parameters, updates)
        average = None if ema is None else _moved(state.average, (parameters, rest), ema)
        after = TrainState(parameters, rest, optimiser_state, state.step + 1, state.key, average, state.hyper)
        truth = labels if labels.ndim == 1 else jnp.argmax(labels, -1)
        return after, Metrics(value, jnp.sum(jnp.argmax(logits, -1) == truth))

    return step


def make_epoch(
    step: Callable,
    prepare: Prepare,
    batch_size: int,
    *,
    augment: Augment | None = None,
    mix: Mix | None = None,
    steps: int | None = None,
    sharding: jax.sharding.Sharding | None = None,
) -> Callable[[TrainState, Array, Array], tuple[TrainState, Metrics]]:
    """One pass over images that live on the device, in an order drawn from the state's key; a remainder sits out.

    The result takes `(state, images uint8 (n, h, w, c), labels (n,))` and returns the metrics of every step. With `steps` it
    goes on from where `state.step` stands in its epoch for so many steps, which must lie within that epoch; calls that
    make up an epoch give the bits of one call.

    Args:
        step: from `make_step`.
        prepare: uint8 images → what the model takes.
        batch_size: images a step.
        augment: called with a key of its own on every prepared batch.
        mix: called after that with the labels too (mixup, cutmix): its labels may be shares of the classes.
        steps: how many to do; None does a whole epoch.
        sharding: of the prepared batch, where more devices share it.

    Raises: ValueError for a batch of no image, or one larger than the set.
    """
    per_axis(batch_size, 1, what="batch_size", name="make_epoch", least=1)
    update = _make_update(step, prepare, augment, mix, sharding)

    def epoch(state: TrainState, images: Array, labels: Array) -> tuple[TrainState, Metrics]:
        if batch_size > len(labels):
            raise ValueError(f"epoch: batch_size={batch_size} is larger than the {len(labels)} images of the set")
        whole = len(labels) // batch_size
        position = state.step % whole
        key = jax.random.fold_in(state.key, position - state.step - 1)
        order = jax.random.permutation(key, len(labels))[: whole * batch_size].reshape(whole, batch_size)

        def one(state, chosen):
            return update(state, key, images[chosen], labels[chosen])

        return jax.lax.scan(one, state, jax.lax.dynamic_slice_in_dim(order, position, steps or whole))

    return epoch


def make_batch_step(
    step: Callable,
    prepare: Prepare,
    *,
    augment: Augment | None = None,
    mix: Mix | None = None,
    sharding: jax.sharding.Sharding | None = None,
) -> Callable[[TrainState, Array, Array], tuple[TrainState, Metrics]]:
    """A step on images as they come from a stream, uint8 `(n, h, w, c)`; the arguments are those of `make_epoch`.

    >>> mean = make_batch_step(lambda state, images, labels: (state, images.mean()), lambda images: images / 255)
    >>> state = TrainState(None, None, None, jnp.zeros((), jnp.int32), jax.random.key(0))
    >>> mean(state, jnp.full((2, 4, 4, 1), 255, jnp.uint8), jnp.zeros(2, jnp.int32))[1].item()
    1.0
    """
    update = _make_update(step, prepare, augment, mix, sharding)
    return lambda state, images, labels: update(state, jax.random.fold_in(state.key, ASIDE), images, labels)


def make_evaluate(
    graphdef: nnx.GraphDef,
    prepare: Prepare,
    batch_size: int,
    *,
    views: Views | None = None,
    weights: Sequence[float] | None = None,
    sharding: jax.sharding.Sharding | None = None,
) -> Callable[[TrainState, Array], Float[Array, "n k"]]:
    """Logits of images that live on the device, `batch_size` at a time.

    Where `views` are given, the mean over the views of each image, weighted by `weights`, one a view (None: all alike). Where
    more devices share the prepared batch by `sharding`, the last one is filled up with black images.

    Raises: ValueError for a batch of no image.
    """
    per_axis(batch_size, 1, what="batch_size", name="make_evaluate", least=1)

    def evaluate(state: TrainState, images: Array) -> Array:
        model = nnx.merge(graphdef, *state.evaluated, copy=True)

        def logits(batch: Array) -> Array:
            x = _prepared(prepare, batch, sharding)
            seen = (x,) if views is None else views(x)
            stacked = jnp.stack([model(view, train=False) for view in seen])  # (views, batch, k)
            return jnp.average(stacked, 0, None if weights is None else jnp.asarray(weights, stacked.dtype))

        count = len(images)
        if not count:  # a black one says how many logits there are
            images = jnp.zeros((1, *images.shape[1:]), images.dtype)
        if sharding is not None:
            images = jnp.pad(images, ((0, -len(images) % batch_size), *[(0, 0)] * (images.ndim - 1)))
        whole = len(images) // batch_size * batch_size
        parts = []
        if whole:
            batches = images[:whole].reshape(-1, batch_size, *images.shape[1:])  # (steps, batch, h, w, c)
            parts.append(jax.lax.map(logits, batches).reshape(whole, -1))
        if whole < len(images):
            parts.append(logits(images[whole:]))
        return jnp.concatenate(parts)[:count]

    return evaluate


def mirrored(images: Array) -> tuple[Array, Array]:
    """Views for `make_evaluate`: the images `(n, h, w, c)`, and the images from left to right.

    >>> [view[0, 0, :, 0].tolist() for view in mirrored(jnp.arange(3.0).reshape(1, 1, 3, 1))]
    [[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]
    """
    return images, images[:, :, ::-1]


def _make_update(step: Callable, prepare: Prepare, augment: Augment | None, mix: Mix | None, sharding: Any) -> Callable:
    """`(state, key, images uint8, labels) → (state, metrics)`: prepared, augmented, mixed with a key of the step's own."""

    def update(state: TrainState, key: Array, images: Array, labels: Array):
        x = _prepared(prepare, images, sharding)
        own = jax.random.fold_in(key, state.step)
        if augment is not None:
            x = augment(own, x)
        if mix is not None:
            x, labels = mix(jax.random.fold_in(own, ASIDE), x, labels)
        return step(state, x, labels)

    return update


def _prepared(prepare: Prepare, images: Array, sharding: jax.sharding.Sharding | None) -> Array:
    """A batch as the model takes it, where it lies on the devices that share it."""
    x = prepare(images)
    if isinstance(sharding, jax.sharding.NamedSharding) and isinstance(sharding.mesh, jax.sharding.Mesh):
        sharding = jax.sharding.NamedSharding(automatic(sharding.mesh), sharding.spec)
    return x if sharding is None else jax.lax.with_sharding_constraint(x, sharding)


def _chain(optimiser: Optimiser, hyper: Any) -> optax.GradientTransformation:
    if isinstance(optimiser, optax.GradientTransformation):
        return optimiser
    return optimiser(**(hyper or {}))


def _cast(tree: Any, dtype: Any) -> Any:
    return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.floating) else a, tree)


def _moved(average: Any, now: Any, decay: float) -> Any:
    """`decay · average + (1 − decay) · now`; what is not a float (keys, counts) is taken as it is now."""
    move = lambda a, b: decay * a + (1 - decay) * b if jnp.issubdtype(b.dtype, jnp.floating) else b
    return jax.tree.map(move, average, now)
