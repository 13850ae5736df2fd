"""The compiled step, epoch and `fit`: against the same arithmetic written out, and what must stop them."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxcnn import models, nn
from jaxcnn.augment import compose
from jaxcnn.data import ImageSet, Split
from jaxcnn.train import (
    DivergedError,
    cross_entropy,
    fit,
    graph_of,
    initialise,
    make_epoch,
    make_evaluate,
    make_step,
)

from .toy import DATA, IMAGES, LABELS, OPTIONS, RNG, build, prepare


def test_step_is_gradient_descent():
    optimiser = optax.sgd(0.1)
    state = initialise(build, optimiser, jax.random.key(0))
    graphdef = graph_of(build)
    x, labels = prepare(jnp.asarray(IMAGES[:6])), jnp.asarray(LABELS[:6])
    after, metrics = jax.jit(make_step(graphdef, optimiser))(state, x, labels)

    def loss(parameters):
        logits = nnx.merge(graphdef, parameters, state.state, copy=True)(x, train=False)
        return -jnp.mean(jax.nn.log_softmax(logits)[jnp.arange(6), labels])

    value, grads = jax.value_and_grad(loss)(state.parameters)
    expected = jax.tree.map(lambda p, g: p - 0.1 * g, state.parameters, grads)
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7), after.parameters, expected)
    np.testing.assert_allclose(metrics.loss, value, rtol=1e-6)
    assert int(after.step) == 1


def test_step_moves_batch_statistics_and_draws_new_dropout():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.norm, self.drop = nn.BatchNorm(1, rngs=rngs), nn.Dropout(0.5, rngs=rngs)
            self.dense = nn.Dense(16, 3, rngs=rngs)

        def __call__(self, x, *, train):
            x = self.norm(x, train=train).reshape(len(x), -1)
            return self.dense(self.drop(x, train=train))

    optimiser = optax.sgd(0.0)
    state = initialise(Net, optimiser, jax.random.key(0))
    step = jax.jit(make_step(graph_of(Net), optimiser))
    x, labels = prepare(jnp.asarray(IMAGES)), jnp.asarray(LABELS)
    first, a = step(state, x, labels)
    second, b = step(first, x, labels)
    means = [float(s.state["norm"]["mean"][...][0]) for s in (state, first, second)]
    np.testing.assert_allclose(np.diff(means), np.array([0.1, 0.09]) * float(x.mean()), rtol=1e-4)
    assert float(a.loss) != float(b.loss)


@pytest.mark.parametrize("batch_size", [4, 7, 24])
def test_epoch_sees_each_image_at_most_once(batch_size):
    seen = make_epoch(
        lambda state, x, labels: (state._replace(step=state.step + 1), x[:, 0, 0, 0]), lambda x: x, batch_size
    )
    state = initialise(build, optax.sgd(0.1), jax.random.key(0))
    numbered = jnp.asarray(np.arange(24, dtype=np.uint8)[:, None, None, None])
    _, order = jax.jit(seen)(state, numbered, jnp.asarray(LABELS))
    drawn = np.asarray(order).ravel()
    assert len(drawn) == 24 // batch_size * batch_size
    assert len(set(drawn)) == len(drawn)
    assert not np.array_equal(drawn, np.arange(len(drawn)))


def test_epoch_orders_differ_between_epochs_and_seeds():
    seen = make_epoch(lambda state, x, labels: (state._replace(step=state.step + 1), x[:, 0, 0, 0]), lambda x: x, 24)
    numbered = jnp.asarray(np.arange(24, dtype=np.uint8)[:, None, None, None])
    state = initialise(build, optax.sgd(0.1), jax.random.key(0))
    after, first = seen(state, numbered, jnp.asarray(LABELS))
    _, second = seen(after, numbered, jnp.asarray(LABELS))
    _, other = seen(initialise(build, optax.sgd(0.1), jax.random.key(1)), numbered, jnp.asarray(LABELS))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("several", [False, True], ids=["alone", "composed"])
def test_every_step_augments_and_mixes_by_keys_of_their_own(several):
    """An augmentation replaces the images by its key, a mix the labels by its own: the 6 keys of 3 steps all differ."""
    shown = lambda key, x: jax.random.key_data(key)
    seen = make_epoch(
        lambda state, x, labels: (state._replace(step=state.step + 1), jnp.stack([x, labels])),
        lambda x: x, 8, augment=compose(shown) if several else shown, mix=lambda key, x, labels: (x, shown(key, x)),
    )  # fmt: skip
    state = initialise(build, optax.sgd(0.1), jax.random.key(0))
    _, keys = jax.jit(seen)(state, jnp.asarray(IMAGES), jnp.asarray(LABELS))
    assert len({tuple(key) for key in np.asarray(keys).reshape(6, 2).tolist()}) == 6


@pytest.mark.parametrize("batch_size", [4, 9, 100])
def test_evaluate_equals_one_call(batch_size):
    state = initialise(build, optax.sgd(0.1), jax.random.key(0))
    graphdef = graph_of(build)
    whole = nnx.merge(graphdef, state.parameters, state.state)(prepare(jnp.asarray(IMAGES)), train=False)
    logits = jax.jit(make_evaluate(graphdef, prepare, batch_size))(state, jnp.asarray(IMAGES))
    np.testing.assert_allclose(logits, whole, rtol=1e-5, atol=1e-6)


def test_evaluate_weighs_views():
    state, graphdef = initialise(build, optax.sgd(0.1), jax.random.key(0)), graph_of(build)
    views = lambda x: (x, 2 * x, -x)
    one, two, three = (make_evaluate(graphdef, lambda x, i=i: views(prepare(x))[i], 7)(state, IMAGES) for i in range(3))
    weighted = make_evaluate(graphdef, prepare, 7, views=views, weights=(0.5, 0.3, 0.2))(state, jnp.asarray(IMAGES))
    np.testing.assert_allclose(weighted, 0.5 * one + 0.3 * two + 0.2 * three, rtol=1e-5, atol=1e-6)
    alike = make_evaluate(graphdef, prepare, 7, views=views)(state, jnp.asarray(IMAGES))
    np.testing.assert_allclose(alike, (one + two + three) / 3, rtol=1e-5, atol=1e-6)


def test_fit_learns_and_members_equal_single_runs():
    together = fit(build, DATA, prepare, optax.adam(0.02), epochs=8, batch_size=8, seeds=2, seed=5)
    alone = fit(build, DATA, prepare, optax.adam(0.02), epochs=8, batch_size=8, seeds=1, seed=6)
    np.testing.assert_allclose(together.test_logits[1], alone.test_logits[0], rtol=1e-3, atol=1e-4)
    losses = [np.mean(record.loss) for record in together.records]
    assert losses[-1] < 0.6 * losses[0]
    assert together.records[-1].test_accuracy[0] == (together.test_logits[0].argmax(-1) == LABELS[:9]).mean()
    member = together.member(1)(prepare(jnp.asarray(IMAGES[:9])), train=False)
    np.testing.assert_allclose(member, together.test_logits[1], rtol=1e-3, atol=1e-4)


def test_fitted_variables_hold_batch_statistics():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.norm, self.dense = nn.BatchNorm(1, rngs=rngs), nn.Dense(16, 3, rngs=rngs)

        def __call__(self, x, *, train):
            return self.dense(self.norm(x, train=train).reshape(len(x), -1))

    fitted = fit(Net, DATA, prepare, optax.sgd(0.1), epochs=1, batch_size=8, seeds=2)
    names = {"/".join(path): v.shape for path, v in nnx.to_flat_state(fitted.variables)}
    assert names["norm/var"] == (2, 1)
    assert names["dense/kernel"] == (2, 16, 3)


def test_fit_augments_training_images_only():
    calls = []

    def augment(key, x):
        calls.append(x.shape)
        return x

    fit(build, DATA, prepare, optax.sgd(0.1), epochs=1, batch_size=8, augment=augment)
    assert set(calls) == {(8, 4, 4, 1)}


def test_fit_stops_at_the_step_that_diverges():
    with pytest.raises(
        DivergedError, match=r"fit: the loss is (nan|inf) at step \d+ \(epoch 1, member 0 of 1\); a smaller"
    ):
        fit(build, DATA, prepare, optax.sgd(1e30), epochs=3, batch_size=8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "fit: epochs=0 must be at least 1"),
        ({"seeds": 0}, "fit: seeds=0 must be at least 1"),
        ({"epochs": 1.5}, "fit: epochs=1.5 must be an int"),
        ({"seed": 2**31}, "fit: seed=2147483648 must be from 0"),
        ({"batch_size": 25}, "fit: batch_size=25 is larger than the 24 training images"),
    ],
)
def test_fit_refuses(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        fit(build, DATA, prepare, optax.sgd(0.1), **({"epochs": 1, "batch_size": 8} | options))


def test_fit_refuses_numbers_that_nothing_would_read():
    with pytest.raises(ValueError, match=r"fit: hyper=\('rate',\) needs a function of these names"):
        fit(build, DATA, prepare, optax.sgd(0.1), epochs=1, batch_size=8, hyper={"rate": [0.1, 0.2]})
    with pytest.raises(ValueError, match="make_step: ema=2 must be from 0 to 1"):
        fit(build, DATA, prepare, optax.sgd(0.1), epochs=1, batch_size=8, ema=2)


def test_evaluation_of_large_images_takes_few_at_a_time():
    seen = []

    def noted(images):
        seen.append(images.shape)
        return images[:, ::64, ::64].astype(jnp.float32)

    images = np.zeros((70, 256, 256, 1), np.uint8)
    data = ImageSet(
        "large", Split(images[:4], LABELS[:4]), Split(images, LABELS[np.arange(70) % 24]), ("a", "b", "c"), "made"
    )
    fit(build, data, noted, optax.sgd(0.1), epochs=1, batch_size=2)
    assert {shape[0] for shape in seen} == {1, 2, 16, 70 % 16}  # 2²⁰ pixels at a time


def test_fit_stops_at_an_update_that_spoils_the_network():
    with pytest.raises(DivergedError, match="fit: the network's output is not finite after epoch 1"):
        fit(build, DATA, prepare, optax.sgd(float("inf")), epochs=1, batch_size=24)


def test_fit_refuses_a_model_for_other_classes():
    other = lambda rngs: models.create("dense", rngs=rngs, **(OPTIONS | {"num_classes": 4}))
    with pytest.raises(ValueError, match="fit: the model has 4 outputs; toy has 3 classes"):
        fit(other, DATA, prepare, optax.sgd(0.1), epochs=1, batch_size=8)


def test_cross_entropy_is_minus_log_probability():
    logits = RNG.normal(size=(5, 3))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -np.log(shares[np.arange(5), LABELS[:5]]).mean()
    np.testing.assert_allclose(cross_entropy(jnp.asarray(logits, jnp.float32), LABELS[:5]), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": DATA.train}, "fit: data is of type Split; give an ImageSet"),
        ({"optimiser": "adamw"}, "fit: optimiser='adamw' is no optax chain"),
        ({"hyper": {"learning_rate": 0.1}, "optimiser": optax.sgd}, "fit: hyper has learning_rate=0.1; give a list"),
        ({"hyper": {"learning_rate": ["a"]}, "optimiser": optax.sgd}, "fit: hyper has learning_rate="),
        ({"checkpoints": "folder"}, "fit: checkpoints='folder' is of type str; it must be a Checkpoints"),
        ({"mesh": 8}, "fit: mesh=8 is of type int; it must be a Mesh"),
    ],
)
def test_fit_refuses_what_is_of_another_kind(change, message):
    options = {
        "build": build,
        "data": DATA,
        "prepare": prepare,
        "optimiser": optax.sgd(0.1),
        "epochs": 1,
        "batch_size": 8,
    }
    with pytest.raises(TypeError, match=message):
        fit(**(options | change))


def test_mix_draws_from_a_key_that_no_step_of_a_chain_has():
    keys = []

    def heard(key, x):
        jax.debug.callback(lambda bits: keys.append(tuple(bits.tolist())), jax.random.key_data(key))
        return x

    def mix(key, x, labels):
        return heard(key, x), labels

    chain = compose(heard, heard, heard)
    fit(build, DATA, prepare, optax.sgd(0.1), epochs=1, batch_size=24, augment=chain, mix=mix)
    jax.effects_barrier()
    assert len(keys) == len(set(keys)) == 4
