"""Where the result lies when mesh axes are explicit: batch and space as the images, channels as the kernel.

`jit` with automatic axes needs none of this, and inside `shard_map` each device sees its own block. With explicit axes every
operation must say what it returns. What is contracted may be split only where the result's place is known, in a transpose.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
from jax.sharding import AxisType, NamedSharding, PartitionSpec


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


def whole(x):
    """x with its space brought together if it is split over explicit axes; batch and channels stay."""
    aval = jax.typeof(x)
    if not explicit(aval) or not any((entries := _entries(aval))[1:-1]):
        return x
    spec = PartitionSpec(entries[0], *[None] * (x.ndim - 2), entries[-1])
    return jax.sharding.reshard(x, NamedSharding(aval.sharding.mesh, spec))


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
