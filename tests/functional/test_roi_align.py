"""`roi_align` against the float64 oracle: every option, boxes inside and outside, gradients, bad input."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxcnn import functional as F
from tests.reference.arrays import normal
from tests.reference.roi_align import roi_align as oracle

X = normal(3, 7, 5, 2)
BOXES = {
    "inside": [0.3, 1.1, 5.9, 4.2],
    "image": [0, 0, 7, 5],
    "small": [2.2, 1.3, 2.7, 1.4],
    "empty": [3.0, 2.0, 3.0, 2.0],
    "turned": [5.0, 4.0, 1.3, 1.2],
    "over the edge": [-1.7, -0.4, 3.1, 4.3],
    "outside": [9.0, -6.0, 12.0, -3.0],
    "last pixel": [6.0, 4.0, 7.0, 5.0],
}
INDEX = [0, 1, 2, 0, 1, 2, 0, 1]
OPTIONS = {
    "adaptive": {},
    "one point": {"sampling_ratio": 1},
    "two points": {"sampling_ratio": 2},
    "three points": {"sampling_ratio": 3, "aligned": False},
    "not aligned": {"aligned": False},
    "scaled": {"spatial_scale": 0.5, "sampling_ratio": 2},
    "shrunk": {"spatial_scale": 0.75},
}


@pytest.fixture(autouse=True)
def float64():
    """Compared in double precision."""
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("bins", [(2, 3), (1, 1)], ids=str)
def test_roi_align_is_its_formula(bins, options):
    boxes = np.array(list(BOXES.values()))
    y = F.roi_align(jnp.asarray(X), jnp.asarray(boxes), jnp.asarray(INDEX), bins, **options)
    np.testing.assert_allclose(y, oracle(X, boxes, INDEX, bins, **options), rtol=0, atol=1e-13)


@settings(max_examples=20)
@given(box=st.tuples(*[st.floats(-3, 10, allow_subnormal=False)] * 4), ratio=st.sampled_from([1, 2, None]))
def test_any_box_is_its_formula(box, ratio):
    boxes = np.minimum(np.array([box]), [[10, 10, 6, 4]])  # at most as large as the image where points are counted
    boxes[:, :2] = np.maximum(boxes[:, :2], -1)
    y = F.roi_align(jnp.asarray(X), jnp.asarray(boxes), jnp.asarray([1]), (3, 2), sampling_ratio=ratio)
    np.testing.assert_allclose(y, oracle(X, boxes, [1], (3, 2), sampling_ratio=ratio), rtol=0, atol=1e-12)


def test_box_larger_than_the_image_gets_the_points_of_the_image():
    """The rule for None: ⌈7 / 2⌉ by ⌈5 / 2⌉ points a bin, where torchvision would take 9 by 9."""
    box, at = jnp.array([[-5.3, -6.1, 12.2, 11.4]]), jnp.array([2])
    y, wide = F.roi_align(jnp.asarray(X), box, at, 2), normal(3, 7, 7, 2)
    np.testing.assert_array_equal(
        F.roi_align(jnp.asarray(wide), box, at, 2), F.roi_align(jnp.asarray(wide), box, at, 2, sampling_ratio=4)
    )
    assert np.max(np.abs(y - oracle(X, box, [2], (2, 2)))) > 1e-3


@pytest.mark.parametrize("ratio", [2, None])
def test_gradients_are_differences(ratio):
    boxes = np.array([[0.37, 1.1, 5.9, 4.2], [-0.7, -0.4, 3.1, 4.3]])
    weights, options = normal(2, 2, 3, 2, seed=3), {"sampling_ratio": ratio}
    loss = lambda x, boxes: jnp.sum(weights * F.roi_align(x, boxes, jnp.array([2, 0]), (2, 3), **options))
    gradients = jax.grad(loss, argnums=(0, 1))(jnp.asarray(X), jnp.asarray(boxes))
    for number, (gradient, value) in enumerate(zip(gradients, (X, boxes))):
        direction, step = normal(*value.shape, seed=4), 1e-6
        ends = [[X, boxes], [X, boxes]]
        for end, sign in zip(ends, (1, -1)):
            end[number] = value + sign * step * direction
        above, below = (np.sum(weights * oracle(*end, [2, 0], (2, 3), **options)) for end in ends)
        np.testing.assert_allclose(np.vdot(gradient, direction), (above - below) / (2 * step), rtol=1e-7)


def test_box_of_no_image_is_nan_inside_jit():
    boxes = jnp.asarray([BOXES["inside"]] * 4)
    pooled = lambda x, index: F.roi_align(x, boxes, index, 2, sampling_ratio=1)
    y = jax.jit(pooled)(jnp.asarray(X), jnp.array([0, -1, 3, 2]))
    np.testing.assert_array_equal(np.isnan(y).all((1, 2, 3)), [False, True, True, False])
    slope = jax.jit(jax.grad(lambda x, index: jnp.nansum(pooled(x, index))))(jnp.asarray(X), jnp.array([0, -1, 3, 2]))
    assert np.isfinite(slope).all()
    assert not slope[1].any()


def test_no_boxes_and_no_images():
    index = jnp.zeros(0, int)
    assert F.roi_align(jnp.asarray(X[:0]), jnp.zeros((0, 4)), index, (2, 3)).shape == (0, 2, 3, 2)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_16_bit_images_round_once(dtype):
    x, boxes = jnp.asarray(X, dtype), np.array(list(BOXES.values()))
    y = F.roi_align(x, jnp.asarray(boxes), jnp.asarray(INDEX), 2, sampling_ratio=2)
    assert y.dtype == dtype
    expected = oracle(x, boxes, INDEX, (2, 2), sampling_ratio=2)
    np.testing.assert_allclose(np.asarray(y, np.float64), expected, rtol=float(jnp.finfo(dtype).eps), atol=1e-6)


IMAGES, BOX, AT = jnp.ones((2, 7, 5, 3), jnp.float32), jnp.ones((4, 4), jnp.float32), jnp.zeros(4, jnp.int32)
ERRORS = {
    "image": ((IMAGES[0], BOX, AT, 2), {}, ValueError,
              "x is float32[7,5,3]; it must have the axes (n, h, w, c), one image is x[None]"),
    "integers": ((IMAGES.astype("int32"), BOX, AT, 2), {}, TypeError,
                 "x is int32[2,7,5,3]; it must be floating point, x.astype(jnp.float32)"),
    "boxes": ((IMAGES, BOX[:, :3], AT, 2), {}, ValueError,
              "boxes is float32[4,3]; it must have the axes (k, 4), y0, x0, y1, x1"),
    "boxes list": ((IMAGES, [[0.0] * 4], AT, 2), {}, TypeError,
                   "boxes is a list; it must be an array, jnp.asarray makes one"),
    "integer boxes": ((IMAGES, BOX.astype("int32"), AT, 2), {}, TypeError,
                      "boxes is int32[4,4]; it must be floating point, boxes.astype(jnp.float32)"),
    "index": ((IMAGES, BOX, AT[:3], 2), {}, ValueError,
              "box_index is int32[3]; it must have the shape (4,), one image a box"),
    "index float": ((IMAGES, BOX, BOX[0], 2), {}, TypeError, "box_index is float32[4]; it must hold integers"),
    "negative": ((IMAGES, BOX, AT - 1, 2), {}, ValueError,
                 "box_index reaches from -1 to -1; x has 2 images, use 0 to 1"),
    "too high": ((IMAGES, BOX, AT.at[1].set(2), 2), {}, ValueError,
                 "box_index reaches from 0 to 2; x has 2 images, use 0 to 1"),
    "no image": ((IMAGES[:0], BOX, AT, 2), {}, ValueError,
                 "x is float32[0,7,5,3] without an image, but boxes has 4; both need some"),
    "size": ((IMAGES, BOX, AT, (2, 0)), {}, ValueError, "output_size=(2, 0) must be at least 1 on every axis"),
    "ratio": ((IMAGES, BOX, AT, 2), {"sampling_ratio": -1}, ValueError, "sampling_ratio=-1 must be at least 1"),
    "scale": ((IMAGES, BOX, AT, 2), {"spatial_scale": 0}, ValueError, "spatial_scale=0 must be positive"),
    "scale word": ((IMAGES, BOX, AT, 2), {"spatial_scale": "half"}, TypeError,
                   "spatial_scale='half' must be a number"),
}  # fmt: skip


@pytest.mark.parametrize(("arguments", "options", "error", "text"), ERRORS.values(), ids=ERRORS)
def test_roi_align_refuses_in_one_line(arguments, options, error, text):
    with pytest.raises(error, match=f"^{re.escape(f'roi_align: {text}')}$"):
        F.roi_align(*arguments, **options)


def test_index_closed_over_by_jit_is_still_checked():
    pooled = lambda index: jax.jit(lambda x: F.roi_align(x, BOX, index, 2, sampling_ratio=1))(IMAGES)
    assert pooled(AT).shape == (4, 2, 2, 3)
    with pytest.raises(ValueError, match=r"^roi_align: box_index reaches from 2 to 2; x has 2 images, use 0 to 1"):
        pooled(AT + 2)
