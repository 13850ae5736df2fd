"""What `fit` adds to the step: pieces of an epoch, hyper-parameters, moving averages, bfloat16, mixing, views, patience."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxcnn.train import (
    Checkpoints,
    DivergedError,
    DivergedWarning,
    fit,
    graph_of,
    initialise,
    make_epoch,
    make_evaluate,
    make_step,
    mirrored,
    optimiser,
    outputs,
)

from .toy import DATA, IMAGES, LABELS, build, prepare

SGD = optax.sgd(0.1, 0.9)
IMAGES_, LABELS_ = jnp.asarray(IMAGES), jnp.asarray(LABELS)
same = partial(jax.tree.map, np.testing.assert_array_equal)
bits = partial(jax.tree.map, lambda a: jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a)


def noisy(key, x):
    return x + jax.random.normal(key, x.shape) / 10


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_of_no_image_is_refused_and_so_is_one_of_more_than_there_are(size):
    step = make_step(graph_of(build), SGD)
    with pytest.raises(ValueError, match=f"make_epoch: batch_size={size} must be at least 1"):
        make_epoch(step, prepare, size)
    with pytest.raises(ValueError, match=f"make_evaluate: batch_size={size} must be at least 1"):
        make_evaluate(graph_of(build), prepare, size)
    with pytest.raises(ValueError, match="epoch: batch_size=25 is larger than the 24 images"):
        make_epoch(step, prepare, 25)(initialise(build, SGD, jax.random.key(0)), IMAGES_, LABELS_)


def test_fit_takes_the_mesh_of_make_mesh_whose_axes_are_explicit():
    fitted = [
        fit(build, DATA, prepare, SGD, epochs=2, batch_size=8, mesh=mesh)
        for mesh in (None, jax.make_mesh((1,), ("data",)))
    ]
    assert fitted[1].records[-1].loss == pytest.approx(fitted[0].records[-1].loss, rel=1e-5)


def test_no_images_have_no_logits():
    evaluate = make_evaluate(graph_of(build), prepare, 4)
    assert evaluate(initialise(build, SGD, jax.random.key(0)), IMAGES_[:0]).shape == (0, 3)
    assert outputs(build(nnx.Rngs(0)), IMAGES[:0], prepare).shape == (0, 3)
    with pytest.raises(ValueError, match="outputs: batch_size=0 must be at least 1"):
        outputs(build(nnx.Rngs(0)), IMAGES, prepare, batch_size=0)


def test_evaluation_fills_up_the_last_batch_where_devices_share_it():
    state = initialise(build, SGD, jax.random.key(0))
    place = jax.sharding.NamedSharding(jax.make_mesh((1,), ("data",)), jax.sharding.PartitionSpec("data"))
    alone, shared = (make_evaluate(graph_of(build), prepare, 7, sharding=s)(state, IMAGES_) for s in (None, place))
    assert shared.shape == (24, 3)
    np.testing.assert_allclose(shared, alone, rtol=1e-6)


def test_epoch_in_pieces_has_the_bits_of_one():
    step = make_step(graph_of(partial(build, dropout=0.5)), SGD)
    epoch = lambda steps: jax.jit(make_epoch(step, prepare, 4, augment=noisy, steps=steps))
    start = initialise(partial(build, dropout=0.5), SGD, jax.random.key(0))
    whole, losses = epoch(6)(*[epoch(None)(start, IMAGES_, LABELS_)[0], IMAGES_, LABELS_])  # the second epoch
    state = epoch(None)(start, IMAGES_, LABELS_)[0]
    parts = []
    for steps in (4, 2):
        state, metrics = epoch(steps)(state, IMAGES_, LABELS_)
        parts.append(metrics.loss)
    same(bits(state), bits(whole))
    same(np.concatenate(parts), losses.loss)


def test_fit_in_pieces_has_the_bits_of_whole_epochs():
    options = {"epochs": 3, "batch_size": 4, "seeds": 2, "augment": noisy}
    whole = fit(build, DATA, prepare, SGD, **options)
    heard = []
    pieces = fit(build, DATA, prepare, SGD, **options, steps_per_call=4, on_steps=lambda *at: heard.append(at))
    same(whole.test_logits, pieces.test_logits)
    assert [r.loss for r in whole.records] == [r.loss for r in pieces.records]
    assert heard == [(4, 18), (6, 18), (10, 18), (12, 18), (16, 18), (18, 18)]


def test_fit_trains_every_variant_and_seed_at_once():
    rates = [0.05, 0.2]
    options = {"epochs": 2, "batch_size": 8, "seeds": 2, "seed": 3}
    make = lambda learning_rate: optimiser("adamw", learning_rate)
    together = fit(build, DATA, prepare, make, hyper={"learning_rate": rates}, **options)
    assert together.test_logits.shape == (4, 9, 3)
    for variant, rate in enumerate(rates):
        alone = fit(build, DATA, prepare, make(rate), **options)
        np.testing.assert_allclose(
            together.test_logits[2 * variant : 2 * variant + 2], alone.test_logits, rtol=1e-3, atol=1e-4
        )


SWEEP = {"epochs": 2, "batch_size": 8, "seeds": 2}


def test_a_sweep_goes_on_without_the_members_that_diverge(tmp_path):
    hyper = {"learning_rate": [1e30, 0.1]}
    with pytest.warns(DivergedWarning, match=r"fit: the loss is .*member [01] of 4.*lost.*: learning_rate=1e\+30"):
        sweep = fit(build, DATA, prepare, optax.sgd, hyper=hyper, **SWEEP)
    alone = fit(build, DATA, prepare, optax.sgd(0.1), **SWEEP)
    np.testing.assert_allclose(sweep.test_logits[2:], alone.test_logits, rtol=1e-3, atol=1e-4)
    for record, expected in zip(sweep.records, alone.records, strict=True):
        for name in ("loss", "train_accuracy", "test_accuracy"):
            values = getattr(record, name)
            assert np.isnan(values[:2]).all()
            np.testing.assert_allclose(values[2:], getattr(expected, name), rtol=1e-3)


def test_a_sweep_with_a_lost_member_is_saved_and_resumed(tmp_path):
    options = SWEEP | {"hyper": {"learning_rate": [1e30, 0.1]}}
    with Checkpoints(tmp_path) as checkpoints, pytest.warns(DivergedWarning):
        first = fit(build, DATA, prepare, optax.sgd, **options, checkpoints=checkpoints, patience=9)
    with Checkpoints(tmp_path) as checkpoints:  # no second warning
        assert checkpoints.best is not None
        again = fit(build, DATA, prepare, optax.sgd, **(options | {"epochs": 3}), checkpoints=checkpoints, patience=9)
    assert [record.epoch for record in again.records] == [1, 2, 3]
    assert np.isnan(again.records[2].test_accuracy[:2]).all()
    assert np.isfinite(again.records[2].test_accuracy[2:]).all()
    assert again.records[1].test_accuracy[2:] == first.records[1].test_accuracy[2:]


def test_a_sweep_whose_last_member_diverges_stops():
    with pytest.raises(DivergedError, match="a smaller learning rate"):
        fit(build, DATA, prepare, optax.sgd, hyper={"learning_rate": [1e30, 2e30]}, **SWEEP)
    make = lambda last: optax.sgd(lambda step: jnp.where(step < 1, jnp.where(last > 0, 0.1, jnp.inf), jnp.inf))
    with (
        pytest.warns(DivergedWarning, match="the network's output is not finite after epoch 1; lost"),
        pytest.raises(DivergedError, match="output is not finite after epoch 2"),
    ):
        fit(build, DATA, prepare, make, hyper={"last": [0.0, 1.0]}, **(SWEEP | {"batch_size": 24}))


def test_step_keeps_a_moving_average_that_evaluation_uses():
    step = make_step(graph_of(build), SGD, ema=0.75)
    first = initialise(build, SGD, jax.random.key(0), ema=True)
    second, _ = step(first, prepare(IMAGES_[:6]), LABELS_[:6])
    third, _ = step(second, prepare(IMAGES_[6:12]), LABELS_[6:12])
    blend = lambda a, b, c: 0.75**2 * a + 0.75 * 0.25 * b + 0.25 * c
    expected = jax.tree.map(blend, first.parameters, second.parameters, third.parameters)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), third.average[0], expected)
    averaged = make_evaluate(graph_of(build), prepare, 24)(third, IMAGES_)
    live = make_evaluate(graph_of(build), prepare, 24)(third._replace(average=None), IMAGES_)
    assert not np.allclose(averaged, live)
    member = fit(partial(build, dropout=0.2), DATA, prepare, SGD, epochs=1, batch_size=8, ema=0.5)
    np.testing.assert_allclose(
        member.member(0)(prepare(IMAGES_[:9]), train=False), member.test_logits[0], rtol=1e-5, atol=1e-6
    )


def test_step_computes_in_bfloat16_on_float32_parameters():
    seen = []

    def loss(logits, labels):
        seen.append(logits.dtype)
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()

    state = initialise(build, SGD, jax.random.key(0))
    x = prepare(IMAGES_)
    half, metrics = make_step(graph_of(build), SGD, loss=loss, compute_dtype=jnp.bfloat16)(state, x, LABELS_)
    full, exact = make_step(graph_of(build), SGD)(state, x, LABELS_)
    assert set(seen) == {jnp.dtype("float32")}
    assert {leaf.dtype for leaf in jax.tree.leaves(half.parameters)} == {jnp.dtype("float32")}
    assert float(metrics.loss) == pytest.approx(float(exact.loss), rel=2e-2)
    assert float(metrics.loss) != float(exact.loss)
    jax.tree.map(partial(np.testing.assert_allclose, atol=5e-3), half.parameters, full.parameters)


def test_epoch_mixes_images_with_their_labels():
    def swap(key, x, labels):
        shares = jax.nn.one_hot(labels, 3)
        return (x + x[::-1]) / 2, (shares + shares[::-1]) / 2

    taken = []
    record = lambda state, x, y: (state._replace(step=state.step + 1), taken.append((x.shape, y.shape)))
    make_epoch(record, prepare, 8, mix=swap)(initialise(build, SGD, jax.random.key(0)), IMAGES_, LABELS_)
    assert taken == [((8, 4, 4, 1), (8, 3))]
    learned = fit(build, DATA, prepare, optax.adam(0.02), epochs=6, batch_size=8, mix=swap)
    losses = [record.loss[0] for record in learned.records]
    assert losses[-1] < losses[0]


def test_evaluate_averages_views():
    state, graphdef = initialise(build, SGD, jax.random.key(0)), graph_of(build)
    flipped = make_evaluate(graphdef, prepare, 5)(state, IMAGES_[:, :, ::-1])
    plain = make_evaluate(graphdef, prepare, 5)(state, IMAGES_)
    both = make_evaluate(graphdef, prepare, 5, views=mirrored)(state, IMAGES_)
    np.testing.assert_allclose(both, (plain + flipped) / 2, rtol=1e-5, atol=1e-6)
    assert not np.allclose(plain, flipped)


def test_fit_stops_when_patience_is_out():
    stuck = fit(build, DATA, prepare, optax.sgd(0.0), epochs=9, batch_size=8, patience=2)
    assert len(stuck.records) == 3
    assert len({tuple(record.test_accuracy) for record in stuck.records}) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hyper": {"a": [1.0], "b": [1.0, 2.0]}}, "hyper has {'a': 1, 'b': 2} values; every name must have as many"),
        ({"hyper": {"a": []}}, "every name must have as many, and some"),
        ({"patience": 0}, "fit: patience=0 must be at least 1"),
        ({"steps_per_call": 0}, "fit: steps_per_call=0 must be at least 1"),
    ],
)
def test_fit_refuses_options(options, message):
    with pytest.raises(ValueError, match=message):
        fit(build, DATA, prepare, lambda a, b=0: optax.sgd(a), epochs=1, batch_size=8, **options)
