"""Windows of any kind on small images, for the tests that hypothesis draws."""

from hypothesis import strategies as st


@st.composite
def geometries(draw):
    """A small plane, and a window that fits into it: `(space, size, options)`."""
    space = draw(st.tuples(st.integers(1, 7), st.integers(1, 7)))
    room = lambda k: st.integers(0, k - 1)
    axis = lambda n: (
        st.integers(1, 4)
        .flatmap(lambda k: st.tuples(st.just(k), st.integers(1, 4), st.integers(1, 3), room(k), room(k)))
        .filter(lambda v: (v[0] - 1) * v[2] + 1 <= n + v[3] + v[4])
    )
    size, stride, dilation, low, high = zip(*(draw(axis(n)) for n in space))
    return space, size, {"stride": stride, "dilation": dilation, "padding": tuple(zip(low, high))}


@st.composite
def wide_windows(draw):
    """A line, plane or cube, and a window about as wide as it or wider: one or two outputs an axis.

    Often it has as many taps as the image has pixels without seeing them all.
    """
    space = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple))
    size = draw(st.permutations(space).map(tuple) | st.tuples(*(st.integers(1, n + 3) for n in space)))
    axes = [_around(draw, n, k, draw(st.integers(1, 3))) for n, k in zip(space, size)]
    stride, dilation, padding = zip(*axes)
    return space, size, {"stride": stride, "dilation": dilation, "padding": padding}


def _around(draw, n, k, dilation):
    """Stride, dilation and padding of an axis on which a window of k pixels has one or two places."""
    span = (k - 1) * dilation + 1
    room = max(span - n, 0) + draw(st.integers(0, 1))
    low = draw(st.integers(0, room))
    return draw(st.integers(1, n)), dilation, (low, room - low)
