"""`summarise` against geometry, the arrays and XLA's own count; `capture`."""

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import functional as F
from jaxcnn import models, nn
from jaxcnn.geometry import ReceptiveField, Window
from jaxcnn.interpret import capture, summarise


class Branches(nnx.Module):
    """Two branches of different reach added, then concatenated with a pool, padded, cropped, averaged."""

    def __init__(self, rngs):
        self.wide, self.narrow = nn.Conv(3, 4, 5, rngs=rngs), nn.Conv(3, 4, 1, rngs=rngs)
        self.head = nn.Dense(7, 2, rngs=rngs)

    def __call__(self, x, *, train, tap):
        summed = tap("sum", jax.nn.relu(self.wide(x)) + self.narrow(x))
        joined = jnp.concatenate([summed, F.max_pool(x, 3, stride=1, padding=1)], -1)
        padded = tap("padded", F.pad(joined, ((2, 1), (0, 0))))
        cropped = tap("cropped", padded[:, 1::2, ::2])
        return tap("head", self.head(F.global_avg_pool(cropped)))


def test_summary_follows_branches():
    rows = {row.name: row for row in summarise(Branches(nnx.Rngs(0)), (2, 8, 8, 3)).rows}
    assert rows["sum"].field == ReceptiveField((5, 5), (1, 1), (-2, -2))
    assert rows["padded"].field == ReceptiveField((5, 5), (1, 1), (-4, -2))
    assert rows["cropped"].field == ReceptiveField((5, 5), (2, 2), (-3, -2))
    assert rows["head"].field == ReceptiveField((8, 8), (0, 0), (0, 0))
    assert rows["sum"].parameters == 5 * 5 * 3 * 4 + 4 + 3 * 4 + 4
    assert rows["sum"].multiply_adds == 2 * 64 * (5 * 5 * 3 * 4 + 3 * 4)
    assert rows["head"].multiply_adds == 2 * 7 * 2
    assert rows["cropped"].shape == (2, 5, 4, 7)


def test_summary_field_is_where_the_gradient_is():
    model = Branches(nnx.Rngs(0))
    field = {row.name: row.field for row in summarise(model, (1, 16, 16, 3)).rows}["cropped"]
    x = jax.random.normal(jax.random.key(0), (1, 16, 16, 3))
    unit = lambda x: capture(model, x)[1]["cropped"][0, 4, 4].sum()
    seen = np.argwhere(np.abs(jax.grad(unit)(x)[0]).sum(-1) > 0)
    assert tuple(seen.min(0)) == field.first((4, 4))
    assert tuple(seen.max(0)) == field.last((4, 4))


def test_summary_known_fields_of_lenet():
    model = models.create("lenet5", rngs=nnx.Rngs(0))
    fields = [row.field for row in summarise(model, (1, 28, 28, 1)).rows]
    windows = [Window.resolve(5, (28, 28), padding="same"), Window.resolve(2, (28, 28), stride=2)]
    windows += [Window.resolve(5, (14, 14)), Window.resolve(2, (10, 10), stride=2)]
    expected = ReceptiveField.of_pixel(2)
    for field, window in zip(fields, windows):
        expected = expected.through(window)
        assert field == expected


@pytest.mark.parametrize("name", ["lenet5", "dense"])
def test_summary_agrees_with_xla(name):
    graphdef, state = nnx.split(models.create(name, rngs=nnx.Rngs(0)))
    x = jnp.ones((1, *models.image_size(name), 1))
    forward = jax.jit(lambda state, x: nnx.merge(graphdef, state, copy=True)(x, train=False))
    flops = forward.lower(state, x).compile().cost_analysis()["flops"]
    summary = summarise(nnx.merge(graphdef, state), x.shape)
    assert abs(flops / (2 * summary.multiply_adds) - 1) < 0.02  # XLA also counts biases and activations


def test_summary_of_any_model_without_taps_is_one_row():
    class Plain(nnx.Module):
        def __init__(self, rngs):
            self.conv = nn.Conv(1, 2, 3, rngs=rngs)

        def __call__(self, x, *, train, tap):
            return self.conv(x)

    (row,) = summarise(Plain(nnx.Rngs(0)), (1, 4, 4, 1)).rows
    assert (row.name, row.parameters, row.multiply_adds) == ("(rest)", 20, 16 * 18)


def test_summary_table_shows_totals():
    from rich.console import Console

    console = Console(width=100, file=io.StringIO())
    console.print(summarise(models.create("lenet5_1998", rngs=nnx.Rngs(0)), (1, 32, 32, 1)).table())
    text = console.file.getvalue()
    assert "60,000" in text
    assert "14×14 every 2" in text
    assert "whole image" in text


def test_capture_returns_every_activation():
    model = models.create("lenet5", rngs=nnx.Rngs(0))
    x = jax.random.normal(jax.random.key(0), (2, 28, 28, 1))
    output, activations = jax.jit(lambda x: capture(model, x))(x)
    shapes = {name: v.shape for name, v in activations.items()}
    assert shapes["conv2"] == (2, 10, 10, 16)
    np.testing.assert_array_equal(output, activations["logits"])
    pooled = F.max_pool(activations["conv1"], 2)
    np.testing.assert_allclose(activations["pool1"], pooled, rtol=1e-6)


def test_capture_refuses_one_name_twice():
    twice = lambda x, *, train, tap: tap("a", tap("a", x))
    with pytest.raises(ValueError, match="capture: the model has two activations named 'a'"):
        capture(twice, jnp.ones(3))


def _kernel(*shape):
    return jax.random.normal(jax.random.key(0), shape)


def _scanned(x):
    return jax.lax.scan(lambda x, k: (F.conv(x, k), None), x, _kernel(4, 3, 3, 3, 3))[0]


def _switched(x):
    wide = lambda x: F.conv(x, _kernel(3, 3, 3, 3))
    return jax.lax.cond(x.sum() > 0, wide, lambda x: x, x)


def _spread(x):
    return jax.lax.conv_transpose(x, _kernel(2, 2, 3, 3), (2, 2), "SAME")


def _channels_first(x):
    return jax.lax.conv(x.transpose(0, 3, 1, 2), _kernel(3, 3, 3, 3), (1, 1), "SAME").transpose(0, 2, 3, 1)


PROGRAMS = {  # what a model may do: its multiply-adds for 8×8×3 images, size of its receptive field (None: no rule)
    "scan": (_scanned, 4 * 64 * 81, None),
    "cond": (_switched, 64 * 81, None),
    "transposed": (_spread, 64 * 36, None),
    "channels first": (_channels_first, 64 * 81, None),
    "reversed": (lambda x: x[:, ::-1], 0, None),
    "sorted": (lambda x: jnp.sort(x, 1), 0, None),
    "swapped": (lambda x: F.max_pool(x, (1, 3)).swapaxes(1, 2), 0, None),
    "resized": (lambda x: jax.image.resize(x, (1, 16, 16, 3), "linear"), 8 * 16 * 8 * 3 + 16 * 16 * 8 * 3, None),
    "jitted twice": (
        lambda x: jax.jit(F.conv)(jax.jit(F.conv)(x, _kernel(3, 3, 3, 3)), _kernel(3, 3, 3, 3)),
        2 * 64 * 81,
        5,
    ),
    "checkpoint": (jax.checkpoint(lambda x: F.conv(x, _kernel(3, 3, 3, 3), dilation=2)), 64 * 81, 5),
    "tokens": (lambda x: x.reshape(1, 64, 3), 0, None),
    "flat": (lambda x: x.reshape(1, -1) @ _kernel(192, 5), 192 * 5, 8),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_summary_is_right_or_says_that_it_does_not_know(name):
    function, cost, size = PROGRAMS[name]

    class Program(nnx.Module):
        def __call__(self, x, *, train, tap):
            return tap("y", function(x))

    (row,) = summarise(Program(), (1, 8, 8, 3)).rows
    assert row.multiply_adds == cost
    assert (row.field and row.field.size) == (size and (size, size))
