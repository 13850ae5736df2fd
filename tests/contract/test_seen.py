"""What sees what: one pixel that is NaN makes those results NaN that a finite change of the pixel reaches, and no others.

The finite changes are the oracle: a result sees the pixel if some of them moves it, from one of several starts. In the gradient
NaN may stand where a result sees both pixels. Gradients of parameters are left out, because a kernel's tap sees padding, and
zeros of padding times a cotangent that is NaN are NaN.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn.functional import filters
from tests.functional.operations import arrays, differentiable, is_key, reals, step

from .rows import ROWS

STARTS = (1, 0.02, -0.5)  # times the images: what is clipped or chosen from one is not from another
CHANGES = (1e3, -1e3, 0.3, -0.3)  # what is added to the pixel
SEEN = 1e-9  # a result has moved; the rounding of a sum with a pixel of 1e3 is 1e-13
# a fixed kernel sees its whole window, also through the taps that are 0
WINDOWS = {
    **{f"functional.filters.{name}": 3 for name in ("edge", "prewitt", "sobel", "scharr", "gradient_magnitude")},
    **{f"functional.filters.{name}": 3 for name in ("line", "laplacian", "sharpen")},
}
NO_IMAGES = {"functional.affine_grid", "functional.separate"}  # a matrix and a kernel, whose entries meet zeros


@pytest.fixture(autouse=True)
def float64():
    """Rounding and what moves a result are far apart."""
    with jax.enable_x64(True):
        yield


def images_of(specs):
    """The number of the argument that holds the images: the first that is no key."""
    return next(i for i, spec in enumerate(specs) if not is_key(spec))


def places(shape):
    """A corner of the first image and a pixel inside the last one."""
    return [(0,) * len(shape), tuple(max(n - 2, 0) if axis else n - 1 for axis, n in enumerate(shape))]


def row(name):
    """Results as a function of the images alone, the same with their gradient, and the images."""
    function, *specs = ROWS[name]
    args, which = arrays(specs), images_of(specs)
    put = lambda x: [x if n == which else v for n, v in enumerate(args)]
    run, own = jax.jit(step(function, specs)), differentiable(specs).index(which)

    def results_and_gradient(x):
        _, gradients, results = run(*put(x))
        return [np.asarray(v) for v in reals(results)], np.asarray(gradients[own])

    window = WINDOWS.get(name)
    seeing = (lambda x: filters.box(x, window, padding=padding_of(name))) if window else lambda x: function(*put(x))
    forward = jax.jit(lambda x: reals(seeing(x)))
    return lambda x: [np.asarray(v) for v in forward(x)], results_and_gradient, args[which]


def padding_of(name):
    return "valid" if name.endswith(".apply") else "same"


def seen(forward, x, at):
    """For each result which entries see the pixel."""
    found = [np.zeros(v.shape, bool) for v in forward(x)]
    for start in (x * factor for factor in STARTS):
        before = forward(start)
        for change in CHANGES:
            moved = forward(start.at[at].add(change))
            found = [f | (np.abs(a - b) > SEEN) for f, a, b in zip(found, before, moved)]
    return found


@pytest.mark.parametrize("name", [name for name in ROWS if name not in NO_IMAGES])
def test_nan_is_seen_where_a_finite_change_is(name):
    forward, results_and_gradient, x = row(name)
    for at in places(x.shape):
        sees = seen(forward, x, at)
        results, gradient = results_and_gradient(x.at[at].set(jnp.nan))
        for nan, expected in zip(results, sees):
            np.testing.assert_array_equal(np.isnan(nan), expected, f"results of a pixel at {at}")
        for other in map(tuple, np.argwhere(np.isnan(gradient))):
            both = [(a & b).any() for a, b in zip(sees, seen(forward, x, other))]
            assert other == at or any(both), f"gradient at {other} of a pixel at {at}"
