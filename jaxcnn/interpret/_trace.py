"""What a model computes, read off its jaxpr: cost and receptive field of every named activation.

The model is traced once with abstract arrays. Its equations are walked in order; each belongs to the next named activation
(`tap`). A convolution or pooling carries its window, and `jaxcnn.geometry` does the arithmetic; every variable that depends on
the image carries a receptive field. A field whose jump is 0 sees the whole image from every unit (dense layers, global pools).
Behind a transposed convolution units see by their place (`ReceptiveField.phases`). A field that no rule covers is None. The body
of a loop counts as often as it runs, that of a `while` once; of the branches of a `cond` the costliest counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

from jax.extend.core import Literal

from jaxcnn.geometry import ReceptiveField, Transposed, Window, conv_counts

CALLS = (
    "jaxpr",
    "call_jaxpr",
    "fun_jaxpr",
    "body_jaxpr",
)  # parameters under which an equation keeps a program of its own


@dataclass
class Layer:
    """One named activation: shape, and what was computed since the one before."""

    name: str = ""
    shape: tuple[int, ...] = ()
    parameters: int = 0
    frozen: int = 0
    multiply_adds: int = 0
    field: ReceptiveField | None = None


@dataclass
class Walk:
    """State of the walk over the equations."""

    space: tuple[int, ...]
    fields: dict[Any, ReceptiveField | None] = field(default_factory=dict)
    parameters: dict[Any, int] = field(default_factory=dict)
    frozen: set[Any] = field(default_factory=set)
    layers: list[Layer] = field(default_factory=list)
    pending: Layer = field(default_factory=Layer)

    def whole(self) -> ReceptiveField:
        """The field of a unit that sees the whole image."""
        zeros = (0,) * len(self.space)
        return ReceptiveField(self.space, zeros, zeros)

    def run(self, jaxpr: Any) -> None:
        """Walks the equations of a program whose inputs are known already."""
        for equation in jaxpr.eqns:
            inner = [equation.params[key] for key in CALLS if key in equation.params]
            inner += equation.params.get("branches", ())
            if inner:
                self.call(equation, [getattr(program, "jaxpr", program) for program in inner])
            else:
                self.step(equation)

    def call(self, equation: Any, programs: list[Any]) -> None:
        """Walks the programs inside an equation: one, or the branches of a `cond`, of which the costliest counts."""
        before, costs, fields = self.pending.multiply_adds, [], []
        for program in programs:
            given = equation.invars[-len(program.invars) :] if program.invars else []  # a cond's index comes first
            for outer, var in zip(given, program.invars):
                self.copy(outer, var)
            self.pending.multiply_adds = 0
            self.run(program)
            costs.append(self.pending.multiply_adds)
            fields.append([self.known(var) for var in program.outvars])
        turns = equation.params.get("length", 1)
        self.pending.multiply_adds = before + max(costs) * turns
        certain = turns == 1 and equation.primitive.name != "while" and all(f == fields[0] for f in fields)
        for outer, found in zip(equation.outvars, fields[0]):
            self.fields.pop(outer, None)
            if found:
                self.fields[outer] = found[0] if certain else None

    def known(self, var: Any) -> tuple[ReceptiveField | None, ...]:
        """The field of a variable that depends on the image, in a tuple; empty for one that does not."""
        return (self.fields[var],) if not isinstance(var, Literal) and var in self.fields else ()

    def copy(self, source: Any, to: Any) -> None:
        """`to` is another name of `source`; a program that is called twice keeps nothing of the first time."""
        self.fields.pop(to, None)
        self.parameters.pop(to, None)
        self.frozen.discard(to)
        if isinstance(source, Literal):
            return
        if source in self.fields:
            self.fields[to] = self.fields[source]
        if source in self.parameters:
            self.parameters[to] = self.parameters.pop(source)
            if source in self.frozen:
                self.frozen.add(to)

    def step(self, equation: Any) -> None:
        """One equation: its parameters, its multiply-adds, its receptive field."""
        variables = [v for v in equation.invars if not isinstance(v, Literal)]
        for v in variables:
            self.pending.frozen += self.parameters.get(v, 0) if v in self.frozen else 0
            self.pending.parameters += self.parameters.pop(v, 0)
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
        rank, name = len(self.space), equation.primitive.name
        fields = [f for f in (self.fields[v] for v in seen) if f is not None]
        if any(0 in f.jump for f in fields):
            return self.whole()
        if any(v.aval.ndim <= rank for v in seen):
            return None
        rule = _elementwise if name in ELEMENTWISE else WINDOWS.get(name, lambda equation, rank: None)
        window = rule(equation, rank)
        if window == "whole":
            return self.whole()
        if window is None or len(fields) < len(seen):
            return None
        merged = fields[0]
        for other in fields[1:]:
            if other.step != merged.step:
                return None
            merged = merged.union(other)
        return merged if isinstance(window, str) else merged.through(window)


def multiply_adds(equation: Any) -> int:
    """Multiply-adds of a convolution or a matrix product, 0 for any other equation."""
    name = equation.primitive.name
    if name not in ("dot_general", *CONVOLUTIONS):
        return 0
    left, right, out = (v.aval.shape for v in (*equation.invars, *equation.outvars))
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        return prod(out) * prod(left[axis] for axis in contracted)
    if name == "conv_general_dilated":
        p = equation.params
        numbers = p["dimension_numbers"]
        spread = prod(out[axis] for axis in numbers.out_spec[2:]) if set(p["lhs_dilation"]) == {1} else None
        positions = spread or prod(left[axis] for axis in numbers.lhs_spec[2:])  # a transposed one: per input pixel
        return left[numbers.lhs_spec[0]] // p["batch_group_count"] * positions * prod(right)
    window, space = equation.params["window"], equation.params["space"]  # of the result, where transposed
    return conv_counts(window, space, right[-2], right[-1], bias=False, batch=left[0]).multiply_adds


def _lax_conv(equation: Any, rank: int) -> Transposed | None:
    p, kernel = equation.params, equation.invars[1].aval.shape
    last = (0, rank + 1, *range(1, rank + 1))
    numbers = p["dimension_numbers"]
    channels_last = (numbers.lhs_spec, numbers.out_spec) == (last, last) and numbers.rhs_spec[2:] == tuple(range(rank))
    if not channels_last:
        return None
    window = Window(kernel[:-2], tuple(p["window_strides"]), tuple(p["padding"]), tuple(p["rhs_dilation"]))
    return Transposed(window, tuple(p["lhs_dilation"]))


CONVOLUTIONS = ("jaxcnn_conv", "jaxcnn_conv_input_grad", "conv_general_dilated")

ELEMENTWISE = frozenset(
    "abs add add_any and atan2 cbrt ceil clamp convert_element_type copy cos div eq erf erf_inv erfc exp exp2 expm1 "
    "floor ge gt integer_pow is_finite jaxcnn_stored le log log1p logistic lt max min mul name ne neg nextafter not "
    "optimization_barrier or pow reduce_precision rem round rsqrt select_n sharding_constraint sign sin sqrt square "
    "stop_gradient sub tan tanh xor".split()
)


def _keeps(x: Any, out: Any, rank: int) -> str | None:
    """Where images and space stay in front, whatever becomes of the channels (they may be several axes or none)."""
    shape = out.aval.shape[: rank + 1]
    return "same" if len(shape) == rank + 1 and x.aval.shape[: rank + 1] == shape else None


def _elementwise(equation: Any, rank: int) -> str | None:
    return "same" if equation.outvars[0].aval.ndim > rank else None


def _concatenate(equation: Any, rank: int) -> str | None:
    return "same" if equation.params["dimension"] not in range(1, rank + 1) else None


def _split(equation: Any, rank: int) -> str | None:
    return "same" if equation.params["axis"] > rank else None


def _rev(equation: Any, rank: int) -> str | None:
    return "same" if min(equation.params["dimensions"], default=rank + 1) > rank else None


def _broadcast(equation: Any, rank: int) -> str | None:
    in_front = equation.params["broadcast_dimensions"][: rank + 1] == tuple(range(rank + 1))
    return _keeps(equation.invars[0], equation.outvars[0], rank) if in_front else None


def _transpose(equation: Any, rank: int) -> str | None:
    return "same" if equation.params["permutation"][: rank + 1] == tuple(range(rank + 1)) else None


def _reduce_window(equation: Any, rank: int) -> Window:
    p, inner = equation.params, slice(1, rank + 1)
    pads = tuple((low, high) for low, high in p["padding"][inner])
    size, stride, dilation = (tuple(p[f"window_{key}"][inner]) for key in ("dimensions", "strides", "dilation"))
    return Window(size, stride, pads, dilation)


def _one_pixel(stride, low, high) -> Window:
    ones = (1,) * len(low)
    return Window(ones, tuple(stride), tuple(zip(low, high)), ones)


def _pad(equation: Any, rank: int) -> Transposed:
    low, high, interior = zip(*equation.params["padding_config"][1 : rank + 1])
    return Transposed(_one_pixel((1,) * rank, low, high), tuple(between + 1 for between in interior))


def _slice(equation: Any, rank: int) -> Window:
    p, inner = equation.params, slice(1, rank + 1)
    start, stride = p["start_indices"][inner], (p["strides"] or (1,) * (rank + 2))[inner]
    return _one_pixel(map(int, stride), [-int(a) for a in start], (0,) * rank)


def _reduce(equation: Any, rank: int) -> str | None:
    axes = set(equation.params["axes"])
    if min(axes, default=rank + 1) > rank:
        return "same"
    return "whole" if set(range(1, rank + 1)) <= axes else None


def _reshape(equation: Any, rank: int) -> str | None:
    x, out = equation.invars[0], equation.outvars[0]
    return _keeps(x, out, rank) or ("whole" if out.aval.ndim <= 2 else None)


def _dot(equation: Any, rank: int) -> str | None:
    (left, _), batch = equation.params["dimension_numbers"]
    if any(map(len, batch)):
        return None
    if min(left, default=0) > rank:
        return _keeps(equation.invars[0], equation.outvars[0], rank)
    return "whole" if set(range(1, rank + 1)) <= set(left) else None


WINDOWS: dict[str, Callable[[Any, int], Window | Transposed | str | None]] = {
    "jaxcnn_conv": lambda equation, rank: equation.params["window"],
    "jaxcnn_conv_input_grad": lambda equation, rank: equation.params["window"].transposed(equation.params["space"]),
    "conv_general_dilated": _lax_conv,
    "jaxcnn_extreme": lambda equation, rank: equation.params["window"],
    "jaxcnn_total": lambda equation, rank: equation.params["window"],
    "reduce_window_max": _reduce_window,
    "reduce_window_min": _reduce_window,
    "reduce_window_sum": _reduce_window,
    "reduce_window": _reduce_window,
    "pad": _pad,
    "slice": _slice,
    "reduce_sum": _reduce,
    "reduce_max": _reduce,
    "reduce_min": _reduce,
    "concatenate": _concatenate,
    "split": _split,
    "rev": _rev,
    "transpose": _transpose,
    "broadcast_in_dim": _broadcast,
    "reshape": _reshape,
    "dot_general": _dot,
}
