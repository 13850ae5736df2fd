"""Transfer in two calls: the head against scikit-learn's optimum, groups with their own rates, fine-tuning."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxcnn import nn, weights
from jaxcnn.data import ImageSet, Split
from jaxcnn.models import PlainNetwork
from jaxcnn.train import fine_tune, fit_head, grouped, outputs, softmax_regression


def toy(count=96):
    """Images whose class is where a bright spot is, in three places."""
    rng = np.random.default_rng(0)
    labels = np.arange(count, dtype=np.int32) % 3
    images = rng.integers(0, 60, (count, 9, 9, 1), np.uint8)
    for image, label in zip(images, labels):
        image[3 * label : 3 * label + 2, 3 : 3 + label] = 255
    part = Split(images, labels)
    return ImageSet("toy", part, part, ("a", "b", "c"), "made here")


def network(classes=3):
    return PlainNetwork(widths=(4, 6), depth=1, num_classes=classes, rngs=nnx.Rngs(0))


def prepare(images):
    return jnp.asarray(images, jnp.float32) / 255


def arrays(model, kind=nnx.Param):
    return {".".join(map(str, path)): np.array(v[...]) for path, v in nnx.to_flat_state(nnx.state(model, kind))}


@pytest.mark.parametrize("l2", [1e-3, 0.3])
def test_softmax_regression_is_the_optimum_of_scikit_learn(l2):
    linear_model = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 5)) * [1, 10, 0.1, 3, 1] + 4
    y = rng.integers(0, 3, 60)
    standard = (x - x.mean(0)) / x.std(0)
    theirs = linear_model.LogisticRegression(C=1 / (l2 * len(y)), tol=1e-8, max_iter=5000).fit(standard, y)
    kernel, bias = softmax_regression(jnp.asarray(x, jnp.float32), jnp.asarray(y), 3, l2=l2)
    logits = x.astype(np.float32) @ np.asarray(kernel) + np.asarray(bias)
    expected = theirs.decision_function(standard)
    centred = lambda a: a - a.mean(1, keepdims=True)
    np.testing.assert_allclose(centred(logits), centred(expected), atol=5e-3)


def test_softmax_regression_with_a_constant_feature():
    kernel, bias = softmax_regression(jnp.array([[0.0, 7.0], [1.0, 7.0]]), jnp.array([0, 1]), 2, l2=0.1)
    assert np.isfinite(kernel).all()
    assert np.isfinite(bias).all()


def test_outputs_pads_the_last_batch_only_inside():
    model, images = network(), toy().train.images[:7]
    whole = model(prepare(images), train=False)
    np.testing.assert_allclose(outputs(model, images, prepare, batch_size=3), whole, rtol=1e-5, atol=1e-5)


def test_fit_head_fits_and_freezes_the_rest():
    data, model = toy(), network()
    fitted = fit_head(model, data.train, prepare, l2=1e-4)
    assert arrays(fitted).keys() == {"logits.kernel", "logits.bias"}
    before = arrays(model)
    assert all(np.array_equal(before[name], frozen) for name, frozen in arrays(fitted, nn.Frozen).items())
    assert (outputs(fitted, data.test.images, prepare).argmax(1) == data.test.labels).mean() > 0.9
    assert (outputs(model, data.test.images, prepare).argmax(1) == data.test.labels).mean() < 0.6


def test_fine_tune_starts_from_the_model_and_keeps_what_is_frozen():
    data = toy()
    model = weights.freeze(fit_head(network(), data.train, prepare), "blocks.0.*", statistics=True)
    fitted = fine_tune(
        model, data, prepare, epochs=2, batch_size=24, learning_rate=1e-3, weight_decay=0.0, seeds=2,
        augment=lambda key, x: x + 0.01 * jax.random.normal(key, x.shape),
    )  # fmt: skip
    assert fitted.records[0].loss[0] < np.log(3) * 0.8
    start = arrays(model) | arrays(model, nn.Frozen)
    for member in (fitted.member(0), fitted.member(1)):
        moved = {
            name: not np.array_equal(start[name], now)
            for name, now in (arrays(member) | arrays(member, nn.Frozen)).items()
        }
        assert moved == {name: not name.startswith("blocks.0.") for name in start}
    stored = {".".join(map(str, path)) for path, _ in nnx.to_flat_state(fitted.variables)}
    assert stored >= {"blocks.0.conv.kernel", "blocks.0.norm.mean", "blocks.1.conv.kernel", "logits.bias"}


def test_fine_tune_gives_head_and_rest_rates_of_their_own():
    data, model = toy(), network()
    options = {"epochs": 1, "batch_size": 96, "weight_decay": 0.0}
    moved = lambda **rates: {
        name: np.abs(now - arrays(model)[name]).max()
        for name, now in arrays(fine_tune(model, data, prepare, **options, **rates).member(0)).items()
    }
    still = moved(learning_rate=0.0, head_rate=0.01)
    assert {name for name, distance in still.items() if distance > 0} == {"logits.kernel", "logits.bias"}
    ten = moved(learning_rate=0.001)
    assert 9 < ten["logits.kernel"] / ten["blocks.1.conv.kernel"] < 11  # Adam's first step has the length of the rate


def test_grouped_refuses_a_parameter_of_no_group():
    with pytest.raises(ValueError, match="grouped: the parameter 'b' is like none of a, c"):
        grouped({"a": optax.sgd(1.0), "c": optax.sgd(1.0)}).init({"a": jnp.ones(1), "b": jnp.ones(1)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"l2": 0.0}, "fit_head: l2=0.0, labels from 0 to 2, 3 outputs; l2 must be positive"),
        ({"head": "blocks.0.conv"}, "fit_head: 'blocks.0.conv' is no dense layer"),
    ],
)
def test_fit_head_refuses(change, message):
    with pytest.raises(ValueError, match=message):
        fit_head(network(), toy().train, prepare, **change)


def test_fit_head_refuses_labels_beyond_the_outputs():
    with pytest.raises(ValueError, match="labels from 0 to 2, 2 outputs"):
        fit_head(network(2), toy().train, prepare)


def test_head_without_a_bias_is_fitted_without_one():
    class Net(nnx.Module):
        head_name = "last"

        def __init__(self, rngs):
            self.last = nn.Dense(2, 2, use_bias=False, rngs=rngs)

        def __call__(self, x, *, train, tap=None):
            return self.last(x[:, 0, 0])

    rng = np.random.default_rng(0)
    labels = np.arange(60, dtype=np.int32) % 2
    images = rng.integers(100, 110, (60, 1, 1, 2), np.uint8)
    images[labels == 1, ..., 0] += 40  # the classes lie on two rays from the origin
    prepare = lambda images: jnp.asarray(images) / 255
    model = fit_head(Net(nnx.Rngs(0)), Split(images, labels), prepare, l2=1e-3)
    right = outputs(model, images, prepare).argmax(1) == labels
    assert right.mean() > 0.95
