"""`Window` against sliding: every position enumerated, every (output, pixel) pair written down."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jaxcnn.geometry import Window
from tests.reference import windows

AXIS = {
    "n": st.integers(1, 13),
    "k": st.integers(1, 5),
    "s": st.integers(1, 4),
    "low": st.integers(0, 5),
    "high": st.integers(0, 5),
    "d": st.integers(1, 3),
}


@st.composite
def axes(draw, **fixed):
    """Numbers of one axis on which the window fits."""
    axis = {name: draw(strategy) for name, strategy in AXIS.items()} | fixed
    assume((axis["k"] - 1) * axis["d"] < axis["n"] + axis["low"] + axis["high"])
    return axis


def resolve(n, k, s, low, high, d, **options):
    return Window.resolve(k, (n,), stride=s, padding=((low, high),), dilation=d, **options)


def seen(window, n):
    """All pairs (output, pixel of the image) of the first axis."""
    outputs = range(window.output_size((n,))[0])
    return {(o, p) for o in outputs for p in window.pixels(0, o) if 0 <= p < n}


@given(axes())
def test_output_size_counts_positions(axis):
    assert resolve(**axis).output_size((axis["n"],)) == (len(windows.starts(**axis)),)


@given(axes())
def test_pixels_are_those_under_the_window(axis):
    window = resolve(**axis)
    outputs = range(window.output_size((axis["n"],))[0])
    assert [list(window.pixels(0, o)) for o in outputs] == windows.pixels(**axis)


@given(axes())
def test_span_is_first_to_last_pixel(axis):
    first = windows.pixels(**axis)[0]
    assert resolve(**axis).span == (first[-1] - first[0] + 1,)


@given(axes())
def test_ceil_mode_keeps_the_ragged_window(axis):
    window = resolve(**axis, ceil_mode=True)
    outputs = range(window.output_size((axis["n"],))[0])
    assert [list(window.pixels(0, o)) for o in outputs] == windows.pixels(**axis, ceil=True)


@given(axes(low=0, high=0))
def test_ceil_mode_leaves_no_window_empty(axis):
    window = resolve(**axis, ceil_mode=True)
    assert min(window.overlap((axis["n"],))[0]) >= 1


@given(axes())
def test_overlap_counts_taps_on_the_image(axis):
    counts = [sum(0 <= p < axis["n"] for p in taps) for taps in windows.pixels(**axis)]
    assert resolve(**axis).overlap((axis["n"],)) == [counts]


@given(axes(), st.integers(0, 3), st.integers(0, 3))
def test_overlap_widens_by_border(axis, before, after):
    counts = [sum(-before <= p < axis["n"] + after for p in taps) for taps in windows.pixels(**axis)]
    assert resolve(**axis).overlap((axis["n"],), ((before, after),)) == [counts]


@given(axes())
def test_transposed_sees_the_transposed_pairs(axis):
    window, n = resolve(**axis), axis["n"]
    transposed = window.transposed((n,))
    (outputs,), (s,) = window.output_size((n,)), transposed.input_dilation
    places = {o * s: o for o in range(outputs)}  # where output o lies among the spread inputs
    back = {(places[q], p) for p in range(n) for q in transposed.window.pixels(0, p) if q in places}
    assert back == seen(window, n)


@given(axes())
def test_transposed_returns_to_the_image_size(axis):
    window, space = resolve(**axis), (axis["n"],)
    assert window.transposed(space).output_size(window.output_size(space)) == space


@given(axes(), axes(), axes())
def test_resolve_treats_axes_independently(one, two, three):
    each = (one, two, three)
    of_all = {name: tuple(axis[name] for axis in each) for name in AXIS}
    pairs = tuple(zip(of_all["low"], of_all["high"]))
    whole = Window.resolve(of_all["k"], of_all["n"], stride=of_all["s"], padding=pairs, dilation=of_all["d"])
    parts = [resolve(**axis) for axis in each]
    assert whole.output_size(of_all["n"]) == tuple(w.output_size((a["n"],))[0] for w, a in zip(parts, each))
    assert whole.overlap(of_all["n"]) == [w.overlap((a["n"],))[0] for w, a in zip(parts, each)]
    assert whole.taps == parts[0].taps * parts[1].taps * parts[2].taps


def test_window_is_hashable_value():
    one, same, other = (Window.resolve(3, (7, 5), padding=p) for p in ("same", 1, "valid"))
    assert one == same
    assert len({one, same, other}) == 2


def test_resolve_takes_any_integer_sequence():
    assert Window.resolve([3, 2], [7, 5], stride=[2, 1]) == Window.resolve((3, 2), (7, 5), stride=(2, 1))


@pytest.mark.parametrize(
    ("axes", "padding"), [((), ((0, 0), (0, 0))), ((0,), ((0, 0), (3, 4))), ((1, 0), ((0, 0), (0, 0)))]
)
def test_unpadded_leaves_out_the_padding_of_these_axes_or_of_all(axes, padding):
    window = Window((5, 6), (2, 3), ((1, 2), (3, 4)), (1, 2))
    assert window.unpadded(*axes) == Window((5, 6), (2, 3), padding, (1, 2))
