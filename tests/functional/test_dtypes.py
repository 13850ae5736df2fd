"""The dtype that goes in comes out, and 16-bit floats are accumulated in float32."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference import conv as oracle
from tests.reference import pool
from tests.reference.arrays import integers, normal
from tests.reference.conv import gamma
from tests.reference.padding import resolve

from .operations import OPERATIONS, array, differentiable, is_key, reals, shape

SHAPES = {"x": (2, 7, 5, 3), "kernel": (3, 2, 3, 11), "bias": (11,)}
WORDS = {"stride": 2, "padding": ((1, 2), (0, 1))}
NARROW = (jnp.bfloat16, jnp.float16)
FLOATS = [jnp.float64, jnp.float32, jnp.bfloat16, jnp.float16]
TERMS = 100  # what rounds one after the other in any row
WIDE = dict.fromkeys(("moments", "affine_grid"), jnp.float32)  # in float32 at least, as the docstrings say
# what is rounded to 16 bits on the way, too: the sum before a bias, the image between two convolutions
STEPS = dict.fromkeys(("conv", "conv_transpose", "separable_conv", "spatially_separable_conv"), 1)
INTEGERS = {
    *("conv", "conv 1d causal", "conv 3d", "conv grouped", "conv reflect", "convolve", "depthwise_conv"),
    *("separable_conv", "spatially_separable_conv", "pad", "max_pool", "max_pool ragged", "max_pool dilated"),
    *("max_pool_with_indices", "max_unpool", "min_pool", "sum_pool", "fractional_max_pool"),
    *("fractional_max_pool_with_indices", "adaptive_max_pool", "adaptive_max_pool_with_indices"),
    *("spatial_pyramid_pool", "global_max_pool", "resize nearest", "pixel_shuffle", "pixel_unshuffle"),
    *("channel_shuffle", "unfold", "fold", "to_channels_last", "to_channels_first"),
}
UNIT = {jnp.float64: 2.0**-53, jnp.float32: 2.0**-24, jnp.float16: 2.0**-11, jnp.bfloat16: 2.0**-8}


@pytest.fixture(autouse=True)
def float64():
    """Doubles are allowed: nothing may become one that was none."""
    with jax.enable_x64(True):
        yield


def real(y):
    return jnp.issubdtype(y.dtype, jnp.floating)


def exact(x):
    return np.asarray(x.astype(jnp.float64))


def whole(spec, seed, first):
    """What `array` gives, in numbers that every dtype holds."""
    v = array(spec, seed, first)
    return v if is_key(spec) or "<" in spec else v.astype(jnp.bfloat16).astype(jnp.float64)


def spread(y, slopes, moving):
    """By how much y moves, at most and to first order, when every argument moves by its own size: |y| + Σ |∂y/∂x| |x|."""
    parts = [jnp.abs(j).reshape(*y.shape, -1) @ jnp.abs(x).ravel() for j, x in zip(slopes, moving)]
    return np.asarray(sum(parts, start=jnp.abs(y)))


def in_every_float(name):
    """The results of a row in each of FLOATS, of the same numbers, and their spread; indices and what is drawn have none."""
    function, *specs = OPERATIONS[name]
    args, numbers = [whole(spec, i, i == 0) for i, spec in enumerate(specs)], differentiable(specs)
    cast = lambda dtype, args: [v.astype(dtype) if n in numbers else v for n, v in enumerate(args)]
    slopes = jax.jacfwd(lambda *args: reals(function(*args)), numbers)
    runs = lambda *args: [jax.tree.leaves(function(*cast(dtype, args))) for dtype in FLOATS]
    found, moved = jax.jit(lambda *args: (runs(*args), slopes(*args)))(*args)
    spreads = (spread(y, j, [args[n] for n in numbers]) for y, j in zip(reals(found[0]), moved))
    drawn = any(map(is_key, specs))
    return found, [0.0 if drawn or not real(y) else next(spreads) for y in found[0]]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_float_comes_out_as_it_went_in_rounded_once(name):
    found, spreads = in_every_float(name)
    dtypes = [WIDE.get(name, dtype) if dtype in NARROW else dtype for dtype in FLOATS]
    assert [[y.dtype for y in reals(results)] for results in found] == [[d] * len(reals(found[0])) for d in dtypes]
    # with a key float64 has random numbers of its own: there float32 says what is right
    exactly = found[any(map(is_key, OPERATIONS[name][1:]))]
    for dtype, results in zip(FLOATS[1:], found[1:]):
        for y, right, room in zip(results, exactly, spreads):
            summed = (TERMS * 2.0**-24 + STEPS.get(name, 0) * UNIT[dtype]) * room
            bound = summed + UNIT[dtype] * real(y) * (np.abs(exact(right)) + summed)
            assert np.all(np.abs(exact(y) - exact(right)) <= bound)


def derived(function, args, numbers, dtype):
    """Results, their tangents and the gradients, when the differentiable arguments have a dtype."""

    def both(*moving):
        call = lambda *moving: reals(
            function(*(moving[numbers.index(n)] if n in numbers else v for n, v in enumerate(args)))
        )
        results, back = jax.vjp(call, *moving)
        return results, jax.jvp(call, moving, moving)[1], back(results)

    return jax.eval_shape(both, *(args[n].astype(dtype) for n in numbers))


@pytest.mark.parametrize("name", OPERATIONS)
def test_derivatives_have_the_dtype_of_what_they_are_of(name):
    function, *specs = OPERATIONS[name]
    args, numbers = [array(spec, i, i == 0) for i, spec in enumerate(specs)], differentiable(specs)
    for dtype in FLOATS:
        results, tangents, gradients = derived(function, args, numbers, dtype)
        assert [t.dtype for t in tangents] == [y.dtype for y in results]
        assert [g.dtype for g in gradients] == [dtype] * len(numbers)


def of_integers(name):
    """Function of a dtype: the results of a row for whole numbers in it."""
    function, *specs = OPERATIONS[name]
    numbers = differentiable(specs)
    args = [jnp.asarray(integers(*shape(s), seed=i)) if i in numbers else array(s) for i, s in enumerate(specs)]
    return lambda dtype: jax.tree.leaves(
        function(*(v.astype(dtype) if n in numbers else v for n, v in enumerate(args)))
    )


@pytest.mark.parametrize("name", sorted(INTEGERS))
def test_integers_stay_integers_exactly(name):
    results = of_integers(name)
    for y, right in zip(results(jnp.int32), results(jnp.float32), strict=True):
        assert y.dtype == jnp.int32
        np.testing.assert_array_equal(y, right)


@pytest.mark.parametrize("name", sorted(OPERATIONS.keys() - INTEGERS))
def test_other_operations_refuse_integers(name):
    with pytest.raises(TypeError, match=r"^\w+: .* is int32|identity=1.0 must be one number that x can hold"):
        of_integers(name)(jnp.int32)


@pytest.mark.parametrize("groups", [1, 5])
@pytest.mark.parametrize("dtype", FLOATS, ids=lambda d: d.__name__)
def test_conv_error_is_one_rounding_of_the_result(dtype, groups):
    x, kernel = (jnp.asarray(normal(*shape), dtype) for shape in [(2, 7, 5, 65), (3, 3, 65 // groups, 5)])
    words = resolve((7, 5), (3, 3)) | {"groups": groups}
    value, unit = oracle.conv(exact(x), exact(kernel), **words), min(UNIT[dtype], 2.0**-24)
    summed = oracle.error_bound(exact(x), exact(kernel), unit=unit, **words)
    rounded = UNIT[dtype] * (np.abs(value) + summed) * (UNIT[dtype] > unit)
    assert np.all(np.abs(exact(F.conv(x, kernel, groups=groups)) - value) <= summed + rounded)


def test_conv_of_integers_is_exact():
    a = {name: integers(*shape) for name, shape in SHAPES.items()}
    words = resolve((7, 5), (3, 2), **WORDS)
    actual = F.conv(*(jnp.asarray(a[name], jnp.int32) for name in ("x", "kernel", "bias")), **WORDS)
    np.testing.assert_array_equal(actual, oracle.conv(a["x"], a["kernel"], a["bias"], **words))


@pytest.mark.parametrize(
    "function", [F.global_avg_pool, lambda x: F.avg_pool2d(x, 56)[:, 0, 0]], ids=["global", "window"]
)
@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=lambda d: d.__name__)
def test_average_of_56_by_56_is_rounded_once(function, dtype):
    x = jnp.asarray(
        np.abs(normal(2, 56, 56, 3)) + 100, dtype
    )  # a sum of 313,600: overflows float16, stalls in bfloat16
    mean = exact(x).mean((1, 2))
    summed = gamma(56 * 56 + 1, 2.0**-24) * mean
    assert np.all(np.abs(exact(function(x)) - mean) <= summed + UNIT[dtype] * (mean + summed))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16], ids=lambda d: d.__name__)
def test_avg_pool_without_padding_rounds_once(dtype):
    x = jnp.asarray(normal(2, 7, 5, 3) + 3, dtype)
    y = F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False)
    words = resolve((7, 5), (3, 3), stride=2, padding=1)
    value = pool.avg_pool(exact(x), (3, 3), include_pad=False, **words)
    assert y.dtype == dtype
    assert np.all(np.abs(exact(y) - value) <= 1.01 * UNIT[dtype] * np.abs(value))


def test_sum_pool_accumulates_in_float32():
    x = jnp.ones((1, 300, 1), jnp.bfloat16)  # bfloat16 counts to 256 only
    assert F.sum_pool1d(x, 300).item() == 300
