"""`drop_block` and `channel_dropout`: what is drawn, how often, what is kept, and evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F


@pytest.mark.parametrize(("shape", "block"), [((2, 9, 3), 3), ((3, 8, 7, 5), (3, 2)), ((2, 5, 4, 6, 3), 2)], ids=str)
def test_what_is_dropped_is_a_union_of_whole_blocks(shape, block):
    y = np.asarray(F.drop_block(jax.random.key(3), jnp.ones(shape), 0.3, block))
    dropped, sizes = y == 0, np.broadcast_to(block, len(shape) - 2)
    covered, axes = np.zeros(shape, bool), range(1, len(shape) - 1)
    for at in np.ndindex(*(n - b + 1 for n, b in zip(shape[1:-1], sizes))):
        where = (slice(None), *(slice(a, a + b) for a, b in zip(at, sizes)))
        covered[where] |= dropped[where].all(tuple(axes), keepdims=True)
    np.testing.assert_array_equal(dropped, covered)
    assert 0 < dropped.mean() < 0.5
    np.testing.assert_allclose(y[~dropped], dropped.size / (~dropped).sum(), rtol=1e-6)


def test_share_dropped_is_the_rate_of_blocks():
    """A pixel far from the border is kept where none of the 9 seeds around it is drawn, as torchvision's rate says."""
    rate, (n, b) = 0.2, (20, 3)
    seed = rate * n * n / (b * b * (n - b + 1) ** 2)
    inner = np.asarray(F.drop_block(jax.random.key(0), jnp.ones((200, n, n, 8)), rate, b))[:, 2:-2, 2:-2]
    kept = (inner != 0).mean((1, 2, 3))
    error = kept.std() / np.sqrt(len(kept))
    assert abs(kept.mean() - (1 - seed) ** 9) < 5 * error


def test_block_as_large_as_the_image_drops_whole_channels():
    y = np.asarray(F.drop_block2d(jax.random.key(1), jnp.ones((20, 4, 3, 5)), 0.5, 7))
    assert ((y == 0).all((1, 2)) == (y == 0).any((1, 2))).all()


def test_channels_are_dropped_whole_and_the_mean_stays():
    y = np.asarray(F.channel_dropout2d(jax.random.key(0), jnp.ones((500, 2, 3, 40)), 0.25))
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
    np.testing.assert_allclose(np.unique(y), [0, 4 / 3], rtol=1e-6)
    assert abs((y[:, 0, 0] == 0).mean() - 0.25) < 5 * np.sqrt(0.25 * 0.75 / (500 * 40))


DROPS = {"drop_block": lambda k, x, rate, **o: F.drop_block(k, x, rate, 2, **o), "channel_dropout": F.channel_dropout}


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_ends_of_the_rate_and_evaluation(drop):
    x = jax.random.normal(jax.random.key(1), (2, 4, 4, 3))
    np.testing.assert_array_equal(drop(jax.random.key(0), x, 0.0), x)
    np.testing.assert_array_equal(drop(None, x, 0.5, train=False), x)
    assert np.isfinite(drop(jax.random.key(0), x, 1.0)).all()
    np.testing.assert_array_equal(F.channel_dropout(jax.random.key(0), x, 1.0), 0 * x)


@pytest.mark.parametrize("drop", DROPS.values(), ids=DROPS)
def test_rate_may_be_traced(drop):
    x = jnp.ones((2, 4, 4, 3))
    traced = jax.jit(lambda rate: drop(jax.random.key(0), x, rate))(jnp.float32(0.4))
    np.testing.assert_allclose(traced, drop(jax.random.key(0), x, 0.4), rtol=1e-6)
    assert (traced == 0).any()
