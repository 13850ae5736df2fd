"""Modules: shapes of the parameters, agreement with the functions they call, agreement with Flax's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import functional as F
from jaxcnn import nn

X = jax.random.normal(jax.random.key(1), (2, 7, 5, 4))

MODULES = {  # name: (constructor, shapes of its parameters, the functional call it must equal)
    "Conv": (
        lambda r: nn.Conv(4, 6, (3, 2), stride=2, groups=2, rngs=r),
        {"kernel": (3, 2, 2, 6), "bias": (6,)},
        lambda m, x: F.conv(x, m.kernel[...], m.bias[...], stride=2, groups=2),
    ),
    "Conv without bias": (
        lambda r: nn.Conv(4, 6, 3, padding="valid", use_bias=False, rngs=r),
        {"kernel": (3, 3, 4, 6)},
        lambda m, x: F.conv(x, m.kernel[...], padding="valid"),
    ),
    "DepthwiseConv": (
        lambda r: nn.DepthwiseConv(4, 3, multiplier=3, dilation=2, rngs=r),
        {"kernel": (3, 3, 4, 3), "bias": (12,)},
        lambda m, x: F.depthwise_conv(x, m.kernel[...], m.bias[...], dilation=2),
    ),
    "SeparableConv": (
        lambda r: nn.SeparableConv(4, 6, 3, multiplier=2, padding_mode="reflect", rngs=r),
        {"depthwise_kernel": (3, 3, 4, 2), "pointwise_kernel": (8, 6), "bias": (6,)},
        lambda m, x: F.separable_conv(
            x, m.depthwise_kernel[...], m.pointwise_kernel[...], m.bias[...], padding_mode="reflect"
        ),
    ),
    "SpatiallySeparableConv": (
        lambda r: nn.SpatiallySeparableConv(4, 6, (3, 5), middle_features=2, rngs=r),
        {"column": (3, 4, 2), "row": (5, 2, 6), "bias": (6,)},
        lambda m, x: F.spatially_separable_conv(x, m.column[...], m.row[...], m.bias[...]),
    ),
    "Dense": (
        lambda r: nn.Dense(4, 6, rngs=r),
        {"kernel": (4, 6), "bias": (6,)},
        lambda m, x: jnp.einsum("nhwi,io->nhwo", x, m.kernel[...]) + m.bias[...],
    ),
    "WeightedPool": (
        lambda r: nn.WeightedPool(4, (2, 3), stride=1, rngs=r),
        {"coefficient": (4,), "bias": (4,)},
        lambda m, x: F.avg_pool(x, (2, 3), stride=1),
    ),
    "WeightedPool of each tap": (
        lambda r: nn.WeightedPool(4, (2, 3), stride=1, each_tap=True, rngs=r),
        {"coefficient": (2, 3, 4), "bias": (4,)},
        lambda m, x: F.avg_pool(x, (2, 3), stride=1),
    ),
    "MixedPool": (
        lambda r: nn.MixedPool(3, stride=2, alpha=0.25, rngs=r),
        {"alpha": ()},
        lambda m, x: F.mixed_pool(x, 3, 0.25, stride=2),
    ),
    "MixedPool of each channel": (
        lambda r: nn.MixedPool(2, in_features=4, rngs=r),
        {"alpha": (4,)},
        lambda m, x: F.mixed_pool(x, 2, 0.5),
    ),
    "ConvTranspose": (
        lambda r: nn.ConvTranspose(4, 6, (3, 2), stride=2, padding=1, groups=2, rngs=r),
        {"kernel": (3, 2, 3, 4), "bias": (6,)},
        lambda m, x: F.conv_transpose(x, m.kernel[...], m.bias[...], stride=2, padding=1, groups=2),
    ),
    "LayerNorm": (
        lambda r: nn.LayerNorm(4, epsilon=0.1, rngs=r),
        {"scale": (4,), "bias": (4,)},
        lambda m, x: F.layer_norm(x, epsilon=0.1),
    ),
    "MaxPool": (lambda r: nn.MaxPool(3, stride=2), {}, lambda m, x: F.max_pool(x, 3, stride=2)),
    "AvgPool": (lambda r: nn.AvgPool(2, padding=1), {}, lambda m, x: F.avg_pool(x, 2, padding=1)),
}


@pytest.mark.parametrize("name", MODULES)
def test_module_equals_its_function(name):
    build, shapes, function = MODULES[name]
    module = build(nnx.Rngs(0))
    assert {key: v.shape for key, v in nnx.to_pure_dict(nnx.state(module, nnx.Param)).items()} == shapes
    np.testing.assert_allclose(module(X), function(module, X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("ours", "flax"),
    [
        (lambda r: nn.Conv(4, 6, (3, 3), stride=2, rngs=r), lambda r: nnx.Conv(4, 6, (3, 3), 2, rngs=r)),
        (lambda r: nn.Dense(4, 6, rngs=r), lambda r: nnx.Linear(4, 6, rngs=r)),
    ],
)
def test_module_swaps_with_flax(ours, flax):
    ours, flax = ours(nnx.Rngs(0)), flax(nnx.Rngs(0))
    nnx.update(ours, nnx.state(flax, nnx.Param))
    np.testing.assert_allclose(ours(X), flax(X), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["Conv", "DepthwiseConv", "SeparableConv", "Dense"])
def test_module_initial_variance_keeps_scale(name):
    build = {
        "Conv": lambda r: nn.Conv(64, 64, 3, padding="valid", rngs=r),
        "DepthwiseConv": lambda r: nn.DepthwiseConv(64, 3, padding="valid", rngs=r),
        "SeparableConv": lambda r: nn.SeparableConv(64, 64, 3, padding="valid", rngs=r),
        "Dense": lambda r: nn.Dense(64, 64, rngs=r),
    }[name]
    x = jax.random.normal(jax.random.key(3), (4, 9, 9, 64))
    assert 0.6 < float(jnp.std(build(nnx.Rngs(0))(x))) < 1.5


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_conv_dtype_computes_in_it(dtype):
    module = nn.Conv(4, 6, 3, dtype=dtype, rngs=nnx.Rngs(0))
    assert module(X).dtype == dtype
    assert module.kernel[...].dtype == jnp.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.Conv(3, 4, 3, groups=2, rngs=nnx.Rngs(0)), "Conv: groups=2 must divide in_features=3"),
        (lambda: nn.Conv(3, 4, 0, rngs=nnx.Rngs(0)), "Conv: kernel_size=0 must be at least 1"),
        (lambda: nn.Conv(3, 4, (3,) * 4, rngs=nnx.Rngs(0)), "Conv: kernel_size="),
        (
            lambda: nn.ConvTranspose(3, 4, 2, groups=3, rngs=nnx.Rngs(0)),
            "ConvTranspose: groups=3 must divide in_features=3",
        ),
        (lambda: nn.ConvTranspose(3, 4, 2, stride=0, rngs=nnx.Rngs(0)), "ConvTranspose: stride=0 must be at least 1"),
        (lambda: nn.LayerNorm(3, epsilon=0, rngs=nnx.Rngs(0)), "LayerNorm: epsilon=0 must be positive"),
        (lambda: nn.LayerNorm(3, rngs=nnx.Rngs(0))(X), "layer_norm: scale is"),
        (lambda: nn.Dropout(1.0, rngs=nnx.Rngs(0)), "Dropout: rate=1.0"),
        (lambda: nn.Dense(3, 4, rngs=nnx.Rngs(0))(jnp.ones((2, 5))), r"Dense: x has the shape \(2, 5\)"),
        (lambda: nn.Dense(3, 3, rngs=nnx.Rngs(0))(jnp.ones(())), r"Dense: x has the shape \(\)"),
        (lambda: nn.Dense(3, -1, rngs=nnx.Rngs(0)), "Dense: out_features=-1 must be at least 1"),
        (lambda: nn.Conv(3, 0, 3, rngs=nnx.Rngs(0)), "Conv: out_features=0 must be at least 1"),
        (lambda: nn.Conv(3, 4, 3, stride=0, rngs=nnx.Rngs(0)), "Conv: stride=0 must be at least 1"),
        (lambda: nn.Conv(3, 4, 3, padding="half", rngs=nnx.Rngs(0)), "Conv: padding='half' is unknown"),
        (lambda: nn.Conv(3, 4, 3, padding_mode="half", rngs=nnx.Rngs(0)), "Conv: padding_mode='half' is unknown"),
        (
            lambda: nn.DepthwiseConv(3, 3, multiplier=0, rngs=nnx.Rngs(0)),
            "DepthwiseConv: multiplier=0 must be at least",
        ),
        (lambda: nn.SpatiallySeparableConv(3, 4, (3,), rngs=nnx.Rngs(0)), "SpatiallySeparableConv: kernel_size="),
        (lambda: nn.WeightedPool(3, 0, rngs=nnx.Rngs(0)), "WeightedPool: window=0 must be at least 1"),
        (lambda: nn.WeightedPool(1, 2, rngs=nnx.Rngs(0))(X), "WeightedPool: x has the shape"),
        (lambda: nn.BatchNorm(5, rngs=nnx.Rngs(0))(X, train=True), r"BatchNorm: x is float32\[2, 7, 5, 4\]"),
        (lambda: nn.BatchNorm(5, momentum=5, rngs=nnx.Rngs(0)), "BatchNorm: momentum=5"),
        (lambda: nn.BatchNorm(3, rngs=nnx.Rngs(0))(jnp.ones((1, 3)), train=True), "BatchNorm: x has 1 value"),
    ],
)
def test_module_refuses(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_pool_modules_know_their_options():
    with pytest.raises(TypeError, match="MaxPool: there is no option 'strides'; use stride, padding"):
        nn.MaxPool(2, strides=2)
    with pytest.raises(TypeError, match="StochasticPool: there is no option 'train'; use stride, .*, ceil_mode$"):
        nn.StochasticPool(2, train=True, rngs=nnx.Rngs(0))


def test_weighted_pool_of_each_tap_learns_its_weights():
    module = nn.WeightedPool(4, 2, each_tap=True, rngs=nnx.Rngs(0))
    weights = jax.random.normal(jax.random.key(2), (2, 2, 4))
    module.coefficient[...] = weights
    np.testing.assert_allclose(module(X), F.weighted_pool(X, weights), rtol=1e-5, atol=1e-6)
    gradient = nnx.grad(lambda m: m(X).sum())(module)["coefficient"][...]
    np.testing.assert_allclose(gradient, jax.grad(lambda w: F.weighted_pool(X, w).sum())(weights), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "still"),
    [
        (
            lambda r: nn.StochasticPool(2, stride=1, rngs=r),
            lambda x: F.stochastic_pool(None, x, 2, stride=1, train=False),
        ),
        (
            lambda r: nn.FractionalMaxPool(2, output_size=(5, 3), rngs=r),
            lambda x: F.fractional_max_pool(None, x, 2, output_size=(5, 3), samples=jnp.full((2, 2, 4), 0.5)),
        ),
    ],
    ids=["StochasticPool", "FractionalMaxPool"],
)
def test_random_pool_draws_anew_in_training_and_is_still_else(build, still):
    module = build(nnx.Rngs(0))
    first, second = module(X, train=True), module(X, train=True)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(build(nnx.Rngs(0))(X, train=True), first)
    nnx.reseed(module, default=5, dropout=5)
    again = module(X, train=True)
    nnx.reseed(module, default=5, dropout=5)
    np.testing.assert_array_equal(module(X, train=True), again)
    np.testing.assert_array_equal(module(X, train=False), still(X))


@pytest.mark.parametrize("size", [np.int64(3), [3, 3], (np.int32(3), 3)])
def test_conv_takes_integers_of_any_kind(size):
    module = nn.Conv(4, 6, size, padding=np.array([1, 1]), rngs=nnx.Rngs(0))
    np.testing.assert_allclose(module(X), F.conv(X, module.kernel[...], padding=1), rtol=1e-5, atol=1e-5)


def test_dropout_scales_and_stops():
    layer = nn.Dropout(0.25, rngs=nnx.Rngs(0))
    x = jnp.ones((100, 100))
    dropped = np.asarray(layer(x, train=True))
    assert set(np.unique(dropped)) == {0.0, np.float32(1 / 0.75)}
    assert abs((dropped == 0).mean() - 0.25) < 0.02
    assert not np.array_equal(dropped, layer(x, train=True))
    np.testing.assert_array_equal(layer(x, train=False), x)


def test_stochastic_depth_drops_whole_examples():
    layer = nn.StochasticDepth(0.25, rngs=nnx.Rngs(0))
    x = jnp.ones((4000, 2, 3, 5))
    kept = np.asarray(layer(x, train=True)).reshape(4000, -1)
    np.testing.assert_array_equal(kept.min(1), kept.max(1))
    assert set(np.unique(kept)) == {0.0, np.float32(1 / 0.75)}
    assert abs((kept[:, 0] == 0).mean() - 0.25) < 0.03
    np.testing.assert_array_equal(layer(x, train=False), x)


def test_layer_norm_scales_and_shifts():
    layer = nn.LayerNorm(4, rngs=nnx.Rngs(0))
    layer.scale[...], layer.bias[...] = jnp.arange(4.0), jnp.ones(4)
    np.testing.assert_allclose(layer(X), F.layer_norm(X) * jnp.arange(4.0) + 1, rtol=1e-5, atol=1e-6)
