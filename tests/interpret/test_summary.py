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


def _positive(*size):
    return jnp.ones((*size, 1, 1))


def _beside(x):
    small = F.conv_transpose(F.avg_pool(F.conv(x, _positive(3, 3)), 2), _positive(4, 3), stride=2)
    return F.conv(jnp.concatenate([x, small], -1), jnp.ones((2, 3, 2, 1)), padding="valid")


ENLARGED = {  # what is done to 24×26×1 pixels
    "windows meet": lambda x: F.conv_transpose(x, _positive(2, 2), stride=2, padding="valid"),
    "windows overlap": lambda x: F.conv_transpose(x, _positive(5, 3), stride=2),
    "windows lie apart": lambda x: F.conv_transpose(x, _positive(2, 1), stride=3, padding="valid"),
    "dilated": lambda x: F.conv_transpose(x, _positive(3, 2), stride=(2, 1), dilation=(3, 2), padding=1),
    "asymmetric": lambda x: F.conv_transpose(x, _positive(4, 3), stride=2, padding=((1, 0), (0, 2)), output_padding=1),
    "then smoothed": lambda x: F.conv(F.conv_transpose(x, _positive(2, 2), stride=2), _positive(3, 3)),
    "then by another factor": lambda x: F.avg_pool(F.conv_transpose(x, _positive(3, 3), stride=3), 2),
    "there and back": lambda x: F.conv_transpose(F.conv(x, _positive(3, 3), stride=2), _positive(3, 3), stride=2),
    "joined": _beside,
    "of lax": lambda x: jax.lax.conv_transpose(x, _positive(3, 4), (2, 3), "SAME"),
    "zeros between": lambda x: F.conv(_interleaved(x), _positive(2, 3)),
}


@pytest.mark.parametrize("name", ENLARGED)
def test_summary_field_of_every_unit_is_where_the_gradient_is(name):
    class Program(nnx.Module):
        def __call__(self, x, *, train, tap):
            return tap("y", ENLARGED[name](x))

    x = jnp.ones((1, 24, 26, 1))
    (row,) = summarise(Program(), x.shape).rows
    units = np.array([(i, i * row.shape[2] // row.shape[1]) for i in range(row.shape[1])])
    one = jnp.zeros((len(units), *row.shape)).at[np.arange(len(units)), 0, *units.T].set(1)
    gradients = jax.vmap(jax.vjp(ENLARGED[name], x)[1])(one)[0]
    inside = 0
    for unit, gradient in zip(units, gradients):
        seen, first, last = np.argwhere(gradient[0, :, :, 0]), row.field.first(unit), row.field.last(unit)
        if min(np.subtract(last, first)) < 0:
            assert len(seen) == 0
        elif min(first) >= 0 and last[0] < 24 and last[1] < 26:
            inside += 1
            assert (tuple(seen.min(0)), tuple(seen.max(0))) == (first, last)
    assert inside > 8


def extents(model, name, units, side):
    """First and last pixel that units (i, i) of a named activation see, by the gradient of each."""
    score = lambda x: capture(model, x)[1][name][units, units, units].sum()
    seen = jax.jit(jax.grad(score))(jnp.ones((len(units), side, side, 1)))[..., 0] > 0
    places = [np.argwhere(image) for image in np.asarray(seen)]
    return [(tuple(one.min(0)), tuple(one.max(0))) for one in places]


def test_unet_sees_140_pixels_below_and_188_or_204_at_the_end(monkeypatch):
    monkeypatch.setattr(F, "max_pool", F.avg_pool)  # the same window, whose gradient reaches all of it
    model = models.UNet(widths=(1, 2, 4, 8, 16), dropout=0.0, rngs=nnx.Rngs(0))
    rows = {row.name: row for row in summarise(model, (1, 204, 204, 1)).rows}
    positive = lambda v: jnp.ones_like(v) / v.shape[2] / 3 if v.ndim == 4 else v
    nnx.update(model, jax.tree.map(positive, nnx.state(model, nnx.Param)))
    for name, sizes in {"down5": {140}, "up1": {172}, "up2": {188}, "up3": {188, 204}, "logits": {188, 204}}.items():
        units, field = np.arange(min(20, rows[name].shape[1])), rows[name].field
        found = extents(model, name, units, 204)
        assert found == [(field.first([unit] * 2), field.last([unit] * 2)) for unit in units]
        assert {last[0] - first[0] + 1 for first, last in found} == sizes
    assert rows["down5"].cells[-1] == "140×140 every 16"
    assert rows["up2"].cells[-1] == "188×188 every 4"
    assert rows["logits"].cells[-1] == "188–204×188–204"


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


def _interleaved(x):
    return jax.lax.pad(x, 0.0, ((0, 0, 0), (1, 2, 2), (0, 1, 1), (0, 0, 0)))


def _channels_first(x):
    return jax.lax.conv(x.transpose(0, 3, 1, 2), _kernel(3, 3, 3, 3), (1, 1), "SAME").transpose(0, 2, 3, 1)


PROGRAMS = {  # what a model may do: its multiply-adds for 8×8×3 images, size of its receptive field (None: no rule)
    "scan": (_scanned, 4 * 64 * 81, None),
    "cond": (_switched, 64 * 81, None),
    "transposed": (_spread, 64 * 36, 1),
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


def test_summary_prints_as_a_table():
    summary = summarise(models.create("lenet5", rngs=nnx.Rngs(0)), (1, 28, 28, 1))
    head, rule, *rows, second_rule, total = str(summary).splitlines()
    assert rule == second_rule == "─" * max(map(len, [head, *rows]))
    assert {len(row) for row in [head, *rows]} == {len(rule)}
    for line, cells in zip(
        [head, *rows, total], [summary.columns, *(row.cells for row in summary.rows), summary.total]
    ):
        assert line.split() == " ".join(cells).split()
    end = head.index("parameters") + len("parameters")
    assert [line[:end].split()[-1] for line in [*rows, total]] == [row.cells[2] for row in summary.rows] + [
        summary.total[2]
    ]
