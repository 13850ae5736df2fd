"""From a primitive to a program: the case is complete here, the chosen lowering is traced, float32 is the least it adds in.

On XLA:CPU 16-bit floats are widened before and rounded once after; elsewhere the convolution units add in float32 themselves.
8-bit integers are added in 32 bits.
"""

from collections.abc import Callable
from contextlib import nullcontext

import jax
import jax.numpy as jnp
from jax import Array
from jax.core import ShapedArray
from jax.interpreters import mlir

from ..lowering import Case, evaluate, evaluate_stacked
from ._sharding import constrain, explicit, with_whole_images


def lower(direction: str, platform: str | None, ctx, a, b, *, sharding, precision, **params):
    """The lowering rule of all three primitives; `platform` None stands for every one without its own."""
    platform = platform or _other(ctx)
    case = case_of(direction, *ctx.avals_in, **params).replace(platform=platform, partitioned=partitioned(ctx))
    result = ctx.avals_out[0]

    def run(a: Array, b: Array) -> Array:
        if direction == "kernel_grad" and case.taps > 1 and case.partitioned:
            a, b = (with_whole_images(ctx, v, int(params["stacked"])) for v in (a, b))
        y = compute(a, b, case, lowering=params["lowering"].of(direction), stacked=params["stacked"])
        return constrain(y, result.sharding) if explicit(result) else y

    with nullcontext() if precision is None else jax.default_matmul_precision(precision):
        return inlined(lambda a, b: [run(a, b)], ctx, a, b)


def inlined(function: Callable[..., list[Array]], ctx, *operands):
    """The results of a traced function in the place of a primitive; inside it arrays know no mesh."""
    bare = [ShapedArray(v.shape, v.dtype) for v in ctx.avals_in]
    with jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), (), axis_types=())):
        return mlir.lower_fun(function, multiple_results=True)(ctx.replace(avals_in=bare), *operands)


def case_of(direction: str, a, b, *, window, groups, space, stacked=False, **_) -> Case:
    """The case that operands of these shapes make; `a` and `b` are avals or arrays."""
    dtype = a.dtype.name
    a, b = (v.shape[1:] if stacked else v.shape for v in (a, b))
    n, c_in, c_out = a[0], b[-2] * groups if direction == "input_grad" else a[-1], b[-1]
    return Case(direction, window, tuple(space), n, c_in, c_out, groups, dtype)


def compute(a: Array, b: Array, case: Case, *, lowering: str = "auto", stacked: bool = False) -> Array:
    """The case evaluated: dtypes widened, empty arrays answered, the lowering called."""
    shape = {"conv": case.y_shape, "input_grad": case.x_shape, "kernel_grad": case.kernel_shape}[case.direction]
    if stacked:
        shape = (a.shape[0], *shape)
    result = jnp.dtype(case.result_dtype)
    if 0 in (*a.shape, *b.shape, *shape):
        return jnp.zeros(shape, result)
    if case.widened != case.dtype:
        a, b = a.astype(case.widened), b.astype(case.widened)
        case = case.replace(dtype=case.widened)
    run = evaluate_stacked if stacked else evaluate
    return run(a, b, case, lowering).astype(result)


def _other(ctx) -> str:
    platforms = tuple(getattr(ctx, "platforms", None) or getattr(ctx.module_context, "platforms", ()) or ())
    return "tpu" if platforms == ("tpu",) else "gpu"


def partitioned(ctx) -> bool:
    """Whether the compiler splits this program over devices; not so inside a `shard_map` over every axis."""
    context = ctx.module_context.axis_context
    mesh = getattr(context, "mesh", None)
    if mesh is not None:
        free = [size for name, size in mesh.shape.items() if name not in context.manual_axes]
        return any(size > 1 for size in free)
    return getattr(context, "num_devices", 1) > 1
