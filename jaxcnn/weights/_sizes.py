"""`sizes`: how many classes the network of a file tells apart and how many channels it takes, before there is a model."""

from collections.abc import Callable, Mapping
from pathlib import Path

from flax import nnx

from ._array import Stored, WeightFileError
from ._files import opened
from ._load import best_naming, shape_in

MOST_CLASSES = 1 << 17  # a file that says more is taken for damaged: its head would fill the memory
FIRST, SECOND = {"num_classes": 2, "in_features": 1}, {"num_classes": 3, "in_features": 3}


def sizes(create: Callable[..., nnx.Module], source: str | Path) -> dict[str, int]:
    """The options `num_classes` and `in_features` with which `create` makes a model of the file's shapes, as far as it says them.

    Two models are compared that differ in both, as shapes alone: the axes in which they differ are those where the file has
    its numbers, whatever its names. A model that cannot have other numbers has no options.

    Raises: WeightFileError as `load`, and for more than 131,072 classes, or none.

    >>> import tempfile
    >>> from jaxcnn import models, weights
    >>> file = tempfile.mkdtemp() + "/a.safetensors"
    >>> weights.save(models.create("lenet5", num_classes=7, in_features=3, rngs=nnx.Rngs(0)), file)
    >>> sizes(lambda **options: models.create("lenet5", rngs=nnx.Rngs(0), **options), file)
    {'num_classes': 7, 'in_features': 3}
    """
    try:
        first, second = (nnx.eval_shape(lambda: create(**options)) for options in (FIRST, SECOND))  # noqa: B023
    except (ValueError, TypeError):
        return {}
    with opened(source) as stored:
        found = _found(first, second, stored)
    classes = found.get("num_classes", 1)
    if not 1 <= classes <= MOST_CLASSES:
        raise WeightFileError(
            f"load: {Path(source).name} has {classes:,} classes; from 1 to {MOST_CLASSES:,} can be true"
        )
    return found


def _found(first: nnx.Module, second: nnx.Module, stored: Mapping[str, Stored]) -> dict[str, int]:
    wanted, naming = best_naming(first, stored)
    others, found = best_naming(second, stored, naming)[0], {}
    for name, entry in wanted.items():
        if name in stored and name in others:
            there = stored[name].shape
            for a, b, size in zip(shape_in(entry, naming), shape_in(others[name], naming), there):
                if 2 * b == 3 * a:
                    found.setdefault("num_classes", 2 * size // a)
                if b == 3 * a and size in (a, b):
                    found.setdefault("in_features", size // a)
    return {option: found[option] for option in FIRST if option in found}
