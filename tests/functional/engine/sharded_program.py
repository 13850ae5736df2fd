"""Run by test_engine_sharding in its own process, with eight simulated devices: every case and way of sharding in turn.

Prints one line a check, `name: error gathers`, where `error` is relative to one device and `gathers` counts all-gathers.
"""

import contextlib
import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxcnn import functional as F
from jaxcnn.functional import engine
from jaxcnn.geometry import Window

CASES = {  # c_in, c_out, size, stride, groups
    "dense": (8, 16, 3, 1, 1),
    "strided": (8, 16, 3, 2, 1),
    "depthwise": (8, 8, 3, 1, 8),
    "depthwise-strided": (8, 8, 3, 2, 8),
    "grouped": (8, 16, 3, 1, 4),
    "point": (8, 16, 1, 1, 1),
    "point-strided": (8, 16, 1, 2, 1),
    "patchify": (8, 16, 2, 2, 1),
}


def case(name):
    c_in, c_out, size, stride, groups = CASES[name]
    random = np.random.default_rng(5)
    x = jnp.asarray(random.standard_normal((16, 16, 16, c_in)), jnp.float32)
    kernel = jnp.asarray(random.standard_normal((size, size, c_in // groups, c_out)) / 4, jnp.float32)
    window = Window.resolve(size, (16, 16), stride=stride, padding="same")
    loss = lambda x, k: jnp.sum(jnp.sin(engine.conv(x, k, window, groups=groups)))
    return x, kernel, loss


def report(name, got, want, gathers=0):
    error = max(float(jnp.abs(a - b).max() / jnp.abs(b).max()) for a, b in zip(got, jax.device_get(want)))
    print(f"{name}: {error:.1e} {gathers}")


@functools.cache
def one_device(name):
    x, kernel, loss = case(name)
    return jax.device_get(jax.jit(jax.grad(loss, (0, 1)))(x, kernel))


def split_by_compiler(name, kind, spec):
    x, kernel, loss = case(name)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(kind,))
    with jax.set_mesh(mesh):
        xs, ks = (jax.device_put(v, NamedSharding(mesh, s)) for v, s in ((x, spec), (kernel, P())))
        program = jax.jit(jax.grad(loss, (0, 1))).lower(xs, ks).compile()
        got = program(xs, ks)
        assert kind == AxisType.Auto or jax.typeof(got[0]).sharding.spec == jax.typeof(xs).sharding.spec
        gathers = program.as_text().count("all-gather(")
        report(f"{name} {kind.name} {spec}", jax.device_get(got), one_device(name), gathers)


def mapped(name):
    x, kernel, loss = case(name)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    options = {"mesh": mesh, "in_specs": (P("data"), P()), "out_specs": P()}
    total = jax.shard_map(lambda x, k: lax.psum(loss(x, k), "data"), **options)
    inner = jax.shard_map(lambda x, k: jax.grad(loss, 1)(x, k), **options)
    want = one_device(name)
    report(f"{name} grad of shard_map", jax.device_get(jax.jit(jax.grad(total, (0, 1)))(x, kernel)), want)
    report(f"{name} grad in shard_map", [jax.device_get(jax.jit(inner)(x, kernel))], want[1:])


def explicit_vmap():
    x, kernel, _ = case("dense")
    one = lambda x, k: jnp.sum(F.conv(x[None], k) ** 2)
    each = lambda x, k: jax.vmap(jax.grad(one, 1), (0, None))(x, k)
    want = jax.jit(each)(x, kernel)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Explicit,))
    with jax.set_mesh(mesh):
        xs, ks = (jax.device_put(v, NamedSharding(mesh, s)) for v, s in ((x, P("data")), (kernel, P())))
        report("vmap of grad Explicit", [jax.device_get(jax.jit(each)(xs, ks))], [want])


VMAPS = {  # how x (v, n, h, w, c), the kernel (v, …) lie, and what is mapped
    "x": (P("data"), P(), (0, None)),
    "kernel": (P(), P("data"), (None, 0)),
    "both": (P("data"), P("data"), (0, 0)),
    "x of split batches": (P(None, "data"), P(), (0, None)),
    "kernel before a split batch": (P("data"), P(), (None, 0)),
}
BY_CHANNELS = P(), P(None, None, None, None, "data"), (0, 0)
CALLS = {"conv": F.conv, "depthwise_conv": F.depthwise_conv, "conv_transpose": F.conv_transpose}


def split_vmap(function, name, kind, **options):
    """Values and both gradients where the mapped axis, or the batch behind it, is split."""
    of_x, of_k, axes = VMAPS.get(name, BY_CHANNELS)
    random = np.random.default_rng(6)
    shapes = [(8,) * (axis == 0) + s for axis, s in zip(axes, ((8, 5, 5, 3), (3, 2, 3, 8 if name not in VMAPS else 3)))]
    x, kernel = (jnp.asarray(random.standard_normal(s), jnp.float32) for s in shapes)
    loss = lambda x, k: jnp.sum(jnp.sin(CALLS[function](x, k)))
    each = lambda **options: jax.jit(jax.vmap(jax.value_and_grad(loss, (0, 1)), axes, **options))
    want = jax.tree.leaves(each()(x, kernel))
    mesh = jax.make_mesh((8,), ("data",), axis_types=(kind,))
    with jax.set_mesh(mesh):
        xs, ks = (jax.device_put(v, NamedSharding(mesh, s)) for v, s in ((x, of_x), (kernel, of_k)))
        got = jax.tree.leaves(each(**options)(xs, ks))
        for v, gradient, axis in zip((xs, ks), got[1:], axes):
            assert axis is None or kind == AxisType.Auto or jax.typeof(gradient).sharding == jax.typeof(v).sharding
        got = jax.device_get(got)
    report(f"vmap {function} {name} {kind.name}", got, want)


PARTLY = {  # function, x, kernel, options: kernel gradients of images that are split over a part of a mesh
    "dense": (F.conv, (2, 8, 8, 4), (3, 3, 4, 5), {}),
    "grouped strided": (F.conv, (2, 8, 8, 4), (3, 2, 2, 6), {"groups": 2, "stride": 2, "padding": "valid"}),
    "line dilated": (F.conv, (2, 16, 3), (3, 3, 5), {"dilation": 2, "padding_mode": "reflect"}),
    "volume": (F.conv, (2, 8, 4, 3, 2), (2, 3, 2, 2, 3), {}),
    "transposed": (F.conv_transpose, (2, 8, 8, 4), (3, 3, 5, 4), {"stride": 2}),
    "depthwise": (F.depthwise_conv, (2, 8, 8, 4), (3, 3, 4, 1), {}),
}


def partly(name, way):
    """Rows over one axis of a 2 × 4 mesh, whose other axis is idle, or has the batch by hand."""
    function, *shapes, options = PARTLY[name]
    random = np.random.default_rng(7)
    x, kernel = (jnp.asarray(random.standard_normal(s), jnp.float32) for s in shapes)
    gradient = jax.grad(lambda k, x: jnp.sum(jnp.sin(function(x, k, **options))))
    kind = AxisType.Explicit if way == "Explicit" else AxisType.Auto
    mesh = jax.make_mesh((2, 4), ("idle", "rows"), axis_types=(kind, kind))
    split = gradient
    if way == "by hand":
        over = {"in_specs": (P(), P("idle")), "out_specs": P(), "axis_names": {"idle"}}
        split = jax.shard_map(gradient, mesh=mesh, **over)
    spec = P("idle" if way == "by hand" else None, "rows")
    with jax.set_mesh(mesh) if way == "Explicit" else contextlib.nullcontext():
        xs, ks = (jax.device_put(v, NamedSharding(mesh, s)) for v, s in ((x, spec), (kernel, P())))
        got = jax.device_get(jax.jit(split)(ks, xs))
    report(f"partly {name} {way}", [got], [jax.jit(gradient)(kernel, x)])


def main():
    for name in PARTLY:
        for way in ("Auto", "Explicit", "by hand"):
            partly(name, way)
    for name in CASES:
        for kind in (AxisType.Auto, AxisType.Explicit):
            for spec in (P("data"), P(None, "data")):
                split_by_compiler(name, kind, spec)
        mapped(name)
    explicit_vmap()
    for function in CALLS:
        for name in VMAPS:
            split_vmap(function, name, AxisType.Explicit)
    split_vmap("conv", "kernel by channels", AxisType.Explicit)
    split_vmap("conv", "x", AxisType.Auto, spmd_axis_name="data")


if __name__ == "__main__":
    sys.exit(main())
