"""A network computed again for images that differ from a known one in a rectangle only, as exactly and with less work.

Behind each operation only those units change that see the rectangle. So the network is traced to a jaxpr and run once for the
known images. For each rectangle an operation is then computed for the patch of units that may change: a convolution or pooling
takes from the known map what its windows see, with the changed patch laid into it. Elementwise operations and concatenated
channels take the patches themselves. Where a patch is most of its map, or an operation is none of these, the patch is
laid into the whole map and the rest of the network runs as it is.

Rectangles are numbered. Where they begin is a table (rectangles, axes) for every patch, made in integers before anything runs; all
patches of one map have the same size.

Reference: Nakandala, Kumar & Papakonstantinou, Incremental and approximate inference for faster occlusion-based deep CNN
explanations (2019).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax.extend.core import Literal

from jaxcnn.geometry import Window

from ._replay import bound, replay
from ._trace import ELEMENTWISE, _lax_conv

MOST = 0.6  # share of a map above which a patch saves less than what it costs to cut out and lay in
FILLS = {"jaxcnn_conv": 0, "conv_general_dilated": 0, "jaxcnn_total": 0, "jaxcnn_extreme": -np.inf}


@dataclass(frozen=True, eq=False)
class Patch:
    """The units of a map that may change: where they begin for each rectangle, `(rectangles, axes)`, and how many an axis."""

    starts: np.ndarray
    size: tuple[int, ...]

    @property
    def stops(self) -> np.ndarray:
        """Behind the last unit of each axis."""
        return self.starts + np.array(self.size)

    def same(self, other: "Patch") -> bool:
        """Whether it is the same one."""
        return self.size == other.size and np.array_equal(self.starts, other.starts)

    def small(self, space: Sequence[int]) -> bool:
        """Whether it pays to compute it alone."""
        return prod(self.size) <= MOST * prod(space)


class Local:
    """A function of images prepared for the rectangles `starts` (rectangles, axes) of `size` pixels in x.

    `changed(number, x)` gives its results for images that differ from the prepared ones in rectangle `number` only; `number` may
    be traced and mapped.
    """

    def __init__(self, function: Callable[[Array], Any], x: Array, starts: np.ndarray, size: tuple[int, ...]):
        closed, self.shape = jax.make_jaxpr(replay(function, lambda *_: None), return_shape=True)(x)
        self.jaxpr, self.rank, self.n = closed.jaxpr, x.ndim - 2, len(x)
        self.known: dict[Any, Any] = dict(zip(self.jaxpr.constvars, closed.consts))
        self.even: set[Any] = set()  # arrays that are the same everywhere in space
        self.patches: dict[Any, Patch | None] = {}  # of what depends on the images: a patch, or None for the whole
        self.known[self.jaxpr.invars[0]] = x
        stops = np.minimum(starts + np.array(size), x.shape[1:-1])
        self.patches[self.jaxpr.invars[0]] = self._fitted(starts, stops, x.shape[1:-1])
        self.steps = [self._prepare(equation) for equation in self.jaxpr.eqns]

    def changed(self, number: Array, x: Array) -> Any:
        """The results for images that differ in rectangle `number`."""
        first = self.jaxpr.invars[0]
        patch = self.patches[first]
        values = {
            first: x if patch is None else lax.dynamic_slice(x, self._at(patch.starts, number), self._shape(x, patch))
        }
        for equation, step in zip(self.jaxpr.eqns, self.steps):
            if step is not None:
                values.update(zip(equation.outvars, step(number, values)))
        results = [self._whole(atom, number, values) for atom in self.jaxpr.outvars]
        return jax.tree.unflatten(jax.tree.structure(self.shape), results)

    def _prepare(self, equation: Any):
        """Runs an operation for the known images, and gives the step that runs it for changed ones; None where nothing changes."""
        results = bound(equation, [self._read(atom) for atom in equation.invars])
        self.known.update(zip(equation.outvars, results))
        moved = [atom for atom in equation.invars if self._moves(atom)]
        if not moved:
            self._note_even(equation)
            return None
        step, patch = self._local(equation, moved) if all(self.patches[atom] for atom in moved) else (None, None)
        self.patches.update(dict.fromkeys(equation.outvars, patch))
        return step or (
            lambda number, values: bound(equation, [self._whole(a, number, values) for a in equation.invars])
        )

    def _local(self, equation: Any, moved: list[Any]) -> tuple[Any, Patch | None]:
        """How an operation is computed for a patch, and where the patch lies; (None, None) where it is not."""
        name = equation.primitive.name
        maps = [self.known[var] for var in (*moved, *equation.outvars)]
        if any(v.ndim < self.rank + 1 or len(v) != self.n for v in maps):
            return None, None
        alone = len(moved) == 1 and moved[0] is equation.invars[0] and jnp.issubdtype(maps[0].dtype, jnp.floating)
        window = _window(equation, self.rank) if alone else None
        if window is not None:
            return self._windowed(equation, window)
        parameters = _pointwise(equation, self.rank)
        if name == "dot_general" and len(moved) == 1 and moved[0] is equation.invars[0] and parameters:
            source = self.patches[moved[0]]
            return (lambda number, values: bound(equation, [values[moved[0]], self._read(equation.invars[1])])), source
        if name == "dot_general" or parameters is None and name not in ELEMENTWISE:
            return None, None
        patch = self._hull([self.patches[var] for var in moved], self._space(equation.outvars[0]))
        if patch is None or any(self._space(var) != self._space(moved[0]) for var in (*moved, *equation.outvars)):
            return None, None
        return self._alike(equation, patch, parameters or (lambda space: {})), patch

    def _alike(self, equation: Any, patch: Patch, parameters: Callable):
        """A step without neighbours: every operand is cut to the patch."""
        changes = parameters((self.n, *patch.size))

        def step(number, values):
            operands = [self._cut(atom, patch, number, values) for atom in equation.invars]
            return _bind(equation, operands, changes)

        return step

    def _windowed(self, equation: Any, window: Window) -> tuple[Any, Patch | None]:
        """A convolution or pooling: the units of which a window sees the patch."""
        source, space = equation.invars[0], self._space(equation.outvars[0])
        patch, stride, span = self.patches[source], np.array(window.stride), np.array(window.span)
        assert patch is not None
        low = np.array([pair[0] for pair in window.padding])
        first = -(-(patch.starts + low - span + 1) // stride)
        out = self._fitted(first, (patch.stops - 1 + low) // stride + 1, space)
        if out is None:
            return None, None
        seen = Patch(out.starts * stride - low, tuple((np.array(out.size) - 1) * stride + span))
        fill = FILLS[equation.primitive.name] * (1 if equation.params.get("largest", True) else -1)
        region = self._region(source, seen, fill)
        changes = (
            {"window": window.unpadded(), "space": seen.size}
            if "window" in equation.params
            else {"padding": ((0, 0),) * self.rank}
        )

        def step(number, values):
            return _bind(equation, [region(number, values), *map(self._read, equation.invars[1:])], changes)

        return step, out

    def _region(self, var: Any, seen: Patch, fill: float = 0):
        """What lies in `seen` of a changed map; outside the map is `fill`."""
        known, patch, space = self.known[var], self.patches[var], np.array(self._space(var))
        assert patch is not None
        before = np.maximum(seen.starts - patch.starts, 0).max(0)  # the patch may stick out of what is seen
        behind = np.maximum(patch.stops - seen.stops, 0).max(0)
        wide = seen.starts - before
        low = np.maximum(-wide, 0).max(0)
        high = np.maximum(seen.stops + behind - space, 0).max(0)
        padded = _padded(known, low, high, fill, self.rank)
        shape = known.shape[:1] + tuple(np.array(seen.size) + before + behind) + known.shape[self.rank + 1 :]

        def region(number, values):
            around = lax.dynamic_slice(padded, self._at(wide + low, number, padded.ndim), shape)
            whole = lax.dynamic_update_slice(around, values[var], self._at(patch.starts - wide, number, padded.ndim))
            inside = (slice(None), *(slice(int(a), int(a + k)) for a, k in zip(before, seen.size)))
            return whole[inside]

        return region

    def _cut(self, atom: Any, patch: Patch, number: Array, values: dict) -> Any:
        """An operand of an operation without neighbours, for the patch."""
        if self._moves(atom):
            own = self.patches[atom]
            return values[atom] if own.same(patch) else self._region(atom, patch)(number, values)
        value = self._read(atom)
        if jnp.ndim(value) <= self.rank or set(value.shape[1 : self.rank + 1]) == {1}:
            return value
        if atom in self.even:
            one = value[(slice(None), *(slice(1),) * self.rank)]
            return jnp.broadcast_to(one, (*one.shape[:1], *patch.size, *one.shape[self.rank + 1 :]))
        return lax.dynamic_slice(value, self._at(patch.starts, number, value.ndim), self._shape(value, patch))

    def _whole(self, atom: Any, number: Array, values: dict) -> Any:
        """A value for changed images with everything that does not change; it is kept."""
        if not self._moves(atom):
            return self._read(atom)
        patch = self.patches[atom]
        if patch is None:
            return values[atom]
        if ("whole", atom) not in values:
            known = self.known[atom]
            values["whole", atom] = lax.dynamic_update_slice(
                known, values[atom], self._at(patch.starts, number, known.ndim)
            )
        return values["whole", atom]

    def _fitted(self, starts: np.ndarray, stops: np.ndarray, space: Sequence[int]) -> Patch | None:
        """The patch that holds all of these spans, inside the map; None where it is most of the map."""
        starts, stops = np.clip(starts, 0, space), np.clip(stops, 0, space)
        size = np.maximum((stops - starts).max(0), 1)
        patch = Patch(np.minimum(starts, np.array(space) - size), tuple(map(int, size)))
        return patch if patch.small(space) else None

    def _hull(self, patches: Sequence[Any], space: Sequence[int]) -> Patch | None:
        first = patches[0]
        if all(patch.same(first) for patch in patches[1:]):
            return first
        starts, stops = (np.stack([getattr(patch, word) for patch in patches]) for word in ("starts", "stops"))
        return self._fitted(starts.min(0), stops.max(0), space)

    def _note_even(self, equation: Any) -> None:
        """Remembers a constant that a broadcast spread over space."""
        if equation.primitive.name == "broadcast_in_dim" and equation.outvars[0].aval.ndim > self.rank:
            shape, at = equation.invars[0].aval.shape, equation.params["broadcast_dimensions"]
            if all(shape[i] == 1 for i, axis in enumerate(at) if 1 <= axis <= self.rank):
                self.even.add(equation.outvars[0])

    def _at(self, starts: np.ndarray, number: Array, ndim: int | None = None) -> list[Any]:
        here = jnp.asarray(starts, jnp.int32)[number]
        behind = (ndim or self.rank + 2) - self.rank - 1
        zero = jnp.zeros((), jnp.int32)
        return [zero, *(here[axis] for axis in range(self.rank)), *[zero] * behind]

    def _shape(self, value: Array, patch: Patch) -> tuple[int, ...]:
        return (*value.shape[:1], *patch.size, *value.shape[self.rank + 1 :])

    def _space(self, var: Any) -> tuple[int, ...]:
        return self.known[var].shape[1 : self.rank + 1]

    def _read(self, atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else self.known[atom]

    def _moves(self, atom: Any) -> bool:
        return not isinstance(atom, Literal) and atom in self.patches


def _bind(equation: Any, operands: Sequence[Any], changes: dict[str, Any]) -> Sequence[Any]:
    parameters = equation.primitive.get_bind_params({**equation.params, **changes})
    results = equation.primitive.bind(*operands, **parameters)
    return results if equation.primitive.multiple_results else [results]


def _padded(known: Array, low: np.ndarray, high: np.ndarray, fill: float, rank: int) -> Array:
    """The map with as many pixels of `fill` around it."""
    if not (low.any() or high.any()):
        return known
    pairs = [(0, 0), *((int(a), int(b)) for a, b in zip(low, high)), *[(0, 0)] * (known.ndim - rank - 1)]
    return jnp.pad(known, pairs, constant_values=fill)


def _window(equation: Any, rank: int) -> Window | None:
    """The window of a convolution or pooling that can run on a patch."""
    name = equation.primitive.name
    if name not in FILLS:
        return None
    if name != "conv_general_dilated":
        window = equation.params["window"]
    else:
        found = _lax_conv(equation, rank)
        window = found.window if found is not None and set(found.input_dilation) == {1} else None
    return window if isinstance(window, Window) else None


def _pointwise(equation: Any, rank: int) -> Callable[[tuple[int, ...]], dict[str, Any]] | None:
    """What changes in the parameters of an operation on channels alone, where images and space have another shape in front."""
    name, params = equation.primitive.name, equation.params
    behind = equation.outvars[0].aval.shape[rank + 1 :]
    if name == "concatenate" and params["dimension"] > rank or name == "split" and params["axis"] > rank:
        return lambda front: {}
    if name == "transpose" and tuple(params["permutation"][: rank + 1]) == tuple(range(rank + 1)):
        return lambda front: {}
    if name == "reshape" and params["dimensions"] is None:
        return lambda front: {"new_sizes": (*front, *behind)}
    if name == "dot_general":
        (left, _), batch = params["dimension_numbers"]
        return (lambda front: {}) if not any(map(len, batch)) and min(left, default=0) > rank else None
    return None
