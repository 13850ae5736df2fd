"""Parameters, multiply-adds and bytes against counting one by one, and published numbers."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.geometry import (
    Counts,
    Window,
    conv_counts,
    dense_counts,
    pool_counts,
    separable_counts,
    spatially_separable_counts,
)

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


def test_spatially_separable_counts_of_a_dilated_column():
    """Of 9×6 pixels 5×6 see three taps two apart of 2 channels to 3, of these 5×2 five taps of 3 to 3."""
    window = Window.resolve((3, 5), (9, 6), dilation=(2, 1))
    found = spatially_separable_counts(window, (9, 6), 2, 3)
    assert found.multiply_adds == 30 * (3 * 2 * 3) + 10 * (5 * 3 * 3)


@pytest.mark.parametrize(("middle", "groups"), [(None, 1), (4, 2)])
def test_spatially_separable_counts_are_two_convolutions(middle, groups):
    window = Window.resolve((3, 5), (9, 11), stride=(2, 1), padding=(1, 2))
    column = Window.resolve((3, 1), (9, 11), stride=(2, 1), padding=(1, 0))
    row = Window.resolve((1, 5), (5, 11), padding=(0, 2))
    between = middle or 6
    expected = conv_counts(column, (9, 11), 2, between, groups=groups, bias=False) + conv_counts(
        row, (5, 11), between, 6, groups=groups
    )
    assert spatially_separable_counts(window, (9, 11), 2, 6, c_middle=middle, groups=groups) == expected


def test_weighted_pool_counts_are_those_of_lenet():
    counts = pool_counts(Window.resolve(2, (28, 28), stride=2), (28, 28), 6, weighted=True)
    assert (counts.parameters, counts.multiply_adds) == (12, 14 * 14 * 6)


def test_counts_of_bfloat16_are_half_the_bytes():
    window = Window.resolve(3, (8, 8))
    assert 2 * separable_counts(window, (8, 8), 3, 4, itemsize=2).bytes == separable_counts(window, (8, 8), 3, 4).bytes


def test_conv_counts_refuses_groups_that_do_not_divide():
    with pytest.raises(ValueError, match="conv_counts: groups=2 must divide c_in=5"):
        conv_counts(Window.resolve(3, (8, 8)), (8, 8), 5, 4, groups=2)
