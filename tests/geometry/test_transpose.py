"""The window whose adjoint is asked for: sizes by PyTorch's rule, by "same" and outright; what does not fit."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from jaxcnn.geometry import Window, adjoint_window


@given(st.data())
def test_adjoint_window_takes_its_image_to_the_outputs(data):
    k, s, d, n = (data.draw(st.integers(1, most)) for most in (4, 3, 3, 5))
    low, high, extra = (data.draw(st.integers(0, most)) for most in (3, 3, max(s, d) - 1))
    m = (n - 1) * s - low - high + (k - 1) * d + 1 + extra
    assume(m >= 1)
    options = {"stride": s, "dilation": d, "padding": [(low, high)], "output_padding": extra}
    window, space = adjoint_window((k,), (n,), **options)
    assert space == (m,)
    assert window == Window((k,), (s,), ((low, high - extra),), (d,))
    assert window.output_size(space) == (n,)


@pytest.mark.parametrize(
    ("options", "space", "padding"),
    [
        ({}, (8, 15), ((0, 1), (0, 0))),  # n · stride; 3 taps at stride 2 pad one pixel, at stride 3 none
        ({"output_size": (7, 14)}, (7, 14), ((1, 1), (0, 1))),
        ({"output_size": (8, 13)}, (8, 13), ((0, 1), (1, 1))),
        ({"padding": ["same", 1]}, (8, 13), ((0, 1), (1, 1))),
        ({"padding": ["same", 1], "output_size": (7, 15)}, (7, 15), ((1, 1), (1, -1))),
    ],
)
def test_adjoint_window_of_same_has_the_largest_image(options, space, padding):
    window, found = adjoint_window((3, 3), (4, 5), stride=(2, 3), **options)
    assert (found, window.padding) == (space, padding)
    assert window.output_size(found) == (4, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_padding": 1}, r'output_padding=1 has no meaning with padding "same", whose result is n · stride'),
        ({"output_padding": (0, 3), "padding": 0}, r"output_padding=\(0, 3\) on spatial axis 1 must be below stride 3"),
        (
            {"output_size": (9, 15)},
            "output_size=9 on spatial axis 0 does not come from 4 pixels at stride 2; use 7 to 8",
        ),
        ({"output_size": (8, 12)}, "output_size=12 on spatial axis 1 .* use 13 to 15"),
        ({"output_size": (8, 16)}, "output_size=16 on spatial axis 1 .* use 13 to 15"),
        ({"output_size": (8, 15), "padding": 0}, "output_size=8 on spatial axis 0 .* use 9 to 10"),
        ({"padding": 9}, r"the result would have \(-9, -3\) pixels; use less padding or a larger kernel"),
        ({"stride": 0}, "stride=0 must be at least 1"),
        ({"dilation": 0}, "dilation=0 must be at least 1"),
        ({"output_padding": -1}, "output_padding=-1 must be at least 0"),
        ({"output_size": 0}, "output_size=0 must be at least 1"),
    ],
)
def test_adjoint_window_refuses(options, message):
    with pytest.raises(ValueError, match=f"^up: {message}"):
        adjoint_window((3, 3), (4, 5), **{"stride": (2, 3)} | options, name="up")
