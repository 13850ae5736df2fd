"""A number may be an array, one way everywhere: a Python number, a NumPy one, an array without axes of either, or a traced one.

Every numeric argument of `functional`, its filters and the modules of `nn` is a row; a new one enters by one row.
"""

import inspect
import operator
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import functional as F
from jaxcnn import nn
from jaxcnn.functional import filters
from tests.functional.operations import reals
from tests.reference.arrays import normal

from .test_rows import RANKED, public

X = jnp.asarray(normal(2, 7, 5, 3), jnp.float32)
KERNEL, BOXES, INDEX = jnp.ones((3, 2, 3, 4)), jnp.array([[0.0, 1.0, 5.0, 4.5]]), jnp.array([1])
KEY, EACH = jax.random.key(0), jnp.arange(1.0, 4.0)


def module(build, **call):
    """A function of a number: a module built with it, called."""
    return lambda v: build(v, nnx.Rngs(0))(X, **call)


def normalised_by(layer, x):
    """What a batch normalisation gives in evaluation, after one batch."""
    layer(x, train=True)
    return layer(x, train=False)


NUMBERS = {  # "function argument": (a function of the number, the number)
    "pad value": (lambda v: F.pad(X, 1, value=v), 0.485),
    "avg_pool divisor": (lambda v: F.avg_pool(X, 2, divisor=v), 3.5),
    "lp_pool p": (lambda v: F.lp_pool(X, v, 2), 2.5),
    "mixed_pool alpha": (lambda v: F.mixed_pool(X, 2, v), 0.3),
    "reduce_window identity": (lambda v: F.reduce_window(X, v, jnp.add, 2, stride=1, padding=1), 0.5),
    "batch_norm epsilon": (lambda v: F.batch_norm(X, EACH, EACH, epsilon=v), 0.3),
    "layer_norm epsilon": (lambda v: F.layer_norm(X, EACH, epsilon=v), 0.3),
    "rms_norm epsilon": (lambda v: F.rms_norm(X, epsilon=v), 0.3),
    "group_norm epsilon": (lambda v: F.group_norm(X, 1, epsilon=v), 0.3),
    "instance_norm epsilon": (lambda v: F.instance_norm(X, epsilon=v), 0.3),
    "local_response_norm alpha": (lambda v: F.local_response_norm(X, 2, alpha=v), 0.7),
    "local_response_norm beta": (lambda v: F.local_response_norm(X, 2, alpha=1.0, beta=v), 0.6),
    "local_response_norm k": (lambda v: F.local_response_norm(X, 2, k=v), 1.7),
    "roi_align spatial_scale": (lambda v: F.roi_align(X, BOXES, INDEX, 2, spatial_scale=v), 0.7),
    "ps_roi_align spatial_scale": (lambda v: F.ps_roi_align(X, BOXES, INDEX, (3, 1), spatial_scale=v), 0.7),
    "roi_pool spatial_scale": (lambda v: F.roi_pool(X, BOXES, INDEX, 2, spatial_scale=v), 0.7),
    "ps_roi_pool spatial_scale": (lambda v: F.ps_roi_pool(X, BOXES, INDEX, (3, 1), spatial_scale=v), 0.7),
    "drop_block rate": (lambda v: F.drop_block(KEY, X, v, 2), 0.3),
    "channel_dropout rate": (lambda v: F.channel_dropout(KEY, X, v), 0.6),
    "filters.edge angle": (lambda v: filters.edge(X, v), 33.0),
    "filters.prewitt angle": (lambda v: filters.prewitt(X, v), 33.0),
    "filters.sobel angle": (lambda v: filters.sobel(X, v), 90.0),
    "filters.scharr angle": (lambda v: filters.scharr(X, v), 0.0),
    "filters.line angle": (lambda v: filters.line(X, v, size=5), 33.0),
    "filters.edge_kernel angle": (lambda v: filters.edge_kernel(v, operator="sobel"), 33.0),
    "filters.line_kernel angle": (lambda v: filters.line_kernel(v, size=5), 33.0),
    "filters.gaussian sigma": (lambda v: filters.gaussian(X, v, size=5), 0.7),
    "filters.gaussian_kernel sigma": (lambda v: filters.gaussian_kernel(v, size=5), 0.7),
    "filters.sharpen amount": (lambda v: filters.sharpen(X, v), 0.3),
    "filters.edge_enhance amount": (lambda v: filters.edge_enhance(X, v), 0.3),
    "filters.edge_enhance sigma": (lambda v: filters.edge_enhance(X, sigma=v, size=3), 0.7),
    "nn.Dropout rate": (module(lambda v, r: nn.Dropout(v, rngs=r), train=True), 0.3),
    "nn.StochasticDepth rate": (module(lambda v, r: nn.StochasticDepth(v, rngs=r), train=True), 0.3),
    "nn.BatchNorm momentum": (lambda v: normalised_by(nn.BatchNorm(3, momentum=v, rngs=nnx.Rngs(0)), X), 0.3),
    "nn.BatchNorm epsilon": (module(lambda v, r: nn.BatchNorm(3, epsilon=v, rngs=r), train=True), 0.3),
    "nn.LayerNorm epsilon": (module(lambda v, r: nn.LayerNorm(3, epsilon=v, rngs=r)), 0.3),
    "nn.MixedPool alpha": (module(lambda v, r: nn.MixedPool(2, alpha=v, rngs=r)), 0.3),
}
KNOWN = {  # what decides the size of a result, so that it cannot be traced
    "fractional_max_pool ratio": (lambda v: F.fractional_max_pool(KEY, X, 2, ratio=v), 0.6),
    "fractional_max_pool_with_indices ratio": (
        lambda v: F.fractional_max_pool_with_indices(KEY, X, 2, ratio=v),
        0.6,
    ),
    "filters.gaussian sigma": (lambda v: filters.gaussian(X, v), 0.7),
    "filters.gaussian_kernel sigma": (filters.gaussian_kernel, 0.7),
    "filters.edge_enhance sigma": (lambda v: filters.edge_enhance(X, sigma=v), 0.7),
}
FORMS = {
    "NumPy number": np.float64,
    "NumPy 16-bit number": np.float16,
    "NumPy array": np.array,
    "array": jnp.asarray,
    "16-bit array": lambda v: jnp.asarray(v, jnp.float16),
}
ALIKE = {"rtol": 2e-5, "atol": 2e-5}
ROWS = [(name, *row) for table in (NUMBERS, KNOWN) for name, row in table.items()]
IDS = [*NUMBERS, *(f"{name} known" for name in KNOWN)]


def refusal(function, value):
    """The first line of the error of a call; under a transformation JAX adds words of its own."""
    with pytest.raises((TypeError, ValueError)) as caught:
        function(value)
    return str(caught.value).partition("\n")[0]


def assert_same(found, right):
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(right), strict=True):
        np.testing.assert_allclose(a, b, **ALIKE)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("name", "function", "number"), ROWS, ids=IDS)
def test_a_number_that_is_an_array_is_that_number(name, function, number, form):
    value = FORMS[form](number)
    assert_same(function(value), function(float(value)))


@pytest.mark.parametrize(("function", "number"), NUMBERS.values(), ids=NUMBERS)
def test_a_traced_number_is_that_number(function, number):
    assert_same(jax.jit(function)(number), function(number))


@pytest.mark.parametrize(("name", "function", "number"), ROWS, ids=IDS)
def test_a_number_matters(name, function, number):
    results = [jax.tree.leaves(function(v))[0] for v in (number, 1.25 * number or 9.0)]
    assert any(a.shape != b.shape or bool((a != b).any()) for a, b in [results])


@pytest.mark.parametrize(("name", "function", "number"), [(n, *row) for n, row in KNOWN.items()], ids=KNOWN)
def test_a_number_that_decides_a_size_must_be_known(name, function, number):
    last = name.split()[0].rpartition(".")[2]
    assert refusal(jax.jit(function), number).startswith(f"{last}: {name.split()[1]} is traced")


WRONG = {"bool": True, "word": "half", "none": {}, "two": np.ones((2, 2)), "complex": 1j}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize(("name", "function", "number"), ROWS, ids=IDS)
def test_what_is_no_number_is_refused_in_one_line(name, function, number, wrong):
    if wrong in ("none", "bool") and name == "reduce_window identity":
        pytest.skip("an identity is a tree of numbers of any type")
    last = name.split()[0].rpartition(".")[2]
    with pytest.raises((TypeError, ValueError), match=rf"^{last}: .+$") as caught:
        function(WRONG[wrong])
    assert "\n" not in str(caught.value)


def signature(thing):
    return inspect.signature(thing.__init__ if inspect.isclass(thing) else thing)


def arguments(room, prefix):
    """`function argument` for every argument of a public function or class that is a real number by its default or its type."""
    for name in public(room):
        if RANKED.search(name) and RANKED.sub("", name) in public(room):
            continue
        for parameter in signature(getattr(room, name)).parameters.values():
            words = str(parameter.annotation)
            if isinstance(parameter.default, float) or "float" in words or "Number" in words or "Ratio" in words:
                yield f"{prefix}{name} {parameter.name}"


ARRAYS = {"reduce_window identity"}  # which is of any type and default


OTHERS = {"rotate degrees", "rotate fill"}  # one an image and one a channel


def test_every_number_has_a_row():
    homes = (filters.__name__, "jaxcnn.functional._filter_kernels")
    own = {n: v for n, v in vars(filters).items() if getattr(v, "__module__", None) in homes}
    found = {*arguments(F, ""), *arguments(nn, "nn."), *arguments(type("own", (), own), "filters.")}
    assert found - OTHERS == (NUMBERS.keys() | KNOWN.keys()) - ARRAYS


PARTIAL = {  # with the derivative in the number, by hand, at the number
    "pad": (lambda v: F.pad(X, 1, value=v), 0.5, lambda v: 2 * 3 * (9 * 7 - 7 * 5)),
    "divisor": (lambda v: F.avg_pool(X, 2, divisor=v), 2.0, lambda v: -float(F.sum_pool(X, 2).sum()) / v**2),
    "amount": (lambda v: filters.sharpen(X, v), 0.5, lambda v: -float(filters.laplacian(X).sum())),
    "alpha": (
        lambda v: F.mixed_pool(X, 2, v),
        0.5,
        lambda v: float((F.max_pool(X, 2) - F.avg_pool(X, 2)).sum()),
    ),
}


@pytest.mark.parametrize(("function", "number", "right"), PARTIAL.values(), ids=PARTIAL)
def test_derivatives_in_a_number(function, number, right):
    np.testing.assert_allclose(jax.grad(lambda v: function(v).sum())(number), right(number), rtol=1e-5)


SMOOTH = [name for name in NUMBERS if name.startswith(("filters.", "lp_pool", "local", "pad")) or "norm" in name]


@pytest.mark.parametrize("name", [n for n in SMOOTH if not n.startswith("nn.")])
def test_derivatives_in_a_number_are_slopes(name):
    function, number = NUMBERS[name]
    total = lambda v: sum(jnp.sum(y * jnp.cos(jnp.arange(y.size)).reshape(y.shape)) for y in reals(function(v)))
    step = 1e-2
    slope = (float(total(number + step)) - float(total(number - step))) / (2 * step)
    np.testing.assert_allclose(jax.grad(total)(jnp.float32(number)), slope, rtol=2e-2, atol=2e-2)


def power_norms(x, p):
    """Lp norms of 2×2 windows of a plane `(n, h, w, c)` in float64."""
    n, h, w, c = x.shape
    blocks = np.abs(np.asarray(x, float)[:, : h // 2 * 2, : w // 2 * 2]).reshape(n, h // 2, 2, w // 2, 2, c)
    return (blocks**p).sum((2, 4)) ** (1 / p)


def test_the_derivative_of_a_norm_in_p_is_the_formula():
    p = 3.0
    parts, y = np.abs(np.asarray(X, float)), power_norms(X, p)
    blocks = parts[:, :6, :4].reshape(2, 3, 2, 2, 2, 3)
    share = (blocks / y[:, :, None, :, None]) ** p
    right = (y / p * (share * np.log(blocks / y[:, :, None, :, None])).sum((2, 4))).sum()
    for grad in (jax.grad, lambda f: jax.jit(jax.grad(f)), lambda f: jax.jacfwd(f)):
        np.testing.assert_allclose(grad(lambda p: F.lp_pool2d(X, p, 2).sum())(p), right, rtol=1e-5)


def test_one_number_a_channel():
    p = np.array([1.0, 2.0, 3.5])
    right = np.stack([power_norms(X, v)[..., c] for c, v in enumerate(p)], -1)
    np.testing.assert_allclose(F.lp_pool(X, p, 2), right, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(lambda p: F.lp_pool(X, p, 2))(p), right, rtol=1e-5)
    colour = np.array([0.485, 0.456, 0.406], np.float32)
    for pad in (F.pad, jax.jit(F.pad, static_argnums=1)):
        y = pad(X, ((1, 0), (0, 2)), value=jnp.asarray(colour))
        np.testing.assert_array_equal(y[:, 0], np.broadcast_to(colour, (2, 7, 3)))
        np.testing.assert_array_equal(y[:, :, 5:], np.broadcast_to(colour, (2, 8, 2, 3)))
        np.testing.assert_array_equal(y[:, 1:, :5], X)


FILLS = {  # dtype of the images, value, what fills
    "nan": (jnp.float32, np.nan, np.nan),
    "rounded": (jnp.bfloat16, 0.485, 0.484375),
    "float64": (jnp.float32, np.float64(0.1), np.float32(0.1)),
    "whole": (jnp.uint8, np.int64(200), 200),
    "truth": (bool, np.True_, True),
    "complex": (jnp.complex64, 1 + 2j, 1 + 2j),
}


@pytest.mark.parametrize(("dtype", "value", "right"), FILLS.values(), ids=FILLS)
def test_what_fills(dtype, value, right):
    for fill in (value, jnp.asarray(value)):
        y = F.pad(jnp.zeros((1, 2, 2), dtype), 1, value=fill)
        assert y.dtype == dtype
        np.testing.assert_array_equal(y[:, 0], np.full((1, 2), right))


UNFIT = {
    "half": (jnp.int32, 0.5, "value=0.5 is no int32 number; cast x, or choose another value"),
    "too large": (jnp.uint8, 256, "value=256 is no uint8 number; cast x, or choose another value"),
    "overflow": (jnp.float16, 1e5, "value=100000.0 is no float16 number; cast x, or choose another value"),
    "colour": (jnp.float32, np.ones(4), "value is float64[4]; give one number, or 2, one for each of the channels"),
}


@pytest.mark.parametrize(("dtype", "value", "message"), UNFIT.values(), ids=UNFIT)
def test_what_cannot_fill_is_refused(dtype, value, message):
    with pytest.raises(ValueError) as caught:
        F.pad(jnp.zeros((1, 2, 2), dtype), 1, value=value)
    assert str(caught.value) == f"pad: {message}"


def test_a_traced_fill_of_another_kind_or_mode_is_refused():
    message = refusal(jax.jit(lambda v: F.pad(jnp.zeros((1, 2, 2), jnp.int32), 1, value=v)), 0.5)
    assert message == "pad: value is float32[], which int32 cannot hold (x is int32[1,2,2])"
    message = refusal(jax.jit(lambda v: F.pad(X, 1, mode="reflect", value=v)), 0.5)
    assert message == 'pad: value is float32[] fills nothing with mode="reflect"; it belongs to mode="zeros"'


WHOLE = {  # functions of a whole number that decides shapes
    "window": (lambda k: F.max_pool(X, k), 2),
    "stride": (lambda k: F.conv(X, KERNEL, stride=k), 2),
    "dilation": (lambda k: F.conv(X, KERNEL, dilation=k), 2),
    "padding": (lambda k: F.conv(X, KERNEL, padding=k), 2),
    "a pair of padding": (lambda k: F.avg_pool(X, 2, padding=((k, 0), (0, k))), 1),
    "groups": (lambda k: F.conv(X, jnp.ones((2, 2, 1, 6)), groups=k), 3),
    "output_size": (lambda k: F.adaptive_avg_pool(X, k), 3),
    "size": (lambda k: filters.box(X, k), 3),
    "module": (lambda k: nn.Conv(3, 2, k, stride=k, padding=k, rngs=nnx.Rngs(0))(X), 2),
}


@pytest.mark.parametrize("form", [np.int64, np.array, jnp.asarray], ids=["NumPy number", "NumPy array", "array"])
@pytest.mark.parametrize(("function", "number"), WHOLE.values(), ids=WHOLE)
def test_a_whole_number_may_be_an_array(function, number, form):
    np.testing.assert_array_equal(function(form(number)), function(operator.index(number)))


@pytest.mark.parametrize(("function", "number"), WHOLE.values(), ids=WHOLE)
def test_a_traced_whole_number_is_refused_in_one_line(function, number):
    message = refusal(jax.jit(function), number)
    assert re.fullmatch(r"\w+: [\w ]+ is traced; it decides shapes, so it must be an int that is known", message)
