"""The learning-rate range test: against the same steps written out, how it reads losses, what it refuses."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxcnn.train import graph_of, initialise, make_epoch, make_step, range_test, read_range

from .toy import DATA, IMAGES, LABELS, build, prepare


def test_range_test_equals_steps_at_growing_rates():
    found = range_test(build, DATA, prepare, optax.sgd, low=0.01, high=1.0, steps=5, batch_size=8, seed=3)
    np.testing.assert_allclose(found.rates, 0.01 * 10 ** (np.arange(5) / 2))
    state = initialise(build, optax.sgd(1.0), jax.random.key(3))
    losses = []
    for rate in found.rates:
        one = make_epoch(make_step(graph_of(build), optax.sgd(float(rate))), prepare, 8, steps=1)
        fresh = initialise(build, optax.sgd(float(rate)), jax.random.key(3)).optimiser
        state, metrics = one(state._replace(optimiser=fresh), jnp.asarray(IMAGES), jnp.asarray(LABELS))
        losses.append(float(metrics.loss[0]))
    np.testing.assert_allclose(found.losses[:, 0], losses, rtol=1e-5)


def test_range_test_stops_where_the_loss_grows():
    found = range_test(build, DATA, prepare, optax.sgd, low=1e-3, high=1e6, steps=60, batch_size=8, seeds=2)
    assert found.losses.shape == (len(found.rates), 2)
    assert 3 <= len(found.rates) < 60
    assert np.isfinite(found.losses).all()
    assert 1e-3 < found.suggested < found.rates[-1]


def test_read_range_finds_the_steepest_fall():
    rates = np.geomspace(1e-4, 1, 81)
    falls = 2 - np.tanh(4 * np.log10(rates / 0.01))
    found = read_range(rates, np.stack([falls - 0.1, falls + 0.1], 1), memory=0.0)
    np.testing.assert_allclose(found.suggested, 0.01)
    np.testing.assert_allclose(found.smoothed, falls)


def test_read_range_ends_before_what_is_not_finite_and_what_has_grown():
    rates = np.geomspace(1e-4, 1, 9)
    losses = np.array([2.0, 1.9, 1.0, 0.9, 1.0, 3.7, 50.0, np.inf, np.nan])[:, None]
    assert len(read_range(rates, losses, memory=0.0).rates) == 5
    assert len(read_range(rates, np.where(losses > 3, np.nan, losses), memory=0.0).rates) == 5
    assert len(read_range(rates, np.minimum(losses, 3.5), memory=0.0).rates) == 8


def test_read_range_smooths_without_bias():
    found = read_range(np.geomspace(1e-3, 1, 4), np.array([2.0, 4.0, 3.0, 3.0])[:, None], memory=0.5)
    np.testing.assert_allclose(found.smoothed, [2, (0.25 * 2 + 0.5 * 4) / 0.75, (0.125 * 2 + 0.25 * 4 + 1.5) / 0.875,
                                                (0.0625 * 2 + 0.125 * 4 + 0.25 * 3 + 1.5) / 0.9375])  # fmt: skip


def test_read_range_refuses_a_loss_that_is_never_finite():
    with pytest.raises(ArithmeticError, match="range_test: the loss is not finite after 1 steps; begin with a smaller"):
        read_range(np.geomspace(1e-3, 1, 4), np.array([2.0, np.nan, 3.0, 3.0])[:, None])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"low": 0.0}, "low=0.0, high=10.0; they must be 0 < low < high"),
        ({"low": 1.0, "high": 0.5}, "low=1.0, high=0.5; they must be 0 < low < high"),
        ({"steps": 2}, "steps=2 must be at least 3"),
        ({"seeds": 0}, "seeds=0 must be at least 1"),
        ({"batch_size": 25}, "batch_size=25 is larger than the 24 training images"),
    ],
)
def test_range_test_refuses(options, message):
    with pytest.raises(ValueError, match=f"^range_test: {message}"):
        range_test(build, DATA, prepare, partial(optax.sgd), **options)
