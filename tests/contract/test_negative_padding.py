"""Negative padding crops the image, before anything is padded: every function and module that pads, every rank and mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from jaxcnn import functional as F
from jaxcnn import nn
from jaxcnn.functional import filters
from jaxcnn.geometry import Window
from tests.reference.arrays import distinct, normal
from tests.reference.padding import pad as padded

MODES = ["zeros", "reflect", "replicate", "circular", "symmetric"]
SPACE = {1: (13,), 2: (9, 11), 3: (8, 8, 9)}
PAIRS = {
    "every side": -1,
    "one axis": ((0, -2), (-1, 0), (-2, -1)),
    "crop and pad": ((-1, 2), (2, -1), (-2, 1)),
    "crop much, pad more": ((-4, 3), (0, -3), (1, -4)),
}


def pairs_of(words, rank):
    return [(words, words)] * rank if isinstance(words, int) else list(words[:rank])


def crop(x, pairs):
    """The image without what negative pairs take, and the pairs that are left."""
    kept = [slice(max(-low, 0), n - max(-high, 0)) for n, (low, high) in zip(x.shape[1:-1], pairs)]
    return x[:, *kept], [(max(low, 0), max(high, 0)) for low, high in pairs]


def images(rank, seed=0):
    return jnp.asarray(distinct(2, *SPACE[rank], 3, seed=seed), jnp.float32)


def weights(*shape):
    return jnp.asarray(normal(*shape, seed=1), jnp.float32)


def module(build, **call):
    return lambda x, padding, rank: build(rank, padding, nnx.Rngs(0))(x, **call)


CALLS = {  # a function of images, padding and rank
    "pad": lambda x, p, rank: F.pad(x, p),
    **{f"pad {mode}": lambda x, p, rank, mode=mode: F.pad(x, p, mode=mode) for mode in MODES[1:]},
    "pad with a colour": lambda x, p, rank: F.pad(x, p, value=jnp.arange(1.0, 4.0)),
    "conv": lambda x, p, rank: F.conv(x, weights(*[3, 2, 2][:rank], 3, 4), weights(4), padding=p),
    **{
        f"conv strided {mode}": lambda x, p, rank, mode=mode: F.conv(
            x, weights(*[3, 2, 2][:rank], 3, 4), padding=p, stride=2, padding_mode=mode
        )
        for mode in MODES
    },
    "conv dilated in groups": lambda x, p, rank: F.conv(x, weights(*[2] * rank, 1, 6), padding=p, dilation=2, groups=3),
    "convolve": lambda x, p, rank: F.convolve(x, weights(*[2] * rank, 3, 4), padding=p),
    "depthwise_conv": lambda x, p, rank: F.depthwise_conv(x, weights(*[3, 3, 2][:rank], 3, 1), padding=p),
    "separable_conv": lambda x, p, rank: F.separable_conv(x, weights(*[2] * rank, 3, 1), weights(3, 4), padding=p),
    "max_pool": lambda x, p, rank: F.max_pool(x, 3, padding=p),
    "max_pool dilated": lambda x, p, rank: F.max_pool(x, 2, padding=p, stride=1, dilation=3),
    **{
        f"min_pool {mode}": lambda x, p, rank, mode=mode: F.min_pool(x, 3, padding=p, padding_mode=mode)
        for mode in MODES
    },
    "max_pool ragged": lambda x, p, rank: F.max_pool(x, 3, padding=p, stride=2, ceil_mode=True),
    "sum_pool": lambda x, p, rank: F.sum_pool(x, 2, padding=p),
    "avg_pool": lambda x, p, rank: F.avg_pool(x, 3, padding=p, stride=2, ceil_mode=True),
    "avg_pool of pixels": lambda x, p, rank: F.avg_pool(x, 4, padding=p, stride=1, count_include_pad=False),
    "weighted_pool": lambda x, p, rank: F.weighted_pool(x, weights(2), padding=p),
    "soft_pool": lambda x, p, rank: F.soft_pool(x / 99, 3, padding=p),
    "mixed_pool": lambda x, p, rank: F.mixed_pool(x, 4, 0.3, padding=p, stride=1),
    "lp_pool": lambda x, p, rank: F.lp_pool(x / 99, 3, 2, padding=p),
    "stochastic_pool": lambda x, p, rank: F.stochastic_pool(None, abs(x), 3, padding=p, train=False),
    "stochastic_pool drawn": lambda x, p, rank: F.stochastic_pool(jax.random.key(0), abs(x), 3, padding=p),
    "reduce_window": lambda x, p, rank: F.reduce_window(x, -np.inf, jnp.maximum, 3, padding=p),
    "unfold": lambda x, p, rank: F.unfold(x, 2, padding=p),
    "nn.Conv": module(lambda rank, p, r: nn.Conv(3, 2, 2, rank=rank, padding=p, rngs=r)),
    "nn.DepthwiseConv": module(lambda rank, p, r: nn.DepthwiseConv(3, 2, rank=rank, padding=p, rngs=r)),
    "nn.SeparableConv": module(lambda rank, p, r: nn.SeparableConv(3, 2, 2, rank=rank, padding=p, rngs=r)),
    "nn.MaxPool": module(lambda rank, p, r: nn.MaxPool(3, padding=p)),
    "nn.AvgPool": module(lambda rank, p, r: nn.AvgPool(2, padding=p)),
    "nn.WeightedPool": module(lambda rank, p, r: nn.WeightedPool(3, 2, rank=rank, padding=p, rngs=r)),
}
PLANES = {
    "spatially_separable_conv": lambda x, p: F.spatially_separable_conv(
        x, weights(2, 3, 4), weights(3, 4, 2), padding=p
    ),
    "deform_conv2d": lambda x, p: F.deform_conv2d(
        x,
        weights(1, 1, 3, 2),
        jnp.tile(jnp.array([0.3, -0.4]), (2, *F.pad(x, p).shape[1:3], 1)),
        padding=p,
    ),
    "filters.sobel": lambda x, p: filters.sobel(x, 30.0, padding=p),
    "filters.gaussian": lambda x, p: filters.gaussian(x, 0.4, padding=p, padding_mode="reflect"),
    "nn.SpatiallySeparableConv": lambda x, p: nn.SpatiallySeparableConv(3, 2, 2, padding=p, rngs=nnx.Rngs(0))(x),
}
CALLS |= {name: lambda x, p, rank, f=f: f(x, p) for name, f in PLANES.items()}
ROWS = [(name, rank) for name in CALLS for rank in ([2] if name in PLANES else SPACE)]


@pytest.mark.parametrize(("name", "rank"), ROWS)
def test_negative_padding_is_the_cropped_image(name, rank):
    x, function = images(rank), CALLS[name]
    for words in [PAIRS["every side"], PAIRS["crop and pad"]][rank != 2 :]:
        cut, left = crop(x, pairs_of(words, rank))
        given = words if isinstance(words, int) else pairs_of(words, rank)
        found, right = function(x, given, rank), function(cut, left, rank)
        np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize(("name", "rank"), [row for row in ROWS if row[1] == 2])
def test_gradients_are_those_of_the_cropped_image(name, rank):
    x, function, pairs = images(rank), CALLS[name], pairs_of(PAIRS["crop and pad"], rank)
    left = crop(x, pairs)[1]
    total = lambda function: lambda x: jnp.sum(jnp.sin(function(x)))
    found = jax.grad(total(lambda x: function(x, pairs, rank)))(x)
    right = jax.grad(total(lambda x: function(crop(x, pairs)[0], left, rank)))(x)
    np.testing.assert_array_equal(found, right)


@pytest.mark.parametrize("rank", SPACE)
@pytest.mark.parametrize("words", PAIRS.values(), ids=PAIRS)
def test_conv_crops_as_xla_pads(words, rank):
    x, kernel, pairs = images(rank), weights(*[2, 3, 1][:rank], 3, 4), pairs_of(words, rank)
    letters = "DHW"[-rank:]
    names = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    # XLA:CPU (jax 0.10.2) reads beyond the image where a convolution itself is given (-4, 3)
    cut = lax.pad(x, 0.0, [(0, 0, 0), *((low, high, 0) for low, high in pairs), (0, 0, 0)])
    right = lax.conv_general_dilated(cut, kernel, [2] * rank, "VALID", dimension_numbers=names)
    np.testing.assert_allclose(F.conv(x, kernel, padding=pairs, stride=2), right, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rank", SPACE)
@pytest.mark.parametrize("words", PAIRS.values(), ids=PAIRS)
@pytest.mark.parametrize("mode", MODES)
def test_pad_crops_and_then_pads(mode, words, rank):
    x, pairs = np.asarray(images(rank)), pairs_of(words, rank)
    np.testing.assert_array_equal(F.pad(jnp.asarray(x), pairs, mode=mode), padded(*crop(x, pairs), mode))


TORCH = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


@pytest.mark.parametrize("mode", TORCH)
def test_pad_crops_as_pytorch_does(mode):
    torch = pytest.importorskip("torch")
    x, pairs = np.array(images(2)), [(-1, 2), (2, -3)]
    flat = [n for pair in reversed(pairs) for n in pair]
    right = torch.nn.functional.pad(torch.tensor(x.transpose(0, 3, 1, 2)), flat, mode=TORCH[mode])
    np.testing.assert_array_equal(F.pad(jnp.asarray(x), pairs, mode=mode), right.numpy().transpose(0, 2, 3, 1))


@pytest.mark.parametrize("mode", MODES)
def test_indices_are_those_of_the_image_that_is_cropped(mode):
    x = images(2)
    for words in PAIRS.values():
        options = {"stride": 1, "padding": words if isinstance(words, int) else words[:2], "padding_mode": mode}
        values, indices = F.max_pool_with_indices(x, 4, **options)
        flat = jnp.take_along_axis(x.reshape(2, -1, 3), indices.reshape(2, -1, 3), 1)
        np.testing.assert_array_equal(flat.reshape(values.shape), values)
        np.testing.assert_array_equal(values, F.max_pool(x, 4, **options))


@pytest.mark.parametrize("rank", SPACE)
@pytest.mark.parametrize(("stride", "extra"), [(1, 0), (2, 0), (2, 1), (3, 2)])
@pytest.mark.parametrize("words", PAIRS.values(), ids=PAIRS)
def test_transposed_convolution_stays_the_adjoint(words, stride, extra, rank):
    y, kernel = weights(2, *[4, 5, 3][:rank], 4), weights(*[3, 2, 2][:rank], 3, 4)
    options = {"stride": stride, "padding": words if isinstance(words, int) else words[:rank]}
    x = F.conv_transpose(y, kernel, output_padding=extra, **options)
    z = weights(*x.shape)
    np.testing.assert_allclose(jnp.vdot(F.conv(z, kernel, **options), y), jnp.vdot(z, x), rtol=1e-4, atol=1e-3)
    biased = F.conv_transpose(y, kernel, jnp.ones(3), output_padding=extra, **options)
    np.testing.assert_array_equal(biased, x + 1)


@pytest.mark.parametrize("words", PAIRS.values(), ids=PAIRS)
def test_fold_and_unpool_leave_what_is_cropped_empty(words):
    x, pairs = images(2), pairs_of(words, 2)
    u = F.unfold(x, (3, 2), stride=2, padding=pairs)
    w = weights(*u.shape)
    back = F.fold(w, SPACE[2], (3, 2), stride=2, padding=pairs)
    np.testing.assert_allclose(jnp.vdot(u, w), jnp.vdot(x, back), rtol=1e-4)
    y = F.sum_pool(x, 2, stride=1, padding=pairs)
    spread = F.avg_unpool(jnp.ones_like(y), 2, stride=1, padding=pairs, output_size=SPACE[2])
    seen = jax.vjp(lambda x: F.sum_pool(x, 2, stride=1, padding=pairs), x)[1](jnp.ones_like(y))[0] > 0
    np.testing.assert_array_equal(spread, seen)


def test_window_keeps_what_is_cropped():
    window = Window.resolve(3, (9,), padding=((-1, 2),))
    assert (window.padding, window.output_size((9,)), window.pixels(0, 0)) == (((-1, 2),), (8,), range(1, 4))


NOTHING = {
    "pad": lambda x, p: F.pad(x, p),
    "conv": lambda x, p: F.conv(x, weights(1, 1, 3, 2), padding=p),
    "max_pool": lambda x, p: F.max_pool(x, 1, padding=p),
    "unfold": lambda x, p: F.unfold(x, 1, padding=p),
}


@pytest.mark.parametrize("name", NOTHING)
def test_an_image_that_is_cropped_to_nothing_is_refused(name):
    for padding, words in (
        (((0, 0), (-6, -5)), "(-6, -5) crops spatial axis 1 of 11"),
        (((-9, 4), (0, 0)), "(-9, 4) crops spatial axis 0 of 9"),
        (-5, "(-5, -5) crops spatial axis 0 of 9"),
    ):
        with pytest.raises(ValueError) as caught:
            NOTHING[name](images(2), padding)
        assert str(caught.value) == f"{name}: padding {words} pixels to nothing; crop by less"
