"""Integers that stand for weights: their values by hand, their layouts, and what is refused in one line."""

import re

import numpy as np
import pytest
from flax import nnx

from jaxcnn import nn, weights
from jaxcnn.weights import WeightFileError, opened

DEPTHWISE = {  # of two channels, 1×2 pixels, with a scale for each
    "conv.q": np.array([[[[0, 10], [3, 200]]]], np.uint8), "conv.scale": np.array([0.5, 0.25], np.float32),
    "conv.zero_point": np.array([1, 100], np.int32), "conv.bias_q": np.array([-4, 6], np.int32),
    "conv.bias_scale": np.array([0.125, 0.5], np.float32),
}  # fmt: skip
DENSE = {
    "q": np.array([[0, 5, 255], [-1, 7, 2]], np.int16), "scale": np.float32(0.5), "zero_point": np.int32(5),
    "bias_q": np.array([2**31 - 1, -3], np.int32), "bias_scale": np.float32(2**-20),
}  # fmt: skip


def arrays_in(file):
    with opened(file) as stored:
        found = {name: array.read() for name, array in stored.items()}
        assert {name: array.shape for name, array in stored.items()} == {name: a.shape for name, a in found.items()}
    return found


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (DENSE, {"weight": [[-2.5, 0.0, 125.0], [-3.0, 1.0, -1.5]], "bias": [2048.0, -3 * 2.0**-20]}),
        (DEPTHWISE, {"conv.weight": [[[[-0.5, 1.0]]], [[[-22.5, 25.0]]]], "conv.bias": [-0.5, 3.0]}),
        # one output of two channels: what has one number as its bias is no depthwise kernel
        (
            {"conv.q": DEPTHWISE["conv.q"], "conv.scale": np.float32(2), "conv.zero_point": np.array([3], np.uint8),
             "conv.bias_q": np.array([5], np.int32), "conv.bias_scale": np.float32(0.5)},
            {"conv.weight": [[[[-6.0, 0.0]], [[14.0, 394.0]]]], "conv.bias": [2.5]},
        ),
        # without a bias, and beside an array that has no scale
        (
            {"a.q": np.array([[[1], [2]]], np.int8).repeat(2, 0), "a.scale": np.array([1, 10], np.float32),
             "a.zero_point": np.array([0, 1], np.int8), "b.q": np.array([1.5], np.float32)},
            {"a.weight": [[[1.0, 2.0]], [[0.0, 10.0]]], "b.q": [1.5]},
        ),
    ],
)  # fmt: skip
def test_integers_are_read_as_weights(stored, expected, tmp_path):
    np.savez(tmp_path / "a.npz", **stored)
    found = arrays_in(tmp_path / "a.npz")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], np.array(value, np.float32), strict=True)


def test_load_takes_them_into_any_layer(tmp_path):
    np.savez(tmp_path / "a.npz", **DENSE)
    dense = weights.load(nn.Dense(3, 2, rngs=nnx.Rngs(0)), tmp_path / "a.npz")
    np.testing.assert_array_equal(dense.kernel[...], [[-2.5, -3.0], [0.0, 1.0], [125.0, -1.5]])
    np.savez(tmp_path / "b.npz", **{name.removeprefix("conv."): array for name, array in DEPTHWISE.items()})
    kernel = np.array([[[[-0.5, -22.5]], [[1.0, 25.0]]]]).squeeze(2)  # (1, 2, channels)
    conv = weights.load(nn.Conv(2, 2, (1, 2), groups=2, rngs=nnx.Rngs(0)), tmp_path / "b.npz")
    np.testing.assert_array_equal(conv.kernel[...], kernel[:, :, None])
    depthwise = weights.load(nn.DepthwiseConv(2, (1, 2), rngs=nnx.Rngs(0)), tmp_path / "b.npz")
    np.testing.assert_array_equal(depthwise.kernel[...], kernel[..., None])
    np.testing.assert_array_equal(depthwise.bias[...], [-0.5, 3.0])


def test_load_names_a_kernel_of_another_shape(tmp_path):
    np.savez(tmp_path / "a.npz", **DENSE)
    with pytest.raises(
        WeightFileError, match=r"Dense: 0 missing, 0 unexpected, 1 of another shape\n  ≠ weight: \[2, 3\] for"
    ):
        weights.load(nn.Dense(4, 2, rngs=nnx.Rngs(0)), tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("without", "changed", "message"),
    [
        ("scale", {}, "conv.q has no conv.scale beside it"),
        ("zero_point", {}, "conv.q has no conv.zero_point beside it"),
        ("bias_q", {}, "conv.q has no conv.bias_q beside it"),
        ("bias_scale", {}, "conv.q has no conv.bias_scale beside it"),
        ("", {"scale": np.ones(3, np.float32)}, "conv.scale is [3] beside conv.q [1, 1, 2, 2]; it must be [] or [1] or [2]"),
        ("", {"zero_point": np.ones((1, 2), np.int32)}, "conv.zero_point is [1, 2] beside conv.q [1, 1, 2, 2]; it must be"),
        ("", {"bias_q": np.ones(3, np.int32)}, "conv.bias_q is [3] beside conv.q [1, 1, 2, 2]; it must be [2]"),
        ("", {"bias_scale": np.ones(7, np.float32)}, "conv.bias_scale is [7] beside conv.q [1, 1, 2, 2]; it must be [] or"),
        ("", {"q": np.zeros((1, 1, 2, 2), np.float32)}, "conv.q is float32; it must be integers"),
        ("", {"scale": np.int32(3)}, "conv.scale is int32; it must be floating point"),
        ("", {"weight": np.zeros((2, 1, 1, 2))}, "conv.weight is there twice: as numbers, and as integers with a scale"),
    ],
)  # fmt: skip
def test_what_is_no_weight_is_refused_in_a_line(without, changed, message, tmp_path):
    stored = DEPTHWISE | {f"conv.{part}": array for part, array in changed.items()}
    stored.pop(f"conv.{without}", None)
    np.savez(tmp_path / "a.npz", **stored)
    with pytest.raises(WeightFileError, match=f"^load: a.npz: {re.escape(message)}[^\n]*$"):
        arrays_in(tmp_path / "a.npz")


def test_load_refuses_a_scale_that_is_not_finite(tmp_path):
    np.savez(tmp_path / "a.npz", **(DENSE | {"scale": np.float32(np.inf)}))
    with pytest.raises(WeightFileError, match=r"a\.npz has NaN or infinite numbers in kernel \(6\)$"):
        weights.load(nn.Dense(3, 2, rngs=nnx.Rngs(0)), tmp_path / "a.npz")
