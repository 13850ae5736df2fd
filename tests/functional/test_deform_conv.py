"""`deform_conv2d` against the float64 oracle and `conv`: every option, integer offsets, gradients, memory, bad input."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from tests.reference.arrays import integers, normal
from tests.reference.deform_conv import deform_conv2d as oracle
from tests.reference.padding import resolve
from tests.reference.windows import starts

SPACE = (5, 7)
CASES = {  # kernel, options, channels of x
    "default": ((3, 3, 4, 3), {}, 4),
    "stride": ((3, 2, 4, 3), {"stride": (2, 1), "padding": "valid"}, 4),
    "pairs": ((2, 3, 4, 3), {"padding": ((2, 0), (1, 3))}, 4),
    "dilation": ((2, 3, 4, 3), {"dilation": (3, 2), "padding": 2}, 4),
    "groups": ((2, 3, 2, 6), {"groups": 2}, 4),
    "offset groups": ((3, 2, 4, 3), {"offset_groups": 2}, 4),
    "both groups": ((2, 2, 3, 4), {"groups": 2, "offset_groups": 3, "stride": 2}, 6),
    "1×1": ((1, 1, 4, 3), {}, 4),
}


@pytest.fixture(autouse=True)
def float64():
    """Compared in double precision."""
    with jax.enable_x64(True):
        yield


def arguments(kernel, options, c_in, n=2):
    """x, kernel, offset, mask, bias and the oracle's options."""
    counts = {name: number for name, number in options.items() if "groups" in name}
    words = resolve(SPACE, kernel[:2], **{name: options[name] for name in options.keys() - counts})
    axes = zip(SPACE, kernel, words["stride"], words["pairs"], words["dilation"])
    outputs = [len(starts(pixels, k, s, *pair, d)) for pixels, k, s, pair, d in axes]
    taps = kernel[0] * kernel[1] * options.get("offset_groups", 1)
    offset, mask = 1.7 * normal(n, *outputs, 2 * taps), normal(n, *outputs, taps, seed=1)
    return (normal(n, *SPACE, c_in), normal(*kernel), offset, mask, normal(kernel[-1])), words | counts


@pytest.mark.parametrize(("kernel", "options", "c_in"), CASES.values(), ids=CASES)
def test_deform_conv2d_is_its_formula(kernel, options, c_in):
    args, words = arguments(kernel, options, c_in)
    for used in (args, args[:3]):  # the second version, the first one
        y = F.deform_conv2d(*map(jnp.asarray, used), **options)
        np.testing.assert_allclose(y, oracle(*used, **words), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("kernel", "options", "c_in"), CASES.values(), ids=CASES)
def test_no_offset_is_conv(kernel, options, c_in):
    (x, weights, offset, _, bias), _ = arguments(kernel, options, c_in)
    y = F.deform_conv2d(*map(jnp.asarray, (x, weights, 0 * offset)), bias=jnp.asarray(bias), **options)
    options = {name: value for name, value in options.items() if name != "offset_groups"}
    np.testing.assert_allclose(y, F.conv(*map(jnp.asarray, (x, weights, bias)), **options), rtol=0, atol=1e-13)


def test_whole_offsets_take_other_pixels():
    """Every tap two rows further down and one column back: the convolution of the shifted image."""
    x, kernel = jnp.asarray(normal(1, *SPACE, 2)), jnp.asarray(normal(3, 3, 2, 3))
    offset = jnp.broadcast_to(jnp.array([2.0, -1.0] * 9), (1, *SPACE, 18))
    shifted = jnp.pad(x, ((0, 0), (1, 3), (2, 0), (0, 0)))[:, 2:]  # what lies a tap beyond the image is there, too
    expected = F.conv(shifted, kernel, padding=((0, 1), (0, 1)))[:, : SPACE[0], : SPACE[1]]
    np.testing.assert_allclose(F.deform_conv2d(x, kernel, offset)[:, :, 1:], expected[:, :, 1:], rtol=0, atol=1e-13)


def test_gradients_are_differences():
    args, words = arguments(*CASES["both groups"])
    args = tuple(a + 0.01 for a in args)
    y = oracle(*args, **words)
    weights = normal(*y.shape, seed=3)
    loss = lambda *args: jnp.sum(weights * F.deform_conv2d(*args, **CASES["both groups"][1]))
    gradients = jax.grad(loss, argnums=range(5))(*map(jnp.asarray, args))
    for number, (gradient, value) in enumerate(zip(gradients, args)):
        direction, step = normal(*value.shape, seed=4), 1e-6
        ends = [[*args[:number], value + sign * step * direction, *args[number + 1 :]] for sign in (1, -1)]
        above, below = (np.sum(weights * oracle(*end, **words)) for end in ends)
        np.testing.assert_allclose(np.vdot(gradient, direction), (above - below) / (2 * step), rtol=1e-6)


def test_memory_does_not_grow_with_the_taps():
    """Gradients with 25 taps: a patch of every tap alone would be 25 images."""
    x, kernel, offset = jnp.ones((1, 32, 32, 16)), jnp.ones((5, 5, 16, 16)), jnp.ones((1, 32, 32, 50))
    loss = lambda *args: jnp.sum(jnp.sin(F.deform_conv2d(*args)))
    compiled = jax.jit(jax.grad(loss, argnums=(0, 1, 2))).lower(x, kernel, offset).compile()
    own = 2 * offset.nbytes + 2 * kernel.nbytes  # these do grow: points and their gradient, the kernel's gradient
    assert compiled.memory_analysis().temp_size_in_bytes < 14 * x.nbytes + 3 * own


def test_points_of_nan_and_infinity_stay_where_they_are():
    x, kernel = jnp.asarray(normal(1, *SPACE, 2)), jnp.ones((1, 1, 2, 1))
    offset = jnp.zeros((1, *SPACE, 2)).at[0, 0, 0].set(jnp.nan).at[0, 1, 1].set(jnp.inf).at[0, 2, 2].set(-1e30)
    y = F.deform_conv2d(x, kernel, offset)[0, ..., 0]
    assert np.isnan(y[0, 0])
    assert (y[1, 1], y[2, 2]) == (0, 0)
    assert np.isnan(y).sum() == 1


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bit_images_are_summed_in_float32(dtype):
    args, words = arguments(*CASES["default"])
    x, kernel, offset, mask, _ = (jnp.asarray(a, t) for a, t in zip(args, (dtype, dtype, "float32", "float32", dtype)))
    y = F.deform_conv2d(x, kernel, offset, mask)
    assert y.dtype == dtype
    expected = oracle(*(np.asarray(a, np.float64) for a in (x, kernel, offset, mask)), **words)
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=float(jnp.finfo(dtype).eps), atol=1e-5)


def test_empty_batch():
    args, _ = arguments(*CASES["default"], n=0)
    assert F.deform_conv2d(*map(jnp.asarray, args)).shape == (0, *SPACE, 3)


X, KERNEL = jnp.asarray(integers(2, *SPACE, 4), jnp.float32), jnp.ones((3, 3, 4, 6), jnp.float32)
OFFSET, MASK = jnp.zeros((2, *SPACE, 18), jnp.float32), jnp.ones((2, *SPACE, 9), jnp.float32)
ERRORS = {
    "image": ((X[0], KERNEL, OFFSET), {}, ValueError,
              "x is float32[5,7,4]; it must have the axes (n, h, w, c), one image is x[None]"),
    "integers": ((X.astype("int32"), KERNEL.astype("int32"), OFFSET), {}, TypeError,
                 "x is int32[2,5,7,4]; it must be floating point, x.astype(jnp.float32)"),
    "kernel": ((X, KERNEL[:, :, :3], OFFSET), {}, ValueError,
               "kernel is float32[3,3,3,6] with c_in // groups = 3; x has 4 channels in 1 groups, so it must be 4 "
               "(x is float32[2,5,7,4])"),
    "kernel dtype": ((X, KERNEL.astype("float16"), OFFSET), {}, TypeError,
                     "x is float32[2,5,7,4] but kernel is float16[3,3,4,6]; cast one, kernel.astype(x.dtype)"),
    "offset": ((X, KERNEL, MASK), {}, ValueError,
               "offset is float32[2,5,7,9]; it must have the shape (2, 5, 7, 18): n, outputs, 2 · taps · offset_groups"),
    "offset outputs": ((X, KERNEL, OFFSET), {"stride": 2}, ValueError,
                       "offset is float32[2,5,7,18]; it must have the shape (2, 3, 4, 18): n, outputs, "
                       "2 · taps · offset_groups"),
    "offset list": ((X, KERNEL, [0.0]), {}, TypeError, "offset is a list; it must be an array, jnp.asarray makes one"),
    "offset integers": ((X, KERNEL, OFFSET.astype("int32")), {}, TypeError,
                        "offset is int32[2,5,7,18]; it must be floating point, offset.astype(jnp.float32)"),
    "mask": ((X, KERNEL, OFFSET, OFFSET), {}, ValueError,
             "mask is float32[2,5,7,18]; it must have the shape (2, 5, 7, 9): n, outputs, taps · offset_groups"),
    "bias": ((X, KERNEL, OFFSET, None, MASK), {}, ValueError,
             "bias is float32[2,5,7,9]; it must have the shape (6,)"),
    "groups": ((X, KERNEL, OFFSET), {"groups": 3}, ValueError,
               "groups=3 must divide c_in=4 (x is float32[2,5,7,4])"),
    "offset groups": ((X, KERNEL, OFFSET), {"offset_groups": 3}, ValueError,
                      "offset_groups=3 must divide c_in=4 (x is float32[2,5,7,4])"),
    "window": ((X, KERNEL, OFFSET), {"dilation": 3, "padding": 0}, ValueError,
               "window (3, 3) (dilation (3, 3)) spans 7 pixels on spatial axis 0, which has 5 and padding (0, 0); use a "
               "smaller window or more padding"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "options", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_deform_conv2d_refuses_in_one_line(arguments, options, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'deform_conv2d: {text}')}$"):
        F.deform_conv2d(*arguments, **options)
