"""The pixels that units of one activation see, for models of any kind."""

from typing import Any

import jax

from jaxcnn.geometry import ReceptiveField

from .._forward import joined, reached, split
from .._trace import Walk

Box = tuple[int, int, int, int]


def field_of(model: Any, prepare: Any, shape: tuple[int, ...], dtype: Any, layer: str) -> ReceptiveField | None:
    """Receptive field of an activation in pixels of images `(n, h, w, c)`; None where no window says it.

    >>> field_of(lambda x, tap: tap("pixels", x), None, (1, 8, 8, 3), "float32", "pixels").size
    (1, 1)
    """
    graph, state = split(model)
    forward = lambda x: reached(joined(graph, state), x if prepare is None else prepare(x), layer)
    jaxpr = jax.make_jaxpr(forward)(jax.ShapeDtypeStruct(shape, dtype)).jaxpr
    walk = Walk(space=tuple(shape[1:-1]))
    walk.fields[jaxpr.invars[0]] = ReceptiveField.of_pixel(len(walk.space))
    walk.run(jaxpr)
    return walk.fields.get(jaxpr.outvars[0])  # pyright: ignore


def box(field: ReceptiveField | None, unit: tuple[int, ...], size: tuple[int, int]) -> Box:
    """The part of an image of that size that a unit sees, `(y0, x0, y1, x1)`, y1 and x1 behind the last pixel.

    It is the whole image where the unit has no place, or no window says what it sees.

    >>> from jaxcnn.geometry import Window, chain
    >>> box(chain([Window.resolve(3, (8, 8))]), (0, 7), (8, 8))
    (0, 7, 3, 8)
    """
    if field is None or len(unit) != 2 or 0 in field.jump:
        return 0, 0, *size
    first = [max(0, at) for at in field.first(unit)]
    last = [min(n - 1, at) for at, n in zip(field.last(unit), size)]
    return first[0], first[1], last[0] + 1, last[1] + 1
