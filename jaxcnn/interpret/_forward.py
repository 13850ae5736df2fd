"""A network seen as a function of its images and of its named activations.

What is looked into is an NNX module, a callable pytree, or a function. It is called as `model(x)`, with `train=False`
and `tap=` where its signature has these words. `until` is the part of it up to a named activation, `after` the part
behind it, so that each method for inputs serves layers and single units as well. A program is compiled once for each
network, method and shape.
"""

import inspect
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

import jax
from flax import nnx
from jax import Array

Tap = Callable[[str, Array], Array]
Forward = Callable[[Array, Tap], Any]
PLAIN: Tap = lambda name, value: value


@dataclass(frozen=True)
class Graph:
    """The static half of a module; a GraphDef itself has no hash where an attribute of a module is a dict."""

    graphdef: nnx.GraphDef

    def __hash__(self) -> int:
        return hash((self.graphdef.num_leaves, len(self.graphdef.nodes), len(self.graphdef.attributes)))


def split(model: Any) -> tuple[Hashable, Any]:
    """What is static of a network, and its arrays.

    Raises: TypeError for what cannot be called.
    """
    if isinstance(model, nnx.Module):
        graphdef, state = nnx.split(model)
        return Graph(graphdef), state
    if not callable(model):
        raise TypeError(f"the model is a {type(model).__name__}; give an NNX module or a function of images")
    leaves, structure = jax.tree.flatten(model)
    whole = len(leaves) == 1 and leaves[0] is model
    return (model, ()) if whole else (structure, leaves)


def joined(graph: Any, state: Any) -> Forward:
    """The network of `split` as a function of images and a tap; the tap sees nothing where the network knows no taps."""
    if isinstance(graph, Graph):
        model = nnx.merge(graph.graphdef, state)
    elif isinstance(graph, jax.tree_util.PyTreeDef):
        model = jax.tree.unflatten(graph, state)
    else:
        model = graph
    return called(model)


def called(model: Any) -> Forward:
    """A network as a function of images and a tap, with the words that its call takes."""
    words = _words(model)
    fixed = {"train": False} if "train" in words else {}
    return lambda x, tap: model(x, **fixed, **({"tap": tap} if "tap" in words else {}))


def run(method: Callable[..., Any], model: Any, /, *arrays: Any, **options: Hashable) -> Any:
    """`method(forward, *arrays, **options)`, compiled; the options are static."""
    graph, state = split(model)
    level = _level.get()
    program = _compiled if level is None else _levels[level]
    token = _level.set(None)  # what `run` begins inside of a program belongs to that
    try:
        return program(method, graph, tuple(sorted(options.items())), state, arrays)
    finally:
        _level.reset(token)


@contextmanager
def compiled_quickly(*, often: bool = False) -> Iterator[None]:
    """Programs that `run` begins within are hardly optimised by LLVM on CPU, where compiling would take longer than running.

    A gradient of SqueezeNet takes 0.9 s of processor time to compile and run so, not 2.8; it runs three times as long.

    Args:
        often: the program runs the network more than a few times: LLVM optimises a little, 1.2 s, and it runs as fast as ever.

    >>> import jax.numpy as jnp
    >>> from jaxcnn.interpret import gradient
    >>> with compiled_quickly():
    ...     gradient(lambda x: 2 * x.sum((1, 2)), jnp.ones((1, 1, 1, 1)), 0).tolist()
    [[[[2.0]]]]
    """
    token = _level.set((1 if often else 0) if jax.default_backend() == "cpu" else None)
    try:
        yield
    finally:
        _level.reset(token)


def _method(method, graph, options, state, arrays):
    return method(joined(graph, state), *arrays, **dict(options))


_level: ContextVar[int | None] = ContextVar("level", default=None)
# before jax 0.12 the emitters that came first compile in a third of the time
OLDER = {} if jax.__version_info__ >= (0, 12) else {"xla_cpu_use_fusion_emitters": False}
QUICK = OLDER | {"xla_llvm_disable_expensive_passes": True}
_compiled = jax.jit(_method, static_argnums=(0, 1, 2))
_levels = [
    jax.jit(_method, static_argnums=(0, 1, 2), compiler_options=QUICK | {"xla_backend_optimization_level": level})
    for level in (0, 1)
]


def activation_shapes(model: Any, x: Array) -> dict[str, tuple[int, ...]]:
    """Name and shape of every activation for images x, in the order of computation; computes nothing.

    Raises: ValueError if the model names none.

    >>> import jax.numpy as jnp
    >>> from jaxcnn.models import LeNet5
    >>> activation_shapes(LeNet5(rngs=nnx.Rngs(0)), jnp.ones((1, 28, 28, 1)))["pool2"]
    (1, 5, 5, 16)
    """
    return shapes("activation_shapes", model, x)


def shapes(name: str, model: Any, x: Array) -> dict[str, tuple[int, ...]]:
    """Shape of every named activation, in the order of computation; computes nothing.

    Raises: ValueError if the network has no taps.
    """
    graph, state = split(model)
    leaves, structure = jax.tree.flatten(jax.tree.map(jax.typeof, state))
    found = dict(_traced(graph, structure, tuple(leaves), jax.ShapeDtypeStruct(x.shape, x.dtype)))
    if not found:
        raise ValueError(f"{name}: the model names no activation; its call takes no tap, or does not use it")
    return found


@lru_cache(maxsize=64)  # tracing SqueezeNet takes 20 ms, its gradient 15
def _traced(graph, structure, leaves, x) -> tuple[tuple[str, tuple[int, ...]], ...]:
    found: list[tuple[str, tuple[int, ...]]] = []

    def tap(name: str, value: Array) -> Array:
        found.append((name, value.shape))
        return value

    jax.eval_shape(lambda state, x: joined(graph, state)(x, tap), jax.tree.unflatten(structure, leaves), x)
    return tuple(found)


def maps_of(shapes: dict[str, tuple[int, ...]], rank: int) -> list[str]:
    """Those activations that have space, for images of that many axes."""
    return [name for name, shape in shapes.items() if len(shape) == rank and max(shape[1:-1]) > 1]


def resolve(name: str, model: Any, x: Array, layer: str | None, *, space: bool = False) -> str:
    """The name of one activation: as it is, the deepest that a pattern such as "layer3.*" matches, or the deepest map (None).

    Raises: ValueError for a name that is not there, with the nearest ones, and for one without space where `space` is asked for.
    """
    found = shapes(name, model, x)
    maps = maps_of(found, x.ndim)
    if layer is None:
        if not maps:
            raise ValueError(f"{name}: no activation of the model is a map; it has {', '.join(found)}")
        return maps[-1]
    matches = [layer] if layer in found else [one for one in found if fnmatchcase(one, layer)]
    if not matches:
        near = get_close_matches(layer, found, n=3, cutoff=0.3) or list(found)[-3:]
        raise ValueError(f"{name}: layer={layer!r} is no activation of the model; nearest: {', '.join(near)}")
    inside = [one for one in matches if one in maps] if space else matches
    if not inside:
        shape = list(found[matches[-1]])
        raise ValueError(f"{name}: layer={matches[-1]!r} is {shape}, which has no space; use one of {', '.join(maps)}")
    return inside[-1]


def reached(forward: Forward, x: Array, layer: str) -> Array:
    """One named activation."""
    found: list[Array] = []

    def tap(name: str, value: Array) -> Array:
        if name == layer:
            found.append(value)
        return value

    forward(x, tap)
    return found[0]


def replaced(forward: Forward, x: Array, layer: str) -> Callable[[Array], Any]:
    """The output as a function of one named activation; XLA drops what comes before it."""
    return lambda activation: forward(x, lambda name, value: activation if name == layer else value)


@jax.tree_util.register_pytree_node_class
class Part:
    """Part of a network: up to a named activation, or behind it for the images that it was made for."""

    def __init__(self, graph: Any, state: Any, layer: str, x: Array | None):
        self.graph, self.state, self.layer, self.x = graph, state, layer, x

    def __call__(self, x: Array) -> Any:
        forward = joined(self.graph, self.state)
        return reached(forward, x, self.layer) if self.x is None else replaced(forward, self.x, self.layer)(x)

    def tree_flatten(self):
        return (self.state, self.x), (self.graph, self.layer)

    @classmethod
    def tree_unflatten(cls, static, arrays):
        return cls(static[0], arrays[0], static[1], arrays[1])


def until(model: Any, x: Array, layer: str | None) -> Part:
    """The network up to a named activation, as a function of images: what attributes a single unit.

    Args:
        x: images of the size that it will be called with, `(n, *space, c)`.
        layer: the activation's name, a pattern of which the deepest match counts, or None for the deepest map.

    Raises: ValueError for a name that is not there.

    >>> import jax.numpy as jnp
    >>> from jaxcnn.models import LeNet5
    >>> from jaxcnn.interpret import gradient
    >>> model, x = LeNet5(rngs=nnx.Rngs(0)), jnp.ones((1, 28, 28, 1))
    >>> gradient(until(model, x, "conv2"), x, target=(4, 4, 0)).shape
    (1, 28, 28, 1)
    """
    return Part(*split(model), resolve("until", model, x, layer), None)


def after(model: Any, x: Array, layer: str | None) -> tuple[Array, Part]:
    """A named activation of the images, and the rest of the network as a function of it: what attributes a layer.

    Args:
        x: images `(n, *space, c)`.
        layer: as for `until`.

    Raises: ValueError for a name that is not there.

    >>> import jax.numpy as jnp
    >>> from jaxcnn.models import LeNet5
    >>> from jaxcnn.interpret import gradient
    >>> activation, rest = after(LeNet5(rngs=nnx.Rngs(0)), jnp.ones((1, 28, 28, 1)), "pool2")
    >>> gradient(rest, activation, target=3).shape
    (1, 5, 5, 16)
    """
    layer = resolve("after", model, x, layer)
    graph, state = split(model)
    return run(reached, model, x, layer=layer), Part(graph, state, layer, x)


def _words(model: Any) -> set[str]:
    """Those of the words `train` and `tap` that a call of it takes."""
    try:
        parameters = inspect.signature(model).parameters
    except (TypeError, ValueError):
        return set()
    return {"train", "tap"} & parameters.keys()
