"""`pyramid`: a model's feature maps, one a size or those that are asked for, for detection and segmentation."""

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from operator import index
from typing import Any

import jax
from flax import nnx
from jaxtyping import Array, Float

from ._tap import Tap, identity

Stage = int | str


def pyramid(
    model: Callable[..., Array],
    x: Float[Array, "n h w c"],
    *,
    stages: Stage | Sequence[Stage] | None = None,
    train: bool = False,
    tap: Tap = identity,
) -> dict[str, Float[Array, "n h w f"]]:
    """Named feature maps, by their taps' names; what comes after the last of them is not computed.

    By default the last named map of each size, from the largest to the smallest; maps of class scores are none. The model is
    traced once to see what it has, then computed. `interpret.capture` gives every named activation.

    Args:
        stages: what is asked for instead, given in the order of computation: a tap's name, a pattern of `*`, `?` and `[…]`
            (`*` goes over dots), a place among the maps that are given by default (0 the largest, −1 the smallest), or
            several of these.

    Raises: ValueError for a name or pattern that no map has or a place that there is not, TypeError for anything else.

    >>> import jax.numpy as jnp
    >>> from jaxcnn import models
    >>> maps = lambda x, **options: pyramid(models.create("cifar_resnet20", rngs=nnx.Rngs(0)), x, **options)
    >>> shapes = lambda **options: jax.eval_shape(lambda x: maps(x, **options), jnp.ones((1, 32, 32, 3)))
    >>> [(name, y.shape[1:]) for name, y in shapes().items()]
    [('layer1.2', (32, 32, 16)), ('layer2.2', (16, 16, 32)), ('layer3.2', (8, 8, 64))]
    >>> [*shapes(stages=("conv1", "layer2.*", 0))]
    ['conv1', 'layer1.2', 'layer2.0', 'layer2.1', 'layer2.2']
    """
    spaces, scores = _spaces(model, x, train), getattr(model, "score_maps", ())
    last = {space: name for name, space in spaces.items() if name not in scores}
    levels = [last[space] for space in sorted(last, reverse=True)]
    wanted = levels if stages is None else _chosen(stages, levels, [*spaces])
    found = _computed(model, x, {*wanted}, train, tap)
    return {name: found[name] for name in wanted}


def _spaces(model: Callable[..., Array], x: Array, train: bool) -> dict[str, tuple[int, ...]]:
    """The size of every named map, in the order of computation; computes nothing and leaves the model as it is."""
    spaces: dict[str, tuple[int, ...]] = {}

    def look(name: str, y: Array) -> Array:
        if y.ndim == x.ndim:
            spaces[name] = y.shape[1:-1]
        return y

    def forward(x: Array) -> Array:
        copy: Any = nnx.clone(model) if isinstance(model, nnx.Module) else model
        return copy(x, train=train, tap=look)

    jax.eval_shape(forward, x)
    return spaces


class _Enough(Exception):
    """Every map that was asked for is there."""


def _computed(model: Callable[..., Array], x: Array, wanted: set[str], train: bool, tap: Tap) -> dict[str, Array]:
    """The wanted maps. The model is left by an exception, so that later layers are neither computed nor traced."""
    found: dict[str, Array] = {}

    def keep(name: str, y: Array) -> Array:
        y = tap(name, y)
        if name in wanted:
            found[name] = y
            if len(found) == len(wanted):
                raise _Enough
        return y

    try:
        if wanted:
            model(x, train=train, tap=keep)
    except _Enough:
        pass
    return found


def _chosen(stages: Stage | Sequence[Stage], levels: list[str], names: list[str]) -> list[str]:
    """The names that are asked for, in the order of computation."""
    wanted: set[str] = set()
    for stage in [stages] if isinstance(stages, str) or not isinstance(stages, Sequence) else stages:
        wanted.update(_named(stage, names) if isinstance(stage, str) else [_placed(stage, levels)])
    return [name for name in names if name in wanted]


def _named(stage: str, names: list[str]) -> list[str]:
    found = [stage] if stage in names else [name for name in names if fnmatchcase(name, stage)]
    if not found:
        near = get_close_matches(stage, names, n=3, cutoff=0.5) or names
        shown = f"{', '.join(near[:8])}{', …' * (len(near) > 8)}" or "none"
        raise ValueError(f"pyramid: no feature map is named like {stage!r}; such are {shown}")
    return found


def _placed(stage: Any, levels: list[str]) -> str:
    try:
        place = index(stage)
    except TypeError:
        raise TypeError(f"pyramid: stages={stage!r} must be a name, a pattern, a place, or several of these") from None
    if not -len(levels) <= place < len(levels):
        raise ValueError(f"pyramid: there is no place {place} among the {len(levels)} maps {', '.join(levels)}")
    return levels[place]
