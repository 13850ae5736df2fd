"""Every attribution that captum has, against captum 0.9 in float64, and the answers that captum publishes."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from jaxcnn import interpret as I

from .twins import Twins, first, images, last

captum = pytest.importorskip("captum.attr")
torch = pytest.importorskip("torch")
lrp_rules = pytest.importorskip("captum.attr._utils.lrp_rules")
PUBLISHED = Path(__file__).parents[2].parent / "shared/data/attribution_expected/expected.json"
TARGETS = np.array([4, 1])
pytestmark = pytest.mark.filterwarnings("ignore")  # captum warns of what it sets itself


@pytest.fixture(autouse=True)
def _float64():
    with jax.enable_x64(True):
        yield


def theirs(rival, x, **options):
    return last(rival.attribute(first(x), target=torch.from_numpy(TARGETS), **options))


def close(found, expected):
    """To 1e-6 of the largest number; captum's path has its positions and weights in float32."""
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


GRADIENTS = {
    "gradient": (I.gradient, {}, lambda net: (captum.Saliency(net), {"abs": False})),
    "input_x_gradient": (I.input_x_gradient, {}, lambda net: (captum.InputXGradient(net), {})),
    "guided_backprop": (I.guided_backprop, {}, lambda net: (captum.GuidedBackprop(net), {})),
    "deconvnet": (I.deconvnet, {}, lambda net: (captum.Deconvolution(net), {})),
    "lrp": (I.lrp, {}, lambda net: (captum.LRP(net), {})),
}


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradient_family_equals_captum(name, norm):
    ours, options, rival = GRADIENTS[name]
    twins, x = Twins(norm=norm), images()
    method, words = rival(twins.torch)
    close(ours(twins, x, TARGETS, **options), theirs(method, x, **words))


@pytest.mark.parametrize("norm", [False, True])
@pytest.mark.parametrize("activation", ["ReLU", "Tanh", "Sigmoid"])
def test_deep_lift_equals_captum(activation, norm):
    """Without a max pool, because captum 0.9 loses completeness there by a third of the sum."""
    twins, x, baseline = Twins(activation=activation, norm=norm, pool=False), images(), images(seed=5)
    expected = theirs(captum.DeepLift(twins.torch), x, baselines=first(baseline))
    close(I.deep_lift(twins, x, TARGETS, baseline=baseline), expected)


@pytest.mark.parametrize(
    ("rule", "rival"),
    [
        (I.epsilon_rule(0.1), lambda: lrp_rules.EpsilonRule(0.1)),
        (I.gamma_rule(0.4), lambda: lrp_rules.GammaRule(0.4)),
        (I.alpha_beta_rule(0.0), lambda: lrp_rules.Alpha1_Beta0_Rule()),
    ],
    ids=["epsilon", "gamma", "alpha_beta"],
)
def test_lrp_rules_equal_captum(rule, rival):
    twins, x = Twins(bias=False), np.abs(images())
    for name in ("conv1", "conv2", "head"):
        getattr(twins.torch, name).rule = rival()
    close(I.lrp(twins, x, TARGETS, rule=rule), theirs(captum.LRP(twins.torch), x))


@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("gauss_legendre", "gausslegendre"),
        ("trapezoid", "riemann_trapezoid"),
        ("left", "riemann_left"),
        ("right", "riemann_right"),
        ("middle", "riemann_middle"),
    ],
)
def test_integrated_gradients_equal_captum(path, method):
    twins, x = Twins(activation="Tanh"), images()
    baseline = images(seed=5)
    options = {"baselines": first(baseline), "n_steps": 7, "method": method}
    expected = theirs(captum.IntegratedGradients(twins.torch), x, **options)
    found = I.integrated_gradients(twins, x, TARGETS, baseline=baseline, steps=7, path=path, batch=3)
    if path == "trapezoid":  # captum divides by n where the rule has n − 1 intervals
        found = found * 6 / 7
    close(found, expected)


@pytest.mark.parametrize("layer", ["conv1", "act1", "pool", "conv2", "act2"])
@pytest.mark.parametrize("relu", [False, True])
def test_grad_cam_equals_captum(layer, relu):
    twins, x = Twins(), images()
    method = captum.LayerGradCam(twins.torch, getattr(twins.torch, layer))
    expected = last(method.attribute(first(x), target=torch.from_numpy(TARGETS), relu_attributions=relu))[..., 0]
    found = I.grad_cam(twins, x, TARGETS, layer=layer, relu=relu, resize=None)
    close(found, expected)
    larger = torch.nn.functional.interpolate(first(np.asarray(found)[..., None]), (9, 7), mode="bilinear")
    close(I.grad_cam(twins, x, TARGETS, layer=layer, relu=relu), last(larger)[..., 0])


@pytest.mark.parametrize("layer", ["conv1", "pool"])
def test_guided_grad_cam_equals_captum(layer):
    twins, x = Twins(), images()
    method = captum.GuidedGradCam(twins.torch, getattr(twins.torch, layer))
    expected = theirs(method, x, interpolate_mode="bilinear")
    close(I.guided_grad_cam(twins, x, TARGETS, layer=layer), expected)


def test_layer_attributions_equal_captum():
    twins, x = Twins(activation="Tanh"), images()
    activation, rest = I.after(twins, x, "pool")
    target = torch.from_numpy(TARGETS)
    expected = captum.LayerGradientXActivation(twins.torch, twins.torch.pool).attribute(first(x), target=target)
    close(I.input_x_gradient(rest, activation, TARGETS), last(expected))
    start = I.after(twins, np.zeros_like(x), "pool")[0]
    method = captum.LayerIntegratedGradients(twins.torch, twins.torch.pool)
    expected = last(method.attribute(first(x), target=target, n_steps=9))
    close(I.integrated_gradients(rest, activation, TARGETS, baseline=start, steps=9), expected)


def test_neuron_attributions_equal_captum():
    twins, x = Twins(), images()
    unit = I.until(twins, x, "conv2")
    for ours, method in ((I.gradient, captum.NeuronGradient), (I.guided_backprop, captum.NeuronGuidedBackprop)):
        expected = method(twins.torch, twins.torch.conv2).attribute(first(x), neuron_selector=(3, 1, 0))
        close(ours(unit, x, (1, 0, 3)), last(expected))


def test_variances_of_smooth_grad_equal_their_samples():
    twins, x = Twins(activation="Tanh"), images()
    key, spread = jax.random.key(3), (x.max((1, 2, 3)) - x.min((1, 2, 3)))[:, None, None, None]
    noise = [0.2 * spread * np.asarray(jax.random.normal(one, x.shape)) for one in jax.random.split(key, 5)]
    slopes = np.stack([theirs(captum.Saliency(twins.torch), x + one, abs=False) for one in noise])
    for kind, expected in (("mean", slopes.mean(0)), ("mean_square", (slopes**2).mean(0)), ("variance", slopes.var(0))):
        found = I.smooth_grad(key, twins, x, TARGETS, samples=5, noise=0.2, kind=kind, batch=2)
        close(found, expected)


def toy(x, tap=lambda name, value: value):
    """The network of captum's own tests, on images `(n, 4, 4, 1)`."""
    x = tap("conv1", F.conv(x, jnp.ones((3, 3, 1, 2)), padding="valid") + jnp.array([-50.0, -75.0]))
    flat = jnp.moveaxis(tap("relu1", jax.nn.relu(x)), -1, 1).reshape(len(x), -1)
    return jax.nn.relu(flat @ jnp.tile(jnp.array([1.0] * 5 + [-1.0] * 3)[:, None], (1, 4)))


@pytest.mark.skipif(not PUBLISHED.exists(), reason="captum's published answers are not here")
def test_published_answers():
    answers = json.loads(PUBLISHED.read_text())
    x, both = jnp.arange(16.0).reshape(1, 4, 4, 1), jnp.arange(16.0).reshape(1, 4, 4, 1) + 1
    cams = answers["grad_cam (mean gradient a channel times activation, summed over channels, no final ReLU)"]
    for images_, layer, name in ((x, "conv1", "conv1, x"), (x, "relu1", "relu1, x"), (both, "conv1", "conv1, x+x2")):
        found = I.grad_cam(toy, images_, 0, layer=layer, relu=False, resize=None)
        np.testing.assert_allclose(found[0], cams[name])
    for images_, name in ((x, "deconvnet (ReLU on the gradient only), x"), (both, "deconvnet, x+x2 (each input)")):
        np.testing.assert_allclose(I.deconvnet(toy, images_, 0)[0, ..., 0], answers[name])
    guided = answers["guided_grad_cam relu1, x (guided backprop times Grad-CAM resized nearest to 4x4, ReLU)"]
    found = I.guided_grad_cam(toy, x, 0, layer="relu1", resize="nearest")[0, ..., 0]
    np.testing.assert_allclose(np.maximum(found, 0), guided)
    guided = answers["guided_grad_cam conv1, x+x2 (each input)"]
    np.testing.assert_allclose(I.guided_grad_cam(toy, both, 0, layer="conv1", resize="nearest")[0, ..., 0], guided)
