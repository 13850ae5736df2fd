"""Transfer learning in two calls: option 1, `fit_head` on features that are computed once; option 2, `fine_tune` the model.

`fit_head` solves softmax regression on the features f that the model's head sees, standardised, with the head's kernel W
penalised: mean cross-entropy + l2 / 2 · ‖W‖², which is convex, by L-BFGS; there is no rate to choose and no seed. `fine_tune`
is `fit` that starts from the model's own numbers, with a rate of its own for the head.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax import Array
from jaxtyping import Float, Int

from jaxcnn.data import ImageSet, Prepare, Split
from jaxcnn.geometry import per_axis
from jaxcnn.nn import Dense
from jaxcnn.weights import Headed, all_but, freeze, head_of, headless, layer, selection

from ._fit import Fitted, fit
from ._losses import cross_entropy
from ._optimisers import optimiser, schedule
from ._run import dotted
from ._step import Build

STILL = 1e-5  # norm of the gradient at which the solver ends


def outputs(model: nnx.Module, images: np.ndarray, prepare: Prepare, *, batch_size: int = 100) -> np.ndarray:
    """What the model gives for uint8 images `(n, h, w, c)`, float32 `(n, …)`, `batch_size` at a time.

    Raises: ValueError for a batch of no image.

    >>> from jaxcnn.models import LeNet5
    >>> model, images = LeNet5(rngs=nnx.Rngs(0)), np.zeros((5, 28, 28, 1), np.uint8)
    >>> outputs(model, images, lambda x: x / 255, batch_size=2).shape
    (5, 10)
    """
    per_axis(batch_size, 1, what="batch_size", name="outputs", least=1)
    graphdef, state = nnx.split(model)
    run = jax.jit(lambda state, x: nnx.merge(graphdef, state)(prepare(x), train=False).astype(jnp.float32))  # type: ignore[operator]
    size = min(batch_size, max(len(images), 1))
    parts = []
    for start in range(0, max(len(images), 1), size):
        batch = images[start : start + size]
        padded = np.pad(batch, ((0, size - len(batch)), *((0, 0),) * (batch.ndim - 1)))  # one program for every batch
        parts.append(np.asarray(run(state, padded))[: len(batch)])
    return np.concatenate(parts)


def fit_head(
    model: nnx.Module,
    split: Split,
    prepare: Prepare,
    *,
    head: str | None = None,
    l2: float = 1e-3,
    batch_size: int = 100,
) -> Any:
    """Option 1: the model with its head fitted to the split's labels, everything else frozen.

    Args:
        model: with a dense head of as many outputs as there are classes (`weights.replace_head`).
        split: images and labels to learn from.
        prepare: uint8 images → what the model takes (`weights.preparation`).
        head: name of the head; None means `weights.head_of(model)`.
        l2: weight of the penalty.
        batch_size: images whose features are computed at a time.

    Raises: ValueError for a head that is not dense, labels out of its range, or l2 that is not positive.

    >>> from jaxcnn.data import load
    >>> from jaxcnn.models import LeNet5
    >>> digits, prepare = load("digits"), lambda x: jnp.pad(x / 255, ((0, 0), (10, 10), (10, 10), (0, 0)))
    >>> model = fit_head(LeNet5(rngs=nnx.Rngs(0)), digits.train, prepare)
    >>> right = outputs(model, digits.test.images, prepare).argmax(1) == digits.test.labels
    >>> bool(right.mean() > 0.9)  # features of a random network
    True
    """
    name = head or head_of(model)
    last = layer(model, name)
    if not isinstance(last, Dense):
        raise ValueError(f"fit_head: {name!r} is no dense layer; give the model one with weights.replace_head")
    classes = last.kernel.shape[1]
    if not l2 > 0 or split.labels.min() < 0 or split.labels.max() >= classes:
        seen = f"labels from {split.labels.min()} to {split.labels.max()}"
        raise ValueError(f"fit_head: l2={l2}, {seen}, {classes} outputs; l2 must be positive, labels below the outputs")
    seen = headless(model, head=name) if not isinstance(model, Headed) else model.backbone
    features = outputs(seen, split.images, prepare, batch_size=batch_size).reshape(len(split), -1)
    x, labels = jnp.asarray(features), jnp.asarray(split.labels)
    kernel, bias = softmax_regression(x, labels, classes, l2=l2, use_bias=last.bias is not None)
    fitted = freeze(model, all_but(f"{name}.*"))
    last = layer(fitted, name)
    last.kernel[...] = kernel
    if last.bias is not None:
        last.bias[...] = bias
    return fitted


def softmax_regression(
    features: Float[Array, "n f"],
    labels: Int[Array, " n"],
    classes: int,
    *,
    l2: float,
    steps: int = 500,
    use_bias: bool = True,
) -> tuple[Float[Array, "f k"], Float[Array, " k"]]:
    """Kernel and bias that minimise the mean cross-entropy + l2 / 2 · ‖W‖², W being the kernel for standardised features.

    Without a bias, which is then zeros, the features are scaled alone, not centred.

    >>> kernel, bias = softmax_regression(jnp.array([[-1.0], [1.0]]), jnp.array([0, 1]), 2, l2=1.0)
    >>> bool(kernel[0, 1] > 0.2), bool(abs(bias).max() < 1e-4)
    (True, True)
    """
    mean, deviation = features.mean(0) * use_bias, features.std(0)
    scale = jnp.where(deviation > 0, deviation, 1)
    x = (features - mean) / scale

    def loss(weights):
        kernel, bias = weights
        return cross_entropy(x @ kernel + bias * use_bias, labels) + l2 / 2 * jnp.sum(kernel**2)

    start = (jnp.zeros((features.shape[1], classes), features.dtype), jnp.zeros(classes, features.dtype))
    kernel, bias = jax.jit(lambda start: _minimise(loss, start, steps))(start)
    kernel = kernel / scale[:, None]
    return kernel, bias - mean @ kernel


def fine_tune(
    model: nnx.Module,
    data: ImageSet,
    prepare: Prepare,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float = 1e-4,
    head_rate: float | None = None,
    head: str | None = None,
    weight_decay: float = 0.05,
    **options: Any,
) -> Fitted:
    """Option 2: `fit` from the model's own numbers; what is frozen stays, the head has a rate of its own.

    AdamW, its rates warmed up over a tenth of the steps, then falling as a cosine.

    Args:
        model: to start from; `weights.freeze` says what stays as it is.
        learning_rate: peak, of everything but the head.
        head_rate: peak of the head's; None means ten times the other.
        head: name of the head; None means `weights.head_of(model)`.
        options: of `fit`: `seeds`, `augment`, `mix`, `checkpoints`, `on_epoch`, …

    Raises: what `fit` raises.
    """
    per_axis(batch_size, 1, what="batch_size", name="fine_tune", least=1)
    name = head or head_of(model)
    steps = max(1, epochs * (len(data.train) // batch_size))
    rate = lambda peak: optimiser("adamw", schedule("cosine", peak, steps, warmup=0.1), weight_decay=weight_decay)
    chain = grouped(
        {f"{name}.*": rate(10 * learning_rate if head_rate is None else head_rate), "*": rate(learning_rate)}
    )
    return fit(starting_from(model), data, prepare, chain, epochs=epochs, batch_size=batch_size, **options)


def starting_from(model: nnx.Module) -> Build:
    """What `fit` builds its members from: copies of this model.

    >>> from jaxcnn.models import LeNet5
    >>> model = LeNet5(rngs=nnx.Rngs(0))
    >>> bool((starting_from(model)(nnx.Rngs(1)).conv1.kernel[...] == model.conv1.kernel[...]).all())
    True
    """
    graphdef, state = nnx.split(model)
    return lambda rngs: nnx.merge(graphdef, state, copy=True)


def grouped(groups: Mapping[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """An optimiser for each group of parameters: a name belongs to the first pattern that it is like.

    Raises: ValueError, when it is initialised, for a parameter that is like none.

    >>> parameters = {"conv1": {"kernel": jnp.ones(1)}, "fc": {"kernel": jnp.ones(1)}}
    >>> chain = grouped({"fc.*": optax.sgd(1.0), "*": optax.sgd(0.25)})
    >>> updates, _ = chain.update(parameters, chain.init(parameters))
    >>> updates["conv1"]["kernel"].tolist(), updates["fc"]["kernel"].tolist()
    ([-0.25], [-1.0])
    """

    def label(path: tuple, leaf: Any) -> str:
        name = dotted(path)
        found = next((pattern for pattern in groups if selection(pattern)(name)), None)
        if found is None:
            raise ValueError(f"grouped: the parameter {name!r} is like none of {', '.join(groups)}; end with '*'")
        return found

    transforms: dict[Any, optax.GradientTransformation] = dict(groups)
    return optax.partition(transforms, lambda parameters: jax.tree_util.tree_map_with_path(label, parameters))


def _minimise(loss: Callable, start: Any, steps: int) -> Any:
    """L-BFGS with its line search, until the gradient is still or the steps are done."""
    solver = optax.lbfgs()
    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(carry):
        weights, state, _, count = carry
        value, grad = value_and_grad(weights, state=state)
        updates, state = solver.update(grad, state, weights, value=value, grad=grad, value_fn=loss)
        return optax.apply_updates(weights, updates), state, optax.tree.norm(grad), count + 1

    going = lambda carry: (carry[3] < steps) & (carry[2] > STILL)
    first = (start, solver.init(start), jnp.array(jnp.inf), jnp.array(0))
    return jax.lax.while_loop(going, step, first)[0]
