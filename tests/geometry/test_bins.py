"""`Bins` against the definition: output i of o sees the pixels ⌊i n / o⌋ to ⌈(i + 1) n / o⌉ of n."""

import math
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.geometry import Bins

SIZE = st.integers(1, 17)


@given(SIZE, SIZE)
def test_pixels_are_the_definition(n, o):
    bins = Bins((None, (n, o)))
    for output in range(o):
        first, end = math.floor(Fraction(output * n, o)), math.ceil(Fraction((output + 1) * n, o))
        assert list(bins.pixels(1, output)) == list(range(first, end))


@given(SIZE, SIZE)
def test_every_pixel_is_seen(n, o):
    bins = Bins(((n, o),))
    assert bins.output_size((n,)) == (o,)
    assert {pixel for output in range(o) for pixel in bins.pixels(0, output)} == set(range(n))


@given(SIZE, SIZE, SIZE)
def test_size_is_that_of_the_largest_window(n, o, other):
    bins = Bins(((n, o), None))
    assert bins.size == (max(len(bins.pixels(0, output)) for output in range(o)), 1)
    assert bins.taps == bins.size[0]
    assert bins.output_size((n, other)) == (o, other)


def test_along_keeps_one_axis():
    assert Bins(((5, 3), (7, 2))).along(1) == Bins((None, (7, 2)))
