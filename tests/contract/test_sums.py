"""No sum is taken in 16 bits, neither in a value nor on the way back, where JAX transposes what was spread or looked up.

Random cotangents of mean 0 and small arrays hide such a sum. A look at the types of the program shows it at once, and so do
cotangents of ones over ten thousand pixels: bfloat16 counts to 256, float16 to 2048.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax.extend.core import jaxprs_in_params

from jaxcnn import functional as F
from jaxcnn import nn
from jaxcnn.functional.engine import _extreme, _lower, _sharding
from jaxcnn.functional.lowering import DIRECTIONS
from jaxcnn.geometry import Bins, Window
from tests.functional.operations import arrays, differentiable, reals

from .rows import ROWS

NARROW = (jnp.bfloat16, jnp.float16)
EIGHT = (jnp.float8_e4m3fn, jnp.float8_e5m2)
SUMS = {
    *("reduce_sum", "cumsum", "cumlogsumexp", "reduce_window_sum", "scatter-add", "select_and_scatter_add"),
    *("dot_general", "conv_general_dilated", "psum", "psum_invariant", "jaxcnn_total", "jaxcnn_spread"),
}
ADDITIONS = ("add", "add_any", "sub")
FEW = 2  # additions one after the other, such as a + b + c


def narrow(v):
    return v.aval.dtype in NARROW + EIGHT if hasattr(v.aval, "dtype") else False


def chains(program):
    """For each variable of a program that an addition in 16 bits made: how many of them lie one after the other."""
    lengths = {}
    for equation in program.eqns:
        if equation.primitive.name in ADDITIONS and narrow(equation.outvars[0]):
            terms = [lengths.get(v, 0) for v in equation.invars if not hasattr(v, "val")]
            lengths[equation.outvars[0]] = 1 + max(terms, default=0)
    return lengths


def carried(equation):
    """What one round of a loop hands to the next."""
    inner = equation.params["jaxpr" if equation.primitive.name == "scan" else "body_jaxpr"].jaxpr
    pairs = zip(inner.outvars, equation.outvars)
    return inner, [
        v for v, result in pairs if v.aval.shape == result.aval.shape
    ]  # what a scan stacks has one axis more


def narrow_sums(program):
    """Names of what adds many numbers in 16 bits or fewer, in a program and all programs inside it."""
    found = {f"chain of {length} additions" for length in chains(program).values() if length > FEW}
    for equation in program.eqns:
        if equation.primitive.name in SUMS and any(map(narrow, equation.outvars)):
            found.add(equation.primitive.name)
        if equation.primitive.name in ("scan", "while"):
            inner, carry = carried(equation)
            found |= {"sum carried by a loop" for v in carry if not hasattr(v, "val") and v in chains(inner)}
        for inner in jaxprs_in_params(equation.params):
            found |= narrow_sums(inner)
    return found


def derivatives(function, args, numbers):
    """The program of the results, their tangents and the gradients, as a function of the differentiable arguments."""

    def call(*moving):
        full = list(args)
        for number, value in zip(numbers, moving):
            full[number] = value
        return reals(function(*full))

    def program(*moving):
        results, back = jax.vjp(call, *moving)
        return results, jax.jvp(call, moving, moving)[1], back(results)

    return jax.make_jaxpr(program)(*(args[n] for n in numbers)).jaxpr


@pytest.mark.parametrize("dtype", NARROW, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", ROWS)
def test_no_sum_in_16_bits(name, dtype):
    function, *specs = ROWS[name]
    numbers = differentiable(specs)
    args = [v.astype(dtype) if n in numbers else v for n, v in enumerate(arrays(specs))]
    assert narrow_sums(derivatives(function, args, numbers)) == set()


SPREAD = {  # function, shapes: what a vmap or an operation spreads or repeats, so that parts are added up going back
    "an image for many kernels": (lambda x, k: jax.vmap(lambda k: F.conv(x, k))(k), (1, 4, 4, 2), (9, 3, 3, 2, 2)),
    "an image for many biases": (
        lambda x, b: jax.vmap(lambda b: F.conv(x, jnp.ones((3, 3, 2, 2), x.dtype), b))(b),
        (1, 4, 4, 2),
        (9, 2),
    ),
    "a kernel for many images": (lambda x, k: jax.vmap(lambda x: F.conv(x, k))(x), (9, 1, 4, 4, 2), (3, 3, 2, 2)),
    "an operand of a stack": (lambda x: _sharding.spread(x, jnp.ones((9, 1))), (4, 4, 2)),
    "an image for many draws": (
        lambda x: jax.vmap(lambda key: F.stochastic_pool(key, x, 2))(jax.random.split(jax.random.key(0), 9)),
        (1, 4, 4, 2),
    ),
    "an edge pixel": (lambda x: F.pad(x, 3, mode="replicate"), (1, 4, 4, 2)),
    "what windows share": (lambda x: F.unfold(x, 4), (1, 7, 7, 2)),
    "what levels share": (lambda x: F.spatial_pyramid_pool(x, levels=(1, 2, 3, 4), reduce="avg"), (1, 4, 4, 2)),
    "one weight for all channels": (lambda x, w: F.weighted_pool(x, w), (1, 4, 4, 99), (2, 2)),
}


@pytest.mark.parametrize("dtype", NARROW + EIGHT, ids=lambda d: d.__name__)
@pytest.mark.parametrize("name", SPREAD)
def test_no_sum_in_16_bits_of_what_is_spread(name, dtype):
    function, *shapes = SPREAD[name]
    args = [jnp.ones(shape, dtype) for shape in shapes]
    assert narrow_sums(derivatives(function, args, tuple(range(len(args))))) == set()


@pytest.mark.parametrize("dtype", NARROW + EIGHT, ids=lambda d: d.__name__)
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_convolutions_are_computed_without_a_sum_in_16_bits(direction, dtype):
    window, shapes = (
        Window.resolve((3, 3), (7, 5), padding=1),
        {"x": (2, 7, 5, 4), "kernel": (3, 3, 4, 6), "g": (2, 7, 5, 6)},
    )
    operands = {"conv": "x kernel", "input_grad": "g kernel", "kernel_grad": "x g"}[direction].split()
    a, b = (jnp.ones(shapes[name], dtype) for name in operands)
    case = _lower.case_of(direction, a, b, window=window, groups=1, space=(7, 5))
    assert narrow_sums(jax.make_jaxpr(functools.partial(_lower.compute, case=case))(a, b).jaxpr) == set()


@pytest.mark.parametrize("dtype", NARROW + EIGHT, ids=lambda d: d.__name__)
@pytest.mark.parametrize("window", [Window.resolve((4, 4), (7, 5)), Bins(((7, 3), (5, 2)))], ids=["window", "bins"])
def test_maxima_give_back_without_a_sum_in_16_bits(window, dtype):
    g = jnp.ones((2, *window.output_size((7, 5)), 3), dtype)
    taps = jnp.zeros(g.shape, _extreme.tap_dtype(window))
    given = functools.partial(_extreme.given, window=window, space=(7, 5))
    assert narrow_sums(jax.make_jaxpr(given)(g, taps).jaxpr) == set()


def build(module):
    """A module as a function of images and bias, its other parameters as they are built."""

    def call(x, bias):
        layer = module(rngs=nnx.Rngs(0), dtype=bias.dtype)
        layer.bias[...] = bias.astype(jnp.float32)
        return layer(x)

    return call


def ones(*shape):
    return lambda v: jnp.ones(shape, v.dtype)


LINE, MAP, VOLUME = (1, 10007, 2), (2, 101, 97, 2), (1, 23, 29, 31, 2)
LARGE = {  # function of images and a bias, shape of the images
    "conv1d": (lambda x, b: F.conv1d(x, ones(3, 2, 2)(x), b), LINE),
    "conv2d": (lambda x, b: F.conv2d(x, ones(3, 3, 2, 2)(x), b, stride=2), (8, 101, 97, 2)),
    "conv3d": (lambda x, b: F.conv3d(x, ones(1, 2, 2, 2, 2)(x), b), VOLUME),
    "convolve": (lambda x, b: F.convolve(x, ones(3, 3, 2, 2)(x), b), MAP),
    "conv_transpose": (lambda x, b: F.conv_transpose(x, ones(2, 2, 2, 2)(x), b, stride=2), MAP),
    "depthwise_conv": (lambda x, b: F.depthwise_conv(x, ones(3, 3, 2, 1)(x), b), MAP),
    "separable_conv": (lambda x, b: F.separable_conv(x, ones(3, 3, 2, 1)(x), ones(2, 2)(x), b), MAP),
    "spatially_separable_conv": (
        lambda x, b: F.spatially_separable_conv(x, ones(3, 2, 2)(x), ones(3, 2, 2)(x), b),
        MAP,
    ),
    "deform_conv2d": (
        lambda x, b: F.deform_conv2d(x, ones(1, 1, 2, 2)(x), jnp.zeros((2, 101, 97, 2), x.dtype), bias=b),
        MAP,
    ),
    "layer_norm": (lambda x, b: F.layer_norm(x, ones(2)(x), b), MAP),
    "group_norm": (lambda x, b: F.group_norm(x, 1, ones(2)(x), b), MAP),
    "instance_norm": (lambda x, b: F.instance_norm(x, ones(2)(x), b), MAP),
    "batch_norm": (lambda x, b: F.batch_norm(x, 0 * b, 1 + 0 * b, ones(2)(x), b), MAP),
    "nn.Conv": (build(functools.partial(nn.Conv, 2, 2, 3)), MAP),
    "nn.DepthwiseConv": (build(functools.partial(nn.DepthwiseConv, 2, 3)), MAP),
    "nn.SeparableConv": (build(functools.partial(nn.SeparableConv, 2, 2, 3)), MAP),
    "nn.SpatiallySeparableConv": (build(functools.partial(nn.SpatiallySeparableConv, 2, 2, 3)), MAP),
    "nn.ConvTranspose": (build(functools.partial(nn.ConvTranspose, 2, 2, 3)), MAP),
    "nn.Dense": (build(functools.partial(nn.Dense, 2, 2)), MAP),
    "nn.Dense of vectors": (build(functools.partial(nn.Dense, 2, 2)), (10007, 2)),
    "nn.WeightedPool": (build(functools.partial(nn.WeightedPool, 2, 1)), MAP),
    "nn.WeightedPool of each tap": (build(functools.partial(nn.WeightedPool, 2, 1, each_tap=True)), MAP),
}
UNIT = {jnp.bfloat16: 2.0**-8, jnp.float16: 2.0**-11}


def given_back(function, x, bias, cotangent):
    """The gradient in the bias."""
    return jax.vjp(functools.partial(function, x), bias)[1](cotangent)[0]


@pytest.mark.parametrize("name", LARGE)
def test_bias_gradients_over_ten_thousand_pixels_are_rounded_once(name):
    function, shape = LARGE[name]
    random, in_jit = np.random.default_rng(0), jax.jit(given_back, static_argnums=0)
    for dtype, run, most in ((jnp.bfloat16, given_back, 0), (jnp.bfloat16, in_jit, 1), (jnp.float16, given_back, 1)):
        x, bias = jnp.asarray(random.uniform(size=shape), dtype), jnp.ones(2, dtype)
        y = jax.eval_shape(function, x, bias)
        cotangent = jnp.asarray(random.uniform(size=y.shape) if most else np.ones(y.shape), dtype)
        right = np.asarray(cotangent, float).sum(tuple(range(y.ndim - 1)))
        found = np.asarray(run(function, x, bias, cotangent), float)
        np.testing.assert_allclose(found, right, rtol=UNIT[dtype] + 1e-4)


def test_bias_gradients_count_pixels():
    x, kernel = jnp.ones((8, 56, 56, 3), jnp.bfloat16), jnp.zeros((3, 3, 3, 2), jnp.bfloat16)
    total = lambda bias: F.conv2d(x, kernel, bias).astype(jnp.float32).sum()
    for gradient in (jax.grad(total), jax.jit(jax.grad(total))):
        assert gradient(jnp.zeros(2, jnp.bfloat16)).tolist() == [25088, 25088]


@pytest.mark.parametrize(("pixels", "right"), [(65504, 65504), (70000, np.inf)])
def test_bias_gradients_overflow_where_the_right_value_does(pixels, right):
    x, kernel = jnp.ones((1, pixels, 1), jnp.float16), jnp.zeros((1, 1, 1), jnp.float16)
    total = lambda bias: F.conv1d(x, kernel, bias).astype(jnp.float32).sum()
    assert jax.grad(total)(jnp.zeros(1, jnp.float16)).tolist() == [right]
