"""One pixel that is NaN or infinite changes the results whose windows see it and no others, in every lowering.

Padding is zeros. Where a kernel gradient multiplies them by a cotangent that is not finite, NaN is as right as 0 is.
"""

import itertools

import jax
import numpy as np
import pytest

from jaxcnn import functional as F
from jaxcnn.functional.lowering import DIRECTIONS, LOWERINGS, evaluate
from tests.reference.arrays import normal

from . import oracle
from .cases import CASES

# each (lowering, direction) on the first two of these that it runs
NAMES = [
    *("grouped", "strided", "dense", "grouped-many", "depthwise", "point", "patchify", "volume-dense", "line"),
    *("grouped-strided-dilated", "depthwise-strided", "one-channel", "dilated", "window-over-image", "odd-batch"),
]
RUNS = [
    (name, direction, lowering)
    for direction in DIRECTIONS
    for lowering, module in LOWERINGS.items()
    for name in itertools.islice(
        (n for n in NAMES if module.supports(CASES[n].replace(direction=direction)) is None), 2
    )
]


def marked(v, at, value):
    changed = np.array(v)
    changed[at] = value
    return changed


def places(shape):
    """The first entry, the last one and some in between."""
    random = np.random.default_rng(3)
    return [tuple(0 for _ in shape), tuple(k - 1 for k in shape), *(tuple(random.integers(shape)) for _ in range(3))]


@pytest.mark.parametrize(("name", "direction", "lowering"), RUNS)
def test_what_is_not_finite_stays_where_it_is_seen(name, direction, lowering):
    case = CASES[name].replace(direction=direction)
    operands = [np.asarray(v) for v in oracle.operands(case)]
    run = jax.jit(lambda a, b: evaluate(a, b, case, lowering))
    for which, value in itertools.product((0, 1) if direction == "kernel_grad" else (0,), (np.nan, np.inf)):
        for at in places(operands[which].shape):
            change = lambda v, by, i, at=at, which=which: marked(v, at, by) if i == which else v
            found = ~np.isfinite(run(*(change(v, value, i) for i, v in enumerate(operands))))
            ones = [np.zeros_like(v) if i == which else np.ones_like(v) for i, v in enumerate(operands)]
            sees = oracle.EXACT[direction](*(change(v, 1, i) for i, v in enumerate(ones)), case) > 0
            allowed = sees | (np.arange(sees.shape[-1]) == at[-1] if which == 1 else False)
            assert (found >= sees).all()
            assert (found <= allowed).all()


def test_groups_do_not_see_each_other():
    """Groups merged into blocks of 32 channels: the pixel is the first group's alone (three by three outputs)."""
    x = marked(np.ones((1, 12, 12, 64), np.float32), (0, 6, 6, 0), np.nan)
    assert F.explain(F.conv2d, x.shape, (3, 3, 16, 64), groups=4).chosen() == "blocks"
    kernel = np.ones((3, 3, 16, 64), np.float32)
    y = np.asarray(F.conv2d(x, kernel, groups=4))
    assert np.isnan(y).sum((0, 1, 2)).reshape(4, 16)[:, 0].tolist() == [9, 0, 0, 0]
    assert (np.isnan(y).reshape(-1, 4, 16)[:, 1:] == 0).all()
    assert y[0, 2, 2].tolist() == [144] * 64


def test_gradients_of_groups_do_not_see_each_other():
    x, kernel = normal(1, 6, 6, 64).astype(np.float32), normal(3, 3, 16, 64, seed=1).astype(np.float32)
    weight = marked(np.ones((1, 6, 6, 64), np.float32), (0, 3, 3, 20), np.nan)  # of the second group
    loss = lambda x, kernel: (F.conv2d(x, kernel, groups=4) * weight).sum()
    dx, dk = jax.grad(loss, (0, 1))(x, kernel)
    assert np.isnan(dx).any((0, 1, 2)).reshape(4, 16).any(1).tolist() == [False, True, False, False]
    assert np.flatnonzero(np.isnan(dk).any((0, 1, 2))).tolist() == [20]


def test_long_convolution_has_the_digits_of_numpy():
    """Numbers from 1e-4 to 1e5 beside each other: transforms in float32 gave 104.4, 32.4 and 998.3 for 10, 101 and 1010.1."""
    signal = np.zeros(8192)
    signal[-10:] = 10.0 ** np.arange(-4, 6)
    taps = signal[::-1][:4097].copy()
    shapes = (1, 8192, 1), (4097, 1, 1)
    assert F.explain(F.convolve, *shapes).chosen() == "fft"
    arrays = (v.astype(np.float32).reshape(shape) for v, shape in zip((signal, taps), shapes))
    y, right = np.asarray(F.convolve(*arrays))[0, :, 0], np.convolve(signal, taps)
    seen = np.flatnonzero(right)
    np.testing.assert_allclose(y[seen], right[seen], rtol=1e-6)
    assert right[seen[:3]].round(4).tolist() == [10, 101, 1010.1]


def test_double_precision_is_never_transformed():
    with jax.enable_x64(True):
        explained = F.explain(F.convolve, (1, 8192, 1), (4097, 1, 1), dtype="float64")
    assert explained.chosen() == "direct"
