"""`conv`, `conv_input_grad`, `conv_kernel_grad`: the three partial evaluations of one trilinear form.

    T(x, kernel, g) = ⟨g, conv(x, kernel)⟩ = ⟨x, conv_input_grad(g, kernel)⟩ = ⟨kernel, conv_kernel_grad(x, g)⟩

Each is bilinear and its two transposes are the other two, so the family is closed under differentiation of any order and
mode. Parameters of every primitive, all hashable:

    window, groups, space   the window, and the spatial size of the input
    lowering                the name of a forced lowering for each direction, or "auto"; derivatives keep it
    stacked                 both operands, and the result, have one more axis in front: independent problems (from vmap)
    sharding                of the result on explicit mesh axes; None: derived from the operands
    precision               `jax.default_matmul_precision` where the function was called; derivatives keep it

What runs is decided when the program is lowered, when platform and devices are known.
"""

from collections.abc import Iterator
from functools import partial

import jax
from jax import Array
from jax.extend.core import Primitive, jaxprs_in_params
from jax.interpreters import ad, batching, mlir, xla

from jaxcnn.geometry import Window

from .._vary import vary_alike
from ..lowering import DIRECTIONS, FREE, Case, Forced
from . import _taylor as taylor
from ._batching import batch
from ._lower import case_of, lower
from ._sharding import explicit, result_sharding


def conv(x: Array, kernel: Array, window: Window, *, groups: int = 1, lowering: Forced = FREE) -> Array:
    """`y[n, o, c] = Σ_t Σ_i x[n, o · stride − low + t · dilation, i] · kernel[t, i, c]`."""
    return _bind(conv_p, x, kernel, window, groups, x.shape[1:-1], lowering)


def conv_input_grad(
    g: Array, kernel: Array, window: Window, space: tuple[int, ...], *, groups: int = 1, lowering: Forced = FREE
) -> Array:
    """The adjoint of `conv` in x, for an input of `space` pixels: a transposed convolution."""
    return _bind(input_grad_p, g, kernel, window, groups, space, lowering)


def conv_kernel_grad(x: Array, g: Array, window: Window, *, groups: int = 1, lowering: Forced = FREE) -> Array:
    """The adjoint of `conv` in the kernel."""
    return _bind(kernel_grad_p, x, g, window, groups, x.shape[1:-1], lowering)


def _bind(primitive: Primitive, a: Array, b: Array, window, groups, space, lowering) -> Array:
    a, b = vary_alike(a, b)
    return primitive.bind(
        a,
        b,
        window=window,
        groups=groups,
        space=tuple(space),
        lowering=lowering,
        stacked=False,
        sharding=None,
        precision=jax.config.jax_default_matmul_precision,  # type: ignore[attr-defined]
    )


def _abstract(direction: str, a, b, *, lowering, sharding, stacked, **params):
    case = case_of(direction, a, b, stacked=stacked, **params)
    shape = {"conv": case.y_shape, "input_grad": case.x_shape, "kernel_grad": case.kernel_shape}[direction]
    if stacked:
        shape = (a.shape[0], *shape)
    if explicit(a, b):
        sharding = sharding or result_sharding(direction, a, b, shape, params["groups"], stacked)
        return a.update(shape=shape, dtype=case.result_dtype, weak_type=False, sharding=sharding)
    return a.update(shape=shape, dtype=case.result_dtype, weak_type=False, sharding=_plain(a, len(shape)))


def _plain(aval, rank: int):
    """The aval's mesh, nothing split: automatic and manual axes have no entries."""
    return jax.sharding.NamedSharding(aval.sharding.mesh, jax.sharding.PartitionSpec(*[None] * rank))


def _primitive(direction: str) -> Primitive:
    primitive = Primitive(f"jaxcnn_{'conv' if direction == 'conv' else 'conv_' + direction}")
    primitive.def_impl(partial(xla.apply_primitive, primitive))  # compiled alone, whatever `jax.disable_jit` says
    primitive.def_abstract_eval(partial(_abstract, direction))
    batching.primitive_batchers[primitive] = partial(batch, primitive, direction)
    for platform in (None, "cpu"):
        mlir.register_lowering(primitive, partial(lower, direction, platform), platform=platform)
    return primitive


FAMILY = conv_p, input_grad_p, kernel_grad_p = tuple(_primitive(d) for d in DIRECTIONS)


def _transpose(primitive: Primitive, wanted: int, operands):
    """The transpose in operand `wanted`: `primitive` of what `operands(cotangent, other)` says."""

    def rule(cotangent, a, b, **params):
        unknown, other = (a, b) if wanted == 0 else (b, a)
        params["sharding"] = unknown.aval.sharding if explicit(unknown.aval) else None
        return primitive.bind(*operands(cotangent, other), **params)

    return rule


def convolutions(program) -> Iterator[tuple[Case, Forced]]:
    """Every primitive of the family in a jaxpr, inner ones included, as its case and its forced lowerings."""
    directions = {p.name: d for p, d in zip(FAMILY, DIRECTIONS)}
    for equation in program.eqns:
        if direction := directions.get(equation.primitive.name):
            operands = (v.aval for v in equation.invars)
            yield case_of(direction, *operands, **equation.params), equation.params["lowering"]
        for inner in jaxprs_in_params(equation.params):
            yield from convolutions(inner)


_first = lambda ct, other: (ct, other)
_second = lambda ct, other: (other, ct)
for _p in FAMILY:
    taylor.bilinear(_p)
ad.defbilinear(conv_p, _transpose(input_grad_p, 0, _first), _transpose(kernel_grad_p, 1, _second))
ad.defbilinear(input_grad_p, _transpose(conv_p, 0, _first), _transpose(kernel_grad_p, 1, _first))
ad.defbilinear(kernel_grad_p, _transpose(input_grad_p, 0, _second), _transpose(conv_p, 1, _second))
