"""Windows of any kind on small planes, for the tests that hypothesis draws."""

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
