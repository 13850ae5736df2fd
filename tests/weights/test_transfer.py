"""`freeze`, `replace_head`, `headless`: what stays, what is free, and what a frozen layer costs."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxcnn import models, nn, weights
from jaxcnn.interpret import summarise
from jaxcnn.models import LeNet5, PlainNetwork
from jaxcnn.train import initialise, make_step, starting_from
from tests.models.registry import EVERY, abstract, shape_of


class ConvHead(nnx.Module):
    """Classes by a convolution in a list, as SqueezeNet's."""

    head_name = "classifier.1"

    def __init__(self, rngs):
        self.stem = nn.Conv(1, 4, 3, rngs=rngs)
        self.classifier = nnx.List([nn.Dropout(0.5, rngs=rngs), nn.Conv(4, 10, 1, rngs=rngs), jax.nn.relu])

    def __call__(self, x, *, train, tap=lambda name, x: x):
        x = tap("stem", jax.nn.relu(self.stem(x)))
        dropout, conv, relu = self.classifier
        return tap("logits", relu(conv(dropout(x, train=train))).mean((1, 2)))


def lenet(seed=0):
    return LeNet5(rngs=nnx.Rngs(seed))


def plain():
    return PlainNetwork(widths=(4, 8), depth=1, rngs=nnx.Rngs(0))


def values(model, kind):
    return {".".join(map(str, path)): np.array(v[...]) for path, v in nnx.to_flat_state(nnx.state(model, kind))}


def stepped(model, count=2):
    """The model after some steps of plain gradient descent on noise."""
    graphdef = nnx.split(model)[0]
    state = initialise(starting_from(model), optax.sgd(0.1), jax.random.key(0))
    step = jax.jit(make_step(graphdef, optax.sgd(0.1)))
    for key in jax.random.split(jax.random.key(1), count):
        state, _ = step(state, jax.random.normal(key, (4, 28, 28, 1)), jnp.arange(4))
    return nnx.merge(graphdef, state.parameters, state.state)


def primitives(jaxpr):
    for equation in jaxpr.eqns:
        yield equation.primitive.name
        for value in equation.params.values():
            for inner in value if isinstance(value, (tuple, list)) else (value,):
                if hasattr(inner, "eqns") or hasattr(getattr(inner, "jaxpr", None), "eqns"):
                    yield from primitives(getattr(inner, "jaxpr", inner))


def gradients(model):
    """How many kernel gradients, input gradients and matrix products a step of training computes."""
    state = initialise(starting_from(model), optax.sgd(0.1), jax.random.key(0))
    step = make_step(nnx.split(model)[0], optax.sgd(0.1))
    program = jax.make_jaxpr(step)(state, jnp.zeros((2, 28, 28, 1)), jnp.zeros(2, int)).jaxpr
    found = list(primitives(program))
    return tuple(map(found.count, ("jaxcnn_conv_kernel_grad", "jaxcnn_conv_input_grad", "dot_general")))


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        ((), (2, 1, 9)),  # the image needs no gradient; 3 dense layers forward and twice back
        ("conv1.*", (1, 0, 9)),
        ("conv?.*", (0, 0, 8)),
        (weights.all_but("logits.*"), (0, 0, 3 + 1)),
        (weights.all_but("logits.*", "conv2.*"), (1, 0, 3 + 4)),
    ],
)
def test_frozen_layers_cost_no_gradient(filter, expected):
    assert gradients(weights.freeze(lenet(), filter)) == expected


def test_frozen_parameters_stay_and_others_move():
    model = weights.freeze(lenet(), ("conv1.*", "dense2.kernel"))
    after = stepped(model)
    assert values(model, nn.Frozen).keys() == {"conv1.kernel", "conv1.bias", "dense2.kernel"}
    for kind, same in ((nn.Frozen, True), (nnx.Param, False)):
        before, now = values(model, kind), values(after, kind)
        assert before.keys() == now.keys()
        assert all(np.array_equal(before[name], now[name]) == same for name in before)


@pytest.mark.parametrize(("statistics", "stay"), [(None, [True, False]), (True, [True, True]), (False, [False, False])])
def test_frozen_statistics(statistics, stay):
    model = weights.freeze(plain(), "blocks.0.*", statistics=statistics)
    before, after = values(model, nnx.BatchStat), values(stepped(model), nnx.BatchStat)
    same = {name: np.array_equal(before[name], after[name]) for name in before}
    for block, expected in enumerate(stay):
        assert [same[f"blocks.{block}.norm.{what}"] for what in ("mean", "var")] == [expected] * 2


def test_frozen_statistics_normalise_in_training():
    layer = nn.BatchNorm(3, rngs=nnx.Rngs(0))
    layer.mean[...], layer.frozen = jnp.full(3, 5.0), True
    x = jax.random.normal(jax.random.key(0), (4, 3))
    np.testing.assert_array_equal(layer(x, train=True), layer(x, train=False))


def test_freeze_leaves_the_first_model_alone_and_can_be_undone():
    model = lenet()
    frozen = weights.freeze(model, "*")
    assert not values(model, nn.Frozen)
    assert not values(frozen, nnx.Param)
    free = weights.freeze(frozen, ())
    assert values(free, nnx.Param).keys() == values(model, nnx.Param).keys()
    frozen.conv1.kernel[...] = jnp.zeros((5, 5, 1, 6))
    assert model.conv1.kernel[...].any()


def test_freeze_refuses_a_pattern_of_nothing():
    with pytest.raises(
        ValueError, match="freeze: no parameter is named like 'conv9\\.\\*'; names are such as 'conv1.bias'"
    ):
        weights.freeze(lenet(), ("conv1.*", "conv9.*"))


REFUSED = {
    "lenet5_1998": "head_of: LeNet5Original has no head that can be replaced: no layer with parameters gives its classes"
}


def dotted(state):
    return [".".join(map(str, path)).removeprefix("backbone.") for path, _ in nnx.to_flat_state(state)]


@pytest.mark.parametrize("name", EVERY)
def test_replace_head_of_every_model_changes_the_classes_alone(name):
    """Read off a program: what comes out is what went in, but for the heads; logits have the new classes."""
    if name in REFUSED:
        with pytest.raises(ValueError, match=f"^{REFUSED[name]}$"):
            weights.replace_head(abstract(name), 3, rngs=nnx.Rngs(1))
        return
    model = abstract(name)
    graphdef, state = nnx.split(model)

    def changed(state, x):
        other = weights.replace_head(nnx.merge(graphdef, state), 3, rngs=nnx.Rngs(1))
        return nnx.split(other)[1], other(x, train=False)

    traced = jax.make_jaxpr(changed, return_shape=True)(state, jax.ShapeDtypeStruct(shape_of(name), jnp.float32))
    program, (after, logits) = traced
    assert (logits.shape[0], logits.shape[-1]) == (2, 3)
    given, names = dict(zip(dotted(state), program.jaxpr.invars)), dotted(after)
    stay = {name for name, var in zip(names, program.jaxpr.outvars) if var is given.get(name)}
    heads = {weights.head_of(model), *getattr(model, "auxiliary_heads", ())}
    assert stay == {name for name in given if name.rsplit(".", 1)[0] not in heads}
    fresh = {name.rsplit(".", 1)[0] for name in names if name not in stay}
    assert fresh == ({"head"} if name.startswith("squeezenet") else heads)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_replace_head_changes_auxiliary_ones_too(name):
    changed = nnx.eval_shape(lambda: weights.replace_head(models.create(name, rngs=nnx.Rngs(0)), 3, rngs=nnx.Rngs(1)))
    for head in (weights.head_of(changed), *type(changed).auxiliary_heads):
        assert weights.layer(changed, head).kernel.shape[-1] == 3


def test_replace_head_of_a_map_of_class_scores_is_a_convolution():
    model = models.UNet(widths=(2, 4), num_classes=2, padding="same", dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    other = weights.replace_head(model, 5, rngs=nnx.Rngs(1))
    x = jax.random.normal(jax.random.key(0), (1, 8, 12, 1))
    features = weights.headless(model)(x, train=False)
    logits = other(x, train=False)
    assert (features.shape, logits.shape, logits.dtype) == ((1, 8, 12, 2), (1, 8, 12, 5), jnp.bfloat16)
    expected = jnp.einsum("nhwc,cd->nhwd", features, other.logits.kernel[0, 0].astype(jnp.bfloat16))
    np.testing.assert_allclose(np.float32(logits), np.float32(expected), rtol=0.02, atol=0.02)
    assert not jnp.array_equal(other.logits.kernel[..., :2], model.logits.kernel[...])
    again = weights.replace_head(other, 7, rngs=nnx.Rngs(2))
    assert again(x, train=False).shape == (1, 8, 12, 7)


class Two(nnx.Module):
    """Two dense layers, the first of them by name the last by definition."""

    def __init__(self, rngs):
        self.z, self.a = nn.Dense(4, 5, rngs=rngs), nn.Dense(5, 10, rngs=rngs)

    def __call__(self, x, *, train):
        return self.a(self.z(x))


def test_head_of_a_class_of_ones_own_is_said_not_guessed():
    with pytest.raises(ValueError, match="head_of: Two has 2 dense layers: [az], [az]; say which gives the classes"):
        weights.head_of(Two(nnx.Rngs(0)))
    assert weights.replace_head(Two(nnx.Rngs(0)), 3, head="a", rngs=nnx.Rngs(1)).a.kernel.shape == (5, 3)
    with pytest.raises(ValueError, match="head_of: Pool has 0 dense layers; say"):
        weights.head_of(type("Pool", (nnx.Module,), {})())


def test_replace_head_keeps_the_rest():
    model = lenet()
    other = weights.replace_head(model, 3, rngs=nnx.Rngs(7))
    x = jax.random.normal(jax.random.key(0), (2, 28, 28, 1))
    features = weights.headless(model)(x, train=False)
    np.testing.assert_allclose(other(x, train=False), features @ other.logits.kernel[...], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model(x, train=False), features @ model.logits.kernel[...], rtol=1e-5, atol=1e-5)


def test_replace_head_of_a_convolution_averages_before_the_dense_layer():
    model = ConvHead(nnx.Rngs(0))
    assert weights.head_of(model) == "classifier.1"
    other = weights.replace_head(model, 3, rngs=nnx.Rngs(7))
    x = jax.random.normal(jax.random.key(0), (2, 9, 9, 1))
    taps = {}
    logits = other(x, train=False, tap=lambda name, value: taps.setdefault(name, value))
    features = jax.nn.relu(model.stem(x)).mean((1, 2))
    np.testing.assert_allclose(taps["features"], features, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logits, features @ other.head.kernel[...], rtol=1e-5, atol=1e-6)
    assert list(taps) == ["stem", "features", "logits"]
    assert weights.head_of(other) == "head"


@pytest.mark.parametrize(
    "change", [weights.headless, lambda m, head: weights.replace_head(m, 3, head=head, rngs=nnx.Rngs(0))]
)
def test_head_of_another_name_is_refused(change):
    with pytest.raises(
        ValueError, match="LeNet5: 'fc' is no dense layer or convolution; such are conv2, conv1, logits"
    ):
        change(lenet(), head="fc")


def test_summary_says_what_is_frozen():
    summary = summarise(weights.freeze(lenet(), ("conv1.*", "dense1.kernel")), (1, 28, 28, 1))
    frozen = {row.name: row.frozen for row in summary.rows if row.frozen}
    assert frozen == {"conv1": 156, "dense1": 48_000}
    assert (summary.parameters, summary.frozen) == (61_706, 48_156)
    cells = {row.name: row.cells[2] for row in summary.rows}
    assert (cells["conv1"], cells["dense1"], cells["conv2"]) == ("156 (frozen)", "48,120 (48,000 frozen)", "2,416")
    assert summary.total[2] == "61,706 (48,156 frozen)"


def test_a_frozen_model_is_saved_and_loaded_whole(tmp_path):
    model = weights.freeze(plain(), "blocks.*")
    weights.save(model, tmp_path / "a.safetensors")
    loaded = weights.load(weights.freeze(plain(), "blocks.1.*"), tmp_path / "a.safetensors")
    x = jax.random.normal(jax.random.key(0), (2, 28, 28, 1))
    np.testing.assert_array_equal(loaded(x, train=False), model(x, train=False))


def test_freeze_refuses_an_exception_that_there_is_not():
    with pytest.raises(ValueError, match=r"freeze: no parameter is named like 'logit\.\*'"):
        weights.freeze(LeNet5(rngs=nnx.Rngs(0)), weights.all_but("logit.*"))


def test_new_head_of_a_convolution_computes_in_its_dtype():
    model = models.create("squeezenet1_1", num_classes=4, dtype=jnp.bfloat16, rngs=nnx.Rngs(0))
    changed = weights.replace_head(model, 3, rngs=nnx.Rngs(1))
    assert jax.eval_shape(lambda x: changed(x, train=False), jnp.ones((1, 33, 33, 3))).dtype == jnp.bfloat16
