"""Where the result lies when mesh axes are explicit: batch and space as the images, channels as the kernel.

`jit` with automatic axes needs none of this, and inside `shard_map` each device sees its own block. With explicit axes every
operation must say what it returns. What is contracted may be split only where the result's place is known, in a transpose.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

from .._widened import widened


def explicit(*avals) -> bool:
    """Whether some operand lies on a mesh with explicit axes."""
    return any(AxisType.Explicit in aval.sharding.mesh.axis_types for aval in avals)


def result_sharding(direction: str, a, b, shape, groups: int, stacked: bool) -> NamedSharding:
    """Sharding of the result, from the operands alone.

    Raises: ValueError where a contracted axis is split; `jax.sharding.reshard` moves it.
    """
    mesh = a.sharding.mesh if not a.sharding.mesh.empty else b.sharding.mesh
    of_a, of_b = (_entries(v) for v in (a, b))
    lead = [of_a.pop(0) or of_b.pop(0)] if stacked else []
    if direction == "kernel_grad":
        return _checked(mesh, [*lead, *[None] * (len(of_a) - 2), of_a[-1] if groups == 1 else None, of_b[-1]], shape)
    contracted = (of_a[-1], of_b[-2] if direction == "conv" else of_b[-1])
    if any(contracted) and not (groups > 1 and direction == "input_grad"):
        raise ValueError(
            f"conv: the channels that are summed over are split over mesh axes {contracted}; "
            "jax.sharding.reshard one operand so that they are whole"
        )
    channels = of_b[-1] if direction == "conv" else (of_b[-2] if groups == 1 else None)
    return _checked(mesh, [*lead, *of_a[:-1], channels], shape)


def placed(function: Callable, *arrays, **options) -> Any:
    """`function(*arrays, **options)`, where the compiler places what lies inside although the mesh axes are explicit.

    In the results the batch is split like that of the first array; everything else comes together.
    """
    avals = [jax.typeof(v) for v in arrays if v is not None]
    meshes = [aval.sharding.mesh for aval in avals if explicit(aval)]
    if not meshes:
        return function(*arrays, **options)
    batch = _entries(avals[0])[0] if explicit(avals[0]) else None
    place = NamedSharding(meshes[0], PartitionSpec(batch))
    return jax.sharding.auto_axes(partial(function, **options), out_sharding=place)(*arrays)


def entries(x) -> list:
    """The explicit mesh axes over which each axis of an array is split, None where it is whole."""
    return _entries(jax.typeof(x))


def reshaped(x, shape, split: Callable[[list], list]):
    """x in another shape, split over explicit axes as `split` says of its entries."""
    aval = jax.typeof(x)
    if not explicit(aval):
        return x.reshape(shape)
    place = _checked(aval.sharding.mesh, split(_entries(aval)), shape)
    return jax.lax.reshape(x, shape, out_sharding=place)


def spread(x, mapped):
    """x once for each entry of the first axis of `mapped`, on the same devices; widened on the way, for the sum going back."""
    y, place = jax.numpy.broadcast_to(widened(x), (mapped.shape[0], *x.shape)), entries(mapped)[0]
    if place:
        y = jax.sharding.reshard(y, _checked(jax.typeof(mapped).sharding.mesh, [place, *entries(x)], y.shape))
    return y.astype(x.dtype)


def ahead(sharding: NamedSharding | None, place, at: int | None = None) -> NamedSharding | None:
    """The sharding of a result with one more axis in front, or one that has grown, split over `place`."""
    if sharding is None:
        return None
    names = lambda entry: set(entry if isinstance(entry, tuple) else (entry,)) - {None}
    split = [None if names(entry) & names(place) else entry for entry in sharding.spec]
    split = [place, *split] if at is None else [*split[:at], place, *split[at % len(split) + 1 :]]
    return NamedSharding(sharding.mesh, PartitionSpec(*split))


def whole(x):
    """x with its space brought together if it is split over explicit axes; batch and channels stay."""
    aval = jax.typeof(x)
    if not explicit(aval) or not any((entries := _entries(aval))[1:-1]):
        return x
    spec = PartitionSpec(entries[0], *[None] * (x.ndim - 2), entries[-1])
    return jax.sharding.reshard(x, NamedSharding(aval.sharding.mesh, spec))


def with_whole_images(ctx, v, first: int):
    """v with each image whole on its devices where some of the program's devices may hold copies; else v itself.

    XLA (jax 0.10.2 and 0.12) adds up a kernel gradient over all devices even if the images are split over some of them alone,
    so that two devices with the same rows double it. The batch, at the axis `first`, and the channels stay as they are split.
    """
    mesh = _mesh_of(ctx)
    if sum(size > 1 for name, size in mesh.shape.items() if name not in mesh.manual_axes) < 2 and not mesh.manual_axes:
        return v
    free, spec = PartitionSpec.UNCONSTRAINED, [None] * v.ndim
    spec[: first + 1], spec[-1] = [free] * (first + 1), free
    with jax.sharding.use_abstract_mesh(mesh):
        return jax.lax.with_sharding_constraint(v, NamedSharding(mesh, PartitionSpec(*spec)))


def _mesh_of(ctx) -> Any:
    """The mesh that a program is lowered for, axes automatic or manual; where it is not known, two axes over all devices.

    A program under `jit` without `set_mesh` knows the number of its devices alone. That is enough to say of an axis of an array
    that it is whole.
    """
    context = ctx.module_context.axis_context
    manual = getattr(context, "manual_axes", frozenset())
    known = [aval.sharding.mesh for aval in ctx.avals_in if not aval.sharding.mesh.empty]
    mesh: Any = known[0] if known else getattr(getattr(context, "mesh", None), "abstract_mesh", None)
    if mesh is None:
        count = context.num_devices
        factor = next((k for k in range(2, count) if count % k == 0), 1)
        return AbstractMesh((factor, count // factor), ("some", "others"), axis_types=(AxisType.Auto,) * 2)
    return mesh.update(axis_types=tuple(AxisType.Manual if n in manual else AxisType.Auto for n in mesh.axis_names))


def _entries(aval) -> list:
    spec = tuple(aval.sharding.spec)
    return [*spec, *[None] * (len(aval.shape) - len(spec))]


def _checked(mesh, entries: list, shape) -> NamedSharding:
    """Drop what does not divide its axis, and the second use of a mesh axis."""
    used, kept = set(), []
    for entry, size in zip(entries, shape):
        names = entry if isinstance(entry, tuple) else (entry,) if entry else ()
        count = 1
        for name in names:
            count *= mesh.shape[name]
        fits = names and size % count == 0 and not used.intersection(names)
        used.update(names if fits else ())
        kept.append(entry if fits else None)
    return NamedSharding(mesh, PartitionSpec(*kept))


def constrain(y, sharding: NamedSharding):
    """Tell the compiler, which splits explicit axes like automatic ones."""
    mesh: Any = sharding.mesh  # abstract, as every mesh of an aval
    plain = tuple(AxisType.Auto if t == AxisType.Explicit else t for t in mesh.axis_types)
    with jax.sharding.use_abstract_mesh(mesh.update(axis_types=plain)):
        return jax.lax.with_sharding_constraint(y, sharding.spec)
