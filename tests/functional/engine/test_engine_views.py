"""The tables of what outputs see: against the definition, and each other's inverse."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.functional.engine._views import NONE, nearest, seen, seers, take_row
from jaxcnn.geometry import Bins, Window

# name: the window, and the size of the image
WINDOWS = {
    "padded": (Window((3, 2), (2, 1), ((1, 1), (0, 1)), (1, 1)), (7, 5)),
    "dilated": (Window((3, 3), (1, 2), ((2, 2), (3, 3)), (2, 3)), (5, 4)),
    "apart": (Window((2, 1), (3, 2), ((0, 0), (0, 0)), (1, 1)), (8, 5)),
    "cropped": (Window((2, 2), (2, 1), ((-1, 0), (0, -2)), (1, 1)), (7, 6)),
    "nothing but padding": (Window((1, 2), (1, 1), ((2, 1), (0, 0)), (1, 1)), (3, 4)),
    "bins": (Bins(((10, 7), (3, 5))), (10, 3)),
}


@pytest.fixture(params=list(WINDOWS.values()), ids=list(WINDOWS))
def axis_of(request):
    """A window, the image's size and the first axis."""
    window, space = request.param
    return window, space, 0


def triples(window, space, axis):
    """All (output, tap, pixel of the image) of an axis."""
    outputs = range(window.output_size(space)[axis])
    return {(o, t, p) for o in outputs for t, p in enumerate(window.pixels(axis, o)) if 0 <= p < space[axis]}


def test_seen_is_the_definition(axis_of):
    table = seen(*axis_of)
    assert {(int(o), int(t), int(table[t, o])) for t, o in zip(*np.nonzero(table != NONE))} == triples(*axis_of)


def test_seers_is_the_inverse_of_seen(axis_of):
    outputs, taps = seers(*axis_of)
    found = [(int(outputs[at]), int(taps[at]), int(at[1])) for at in zip(*np.nonzero(outputs != NONE))]
    assert len(found) == len(set(found))
    assert set(found) == triples(*axis_of)


def test_nearest_names_pixels_of_the_same_output_in_order(axis_of):
    taps, pixels = nearest(seen(*axis_of))
    known = triples(*axis_of)
    for output in range(pixels.shape[1]):
        inside = sorted(t for o, t, _ in known if o == output)
        named = [(output, int(t), int(p)) for t, p in zip(taps[:, output], pixels[:, output])]
        assert not inside or set(named) == {triple for triple in known if triple[0] == output}
        assert not inside or [t for _, t, _ in named] == sorted(t for _, t, _ in named)
        assert inside or (pixels[:, output] == NONE).all()


@pytest.mark.parametrize(
    "row", [[0, 2, 4], [5], [1, 1, 1], [4, 2, 0], [0, NONE, 3], [NONE, NONE], [NONE, 0, 1]], ids=str
)
def test_take_row_takes_what_the_row_names(row):
    x = np.arange(2 * 6 * 3 * 2.0).reshape(2, 6, 3, 2)
    want = np.stack([np.full((2, 3, 2), -7.0) if p == NONE else x[:, p] for p in row], axis=1)
    got = take_row(jnp.asarray(x), np.array(row, np.int32), 0, np.array(-7, np.float32))
    np.testing.assert_array_equal(got, want)
