"""What other libraries get wrong, one row a fault: the value that is right, by hand or as PyTorch gives it.

Only pooling, padding, resizing, folding and normalisation; gradients and every option are in the tests of each operation.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F

HALF, SHORT = jnp.bfloat16, jnp.float16


def line(*values, dtype=jnp.float32):
    """One image of one channel."""
    return jnp.array(values, dtype)[None, :, None]


def gradient(function, x):
    return jax.grad(lambda x: function(x).sum())(x)


def standard(x):
    """x normalised by its own moments over batch and space."""
    mean, variance = F.moments(x)
    return F.batch_norm(x, mean, variance)


RAMP = line(*range(10))
LARGE = jnp.asarray(1e4 + 0.1 * np.where(np.arange(512) % 2, 1, -1), jnp.float32).reshape(1, 512, 1)

# what was found elsewhere: (call, right values, tolerance)
FAULTS = {
    "avg_pool of bfloat16 summed in bfloat16, 37 % off at 28 × 28": (
        lambda: F.avg_pool(jnp.ones((1, 28, 28, 1), HALF), 28),
        [1],
        0,
    ),
    "avg_pool of float16: 100 over 56 × 56 gives inf": (
        lambda: F.avg_pool(jnp.full((1, 56, 56, 1), 100, SHORT), 56),
        [100],
        0,
    ),
    "count_include_pad=False": (lambda: F.avg_pool(line(2, 4), 2, padding=1, count_include_pad=False), [2, 4], 0),
    "dilated max pool has no gradient": (
        lambda: gradient(lambda x: F.max_pool(x, 2, stride=1, dilation=2), line(5, 1, 3, 2)),
        [1, 0, 0, 1],
        0,
    ),
    "max pool with indices has no gradient": (
        lambda: gradient(lambda x: F.max_pool_with_indices(x, 2)[0], line(5, 1, 2, 3)),
        [1, 0, 0, 1],
        0,
    ),
    "reduce_window with a reducer of one's own has no gradient": (
        lambda: gradient(lambda x: F.reduce_window(x, 1, lambda a, b: a * b, 2), line(5, 1, 2, 3)),
        [1, 5, 3, 2],
        0,
    ),
    "no adaptive pooling, or with other windows: 10 → 4 starts at 0, 2, 5, 7": (
        lambda: -F.adaptive_max_pool(-RAMP, 4),
        [0, 2, 5, 7],
        0,
    ),
    "no Lp pooling": (lambda: F.lp_pool(line(3, -4), 2, 2), [5], 1e-6),
    "Lp pooling: NaN gradient at 0": (lambda: gradient(lambda x: F.lp_pool(x, 2, 2), line(0, 0)), [0, 0], 0),
    "Lp pooling: NaN for negative input and odd p": (lambda: F.lp_pool(line(-2, 0), 3, 2), [2], 1e-6),
    "no fractional pooling": (
        lambda: F.fractional_max_pool(None, RAMP, 2, output_size=4, samples=jnp.zeros((1, 1, 1))),
        [1, 3, 6, 9],
        0,
    ),
    "no unpooling": (
        lambda: F.max_unpool(*F.max_pool_with_indices(line(5, 1, 2, 3), 2), output_size=4),
        [5, 0, 0, 3],
        0,
    ),
    "no reflect pooling": (
        lambda: F.sum_pool(line(1, 2, 4), 3, stride=1, padding=1, padding_mode="reflect"),
        [5, 7, 8],
        0,
    ),
    "no circular pooling": (
        lambda: F.sum_pool(line(1, 2, 4), 3, stride=1, padding=1, padding_mode="circular"),
        [7, 7, 7],
        0,
    ),
    "no dilated average pooling": (lambda: F.avg_pool(line(1, 2, 4, 8), 2, stride=1, dilation=2), [2.5, 5], 0),
    "no align_corners": (
        lambda: F.resize(line(0, 4), 5, method="linear", align_corners=True),
        [0, 1, 2, 3, 4],
        1e-6,
    ),
    "no fold": (lambda: F.fold(F.unfold(line(1, 2, 4), 2), 3, 2), [1, 4, 4], 0),
    "ceil mode that puts a whole window in the padding": (
        lambda: F.max_pool(line(1, 2, 4), 2, stride=2, padding=1, ceil_mode=True),
        [1, 4],
        0,
    ),
    "same at stride 2 pads (0, 1), PyTorch's padding=1 (1, 1)": (
        lambda: F.sum_pool(line(1, 2, 4, 8), 3, stride=2, padding="same"),
        [7, 12],
        0,
    ),
    "PyTorch's padding=1 at stride 2": (lambda: F.sum_pool(line(1, 2, 4, 8), 3, stride=2, padding=1), [3, 14], 0),
    "E[x²] − E[x]² cancels: mean 1e4, deviation 0.1": (
        lambda: F.moments(LARGE)[1],
        [np.asarray(LARGE, np.float64).var()],
        1e-5,
    ),
    "resize antialiases by default": (lambda: F.resize(line(0, 8, 0, 0), 2, method="linear"), [4, 0], 1e-6),
    "nearest is PyTorch's nearest-exact": (lambda: F.resize(line(0, 1, 2, 3, 4), 3, method="nearest"), [0, 1, 3], 0),
    "an int window over the channels": (lambda: F.max_pool(jnp.arange(8.0).reshape(1, 2, 2, 2), 2), [6, 7], 0),
}


@pytest.mark.parametrize(("call", "right", "tolerance"), FAULTS.values(), ids=FAULTS)
def test_fault_of_others_is_none_here(call, right, tolerance):
    np.testing.assert_allclose(np.asarray(call(), np.float64).ravel(), right, rtol=tolerance, atol=tolerance)


def test_average_without_padding_keeps_bfloat16():
    assert F.avg_pool(line(2, 4, dtype=HALF), 2, padding=1, count_include_pad=False).dtype == HALF


def test_large_mean_does_not_cancel_in_batch_norm():
    assert 0.9 < float(jnp.std(standard(LARGE))) < 1.1
