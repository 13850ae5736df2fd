"""The sanity check: a map that explains a trained network must change when its weights become random.

From the top layer down the parameters are randomised, all layers above too ("cascading") or one layer alone
("independent"). For each layer the map is compared with that of the trained network. A method whose maps stay similar shows
edges of the image, not what the network learned. Reference: Adebayo et al., Sanity checks for saliency maps (2018).
"""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array
from jax.extend.core import Literal as Number
from jaxtyping import Float

from jaxcnn import functional as F
from jaxcnn.nn import Frozen

from .._attribute import images
from .._forward import PLAIN, called
from .._trace import CALLS
from ._maps import maps

Mode = Literal["cascading", "independent"]
Draw = Literal["permute", "normal"]
WINDOW, C1, C2 = 7, 0.01**2, 0.03**2  # of the structural similarity; maps are scaled to 1, so its range is 1


class SanityCheck(NamedTuple):
    """How similar the maps are after each layer's weights became random, the top layer first; numbers are `(layers, n)`.

    `signed` and `absolute` are Spearman's rank correlations of the maps and of their magnitudes, `ssim` is the structural
    similarity of the magnitudes. 1 means that the map did not change.

    >>> SanityCheck(("fc",), np.ones((1, 2)), np.ones((1, 2)), np.ones((1, 2))).layers
    ('fc',)
    """

    layers: tuple[str, ...]
    signed: np.ndarray
    absolute: np.ndarray
    ssim: np.ndarray


def sanity_check(
    method: Callable[[Any, Array], Array],
    model: nnx.Module,
    x: Float[Array, "n *space c"],
    *,
    key: Array,
    mode: Mode = "cascading",
    draw: Draw = "permute",
    layers: int | None = None,
) -> SanityCheck:
    """Compares the maps of a trained network with those of the same network with random weights, layer by layer.

    Args:
        method: `(model, x) -> map`, such as `lambda model, x: gradient(model, x, 3)`; fix the class, because a random network
            has another likeliest one.
        model: an NNX module; it is left as it is. A layer is a module with parameters, and the order is that of their first use.
        x: images as the model takes them.
        key: draws the weights.
        mode: "cascading" leaves the layers above random, "independent" randomises one alone.
        draw: "permute" shuffles the numbers of each parameter; "normal" draws them with its standard deviation, around 0 where
            it is a kernel, around its mean where it is a vector, because scales around 0 would end the signal.
        layers: only so many, from the top; all by default.

    Raises: TypeError for a model that is no NNX module, ValueError for another word or a map with NaN.

    >>> from jaxcnn.models import LeNet5
    >>> from jaxcnn.interpret import gradient
    >>> model, x = LeNet5(rngs=nnx.Rngs(0)), jax.random.normal(jax.random.key(0), (1, 28, 28, 1))
    >>> sanity_check(lambda model, x: gradient(model, x, 3), model, x, key=jax.random.key(1), layers=2).layers
    ('logits', 'dense2')
    """
    name = "sanity_check"
    for word, value, known in (("mode", mode, get_args(Mode)), ("draw", draw, get_args(Draw))):
        if value not in known:
            raise ValueError(f"{name}: {word}={value!r} must be one of {', '.join(known)}")
    if not isinstance(model, nnx.Module):
        raise TypeError(
            f"{name}: the model is a {type(model).__name__}; give an NNX module, whose parameters can be drawn"
        )
    x = images(name, x)
    graphdef, weights, rest = nnx.split(model, (nnx.Param, Frozen), ...)
    trained: dict[tuple, Any] = dict(nnx.to_flat_state(weights))
    order = list(dict.fromkeys(path[:-1] for path in in_order(model, x)))[::-1][:layers]

    def map_of(weights: dict) -> np.ndarray:
        changed = nnx.merge(graphdef, nnx.from_flat_state(weights), rest, copy=True)
        return np.asarray(maps(name, method(changed, x), x.shape[1:-1], len(x)))

    first, random, found = map_of(trained), trained, []
    for number, layer in enumerate(order):
        own = {path: value for path, value in trained.items() if path[:-1] == layer}
        redrawn = _drawn(jax.random.fold_in(key, number), own, draw)
        random = {**(random if mode == "cascading" else trained), **redrawn}
        found.append(similarity(first, map_of(random)))
    names = tuple(".".join(map(str, layer)) for layer in order)
    return SanityCheck(names, *(np.array(one) for one in zip(*found)))


def in_order(model: nnx.Module, x: Array) -> list[tuple]:
    """The paths of the parameters, in the order in which they are first used for x; unused ones are left out."""
    graphdef, weights, rest = nnx.split(model, (nnx.Param, Frozen), ...)
    call = lambda weights, rest, x: called(nnx.merge(graphdef, weights, rest, copy=True))(x, PLAIN)
    jaxpr = jax.make_jaxpr(call)(weights, rest, x).jaxpr
    paths = [path for path, _ in nnx.to_flat_state(weights)]
    used: list[int] = []
    _walk(jaxpr, {var: number for number, var in enumerate(jaxpr.invars[: len(paths)])}, used)
    return [paths[number] for number in dict.fromkeys(used)]


def _walk(jaxpr: Any, numbers: dict[Any, int], used: list[int]) -> None:
    """Notes which inputs the equations read, those inside of calls too."""
    for equation in jaxpr.eqns:
        known = [numbers.get(v) if not isinstance(v, Number) else None for v in equation.invars]
        programs = [equation.params[word] for word in CALLS if word in equation.params]
        for program in [*programs, *equation.params.get("branches", ())]:
            inner = getattr(program, "jaxpr", program)
            behind = known[len(known) - len(inner.invars) :]  # the index of a branch comes first
            _walk(inner, {v: number for v, number in zip(inner.invars, behind) if number is not None}, used)
        used.extend(number for number in known if number is not None)


def _drawn(key: Array, own: dict[tuple, Any], draw: Draw) -> dict[tuple, Any]:
    """Other numbers for the parameters of a layer, spread as theirs are."""
    drawn = {}
    for number, (path, variable) in enumerate(own.items()):
        value, one = variable[...], jax.random.fold_in(key, number)
        if draw == "permute":
            value = jax.random.permutation(one, value.ravel()).reshape(value.shape)
        else:
            middle = 0 if value.ndim > 1 else value.mean()
            value = middle + value.std() * jax.random.normal(one, value.shape, value.dtype)
        drawn[path] = variable.replace(value)
    return drawn


def similarity(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rank correlation of the maps and of their magnitudes, and the structural similarity of the magnitudes, `(n,)` each."""
    ranked = lambda a, b: np.array([spearman(one, other) for one, other in zip(a, b)])
    return ranked(a, b), ranked(abs(a), abs(b)), np.asarray(structural(jnp.asarray(abs(a)), jnp.asarray(abs(b))))


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of the ranks, equal numbers sharing their mean rank; 0 where one map is constant."""
    a, b = _ranks(a), _ranks(b)
    a, b = a - a.mean(), b - b.mean()
    below = np.sqrt((a**2).sum() * (b**2).sum())
    return float((a * b).sum() / below) if below else 0.0


def _ranks(values: np.ndarray) -> np.ndarray:
    _, place, count = np.unique(values.ravel(), return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]


def structural(a: Array, b: Array) -> Array:
    """Mean structural similarity of maps `(n, *space)`, each scaled so that its largest number is 1; windows of 7 pixels."""
    space = tuple(range(1, a.ndim))
    a, b = (one / jnp.maximum(one.max(space, keepdims=True), jnp.finfo(one.dtype).tiny) for one in (a, b))
    mean = lambda v: F.avg_pool(v[..., None], tuple(min(WINDOW, n) for n in a.shape[1:]), stride=1)[..., 0]
    mean_a, mean_b = mean(a), mean(b)
    var_a, var_b, both = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2, mean(a * b) - mean_a * mean_b
    alike = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return (alike * (2 * both + C2) / (var_a + var_b + C2)).mean(space)
