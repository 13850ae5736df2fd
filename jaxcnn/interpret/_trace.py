"""What a model computes, read off its jaxpr: cost and receptive field of every named activation.

The model is traced once with abstract arrays. Its equations are walked in order; each belongs to the next named activation
(`tap`). A convolution or pooling carries its window, and `jaxcnn.geometry` does the arithmetic; every variable that depends on
the image carries a receptive field. A field whose jump is 0 sees the whole image from every unit (dense layers, global pools).
A field that no rule covers is None.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from jax.extend.core import Literal

from jaxcnn.geometry import ReceptiveField, Window, conv_counts

CALLS = ("jaxpr", "call_jaxpr", "fun_jaxpr")  # parameters under which an equation keeps a program of its own


@dataclass
class Layer:
    """One named activation: shape, and what was computed since the one before."""

    name: str = ""
    shape: tuple[int, ...] = ()
    parameters: int = 0
    multiply_adds: int = 0
    field: ReceptiveField | None = None


@dataclass
class Walk:
    """State of the walk over the equations."""

    space: tuple[int, ...]
    fields: dict[Any, ReceptiveField | None] = field(default_factory=dict)
    parameters: dict[Any, int] = field(default_factory=dict)
    layers: list[Layer] = field(default_factory=list)
    pending: Layer = field(default_factory=Layer)

    def whole(self) -> ReceptiveField:
        """The field of a unit that sees the whole image."""
        zeros = (0,) * len(self.space)
        return ReceptiveField(self.space, zeros, zeros)

    def run(self, jaxpr: Any) -> None:
        """Walks the equations of a program whose inputs are known already."""
        for equation in jaxpr.eqns:
            inner = next((equation.params[key] for key in CALLS if key in equation.params), None)
            if inner is None:
                self.step(equation)
            else:
                self.call(equation, getattr(inner, "jaxpr", inner))

    def call(self, equation: Any, inner: Any) -> None:
        """Walks the program inside an equation (jit, custom derivatives, checkpoint)."""
        for outer, var in zip(equation.invars, inner.invars):
            self.copy(outer, var)
        self.run(inner)
        for var, outer in zip(inner.outvars, equation.outvars):
            self.copy(var, outer)

    def copy(self, source: Any, to: Any) -> None:
        """`to` is another name of `source`."""
        if isinstance(source, Literal):
            return
        if source in self.fields:
            self.fields[to] = self.fields[source]
        if source in self.parameters:
            self.parameters[to] = self.parameters.pop(source)

    def step(self, equation: Any) -> None:
        """One equation: its parameters, its multiply-adds, its receptive field."""
        variables = [v for v in equation.invars if not isinstance(v, Literal)]
        self.pending.parameters += sum(self.parameters.pop(v, 0) for v in variables)
        self.pending.multiply_adds += multiply_adds(equation)
        seen = [v for v in variables if v in self.fields]
        if seen:
            result = self.propagate(equation, seen)
            for out in equation.outvars:
                self.fields[out] = result
        if equation.primitive.name == "name":
            (out,) = equation.outvars
            self.pending.name, self.pending.shape = equation.params["name"], out.aval.shape
            self.pending.field = self.fields.get(out)
            self.layers.append(self.pending)
            self.pending = Layer()

    def propagate(self, equation: Any, seen: list[Any]) -> ReceptiveField | None:
        """Receptive field of the result, from the fields of the operands that depend on the image."""
        fields = [f for f in (self.fields[v] for v in seen) if f is not None]
        if len(fields) < len(seen):
            return None
        if any(0 in f.jump for f in fields):
            return self.whole()
        rank = len(self.space)
        if any(v.aval.ndim != rank + 2 for v in seen):
            return None
        window = WINDOWS.get(equation.primitive.name, no_window)(equation, rank)
        if window == "whole" or window is None:
            return self.whole() if window else None
        merged = fields[0]
        for other in fields[1:]:
            if other.jump != merged.jump:
                return None
            merged = merged.union(other)
        return merged.through(window) if isinstance(window, Window) else merged


def multiply_adds(equation: Any) -> int:
    """Multiply-adds of a convolution or a matrix product, 0 for any other equation."""
    name = equation.primitive.name
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        left, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
        return prod(out) * prod(left[axis] for axis in contracted)
    if name not in CONVOLUTIONS:
        return 0
    batch, kernel = equation.invars[0].aval.shape[0], equation.invars[1].aval.shape
    window, space = CONVOLUTIONS[name](equation)
    return conv_counts(window, space, kernel[-2], kernel[-1], bias=False, batch=batch).multiply_adds


def _lax_conv(equation: Any) -> tuple[Window, tuple[int, ...]]:
    p, (x, kernel) = equation.params, (v.aval.shape for v in equation.invars)
    window = Window(kernel[:-2], tuple(p["window_strides"]), tuple(p["padding"]), tuple(p["rhs_dilation"]))
    return window, x[1:-1]


def _our_conv(equation: Any) -> tuple[Window, tuple[int, ...]]:
    return equation.params["window"], equation.params["space"]


CONVOLUTIONS: dict[str, Callable] = {  # window and size of the image (of the result, where transposed)
    "jaxcnn_conv": _our_conv,
    "jaxcnn_conv_input_grad": _our_conv,
    "conv_general_dilated": _lax_conv,
}


def no_window(equation: Any, rank: int) -> str | None:
    """Elementwise equations keep the field: every operand has the spatial axes of the result, or one pixel."""
    out = equation.outvars[0].aval.shape
    same = all(getattr(v.aval, "shape", ())[1 : rank + 1] in (out[1 : rank + 1], ()) for v in equation.invars[:1])
    return "same" if len(out) == rank + 2 and same else None


def _reduce_window(equation: Any, rank: int) -> Window:
    p, inner = equation.params, slice(1, rank + 1)
    pads = tuple((low, high) for low, high in p["padding"][inner])
    size, stride, dilation = (tuple(p[f"window_{key}"][inner]) for key in ("dimensions", "strides", "dilation"))
    return Window(size, stride, pads, dilation)


def _one_pixel(stride, low, high) -> Window:
    ones = (1,) * len(stride)
    return Window(ones, tuple(stride), tuple(zip(low, high)), ones)


def _pad(equation: Any, rank: int) -> Window | None:
    low, high, interior = zip(*equation.params["padding_config"][1 : rank + 1])
    return None if any(interior) else _one_pixel((1,) * rank, low, high)


def _slice(equation: Any, rank: int) -> Window:
    p, inner = equation.params, slice(1, rank + 1)
    start, stride = p["start_indices"][inner], (p["strides"] or (1,) * (rank + 2))[inner]
    return _one_pixel(stride, [-a for a in start], (0,) * rank)


def _reduce(equation: Any, rank: int) -> str | None:
    space = set(range(1, rank + 1))
    return "whole" if space <= set(equation.params["axes"]) else None


def _reshape(equation: Any, rank: int) -> str:
    x, out = equation.invars[0].aval.shape, equation.outvars[0].aval.shape
    return "same" if len(out) == rank + 2 and x[: rank + 1] == out[: rank + 1] else "whole"


def _dot(equation: Any, rank: int) -> str:
    (left, _), batch = equation.params["dimension_numbers"]
    return "same" if tuple(left) == (rank + 1,) and not any(map(len, batch)) else "whole"


WINDOWS: dict[str, Callable[[Any, int], Window | str | None]] = {
    "jaxcnn_conv": lambda equation, rank: equation.params["window"],
    "jaxcnn_conv_input_grad": lambda equation, rank: None,  # a transposed convolution steps fractions of a pixel
    "conv_general_dilated": lambda equation, rank: _lax_conv(equation)[0],
    "jaxcnn_extreme": lambda equation, rank: equation.params["window"],
    "reduce_window_max": _reduce_window,
    "reduce_window_min": _reduce_window,
    "reduce_window_sum": _reduce_window,
    "reduce_window": _reduce_window,
    "pad": _pad,
    "slice": _slice,
    "reduce_sum": _reduce,
    "reduce_max": _reduce,
    "reshape": _reshape,
    "dot_general": _dot,
}
