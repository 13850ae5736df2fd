"""What is forced runs, in every direction and transformation, or is an error that says why."""

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AbstractMesh, AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

from jaxcnn import functional as F
from jaxcnn.functional.lowering import DIRECTIONS, LOWERINGS, patches

from . import oracle
from .cases import case

DENSE = case((7, 5), 3, 11, 3, n=3, padding=1)
AUTO = dict.fromkeys(DIRECTIONS, "auto")


@pytest.fixture
def runs(monkeypatch):
    """`(lowering, direction, n, c_in, c_out)` of everything that is run."""
    seen = set()

    def noted(name, direction, function):
        def run(a, b, case):
            seen.add((name, direction, case.n, case.c_in, case.c_out))
            return function(a, b, case)

        return run

    for name, module in LOWERINGS.items():
        for direction in filter(lambda d: hasattr(module, d), DIRECTIONS):
            monkeypatch.setattr(module, direction, noted(name, direction, getattr(module, direction)))
    return seen


def program(lowering, case=DENSE):
    """The call and its two gradients, from x, kernel and g."""

    def run(x, kernel, g):
        y, back = jax.vjp(lambda x, k: F.conv(x, k, padding=1, groups=case.groups, lowering=lowering), x, kernel)
        return y, *back(g)

    return run


def operands(case, *lead, seed=0):
    random = np.random.default_rng(seed)
    shapes = (case.x_shape, case.kernel_shape, case.y_shape)
    return [jnp.asarray(random.standard_normal((*lead, *shape)), jnp.float32) for shape in shapes]


def exact(case, x, kernel, g):
    return [
        oracle.conv(x, kernel, case),
        oracle.input_grad(g, kernel, case.replace(direction="input_grad")),
        oracle.kernel_grad(x, g, case.replace(direction="kernel_grad")),
    ]


def assert_close(found, wanted):
    for a, b in zip(found, wanted, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("lowering", "wanted"),
    [
        ("patches", dict.fromkeys(DIRECTIONS, "patches")),
        ("tap_sum", AUTO | {"conv": "tap_sum", "input_grad": "tap_sum"}),
        ({"kernel_grad": "images"}, AUTO | {"kernel_grad": "images"}),
        ({"kernel_grad": "planes", "input_grad": "fold"}, AUTO | {"kernel_grad": "planes", "input_grad": "fold"}),
        ({"conv": "fft", "kernel_grad": "auto"}, AUTO | {"conv": "fft"}),
        ({}, AUTO),
    ],
    ids=str,
)
def test_forced_directions_run(lowering, wanted, runs):
    auto = F.explain(F.conv, DENSE.x_shape, DENSE.kernel_shape, padding=1, platform="cpu")
    explained = F.explain(F.conv, DENSE.x_shape, DENSE.kernel_shape, padding=1, platform="cpu", lowering=lowering)
    wanted = {d: auto.chosen(d) if name == "auto" else name for d, name in wanted.items()}
    args = operands(DENSE)
    found = jax.jit(program(lowering))(*args)
    assert {d: explained.chosen(d) for d in DIRECTIONS} == wanted
    assert {(name, d, DENSE.n, DENSE.c_in, DENSE.c_out) for d, name in wanted.items()} <= runs
    assert_close(found, exact(DENSE, *args))


DEPTHWISE, FEW = case((7, 5), 5, 5, 3, n=3, groups=5, padding=1), case((7, 5), 2, 3, 3, n=3, padding=1)
COUNT = 5  # of problems
BACK = {"input_grad": "border"}
ROWS, PLANES = {"kernel_grad": "row_loop"}, {"kernel_grad": "planes"}


def mapped_over(names, case):
    """`in_axes` and arguments: several of what is named, one of the others."""
    axes = [0 if name in names.split() else None for name in ("x", "kernel", "g")]
    pairs = zip(operands(case, COUNT), operands(case, seed=1), axes)
    return axes, [many if axis == 0 else one for many, one, axis in pairs]


def one_by_one(case, axes, args):
    """The float64 sums of each problem: the results, dx and dk, each in a list."""
    each = [exact(case, *(v if axis is None else v[i] for v, axis in zip(args, axes))) for i in range(COUNT)]
    return list(zip(*each))


@pytest.mark.parametrize(
    ("lowering", "name", "direction", "case", "mapped", "folded"),
    [
        ("border", "border", "conv", DEPTHWISE, "x g", True),
        ("border", "border", "conv", DEPTHWISE, "kernel", False),
        ("border", "border", "input_grad", DEPTHWISE, "g", True),
        ("border", "border", "input_grad", DEPTHWISE, "kernel", False),
        (ROWS, "row_loop", "kernel_grad", DEPTHWISE, "x", False),
        (ROWS, "row_loop", "kernel_grad", DEPTHWISE, "g", True),
        (ROWS, "row_loop", "kernel_grad", DEPTHWISE, "x g", False),
        (PLANES, "planes", "kernel_grad", FEW, "x", False),
        (PLANES, "planes", "kernel_grad", FEW, "g", True),
        ("patches", "patches", "conv", DENSE, "kernel", True),
    ],
    ids=str,
)
def test_forced_lowering_runs_under_vmap(lowering, name, direction, case, mapped, folded, runs):
    axes, args = mapped_over(mapped, case)
    found = jax.jit(jax.vmap(program(lowering, case), axes))(*args)
    assert_close(found, [np.stack(parts) for parts in one_by_one(case, axes, args)])
    sizes = {tuple(size) for found, d, *size in runs if (found, d) == (name, direction)}
    assert sizes
    assert ((case.n, case.c_in, case.c_out) not in sizes) is folded


@pytest.mark.parametrize(
    ("lowering", "name", "direction", "mapped", "folded"),
    [
        ("border", "border", "input_grad", "x", True),
        (BACK, "border", "input_grad", "x", True),
        (BACK, "border", "input_grad", "kernel", False),
        (ROWS, "row_loop", "kernel_grad", "x", True),
        (ROWS, "row_loop", "kernel_grad", "x kernel", False),
    ],
    ids=str,
)
def test_forced_lowering_runs_in_gradients_of_vmap(lowering, name, direction, mapped, folded, runs):
    axes, args = mapped_over(f"{mapped} g", DEPTHWISE)
    conv = jax.vmap(lambda x, k: F.conv(x, k, padding=1, groups=5, lowering=lowering), axes[:2])
    found = jax.jit(lambda x, k, g: jax.vjp(conv, x, k)[1](g))(*args)
    gradients = one_by_one(DEPTHWISE, axes, args)[1:]
    assert_close(found, [np.sum(v, 0) if axis is None else np.stack(v) for v, axis in zip(gradients, axes)])
    sizes = {tuple(size) for found, d, *size in runs if (found, d) == (name, direction)}
    assert sizes
    assert ((DEPTHWISE.n, DEPTHWISE.c_in, DEPTHWISE.c_out) not in sizes) is folded


def split_over_devices(function, *shapes):
    """The program for two devices, by the batch of the first array, as text."""
    mesh = AbstractMesh((2,), ("batch",), axis_types=(AxisType.Auto,))
    place = lambda i: NamedSharding(mesh, P("batch") if i == 0 else P())
    args = [jax.ShapeDtypeStruct(shape, jnp.float32, sharding=place(i)) for i, shape in enumerate(shapes)]
    return jax.jit(function).trace(*args).lower(lowering_platforms=("cpu",)).as_text()


@pytest.mark.parametrize(
    ("lowering", "message"),
    [
        ("winograd", "this conv: its loop over images would gather a batch that lies on several devices"),
        (PLANES, "this kernel_grad: its product has pixels and images as one axis: "),
    ],
    ids=str,
)
def test_forced_lowering_that_cannot_be_split_is_an_error_and_no_other_runs(lowering, message):
    loss = lambda lowering: lambda x, k: F.conv(x, k, padding=1, lowering=lowering).sum()
    step = lambda lowering: jax.value_and_grad(loss(lowering), (0, 1))
    shapes = ((4, 7, 5, 3), (3, 3, 3, 11))
    with pytest.raises(ValueError, match=f'^conv: lowering .* cannot run {message}.*; "direct".* can$') as caught:
        split_over_devices(step(lowering), *shapes)
    assert "\n" not in str(caught.value)
    assert "convolution" in split_over_devices(step({"conv": "patches"}), *shapes)


def test_forced_lowering_that_can_be_split_is_split_under_vmap(monkeypatch):
    """Patches in several blocks of images cannot: not the 4 images of a problem, but all that vmap would fold."""
    monkeypatch.setattr(patches.blocks, "__defaults__", (4 * 4 * 7 * 5 * 27, 1))  # bytes of one problem
    conv = lambda x, k: F.conv(x, k, padding=1, lowering="patches")
    assert "dot_general" in split_over_devices(conv, (4, 7, 5, 3), (3, 3, 3, 11))
    text = split_over_devices(jax.vmap(conv, (0, None)), (6, 4, 7, 5, 3), (3, 3, 3, 11))
    assert "dot_general" in text
    assert "stablehlo.while" not in text


@pytest.mark.parametrize(
    ("lowering", "convolves", "loops"),
    # a kernel gradient by "winograd" that is not finite is computed again by the direct sum
    [("winograd", True, True), ({"kernel_grad": "images"}, True, True), ("auto", True, False)],
)
def test_exported_program_runs_what_is_forced(lowering, convolves, loops):
    text = jax.export.export(jax.jit(program(lowering)), platforms=["cuda"])(*operands(DENSE)).mlir_module()
    assert ("stablehlo.convolution" in text) is convolves
    assert ("stablehlo.while" in text) is loops


@pytest.mark.parametrize(
    ("lowering", "message"),
    [
        ({"forward": "fft"}, 'lowering names the direction \'forward\', which is unknown; use "conv", "input_grad", '),
        ({"conv": "fast"}, "lowering\\['conv'\\]='fast' is unknown; use \"auto\", \"direct\", "),
        ({"kernel_grad": None}, "lowering\\['kernel_grad'\\]=None is unknown; use \"auto\", "),
        (["fft"], "lowering=\\['fft'\\] is unknown; use \"auto\", "),
        ({"conv": "images"}, 'lowering "images" cannot run this conv: it computes kernel gradients alone; "direct", '),
        ({"kernel_grad": "border"}, 'lowering "border" cannot run this kernel_grad: its sums are over taps, .* can$'),
    ],
    ids=str,
)
def test_what_cannot_be_forced_says_why(lowering, message):
    x, kernel, _ = operands(DENSE)
    with pytest.raises(ValueError, match=f"^conv: {message}") as caught:
        F.conv(x, kernel, lowering=lowering)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "shapes", "chosen"),
    [
        (F.convolve, ((3, 3, 3, 11),), ["direct"]),
        (F.depthwise_conv, ((3, 3, 3, 1),), ["row_loop"]),
        (F.separable_conv, ((3, 3, 3, 1), (3, 2)), ["row_loop", "patches"]),
        (F.spatially_separable_conv, ((3, 3, 2), (2, 2, 5)), ["images", "images"]),
        (F.conv_transpose2d, ((3, 3, 2, 3),), ["images"]),
    ],
)
def test_every_convolution_takes_a_mapping(function, shapes, chosen):
    lowering = {"kernel_grad": chosen[0]}
    explained = F.explain(function, DENSE.x_shape, *shapes, platform="cpu", lowering=lowering)
    assert [explained.chosen("kernel_grad", i) for i in range(len(chosen))] == chosen
