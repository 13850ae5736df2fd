"""Transfer learning: what is changed in a model before it learns something else.

`replace_head` gives it as many outputs as there are classes; `freeze` makes parameters `nn.Frozen`, which get no gradient, and
keeps normalisations on their running statistics; `headless` gives the features that the head sees. Each returns another
model that shares no variable with the first. `jaxcnn.train.fit_head` and `fine_tune` train what they return.

Parameters are named as in files: `layer1.0.conv1.kernel`. A filter is a pattern of `*`, `?` and `[…]` (`*` goes over dots),
several of them, or a function of a name.
"""

from collections.abc import Callable, Iterator, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, TypeVar

from flax import nnx
from jaxtyping import Array, Float

from jaxcnn import nn

from ._layout import at as node_at
from ._layout import dotted

Model = TypeVar("Model", bound=nnx.Module)
Filter = str | Sequence[str] | Callable[[str], bool]


def freeze(model: Model, filter: Filter, *, statistics: bool | None = None) -> Model:
    """The model with the parameters that the filter names frozen, and all others free.

    Args:
        filter: of names, such as "layer1.*" or `all_but("fc.*")`; `()` frees everything.
        statistics: whether normalisations use and keep their running moments in training too; None: those whose moments
            (`bn1.mean`) the filter names.

    Raises: ValueError for a pattern that no parameter is named like.

    >>> import jax
    >>> from jaxcnn.models import LeNet5
    >>> frozen = freeze(LeNet5(rngs=nnx.Rngs(0)), all_but("logits.*"))
    >>> sum(leaf.size for leaf in jax.tree.leaves(nnx.state(frozen, nnx.Param)))
    850
    """
    model = nnx.clone(model)
    chosen = selection(filter)
    named = [path for path, _ in nnx.to_flat_state(nnx.state(model, nnx.Any(nnx.Param, nn.Frozen)))]
    _check_patterns(filter, [dotted(path) for path in named])
    for path in named:
        parent, value = node_at(model, path[:-1]), node_at(model, path)[...]
        _put(parent, path[-1], nn.Frozen(value) if chosen(dotted(path)) else nnx.Param(value))
    for path, module in nnx.iter_modules(model):
        if isinstance(module, nn.BatchNorm):
            module.frozen = chosen(dotted((*path, "mean"))) if statistics is None else statistics
    return model


def all_but(*patterns: str) -> Callable[[str], bool]:
    """The filter of every name that is like none of the patterns.

    >>> all_but("fc.*")("layer1.0.conv1.kernel"), all_but("fc.*")("fc.bias")
    (True, False)
    """
    return _AllBut(patterns)


class _AllBut:
    def __init__(self, patterns: Sequence[str]):
        self.patterns = patterns

    def __call__(self, name: str) -> bool:
        return not selection(self.patterns)(name)


def selection(filter: Filter) -> Callable[[str], bool]:
    """A filter as a function of a name.

    >>> selection(("conv?.*", "fc.bias"))("conv1.kernel"), selection("fc.*")("conv1.kernel")
    (True, False)
    """
    if callable(filter):
        return filter
    patterns = [filter] if isinstance(filter, str) else list(filter)
    return lambda name: any(fnmatchcase(name, pattern) for pattern in patterns)


def head_of(model: nnx.Module) -> str:
    """The name of the layer that gives the classes: its class's `head_name`, else the only dense layer.

    A class of one's own with several dense layers says `head_name = "layer4"`, as the networks of `jaxcnn.models` do. The order
    of definition would not do: `nnx.clone` and `nnx.merge` put attributes in the order of their names.

    Raises: ValueError for a model of which neither is known.

    >>> from jaxcnn.models import LeNet5
    >>> head_of(LeNet5(rngs=nnx.Rngs(0)))
    'logits'
    """
    kind, name = type(model).__name__, getattr(model, "head_name", None)
    if name == "":
        raise ValueError(
            f"head_of: {kind} has no head that can be replaced: no layer with parameters gives its classes"
        )
    if name is not None:
        return name
    dense = [dotted(path) for path in _layers(model, ()) if isinstance(node_at(model, path), nn.Dense)]
    if len(dense) != 1:
        found = f"{len(dense)} dense layers{': ' * bool(dense)}{', '.join(dense[:5])}{', …' * (len(dense) > 5)}"
        raise ValueError(
            f'head_of: {kind} has {found}; say which gives the classes, head="…" or head_name = "…" in its class'
        )
    return dense[0]


def layer(model: nnx.Module, name: str) -> Any:
    """The dense layer or convolution of that name.

    Raises: ValueError for another name.

    >>> from jaxcnn.models import LeNet5
    >>> layer(LeNet5(rngs=nnx.Rngs(0)), "conv2").kernel.shape
    (5, 5, 6, 16)
    """
    return node_at(model, _path(model, name))


def replace_head(model: nnx.Module, num_classes: int, *, head: str | None = None, rngs: nnx.Rngs) -> Any:
    """The model with a fresh head of `num_classes` outputs.

    A dense head gets a dense one in its place, and so do auxiliary ones (`auxiliary_heads` of the class). So does a convolution
    that is a map of class scores (U-Net's, one of the class's `score_maps`). Another one (SqueezeNet's, whose outputs pass a ReLU
    and are averaged) is taken out, and a dense layer put behind the averages of what it saw (`Headed`).

    Args:
        head: name of the layer; None means `head_of(model)`.

    Raises: ValueError for a name that is no dense layer or convolution, or `num_classes` below 1.

    >>> from jaxcnn.models import LeNet5
    >>> replace_head(LeNet5(rngs=nnx.Rngs(0)), 3, rngs=nnx.Rngs(1)).logits.kernel.shape
    (84, 3)
    """
    path = _path(model, head)
    old = node_at(model, path)
    if isinstance(old, nn.Conv) and dotted(path) not in getattr(model, "score_maps", ()):
        features = old.kernel.shape[-2] * old.options["groups"]
        return Headed(headless(model, head=head), features, num_classes, dtype=old.dtype, rngs=rngs)
    model = nnx.clone(model)
    known = {dotted(path): path for path in _layers(model, ())}
    for one in (path, *(known[name] for name in getattr(model, "auxiliary_heads", ()) if name in known)):
        _put(node_at(model, one[:-1]), one[-1], _fresh(node_at(model, one), num_classes, rngs))
    return model


def _fresh(old: nn.Dense | nn.Conv, num_classes: int, rngs: nnx.Rngs) -> nn.Dense | nn.Conv:
    """A layer like the old one with other outputs."""
    options = {"use_bias": old.bias is not None, "dtype": old.dtype, "rngs": rngs}
    if isinstance(old, nn.Dense):
        return nn.Dense(old.kernel.shape[0], num_classes, **options)
    *size, features, _ = old.kernel.shape
    rank, words = len(size), {word: v for word, v in old.options.items() if word != "groups"}
    return nn.Conv(features, num_classes, size, rank=rank, **words, **options)


def headless(model: Model, *, head: str | None = None) -> Model:
    """The model whose head passes on what it gets: its outputs are the features.

    Raises: ValueError as `replace_head`.

    >>> import jax.numpy as jnp
    >>> from jaxcnn.models import LeNet5
    >>> headless(LeNet5(rngs=nnx.Rngs(0)))(jnp.ones((2, 28, 28, 1)), train=False).shape
    (2, 84)
    """
    path = _path(model, head)
    model = nnx.clone(model)
    _put(node_at(model, path[:-1]), path[-1], PassOn())
    return model


class PassOn(nnx.Module):
    """Gives what it gets.

    >>> PassOn()(3)
    3
    """

    def __call__(self, x: Any) -> Any:
        return x


class Headed(nnx.Module):
    """A headless model and a dense layer on its features; the model's own tap "logits" is named "features".

    >>> import jax.numpy as jnp
    >>> from jaxcnn.models import LeNet5
    >>> Headed(headless(LeNet5(rngs=nnx.Rngs(0))), 84, 3, rngs=nnx.Rngs(1))(jnp.ones((2, 28, 28, 1)), train=False).shape
    (2, 3)
    """

    head_name = "head"

    def __init__(self, backbone: nnx.Module, features: int, num_classes: int, *, dtype=None, rngs: nnx.Rngs):
        self.backbone, self.head = backbone, nn.Dense(features, num_classes, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: Float[Array, "n h w c"], *, train: bool, tap: Callable[[str, Array], Array] = lambda name, x: x
    ) -> Float[Array, "n classes"]:
        renamed = lambda name, value: tap("features" if name == "logits" else name, value)
        features = self.backbone(x, train=train, tap=renamed)  # type: ignore[operator]
        return tap("logits", self.head(features.reshape(len(features), -1)))


def _layers(node: Any, path: tuple) -> Iterator[tuple]:
    """Paths of the dense layers and convolutions."""
    if isinstance(node, (nn.Dense, nn.Conv)):
        yield path
    elif isinstance(node, nnx.List):
        for i, item in enumerate(node):
            yield from _layers(item, (*path, i))
    elif isinstance(node, nnx.Module):
        for name, item in vars(node).items():
            yield from _layers(item, (*path, name))


def _path(model: nnx.Module, head: str | None) -> tuple:
    known = {dotted(path): path for path in _layers(model, ())}
    name = head_of(model) if head is None else head
    if name not in known:
        near = get_close_matches(name, known, n=3, cutoff=0) or ["none"]
        raise ValueError(
            f"{type(model).__name__}: {name!r} is no dense layer or convolution; such are {', '.join(near)}"
        )
    return known[name]


def _put(parent: Any, key: Any, value: Any) -> None:
    if isinstance(key, int):
        parent[key] = value
    else:
        setattr(parent, key, value)


def _check_patterns(filter: Filter, names: list[str]) -> None:
    if isinstance(filter, _AllBut):
        filter = filter.patterns
    if callable(filter):
        return
    for pattern in [filter] if isinstance(filter, str) else filter:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(f"freeze: no parameter is named like {pattern!r}; names are such as {names[0]!r}")
