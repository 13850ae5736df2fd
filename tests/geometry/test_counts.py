"""Parameters, multiply-adds and bytes against counting one by one, and published numbers."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.geometry import Counts, Window, conv_counts, dense_counts, pool_counts, separable_counts

SMALL = st.integers(1, 3)


def count_one_by_one(window, space, into, out, batch):
    """Multiplications of a convolution, each one visited."""
    outputs = product(*map(range, window.output_size(space)))
    taps = list(product(*map(range, window.size)))
    return sum(1 for _ in product(range(batch), outputs, taps, range(into), range(out)))


@given(SMALL, SMALL, SMALL, SMALL, SMALL, st.booleans())
def test_conv_counts_by_visiting(k, s, into, out, groups, bias):
    window, space = Window.resolve((k, 2), (5, 3), stride=s), (5, 3)
    counts = conv_counts(window, space, into * groups, out * groups, groups=groups, bias=bias, batch=2)
    outputs = window.output_size(space)[0] * window.output_size(space)[1] * 2
    assert counts.multiply_adds == count_one_by_one(window, space, into, out, 2) * groups
    assert counts.parameters == k * 2 * into * out * groups + bias * out * groups
    assert counts.bytes == 4 * (2 * 15 * into * groups + counts.parameters + outputs * out * groups)


@given(SMALL, SMALL, SMALL, SMALL)
def test_separable_counts_are_depthwise_and_pointwise(k, c, multiplier, out):
    window, space, between = Window.resolve(k, (7, 5)), (7, 5), Window.resolve(1, (8 - k, 6 - k))
    counts = separable_counts(window, space, c, out, multiplier=multiplier, batch=3)
    depthwise = count_one_by_one(window, space, 1, c * multiplier, 3)
    pointwise = count_one_by_one(between, (8 - k, 6 - k), c * multiplier, out, 3)
    assert counts.multiply_adds == depthwise + pointwise
    assert counts.parameters == k * k * c * multiplier + c * multiplier * out + out


@pytest.mark.parametrize(
    ("window", "space", "channels", "parameters", "multiply_adds"),
    [
        (Window.resolve(7, (224, 224), stride=2, padding=3), (224, 224), (3, 64), 9_408, 118_013_952),
        (Window.resolve(3, (56, 56), padding=1), (56, 56), (64, 64), 36_864, 115_605_504),
        (Window.resolve(1, (7, 7)), (7, 7), (512, 2048), 1_048_576, 51_380_224),
    ],
    ids=["stem", "conv2_x 3×3", "conv5_x 1×1"],
)
def test_conv_counts_of_resnet50(window, space, channels, parameters, multiply_adds):
    counts = conv_counts(window, space, *channels, bias=False)
    assert (counts.parameters, counts.multiply_adds) == (parameters, multiply_adds)


def test_conv_counts_of_vgg16_are_the_published_total():
    sides = [224] * 2 + [112] * 2 + [56] * 3 + [28] * 3 + [14] * 3
    channels = [3] + [64] * 2 + [128] * 2 + [256] * 3 + [512] * 6
    total = dense_counts(512 * 7 * 7, 4096) + dense_counts(4096, 4096) + dense_counts(4096, 1000)
    for n, into, out in zip(sides, channels, channels[1:]):
        total += conv_counts(Window.resolve(3, (n, n), padding=1), (n, n), into, out)
    assert total.parameters == 138_357_544
    assert total.multiply_adds == 15_470_264_320


def test_dense_counts_bytes():
    assert dense_counts(7, 3, batch=2, itemsize=2) == Counts(24, 42, 2 * (2 * 10 + 24))
    assert dense_counts(7, 3, bias=False).parameters == 21


def test_pool_counts_move_input_and_output():
    window = Window.resolve(2, (7, 5), stride=2, ceil_mode=True)
    assert pool_counts(window, (7, 5), 3, batch=2, itemsize=2) == Counts(0, 0, 2 * 2 * 3 * (35 + 12))


def test_counts_add_up():
    assert Counts(1, 20, 300) + Counts(4, 50, 600) == Counts(5, 70, 900)
