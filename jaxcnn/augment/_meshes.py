"""Images on explicit mesh axes.

An augmentation draws numbers, gathers pixels and builds masks, and each of these would have to say where its result lies. So a
function of images on explicit axes is traced as one piece within which the compiler decides. Its results are split over the
batch like the images; their rows and columns come together.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar, cast

import jax

from jaxcnn.functional.engine import placed
from jaxcnn.functional.engine._sharding import explicit

P = ParamSpec("P")
T = TypeVar("T")


def on_meshes(function: Callable[P, T]) -> Callable[P, T]:
    """The function of images, also where they lie on explicit mesh axes."""

    @wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        values, tree = jax.tree.flatten((args, kwargs))
        at = [i for i, v in enumerate(values) if isinstance(v, jax.Array)]
        if not any(explicit(jax.typeof(values[i])) for i in at):
            return function(*args, **kwargs)
        at.sort(key=lambda i: values[i].ndim != 4)  # the images say how the batch is split

        def inner(*arrays: jax.Array) -> T:
            for i, v in zip(at, arrays):
                values[i] = v
            given, call = jax.tree.unflatten(tree, values), cast(Callable[..., T], function)
            return call(*given[0], **given[1])

        return placed(inner, *(values[i] for i in at))

    return wrapper
