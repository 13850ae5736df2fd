"""Each lowering in each direction against the float64 sums, within the bound of a direct method."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcnn.functional import engine
from jaxcnn.functional.lowering import DIRECTIONS, LOWERINGS, Case, border, evaluate_stacked, patches, planes, row_loop
from jaxcnn.geometry import Window

from . import oracle
from .cases import CASES

RUNS = [
    (name, direction, lowering)
    for name, case in CASES.items()
    for direction in DIRECTIONS
    for lowering, module in LOWERINGS.items()
    if module.supports(case.replace(direction=direction)) is None
]
UNIT = {"float32": 2.0**-24, "bfloat16": 2.0**-8, "float16": 2.0**-11}


def family(case, a, b):
    """The primitive of the case's direction."""
    if case.direction == "input_grad":
        return engine.conv_input_grad(a, b, case.window, case.space, groups=case.groups)
    function = engine.conv if case.direction == "conv" else engine.conv_kernel_grad
    return function(a, b, case.window, groups=case.groups)


def assert_close(y, a, b, case, extra=0.0, spare=0.0):
    exact = oracle.EXACT[case.direction](a, b, case)
    error = np.abs(np.asarray(y, np.float64) - exact)
    assert (error <= spare + oracle.bound(a, b, case, UNIT["float32"], extra)).all(), error.max()


def assert_exact(name, direction, lowering):
    """A lowering by itself, compiled, gives the sums of a case within its bound."""
    case = CASES[name].replace(direction=direction)
    a, b = oracle.operands(case)
    y = jax.jit(lambda a, b: getattr(LOWERINGS[lowering], direction)(a, b, case))(a, b)
    norm = getattr(LOWERINGS[lowering], "error", lambda case: 0.0)(case) * UNIT["float32"]
    exact = oracle.EXACT[direction](a, b, case)
    assert y.shape == exact.shape
    assert y.dtype == jnp.float32
    assert_close(y, a, b, case, spare=norm * np.linalg.norm(a) * np.linalg.norm(b))


@pytest.mark.parametrize(("name", "direction", "lowering"), RUNS)
def test_lowering_is_exact(name, direction, lowering):
    assert_exact(name, direction, lowering)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("name", ["dense", "point", "depthwise", "grouped", "strided"])
def test_narrow_floats_are_added_in_float32(name, direction, dtype):
    case = CASES[name].replace(direction=direction, dtype=dtype)
    a, b = oracle.operands(case)
    y = family(case, a, b)
    assert y.dtype == dtype
    assert_close(y.astype(jnp.float32), a, b, case, extra=UNIT[dtype])


@pytest.mark.parametrize("name", ["dense", "point", "depthwise", "grouped"])
def test_int8_is_added_in_int32(name):
    case = CASES[name]
    random = np.random.default_rng(1)
    x, kernel = (jnp.asarray(random.integers(-127, 128, s), jnp.int8) for s in (case.x_shape, case.kernel_shape))
    y = family(case, x, kernel)
    assert y.dtype == jnp.int32
    np.testing.assert_array_equal(y, oracle.conv(x, kernel, case))


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("changes", [{"n": 0}, {"c_in": 0}, {"c_out": 0}])
def test_empty_arrays_give_zeros(direction, changes):
    case = CASES["dense"].replace(direction=direction, **changes)
    y = family(case, *oracle.operands(case))
    want = {"conv": case.y_shape, "input_grad": case.x_shape, "kernel_grad": case.kernel_shape}[direction]
    assert y.shape == want
    assert not np.asarray(y).any()


@pytest.mark.parametrize("newer", [False, True])
@pytest.mark.parametrize("unroll", [0, 9])
@pytest.mark.parametrize("changes", [{}, {"padding": ((4, 1), (-1, 3))}, {"stride": (2, 2)}, {"dilation": (3, 2)}])
def test_row_loop_is_exact_in_many_steps(changes, unroll, newer, monkeypatch):
    """Two rows of one image a step, the last step of an image not full, taps that see no row at all; on either version."""
    monkeypatch.setattr(row_loop, "NEWER", newer)
    monkeypatch.setattr(row_loop, "TERMS", 18 if unroll else 6)
    monkeypatch.setattr(row_loop, "STEP", 0)
    monkeypatch.setattr(row_loop, "UNROLL", unroll)
    window = replace(Window((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)), **changes)
    case = Case("kernel_grad", window, (9, 5), 2, 3, 3, 3)
    x, g = oracle.operands(case)
    assert_close(row_loop.kernel_grad(x, g, case), x, g, case)


def test_planes_are_exact_in_runs_of_images(monkeypatch):
    monkeypatch.setattr(planes, "BLOCK", 1)
    case = CASES["dilated-strided"].replace(direction="kernel_grad", n=6)
    x, g = oracle.operands(case)
    assert_close(planes.kernel_grad(x, g, case), x, g, case)


@pytest.mark.parametrize(
    ("name", "direction", "lowering"),
    [
        ("depthwise", "conv", "border"),
        ("depthwise", "input_grad", "border"),
        ("depthwise", "kernel_grad", "row_loop"),
        ("depthwise-strided", "input_grad", "phases"),
        ("grouped", "kernel_grad", "row_loop"),
        ("grouped", "conv", "shifted"),
        ("strided", "kernel_grad", "planes"),
        ("strided", "kernel_grad", "direct"),
    ],
)
def test_stacked_problems_are_independent(name, direction, lowering):
    case = CASES[name].replace(direction=direction)
    a, b = (np.stack([scale * v for scale in (1, -2, 3)]) for v in oracle.operands(case))
    a[1] += 1
    y = evaluate_stacked(jnp.asarray(a), jnp.asarray(b), case, lowering)
    for i in range(3):
        assert_close(y[i], a[i], b[i], case)


@st.composite
def geometries(draw):
    """Any window on one or two axes, with padding of either sign, that has an output."""
    rank, groups = draw(st.integers(1, 2)), draw(st.sampled_from([1, 1, 2, 3]))
    entry = lambda low, high: tuple(draw(st.integers(low, high)) for _ in range(rank))
    size, stride, dilation = entry(1, 4), entry(1, 3), entry(1, 3)
    spans = [(k - 1) * d + 1 for k, d in zip(size, dilation)]
    low, high = entry(-2, 3), entry(-2, 3)
    space = tuple(max(k - a - b, 1) + m for k, a, b, m in zip(spans, low, high, entry(2, 5)))
    window = Window(size, stride, tuple(zip(low, high)), dilation)
    direction = draw(st.sampled_from(DIRECTIONS))
    c_in, c_out = (groups * draw(st.integers(1, 3)) for _ in range(2))
    return Case(direction, window, space, draw(st.integers(1, 3)), c_in, c_out, groups)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(geometries())
def test_any_geometry_is_exact(case):
    a, b = oracle.operands(case)
    with jax.disable_jit(False):
        assert_close(family(case, a, b), a, b, case)


@pytest.mark.parametrize(
    ("rows", "a", "b"), [(4, 3, 5), (patches.HALVES, 5, 3), (patches.HALVES + 1, 3, 3), (patches.HALVES, 300, 300)]
)
def test_sums_over_rows_are_exact_whatever_is_narrow(rows, a, b):
    draw = np.random.default_rng(0).integers(-4, 5, (rows, a + b)).astype(np.float32)
    x, g = draw[:, :a], draw[:, a:]
    found = jax.jit(patches.summed)(x, g)
    np.testing.assert_array_equal(np.asarray(found), x.astype(np.int64).T @ g.astype(np.int64))


@pytest.mark.parametrize(("platform", "halved"), [("cpu", True), ("gpu", False), ("tpu", False)])
def test_sums_over_rows_are_halved_for_two_cores_alone(platform, halved):
    case = CASES["point"].replace(direction="kernel_grad", n=1, space=(patches.HALVES, 1), platform=platform)
    operands = (jax.ShapeDtypeStruct(shape, jnp.float32) for shape in (case.x_shape, case.y_shape))
    program = jax.make_jaxpr(lambda x, g: patches.kernel_grad(x, g, case))(*operands)
    shapes = [step.outvars[0].aval.shape for step in program.eqns if step.primitive.name == "dot_general"]
    assert [len(shape) == 3 for shape in shapes] == [halved]


@pytest.mark.parametrize("rows", [patches.SHARED, patches.SHARED - 2])
@pytest.mark.parametrize("direction", ["conv", "input_grad"])
def test_products_in_halves_are_exact(direction, rows):
    case = CASES["point"].replace(direction=direction, n=2, space=(rows // 2, 1), groups=1, platform="cpu")
    shape = {"conv": case.x_shape, "input_grad": case.y_shape}[direction]
    a, kernel = (np.random.default_rng(0).integers(-4, 5, s).astype(np.float32) for s in (shape, case.kernel_shape))
    run = {"conv": patches.conv, "input_grad": patches.input_grad}[direction]
    matrix = kernel.reshape(case.c_in, case.c_out)
    np.testing.assert_array_equal(
        jax.jit(run, static_argnums=2)(a, kernel, case), a @ (matrix if direction == "conv" else matrix.T)
    )


def test_border_reads_its_image_behind_a_barrier():
    """From jax 0.12 on XLA:CPU would else compute what makes the image anew for each tap of a line, or of a 2×2 window."""
    case = CASES["depthwise"]
    shapes = [jax.ShapeDtypeStruct(v.shape, jnp.float32) for v in oracle.operands(case)]
    program = jax.make_jaxpr(lambda x, k: border.conv(x, k, case))(*shapes).jaxpr
    (barrier,) = [step for step in program.eqns if step.primitive.name == "optimization_barrier"]
    assert barrier.invars == program.invars[:1]
    readers = [step for step in program.eqns if step.invars[0] in (*barrier.outvars, *barrier.invars)]
    assert {step.primitive.name for step in readers} == {"optimization_barrier", "slice"}
    assert all(step is barrier or step.invars[0] in barrier.outvars for step in readers)
