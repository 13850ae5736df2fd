"""What attributions promise: completeness, transformations, targets, layers, and a line for each thing that is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import functional as F
from jaxcnn import interpret as I
from jaxcnn import models, nn

from .twins import images

KEY = jax.random.key(0)
METHODS = {
    "gradient": I.gradient,
    "input_x_gradient": I.input_x_gradient,
    "smooth_grad": lambda *arguments: I.smooth_grad(KEY, *arguments, samples=3, batch=2),
    "integrated_gradients": lambda *arguments: I.integrated_gradients(*arguments, steps=5, batch=2),
    "guided_backprop": I.guided_backprop,
    "deconvnet": I.deconvnet,
    "deep_lift": I.deep_lift,
    "lrp": I.lrp,
    "grad_cam": I.grad_cam,
    "grad_cam_plus_plus": I.grad_cam_plus_plus,
    "guided_grad_cam": I.guided_grad_cam,
    "eigen_cam": lambda model, x, target: I.eigen_cam(model, x),
}
table = pytest.mark.parametrize("name", METHODS)


class Net(nnx.Module):
    """A convolution with batch norm, a residual sum, a gate of channels, a max pool, a mean, a dense layer."""

    def __init__(self, rngs=None, activation=jax.nn.relu):
        rngs = rngs or nnx.Rngs(0)
        self.conv1, self.bn = nn.Conv(3, 6, 3, rngs=rngs), nn.BatchNorm(6, rngs=rngs)
        self.conv2, self.gate, self.head = (
            nn.Conv(6, 6, 3, rngs=rngs),
            nn.Dense(6, 6, rngs=rngs),
            nn.Dense(6, 4, rngs=rngs),
        )
        self.bn.mean[...], self.bn.var[...] = jnp.linspace(-1, 1, 6), jnp.linspace(0.5, 2, 6)
        self.activation = activation

    def __call__(self, x, *, train, tap=lambda name, value: value):
        x = tap("conv1", self.activation(self.bn(self.conv1(x), train=train)))
        x = tap("block.0", x + self.activation(self.conv2(x)))
        x = tap("block.1", x * jax.nn.sigmoid(self.gate(F.global_avg_pool(x)))[:, None, None])
        x = F.global_avg_pool(tap("pool", F.max_pool(x, 3, stride=2)))
        return tap("logits", self.head(x))


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(images(shape=(2, 9, 7, 3)), jnp.float32)


@table
def test_attribution_is_the_same_under_jit_and_for_several_targets_at_once(name, x):
    model, method = Net(), METHODS[name]
    targets = jnp.array([[0, 1], [3, 2]])
    one_by_one = jnp.stack([method(model, x, target) for target in targets])
    inside = jax.jit(lambda model, x, targets: jax.vmap(lambda target: method(model, x, target))(targets))
    np.testing.assert_allclose(inside(model, x, targets), one_by_one, rtol=1e-4, atol=1e-6)
    assert name == "eigen_cam" or np.abs(one_by_one[0] - one_by_one[1]).max() > 1e-3


@table
def test_attribution_of_an_image_is_its_own(name, x):
    if name == "smooth_grad":
        pytest.skip("the noise of an image depends on its place")
    model, method = Net(), METHODS[name]
    np.testing.assert_allclose(method(model, x, 1)[1:], method(model, x[1:], 1), rtol=1e-4, atol=1e-6)


@table
def test_attribution_is_compiled_once(name, x):
    from jaxcnn.interpret import _forward

    model, method = Net(), METHODS[name]
    method(model, x, 1)
    before = _forward._compiled._cache_size()
    method(model, 2 * x, 2)
    method(Net(), x, 3)  # another network of the same shapes
    assert _forward._compiled._cache_size() == before


@table
def test_attribution_names_a_class_that_is_none(name, x):
    if name == "eigen_cam":
        pytest.skip("it has no target")
    with pytest.raises(ValueError, match=r"target=4 is no class of a model with 4; use 0 to 3"):
        METHODS[name](Net(), x, 4)
    with pytest.raises(ValueError, match=r"target has shape \[3\] for 2 images"):
        METHODS[name](Net(), x, np.array([0, 1, 2]))
    with pytest.raises(TypeError, match="of no known kind"):
        METHODS[name](Net(), x, 0.5)


@table
def test_attribution_refuses_what_is_not_sound(name, x):
    with pytest.raises(TypeError, match=r"x is uint8\[1, 2, 2, 3\]; give floating point"):
        METHODS[name](Net(), np.zeros((1, 2, 2, 3), np.uint8), 0)
    with pytest.raises(ValueError, match="image 1 is not finite"):
        METHODS[name](Net(), x.at[1, 2, 2, 0].set(jnp.nan), 0)
    with pytest.raises(TypeError, match="the model is a int; give an NNX module or a function"):
        METHODS[name](3, x, 0)


@pytest.mark.parametrize(
    "activation", [jax.nn.relu, jax.nn.gelu, jax.nn.relu6, jax.nn.silu, jnp.tanh, jax.nn.leaky_relu]
)
def test_deep_lift_and_lrp_add_up(activation, x):
    model = Net(activation=activation)
    target, baseline = np.array([2, 0]), 0.1 * jnp.cos(jnp.arange(x.size).reshape(x.shape))
    score = lambda x: np.take_along_axis(np.asarray(model(x, train=False)), target[:, None], 1)[:, 0]
    lifted = I.deep_lift(model, x, target, baseline=baseline)
    np.testing.assert_allclose(lifted.sum((1, 2, 3)), score(x) - score(baseline), rtol=1e-4, atol=1e-5)


def test_lrp_adds_up_without_biases(x):
    """Every rule keeps the sum where no bias takes a part."""

    def f(x):
        x = jax.nn.relu(F.conv(x, kernels[0], padding="same"))
        x = F.avg_pool(x + jax.nn.relu(F.conv(x, kernels[1], padding="same")), 2)
        return F.global_avg_pool(F.max_pool(x, 2)) @ kernels[2]

    kernels = [
        jax.random.normal(key, shape)
        for key, shape in zip(jax.random.split(KEY, 3), [(3, 3, 3, 5), (3, 3, 5, 5), (5, 4)])
    ]
    score = f(x)[:, 1]
    for rule in (I.epsilon_rule(1e-9), I.gamma_rule(0.5), I.alpha_beta_rule(0.0), I.alpha_beta_rule(1.0)):
        np.testing.assert_allclose(I.lrp(f, x, 1, rule=rule).sum((1, 2, 3)), score, rtol=2e-3)
    mixed = I.lrp(f, x, 1, rule=[I.gamma_rule(0.5), I.alpha_beta_rule(0.0), I.epsilon_rule(1e-9)])
    np.testing.assert_allclose(mixed.sum((1, 2, 3)), score, rtol=2e-3)
    with pytest.raises(ValueError, match="2 rules for the model's 3 layers with weights"):
        I.lrp(f, x, 1, rule=[I.epsilon_rule(1e-9)] * 2)
    with pytest.raises(ValueError, match="of numbers from 0"):
        I.lrp(f, x, 1, rule=I.gamma_rule(-1.0))


def test_lrp_takes_batch_norm_as_part_of_its_layer(x):
    """The γ rule of a convolution with batch norm is that of the one convolution that both make."""
    kernel, factor = jax.random.normal(KEY, (3, 3, 3, 4)), jnp.array([1.5, -0.5, 2.0, -1.0])
    mean, bias = jnp.array([0.1, -0.3, 0.2, 0.0]), jnp.array([0.2, 0.1, -0.4, 0.3])
    apart = lambda x: jax.nn.relu(F.batch_norm(F.conv(x, kernel), mean, jnp.ones(4), factor, bias, epsilon=0.0)).sum(
        (1, 2)
    )
    joined = lambda x: jax.nn.relu(F.conv(x, kernel * factor) + (bias - mean * factor)).sum((1, 2))
    for rule in (I.gamma_rule(0.3), I.alpha_beta_rule(0.5), I.epsilon_rule(0.1)):
        found, expected = I.lrp(apart, x, 1, rule=rule), I.lrp(joined, x, 1, rule=rule)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


def test_lrp_names_an_operation_without_rule(x):
    with pytest.raises(ValueError, match="'sort' on what depends on x"):
        I.lrp(lambda x: jnp.sort(x, 1).sum((1, 2)), x, 0)
    with pytest.raises(ValueError, match="dot_general of two arrays"):
        I.lrp(lambda x: jnp.einsum("nhwc,nhwd->nd", x, x), x, 0)


def test_integrated_gradients_are_complete(x):
    model = Net()
    found = I.integrated_gradients(model, x, 2)
    gap = (model(x, train=False) - model(jnp.zeros_like(x), train=False))[:, 2]
    assert (np.abs(found.sum((1, 2, 3)) - gap) <= 0.01 * np.abs(gap)).all()


def test_likeliest_class_is_the_default(x):
    model = Net()
    likeliest = model(x, train=False).argmax(-1)
    np.testing.assert_array_equal(I.gradient(model, x), I.gradient(model, x, likeliest))
    steps = lambda target: I.integrated_gradients(model, x, target, steps=4)
    np.testing.assert_array_equal(steps(None), steps(likeliest))


def test_targets_index_and_compute(x):
    maps = lambda x: F.conv(x, jnp.ones((3, 3, 3, 2)), padding="valid")
    assert np.flatnonzero(I.gradient(maps, x, (0, 1, 1))[0, ..., 0].any(1)).tolist() == [0, 1, 2]
    mean = I.gradient(maps, x, lambda outputs: outputs.mean((1, 2, 3)))
    np.testing.assert_allclose(mean[:, 4, 3], 9 * 2 / (7 * 5 * 2), rtol=1e-6)
    for target, message in [
        ((0, 9, 0), "does not index an output of"),
        (None, "not one a class"),
        (lambda o: o, "give one number"),
    ]:
        with pytest.raises(ValueError, match=message):
            I.gradient(maps, x, target)


def test_layers_by_pattern_and_what_is_wrong_with_them(x):
    model = Net()
    cam = lambda layer: I.grad_cam(model, x, 1, layer=layer, resize=None)
    np.testing.assert_array_equal(cam("block.*"), cam("block.1"))
    np.testing.assert_array_equal(cam(None), cam("pool"))
    with pytest.raises(ValueError, match=r"layer='bloc' is no activation of the model; nearest: block"):
        cam("bloc")
    with pytest.raises(
        ValueError, match=r"layer='logits' is \[2, 4\], which has no space; use one of conv1, block.0, block.1, pool"
    ):
        cam("logits")
    with pytest.raises(ValueError, match="names no activation"):
        I.grad_cam(lambda x: x.sum((1, 2)), x, 1)


def test_models_without_relu_have_no_guided_backprop(x):
    for method in (I.guided_backprop, I.deconvnet):
        with pytest.raises(ValueError, match=f"{method.__name__}: the model has no ReLU"):
            method(Net(activation=jax.nn.gelu), x, 0)


def test_relu_rules_leave_hard_silu_alone(x):
    f = lambda x: (jax.nn.relu(x) + jax.nn.hard_silu(x)).sum((1, 2))
    plain = jax.grad(lambda x: jax.nn.hard_silu(x).sum())(x)
    np.testing.assert_allclose(I.guided_backprop(f, x, (0,))[..., 0], (plain + (x > 0))[..., 0], rtol=1e-5)


def test_deconvnet_unpools_by_switches():
    """By hand: what a unit's value goes back through, unpooled to where the maximum was, rectified, convolved backwards."""
    x = jnp.array(np.random.default_rng(0).normal(size=(1, 8, 8, 1)), jnp.float32)
    kernel = jax.random.normal(KEY, (3, 3, 1, 4))
    f = lambda x, tap=lambda name, value: value: tap("pool", F.max_pool(jax.nn.relu(F.conv(x, kernel)), 2))
    pooled, switches = F.max_pool_with_indices(jax.nn.relu(F.conv(x, kernel)), 2)
    one = jnp.zeros_like(pooled).at[0, 1, 2, 3].set(1.0)
    placed = jnp.maximum(F.max_unpool(one, switches, output_size=(8, 8)), 0)
    expected = jax.vjp(lambda x: F.conv(x, kernel), x)[1](placed)[0]
    np.testing.assert_allclose(I.deconvnet(I.until(f, x, "pool"), x, (1, 2, 3)), expected, rtol=1e-5)


def test_grad_cam_plus_plus_equals_its_formula(x):
    model = Net()
    activation, rest = I.after(model, x, "block.1")
    a, g = (np.asarray(v, np.float64) for v in (activation, I.gradient(rest, activation, 2)))
    below = 2 * g**2 + a.sum((1, 2), keepdims=True) * g**3
    alpha = np.divide(g**2, below, out=np.zeros_like(g), where=below != 0)
    expected = np.maximum((((alpha * np.maximum(g, 0)).sum((1, 2)))[:, None, None] * a).sum(-1), 0)
    found = I.grad_cam_plus_plus(model, x, 2, layer="block.1", resize=None)
    np.testing.assert_allclose(found, expected, rtol=2e-3, atol=1e-4 * expected.max())


def test_eigen_cam_is_the_first_component(x):
    model = Net()
    rows = np.asarray(I.after(model, x, "block.0")[0], np.float64).reshape(2, -1, 6)
    found = np.asarray(I.eigen_cam(model, x, layer="block.0", resize=None)).reshape(2, -1)
    for one, expected in zip(found, rows):
        right = np.linalg.svd(expected)[2][0]
        np.testing.assert_allclose(one, np.sign((expected @ right).sum()) * (expected @ right), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["mobilenet_v3_small"])
def test_deep_lift_adds_up_in_networks(name):
    model = models.create(name, num_classes=5, rngs=nnx.Rngs(0))
    x = jax.random.normal(KEY, (1, 64, 64, 3))
    gap = (model(x, train=False) - model(jnp.zeros_like(x), train=False))[0, 3]
    assert float(I.deep_lift(model, x, 3).sum()) == pytest.approx(float(gap), rel=0.02, abs=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: I.integrated_gradients(Net(), x, 0, path="simpson"), "path='simpson' must be one of gauss_legendre"),
        (lambda x: I.integrated_gradients(Net(), x, 0, steps=0), "steps=0 must be a whole number from 1"),
        (
            lambda x: I.integrated_gradients(Net(), x, 0, baseline=np.zeros((5, 7, 3))),
            r"baseline has shape \[5, 7, 3\]",
        ),
        (lambda x: I.smooth_grad(KEY, Net(), x, 0, kind="median"), "kind='median'"),
        (lambda x: I.smooth_grad(KEY, Net(), x, 0, samples=2.5), "samples=2.5 must be a whole number from 1"),
        (lambda x: I.deep_lift(Net(), x, 0, baseline=np.zeros((4, 1, 1, 1))), r"baseline has shape \[4, 1, 1, 1\]"),
        (lambda x: I.gradient(models.create("lenet5", rngs=nnx.Rngs(0)), x[..., :1], 0), "conv: window"),
        (lambda x: I.until(Net(), x, "nowhere"), "until: layer='nowhere' is no activation"),
    ],
)
def test_attribution_errors_are_one_line(call, message, x):
    with pytest.raises(ValueError, match=message) as caught:
        call(x)
    assert "\n" not in str(caught.value)
