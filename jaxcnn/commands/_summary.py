"""`summary`: layers, shapes, parameters, multiply-adds and receptive fields of a model."""

from collections.abc import Callable
from functools import partial
from inspect import signature
from typing import Annotated

import tyro
from flax import nnx
from rich.console import Console

from jaxcnn import models
from jaxcnn.interpret import summarise


def summary(
    model: Annotated[str, tyro.conf.Positional],
    input: tuple[int, ...] = (),
    num_classes: int | None = None,
    batch: int = 1,
) -> None:
    """Show each layer of a model: output, parameters, multiply-adds, receptive field.

    Args:
        model: name of the model.
        input: height, width and channels of the images (default: the model's own).
        num_classes: outputs (default: the model's own).
        batch: images that the multiply-adds are counted for.
    """
    size = models.image_size(model)
    shape = input or (*size, signature(_constructor(model)).parameters["in_features"].default)
    if len(shape) != 3 or min(shape) < 1 or batch < 1:
        raise ValueError(f"input={shape}, batch={batch}; give height, width and channels, each at least 1")
    options: dict = {"in_features": shape[2], "image_size": shape[:2]}
    options |= {} if num_classes is None else {"num_classes": num_classes}
    built = nnx.eval_shape(lambda: models.create(model, rngs=nnx.Rngs(0), **options))
    Console(width=None if Console().is_terminal else 120).print(summarise(built, (batch, *shape)).table())


def _constructor(model: str) -> Callable:
    """What takes the model's options, whose signature says which there are."""
    found = models.REGISTRY[model][0]
    while isinstance(found, partial):
        found = found.func
    return found.__init__ if isinstance(found, type) else found
