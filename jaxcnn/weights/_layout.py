"""Where a parameter lies in the files of PyTorch: its name and the order of its axes, as literal tables.

`layer1[0].conv1.kernel` here is `layer1.0.conv1.weight` there. Their layout is `ours.transpose(axes).reshape(shape)`: kernels
`(*size, c_in / groups, c_out)` become `(c_out, c_in / groups, *size)`, those of transposed convolutions alike, matrices
`(in, out)` become `(out, in)`, depthwise kernels `(*size, c, multiplier)` become `(c · multiplier, 1, *size)`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from flax import nnx

from jaxcnn import nn

LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}  # ours: PyTorch's
KEPT = nnx.Any(nnx.Param, nnx.BatchStat, nn.Frozen)  # what a weight file holds


@dataclass(frozen=True)
class Entry:
    """One array of a model: our name, PyTorch's, the variable, and how the layouts differ."""

    ours: str
    torch: str
    variable: nnx.Variable
    axes: tuple[int, ...]
    torch_shape: tuple[int, ...]

    def from_torch(self, array: np.ndarray) -> np.ndarray:
        """In our layout."""
        middle = [self.variable.shape[axis] for axis in self.axes]
        return array.reshape(middle).transpose(np.argsort(self.axes))

    def to_torch(self, array: np.ndarray) -> np.ndarray:
        """In PyTorch's layout."""
        return array.transpose(self.axes).reshape(self.torch_shape)


def entries(model: nnx.Module) -> list[Entry]:
    """Every parameter and batch statistic of a model, frozen ones too, in order of name."""
    return list(_entries(model))


def _entries(model: nnx.Module) -> Iterator[Entry]:
    for path, _ in nnx.to_flat_state(nnx.state(model, KEPT)):
        *parents, last = path
        parent, leaf = at(model, parents), str(last)
        variable = at(parent, [last])
        axes, shape = (LAYOUTS.get((type(parent), leaf)) or BY_NAME.get(leaf, _same))(variable.shape)
        yield Entry(dotted(path), dotted((*parents, LEAVES.get(leaf, leaf))), variable, axes, shape)


def at(node: Any, path) -> Any:
    """What lies at a path of attribute names and numbers.

    >>> at({"a": [1, 2]}, []), at([4, 5], [1])
    ({'a': [1, 2]}, 5)
    """
    return reduce(lambda found, key: found[key] if isinstance(key, int) else getattr(found, key), path, node)


def dotted(path) -> str:
    """A path as text.

    >>> dotted(("layer1", 0, "conv1"))
    'layer1.0.conv1'
    """
    return ".".join(map(str, path))


def _same(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(range(len(shape))), tuple(shape)


def _reversed_pair(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    rank = len(shape)
    axes = (rank - 1, rank - 2, *range(rank - 2))
    return axes, tuple(shape[axis] for axis in axes)


def _depthwise(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    *size, channels, multiplier = shape
    rank = len(shape)
    return (rank - 2, rank - 1, *range(rank - 2)), (channels * multiplier, 1, *size)


def _channels_first(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    axes = (len(shape) - 1, *range(len(shape) - 1))
    return axes, tuple(shape[axis] for axis in axes)


Rule = Callable[[tuple[int, ...]], tuple[tuple[int, ...], tuple[int, ...]]]
LAYOUTS: dict[tuple[type, str], Rule] = {(nn.DepthwiseConv, "kernel"): _depthwise}
BY_NAME: dict[str, Rule] = {"kernel": _reversed_pair, "layer_scale": _channels_first}
