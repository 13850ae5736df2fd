"""JAX's own switches and modes, each over every row of the tables: what a user may turn on turns nothing off.

Where a switch acts while a program is traced or lowered, nothing is run.
"""

from contextlib import ExitStack

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental.jet import jet
from jax.sharding import AbstractMesh, AxisType, NamedSharding, PartitionSpec

from jaxcnn import functional as F
from tests.functional.operations import SIZES, array, arrays, differentiable, is_key, reals

from .rows import ROWS

KEYED = [name for name, (_, *specs) in ROWS.items() if any(map(is_key, specs))]
BATCHED = [name for name, (_, *specs) in ROWS.items() if any("n" in s.split() for s in specs)]
GENERATORS = ("threefry2x32", "rbg", "unsafe_rbg")
REFUSED_EMPTY = {  # in words
    **dict.fromkeys(("roi_align", "ps_roi_align", "roi_pool", "ps_roi_pool"), "without an image, but boxes has 3"),
    "BatchNorm": "training needs at least 2",
}
# for what they are made of JAX's own `jet` has no rule: loops, scatters, singular values, pixels by number; and it finds no
# function with a tangent of its own inside `jit`
NO_SERIES = {
    *("functional.deform_conv2d", "functional.roi_align", "functional.ps_roi_align", "functional.roi_pool"),
    *("functional.ps_roi_pool", "functional.separate", "functional.max_unpool", "nn.BatchNorm"),
    *("functional.grid_sample", "functional.grid_sample of a volume", "functional.rotate"),
    *("functional.lp_pool", "functional.lp_pool of 1.5"),
    *("augment.affine", "augment.affine of a colour", "augment.affine filled", "augment.rotate", "augment.equalize"),
    *("augment.colour_jitter", "augment.random_colour_jitter", "augment.apply_operation"),
    *("augment.apply_operation of a colour", "augment.rand_augment", "augment.rand_augment of 4 channels"),
    "augment.trivial_augment",
    *(["functional.filters.gradient_magnitude"] if jax.__version_info__ >= (0, 12) else []),  # jnp.hypot is one there
}
WITH_SERIES = [name for name, (_, *specs) in ROWS.items() if differentiable(specs) and name not in NO_SERIES]


@pytest.fixture(autouse=True, scope="module")
def quick_compilation():
    """What runs here runs once."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def of_row(name):
    """The function of a row, its specs, and the numbers of its differentiable arguments."""
    function, *specs = ROWS[name]
    return function, specs, differentiable(specs)


def step(function, specs):
    """Results and the gradient of their squares, as a function of all arguments."""
    numbers = differentiable(specs)

    def both(*args):
        def total(*moving):
            full = list(args)
            for number, value in zip(numbers, moving):
                full[number] = value
            results = function(*full)
            return sum(jnp.sum((v * v).astype(jnp.float32)) for v in reals(results)), results

        (_, results), gradients = jax.value_and_grad(total, range(len(numbers)), has_aux=True)(
            *(args[n] for n in numbers)
        )
        return results, gradients

    return both if numbers else lambda *args: (function(*args), ())


def cast(args, numbers, dtype):
    return [jax.ShapeDtypeStruct(v.shape, dtype) if n in numbers else v for n, v in enumerate(args)]


def switches():
    """What refuses something while a program is traced or lowered, all at once."""
    yield jax.numpy_rank_promotion("raise")
    yield jax.numpy_dtype_promotion("strict")
    yield jax.legacy_prng_key("error")
    yield jax.checking_leaks()
    yield jax.enable_checks(True)
    yield jax.transfer_guard("disallow")
    yield jax.default_matmul_precision("highest")


@pytest.mark.parametrize("name", ROWS)
def test_switches_of_the_tracer(name):
    function, specs, numbers = of_row(name)
    args = arrays(specs)
    with ExitStack() as modes:
        for switch in switches():
            modes.enter_context(switch)
        jax.jit(step(function, specs)).lower(*args)
    with jax.numpy_rank_promotion("raise"), jax.numpy_dtype_promotion("strict"):
        jax.eval_shape(jax.vmap(function), *(jax.eval_shape(lambda v: jnp.stack([v, v]), v) for v in args))
        for dtype in (jnp.bfloat16, jnp.float16):
            _, gradients = jax.eval_shape(step(function, specs), *cast(args, numbers, dtype))
            assert [g.dtype for g in gradients] == [dtype] * len(numbers)


@pytest.mark.parametrize("name", ROWS)
def test_runs_without_jit_and_no_step_of_it_is_nan(name):
    """Nor is what is seen from outside infinite, as it is compiled."""
    function, specs, _ = of_row(name)
    args = arrays(specs)
    with jax.disable_jit(), jax.debug_nans(True):
        results = function(*args)
    with jax.debug_infs(True):
        compiled = function(*args)
    for y, right in zip(jax.tree.leaves(results), jax.tree.leaves(compiled), strict=True):
        np.testing.assert_allclose(y, right, rtol=2e-5, atol=2e-5)


@pytest.mark.parametrize("name", BATCHED)
def test_explicit_axes(name):
    """Every result and every gradient is split over the batch where the argument is; nothing runs, so no device is needed."""
    function, specs, numbers = of_row(name)
    mesh = AbstractMesh((2,), ("batch",), axis_types=(AxisType.Explicit,))
    split = {n: PartitionSpec("batch") if "n" in spec.split() else PartitionSpec() for n, spec in enumerate(specs)}
    args = [
        jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=NamedSharding(mesh, split[n]))
        for n, v in enumerate(arrays(specs, sizes=SIZES | {"n": 4}))
    ]
    with jax.sharding.use_abstract_mesh(mesh):
        results, gradients = jax.eval_shape(step(function, specs), *args)
    axes = lambda v: [axis for axis in v.sharding.spec if axis]
    assert [axes(g) for g in gradients] == [list(split[n]) for n in numbers]
    alone = jax.tree.leaves(jax.eval_shape(function, *arrays(specs)))
    for y, one in zip(jax.tree.leaves(results), alone, strict=True):
        assert axes(y) == (["batch"] if y.shape != one.shape else [])


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
@pytest.mark.parametrize("generator", GENERATORS)
def test_keys_of_every_generator(generator, old):
    with jax.default_prng_impl(generator):
        keys = jax.random.split(jax.random.PRNGKey(1) if old else jax.random.key(1), 3)
        for name in KEYED:
            function, specs, _ = of_row(name)
            args = [keys[0] if is_key(spec) else array(spec) for spec in specs]
            one = jax.eval_shape(function, *args)
            mapped = jax.vmap(function, [0 if is_key(spec) else None for spec in specs])
            many = jax.eval_shape(mapped, *(keys if is_key(spec) else v for v, spec in zip(args, specs)))
            assert jax.tree.map(lambda v: (3, *v.shape), one) == jax.tree.map(lambda v: v.shape, many)


@pytest.mark.parametrize("name", BATCHED)
def test_empty_batch(name):
    function, specs, numbers = of_row(name)
    args = arrays(specs, sizes=SIZES | {"n": 0})
    both = jax.jit(step(function, specs))
    if words := REFUSED_EMPTY.get(name.partition(".")[2]):
        with pytest.raises(ValueError, match=words):
            both.lower(*args)
        return
    results, gradients = both.lower(*args).out_info
    longer = jax.eval_shape(function, *arrays(specs, sizes=SIZES | {"n": 3}))
    for y, one, three in zip(
        *map(jax.tree.leaves, (results, jax.eval_shape(function, *arrays(specs)), longer)), strict=True
    ):
        assert y.dtype == one.dtype
        assert y.shape == tuple(0 if a != b else a for a, b in zip(one.shape, three.shape))
    assert [g.shape for g in gradients] == [args[n].shape for n in numbers]


def series(function, specs):
    """Value and three derivatives along a curve: by `jet`, and by nested tangents, as functions of the moving arguments."""
    args, numbers = arrays(specs), differentiable(specs)
    terms = [[array(specs[n], seed=20 + 10 * k) / 4 for k in range(3)] for n in numbers]

    def call(*moving):
        return reals(function(*(moving[numbers.index(n)] if n in numbers else v for n, v in enumerate(args))))

    def by_jet(*moving):
        value, derivatives = jet(call, moving, terms)
        return [value, *([d[k] for d in derivatives] for k in range(3))]

    def by_tangents(*moving):
        along = [lambda t: call(*(v + t * a + t**2 / 2 * b + t**3 / 6 * c for v, (a, b, c) in zip(moving, terms)))]
        for _ in range(3):
            along.append(lambda t, f=along[-1]: jax.jvp(f, (t,), (jnp.ones_like(t),))[1])
        return [f(jnp.zeros(())) for f in along]

    return by_jet, by_tangents, [args[n] for n in numbers]


NOTHING = {  # functions of images without channels, and the shape of the result
    "blur_pool": (lambda x: F.blur_pool(x, 3), (2, 3, 2, 0)),
    "weighted_pool": (lambda x: F.weighted_pool(x, jnp.ones((3, 3))), (2, 1, 1, 0)),
    "depthwise_conv": (lambda x: F.depthwise_conv(x, jnp.ones((3, 3, 0, 2))), (2, 5, 4, 0)),
    "separable_conv": (lambda x: F.separable_conv(x, jnp.ones((3, 3, 0, 2)), jnp.ones((0, 5))), (2, 5, 4, 5)),
    "max_unpool": (lambda x: F.max_unpool(*F.max_pool_with_indices(x, 2), output_size=5), (2, 5, 5, 0)),
    "gaussian": (lambda x: F.filters.gaussian(x, 1.0), (2, 5, 4, 0)),
    "laplacian": (F.filters.laplacian, (2, 5, 4, 0)),
    "sobel": (lambda x: F.filters.sobel(x, 30), (2, 5, 4, 0)),
}


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for name, (_, shape) in NOTHING.items()])
def test_no_channels(name, shape):
    x = jnp.ones((2, 5, 4, 0))
    y, back = jax.vjp(NOTHING[name][0], x)
    assert y.shape == shape
    assert back(jnp.ones_like(y))[0].shape == x.shape


@pytest.mark.parametrize("name", WITH_SERIES)
def test_series_pass(name):
    function, specs, _ = of_row(name)
    by_jet, _, moving = series(function, specs)
    assert len(jax.eval_shape(by_jet, *moving)) == 4


@pytest.mark.parametrize(
    "name",
    ["conv", "conv grouped", "conv_transpose", "max_pool", "max_pool_with_indices", "avg_pool", "adaptive_avg_pool"]
    + ["moments", "batch_norm", "layer_norm", "global_max_pool", "stochastic_pool"],
)
def test_series_are_the_derivatives(name):
    with jax.enable_x64(True):
        function, specs, _ = of_row(f"functional.{name}")
        by_jet, by_tangents, moving = series(function, specs)
        for got, right in zip(*map(jax.tree.leaves, jax.jit(lambda *v: (by_jet(*v), by_tangents(*v)))(*moving))):
            np.testing.assert_allclose(got, right, rtol=1e-9, atol=1e-9)
