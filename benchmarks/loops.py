"""Does a convolution stay fast inside loops and under vmap?

    python -m benchmarks.loops [--quick] [--no-lax] [--json FILE]

Each row sets one transformed program beside the same work as single compiled calls, of a small network: 16 SGD steps in a
`lax.scan` and in a `fori_loop`, kernels under `vmap`, 8 models with their own data under `vmap`, the gradient of each of 64
examples. The two must agree before they are timed. A ratio is the program's time over that of the calls: 1 costs nothing.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array, lax

from jaxcnn import functional as F

from .machine import Disturbance, Machine, describe
from .measure import QUICK, Effort, Program, agree, build, interleave
from .record import LoopRecord, Run, write
from .report import disturbed

Conv = Callable[..., Array]
Params = list[Array]
STEPS, MODELS, EXAMPLES, PIXELS = 16, 8, 64, 28
TOLERANCE = 1e-3  # of the largest value, after 16 steps of training: rounding grows with every step

# kernel shape and groups of each layer; strides 1, then 2; the mean over the map; a dense layer to 10 classes
NETWORKS = {
    "plain": (((3, 3, 1, 16), 1), ((3, 3, 16, 32), 1), ((3, 3, 32, 64), 1)),
    "separable": (((3, 3, 1, 32), 1), ((3, 3, 1, 32), 32), ((1, 1, 32, 64), 1)),
}


@dataclass(frozen=True)
class Options:
    """Which networks and rivals."""

    quick: bool = False
    """The plain network with a batch of 16, measured for a shorter time."""
    lax: bool = True
    """Measure plain JAX too."""
    json: Path | None = None
    """Write the records here, one line each."""


@dataclass(frozen=True)
class Comparison:
    """A transformed program and the calls that do the same work; both return the same arrays in the same order."""

    name: str
    limit: float | None
    loop: Program
    calls: Program


def ours(x: Array, kernel: Array, stride: int, groups: int) -> Array:
    """The package's convolution."""
    return F.conv(x, kernel, stride=stride, groups=groups)


def plain(x: Array, kernel: Array, stride: int, groups: int) -> Array:
    """XLA's own."""
    layout = ("NHWC", "HWIO", "NHWC")
    strides = (stride, stride)
    return lax.conv_general_dilated(x, kernel, strides, "SAME", dimension_numbers=layout, feature_group_count=groups)


def initial(network: str, seed: int) -> Params:
    """He-normal kernels, and the dense layer last."""
    rng = np.random.default_rng(seed)
    shapes = [*(kernel for kernel, _ in NETWORKS[network]), (64, 10)]
    return [jnp.asarray(rng.normal(0, (2 / np.prod(s[:-1])) ** 0.5, s), jnp.float32) for s in shapes]


def loss(conv: Conv, network: str, params: Params, batch: tuple[Array, Array]) -> Array:
    """Mean cross-entropy."""
    x, labels = batch
    for number, (kernel, (_, groups)) in enumerate(zip(params, NETWORKS[network])):
        x = jax.nn.relu(conv(x, kernel, 1 if number == 0 else 2, groups))
    scores = jax.nn.log_softmax(x.mean((1, 2)) @ params[-1])
    return -jnp.take_along_axis(scores, labels[:, None], 1).mean()


def step(conv: Conv, network: str, params: Params, batch: tuple[Array, Array]) -> Params:
    """One step of plain gradient descent."""
    gradient = jax.grad(partial(loss, conv, network))(params, batch)
    return [p - 0.01 * g for p, g in zip(params, gradient)]


def comparisons(conv: Conv, network: str, batch: int) -> Iterator[Comparison]:
    """Every row, for one convolution."""
    data = _data(STEPS, batch)
    batches = [jax.tree.map(lambda a, i=i: a[i], data) for i in range(STEPS)]
    params = initial(network, 0)
    train = partial(step, conv, network)
    yield from _training(train, params, data, batches)
    yield _models(train, network, data, batches)
    yield from _kernels(conv, network, batches[0][0])
    yield _examples(partial(loss, conv, network), params, _data(1, EXAMPLES))


def _training(train: Callable, params: Params, data, batches) -> Iterator[Comparison]:
    call = _compiled(train, params, batches[0])

    def dispatched() -> Params:
        state = params
        for one in batches:
            state = call(state, one)
        return jax.block_until_ready(state)

    calls = Program(dispatched, _flat)
    scanned = lambda p, d: lax.scan(lambda p, one: (train(p, one), None), p, d)[0]
    pick = lambda d, i: jax.tree.map(lambda a: lax.dynamic_index_in_dim(a, i, keepdims=False), d)
    looped = lambda p, d: lax.fori_loop(0, STEPS, lambda i, p: train(p, pick(d, i)), p)
    yield Comparison(f"{STEPS} steps in a scan", 1.1, build(scanned, params, data, value=_flat), calls)
    yield Comparison(f"{STEPS} steps in a fori_loop", 1.1, build(looped, params, data, value=_flat), calls)


def _models(train: Callable, network: str, data, batches) -> Comparison:
    """An ensemble: each model has its own parameters and its own batch."""
    singles = [initial(network, seed) for seed in range(MODELS)]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *singles)
    call = _compiled(train, singles[0], batches[0])
    calls = lambda: jax.block_until_ready([call(p, b) for p, b in zip(singles, batches)])
    value = lambda states: _flat(jax.tree.map(lambda *leaves: np.stack(leaves), *states))
    loop = build(jax.vmap(train), together, jax.tree.map(lambda a: a[:MODELS], data), value=_flat)
    return Comparison(f"vmap over {MODELS} models, a step", 1.1, loop, Program(calls, value))


def _kernels(conv: Conv, network: str, x: Array) -> Iterator[Comparison]:
    """The second layer with 8 kernels on the same maps, and the gradients for the kernels."""
    shape, groups = NETWORKS[network][1]
    rng = np.random.default_rng(0)
    channels = shape[-2] * groups
    maps = jnp.asarray(rng.standard_normal((*x.shape[:-1], channels), np.float32))
    kernels = jnp.asarray(rng.standard_normal((MODELS, *shape), np.float32))
    forward = lambda k, x: conv(x, k, 1, groups)
    backward = jax.grad(lambda k, x: jnp.sum(forward(k, x) ** 2))
    for name, function in (("forward", forward), ("gradient", backward)):
        call = _compiled(function, kernels[0], maps)
        calls = lambda call=call: jax.block_until_ready([call(kernel, maps) for kernel in kernels])
        loop = build(jax.vmap(function, (0, None)), kernels, maps)
        yield Comparison(f"vmap over {MODELS} kernels, {name}", None, loop, Program(calls, np.stack))


def _examples(cost: Callable, params: Params, data) -> Comparison:
    """A gradient for each example, beside the one gradient of their mean."""
    x, labels = jax.tree.map(lambda a: a[0], data)
    single = lambda p, x, label: jax.grad(cost)(p, (x[None], label[None]))
    means = lambda gradients: _flat([np.mean(gradient, 0) for gradient in gradients])
    loop = build(jax.vmap(single, (None, 0, 0)), params, x, labels, value=means)
    calls = build(jax.grad(cost), params, (x, labels), value=_flat)
    return Comparison(f"gradients of {EXAMPLES} examples", 2.5, loop, calls)


def measure(network: str, options: Options, machine: Machine) -> Iterator[LoopRecord]:
    """A record a row, the two programs of each convolution in turns with one another."""
    batch = 16 if options.quick else 64
    rivals = {"ours": ours, **({"lax": plain} if options.lax else {})}
    for rows in zip(*(comparisons(conv, network, batch) for conv in rivals.values())):
        programs = {}
        for whose, row in zip(rivals, rows):
            programs |= {f"{whose} loop": row.loop, f"{whose} calls": row.calls}
        baseline = rows[-1].calls.value(rows[-1].calls.run())
        errors = {n: agree(f"{rows[0].name}, {n}", p.value(p.run()), baseline, TOLERANCE) for n, p in programs.items()}
        disturbance = Disturbance()
        effort = QUICK if options.quick else Effort(budget_s=2.0, patience_s=6.0)
        timings = interleave({name: program.run for name, program in programs.items()}, effort)
        runs = {name: Run.of(program, timings[name], errors[name]) for name, program in programs.items()}
        yield LoopRecord(rows[0].name, network, rows[0].limit, disturbance.share(), runs, machine)


def row(record: LoopRecord) -> str:
    """The record as a row of the table; a ratio above its limit is marked."""
    cells = [f"{record.network:<10} {record.name:<30}"]
    for whose in ("ours", "lax"):
        if f"{whose} loop" in record.runs:
            loop, calls = (record.runs[f"{whose} {which}"] for which in ("loop", "calls"))
            spread = f"({loop.low_ms:.1f}–{loop.high_ms:.1f})"
            cells.append(f"{loop.median_ms:9.2f} {spread:>17} {calls.median_ms:9.2f} {record.ratio(whose):7.2f}")
    if record.limit is not None:
        cells.append(f"limit {record.limit}" + (" MISSED" if record.ratio() > record.limit else ""))
    return "  ".join(cells)


def main(options: Options) -> None:
    """Measure and print every network's rows."""
    machine = describe(torch=False)
    columns = "".join(f"  {whose + ' ms (quartiles)':>27} {'calls':>9} {'ratio':>7}" for whose in ("ours", "lax"))
    print(machine, f"{'network':<10} {'program':<30}{columns}", sep="\n", flush=True)
    records = []
    with open(options.json, "w") if options.json else nullcontext() as file:
        for network in ["plain"] if options.quick else NETWORKS:
            for record in measure(network, options, machine):
                records.append(record)
                write(file, record)
                print(row(record), flush=True)
    print(disturbed(records))


def _data(steps: int, batch: int) -> tuple[Array, Array]:
    """Random digits: images (steps, batch, 28, 28, 1) and their labels."""
    rng = np.random.default_rng(1)
    images = rng.standard_normal((steps, batch, PIXELS, PIXELS, 1), np.float32)
    return jnp.asarray(images), jnp.asarray(rng.integers(0, 10, (steps, batch)))


def _compiled(function: Callable, *arguments) -> Callable:
    return jax.jit(function).lower(*arguments).compile()


def _flat(tree) -> np.ndarray:
    """All leaves as one vector."""
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(tree)])


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
