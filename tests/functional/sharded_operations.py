"""Run by test_sharding in its own process, with four simulated devices: every operation and way of sharding in turn.

With names of rows as arguments only these. Prints one line a check, `name, way: error gathers`: the largest error against one
device, and how many all-gathers bring the batch together.
"""

import functools
import re
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from .operations import OPERATIONS, arrays, differentiable, step

SIZES = {"n": 4, "h": 4}
AXES = {"n": "batch", "h": "rows"}
# over the first mesh axis, or all four devices, in each way that XLA writes it
GROUPS = r"mesh\[[^]]*\] \{[^}]*'(?:axis_0|batch)'|\[1,4\]|\[2,2\]<=\[2,2\]T|\{\{0,2\}|\{\{0,1,2,3\}"
OVER_BATCH = re.compile(rf"all-gather(?:-start)?\(.*replica_groups=(?:{GROUPS})")


def placed(spec, names=("batch", "rows")):
    """The partition of one argument over the mesh axes `names`."""
    entries = (AXES.get(word) for word in spec.partition("<")[0].split()) if spec != "key" else ()
    return P(*(entry if entry in names else None for entry in entries))


def is_split(spec):
    """Whether an argument has a batch."""
    return "n" in spec.split()


def error(got, want):
    """Largest difference of two trees, relative to the values."""
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(jax.device_get(want)), strict=True)
    return max(float(np.max(np.abs(np.asarray(a) - b) / (1 + np.abs(b)), initial=0)) for a, b in pairs)


@functools.cache
def one_device(name):
    """Loss, gradients and results of a row."""
    function, *specs = OPERATIONS[name]
    return jax.device_get(jax.jit(step(function, specs))(*arrays(specs, sizes=SIZES)))


def split_by_compiler(name, kind):
    """Batch and rows on mesh axes of one kind; the gradients lie where the arguments do."""
    function, *specs = OPERATIONS[name]
    mesh = jax.make_mesh((2, 2), ("batch", "rows"), axis_types=(kind, kind))
    with jax.set_mesh(mesh):
        places = [NamedSharding(mesh, placed(spec)) for spec in specs]
        split = [jax.device_put(v, place) for v, place in zip(arrays(specs, sizes=SIZES), places)]
        program = jax.jit(step(function, specs)).lower(*split).compile()
        got = jax.device_get(program(*split))
    return error(got, one_device(name)), len(OVER_BATCH.findall(program.as_text()))


def mapped(name):
    """Each device its own images: the gradient inside and that of the whole."""
    function, *specs = OPERATIONS[name]
    args, one, numbers = arrays(specs, sizes=SIZES), step(function, specs), differentiable(specs)
    mesh = jax.make_mesh((2,), ("batch",), axis_types=(AxisType.Auto,), devices=jax.devices()[:2])
    ins = tuple(placed(spec, ("batch",)) for spec in specs)
    moving = tuple(ins[n] for n in numbers)

    def inside(*args):
        value, gradients, _ = one(*args)
        return value[None], gradients

    def total(*moving):
        full = list(args)
        for n, v in zip(numbers, moving):
            full[n] = v
        return jnp.sum(jax.shard_map(lambda *a: inside(*a)[0], mesh=mesh, in_specs=ins, out_specs=P("batch"))(*full))

    both = lambda *args: (
        jax.shard_map(inside, mesh=mesh, in_specs=ins, out_specs=(P("batch"), moving))(*args),
        jax.grad(total, range(len(numbers)))(*(args[n] for n in numbers)),
    )
    blocks = [[v[2 * i : 2 * i + 2] if "batch" in spec else v for v, spec in zip(args, ins)] for i in range(2)]
    alone = jax.jit(inside)
    values, gradients = zip(*(alone(*block) for block in blocks))
    join = lambda spec, parts: jnp.concatenate(parts) if "batch" in spec else sum(parts)
    whole = tuple(map(join, moving, zip(*gradients)))
    program = jax.jit(both).lower(*args).compile()
    return error(program(*args), ((jnp.concatenate(values), whole), whole)), program.as_text().count("all-gather(")


WAYS = {
    "Auto": functools.partial(split_by_compiler, kind=AxisType.Auto),
    "Explicit": functools.partial(split_by_compiler, kind=AxisType.Explicit),
    "shard_map": mapped,
}


def main():
    jax.config.update("jax_enable_x64", True)
    chosen = sys.argv[1:] or [name for name, (_, *specs) in OPERATIONS.items() if any(map(is_split, specs))]
    for name in chosen:
        for way, run in WAYS.items():
            try:
                print(f"{name}, {way}:", *run(name), flush=True)
            except Exception as failure:
                print(f"{name}, {way}: inf 0", flush=True)
                print(f"{name}, {way}: {failure}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
