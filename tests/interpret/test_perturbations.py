"""Occlusion, feature ablation, RISE and Score-CAM: captum in float64, published answers, loops, transformations, errors."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxcnn import functional as F
from jaxcnn import interpret as I

from .test_attributions import Net
from .twins import Twins, first, images, last

KEY = jax.random.key(0)
TARGETS = np.array([4, 1])
GROUPS = np.arange(63).reshape(9, 7) % 4 + 3
METHODS = {
    "occlusion": lambda model, x, target=None, **o: I.occlusion(model, x, target, window=(3, 2), **{"batch": 5, **o}),
    "feature_ablation": lambda model, x, target=None, **o: I.feature_ablation(model, x, target, groups=GROUPS, **o),
    "rise": lambda model, x, target=None, **o: I.rise(KEY, model, x, target, masks=11, grid=3, **{"batch": 6, **o}),
    "score_cam": lambda model, x, target=None, **o: I.score_cam(model, x, target, layer="conv1", **{"batch": 4, **o}),
}
table = pytest.mark.parametrize("name", METHODS)


@pytest.fixture(scope="module")
def x():
    return jnp.asarray(images(), jnp.float32)


def scored(model, x, targets=TARGETS):
    """Scores of images in NumPy."""
    return np.take_along_axis(np.asarray(model(jnp.asarray(x))), targets[:, None], 1)[:, 0]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("window", "stride"), [((3, 2), (2, 1)), ((4, 4), (3, 3)), ((9, 7), (1, 1)), ((1, 7), (1, 5))])
def test_occlusion_equals_captum(window, stride):
    captum, torch = pytest.importorskip("captum.attr"), pytest.importorskip("torch")
    with jax.enable_x64(True):
        twins, x, baseline = Twins(), images(), images(seed=3)
        expected = captum.Occlusion(twins.torch).attribute(
            first(x), (3, *window), strides=(1, *stride), target=torch.from_numpy(TARGETS), baselines=first(baseline)
        )
        found = I.occlusion(twins, x, TARGETS, window=window, stride=stride, baseline=baseline, batch=6)
        np.testing.assert_allclose(found, last(expected)[..., 0], rtol=0, atol=1e-6 * np.abs(found).max())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("own", [False, True])
def test_feature_ablation_equals_captum(own):
    captum, torch = pytest.importorskip("captum.attr"), pytest.importorskip("torch")
    groups = np.stack([GROUPS, GROUPS[::-1] // 2]) if own else GROUPS
    with jax.enable_x64(True):
        twins, x = Twins(), images()
        mask = torch.from_numpy(np.ascontiguousarray(groups if own else groups[None])[:, None])
        rival = captum.FeatureAblation(twins.torch)
        expected = rival.attribute(first(x), target=torch.from_numpy(TARGETS), baselines=0.5, feature_mask=mask)
        found = I.feature_ablation(twins, x, TARGETS, groups=groups, baseline=0.5, batch=3)
        np.testing.assert_allclose(found, last(expected)[..., 0], rtol=0, atol=1e-6 * np.abs(found).max())


@pytest.mark.parametrize(("image", "entry", "window", "stride"), [
    ("x", "window 4x4: x", (4, 4), 1), ("x2", "window 4x4: x2", (4, 4), 1),
    ("x", "x window 2x3 stride 2x1", (2, 3), (2, 1)), ("x2", "x2 window 1x2 stride 1x2 (last row covered too)", (1, 2), (1, 2)),
])  # fmt: skip
def test_occlusion_equals_the_published_answers(image, entry, window, stride, shared):
    published = json.loads((shared / "data/attribution_expected/expected.json").read_text())
    (answers,) = (published[name] for name in published if name.startswith("occlusion"))
    kernel, bias = jnp.ones((3, 3, 1, 2)), jnp.array([-50.0, -75.0])
    rows = jnp.tile(jnp.array([1.0] * 5 + [-1.0] * 3)[:, None], (1, 4))
    shown = {"x": jnp.arange(16.0), "x2": jnp.ones(16)}
    other = shown["x2" if image == "x" else "x"].reshape(1, 4, 4, 1)

    def f(x):  # the other input is added and stays as it is
        y = jax.nn.relu(F.conv(x + other, kernel, bias, padding="valid"))
        return jax.nn.relu(jnp.moveaxis(y, -1, 1).reshape(len(x), -1) @ rows)

    found = I.occlusion(f, shown[image].reshape(1, 4, 4, 1), 0, window=window, stride=stride)[0]
    np.testing.assert_allclose(found, np.broadcast_to(answers[entry], (4, 4)), rtol=1e-5)


@pytest.mark.parametrize("probability", [False, True])
def test_rise_equals_a_loop(x, probability):
    from jaxcnn.interpret.attribution._rise import drawn

    model = Twins()
    masks = np.asarray(drawn(KEY, jnp.arange(11), (9, 7), (3, 2), 0.4, jnp.float32), np.float64)
    of = (lambda x: jax.nn.softmax(model(x))) if probability else model
    expected = sum(scored(of, x * m[..., None])[:, None, None] * m for m in masks) / (11 * 0.4)
    found = I.rise(KEY, model, x, TARGETS, masks=11, grid=(3, 2), share=0.4, probability=probability, batch=6)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_masks_of_rise_are_as_the_paper_draws_them():
    from jaxcnn.interpret.attribution._rise import drawn

    masks = np.asarray(drawn(KEY, jnp.arange(4000), (9, 7), (3, 2), 0.3, jnp.float32))
    assert (masks.min(), masks.max()) == (0, 1)
    np.testing.assert_allclose(masks.mean(0), 0.3, atol=0.05)  # 4,000 draws: 4 standard deviations are below 0.03
    assert 0.2 < (np.abs(np.diff(masks, axis=1)) > 1e-6).mean() < 0.9  # linear between cells, not steps
    steps = np.abs(np.diff(masks, axis=1)).max()
    np.testing.assert_allclose(
        steps, 3 / 12, rtol=1e-5
    )  # 3 cells are enlarged to 12 pixels: a pixel is a quarter of a cell


def test_score_cam_equals_a_loop(x):
    model = Twins()
    activation = np.asarray(I.capture(lambda x, train, tap: model(x, tap), x)[1]["conv1"], np.float64)
    enlarged = np.asarray(F.resize(jnp.asarray(activation, jnp.float32), (9, 7)))
    low, high = enlarged.min((1, 2), keepdims=True), enlarged.max((1, 2), keepdims=True)
    masks = (enlarged - low) / (high - low)
    gains = np.stack([scored(model, x * masks[..., c : c + 1]) for c in range(5)], -1) - scored(model, 0 * x)[:, None]
    weights = np.exp(gains) / np.exp(gains).sum(-1, keepdims=True)
    expected = np.maximum((activation * weights[:, None, None]).sum(-1), 0)
    found = I.score_cam(model, x, TARGETS, layer="conv1", resize=None, batch=4)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    large = I.score_cam(model, x, TARGETS, layer="conv1", batch=4)
    np.testing.assert_allclose(large, F.resize(found[..., None], (9, 7))[..., 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("space", [(17,), (6, 5, 7)])
def test_perturbations_take_lines_and_volumes(space):
    rank = len(space)
    kernel, x = jax.random.normal(KEY, (*(3,) * rank, 2, 4)), jax.random.normal(KEY, (2, *space, 2))
    f = lambda x, tap: F.global_avg_pool(jax.nn.relu(tap("a", F.conv(x, kernel))))
    expected = np.zeros((2, *space))
    for number in np.ndindex(*space):
        covered = x.at[(slice(None), *number)].set(0)
        expected[(slice(None), *number)] = (f(x, lambda n, v: v) - f(covered, lambda n, v: v))[:, 1]
    np.testing.assert_allclose(I.occlusion(f, x, 1, window=1, stride=1), expected, rtol=1e-3, atol=1e-6)
    one_each = np.arange(np.prod(space)).reshape(space)
    np.testing.assert_allclose(I.feature_ablation(f, x, 1, groups=one_each), expected, rtol=1e-3, atol=1e-6)
    assert I.rise(KEY, f, x, 1, masks=4, grid=2).shape == I.score_cam(f, x, 1).shape == (2, *space)


@table
@pytest.mark.parametrize("batch", [1, 3, 100])
def test_perturbation_does_not_depend_on_the_batch(name, batch, x):
    np.testing.assert_allclose(METHODS[name](Net(), x, batch=batch), METHODS[name](Net(), x), rtol=1e-4, atol=1e-6)


@table
def test_perturbation_is_the_same_under_jit_and_for_several_targets_at_once(name, x):
    model, method, targets = Net(), METHODS[name], jnp.array([[0, 1], [3, 2]])
    one_by_one = jnp.stack([method(model, x, target) for target in targets])
    inside = jax.jit(lambda model, x, targets: jax.vmap(lambda target: method(model, x, target))(targets))
    np.testing.assert_allclose(inside(model, x, targets), one_by_one, rtol=1e-4, atol=1e-6)
    assert np.abs(one_by_one[0] - one_by_one[1]).max() > 1e-3


@table
def test_perturbation_keeps_the_likeliest_class_of_the_whole_image(name, x):
    """What is likeliest behind a mask does not matter: of these two scores one is the other's negative."""
    slopes = jnp.asarray(images(seed=8)[0], jnp.float32)

    def model(x, tap):
        total = (tap("conv1", x) * slopes).sum((1, 2, 3))
        return jnp.stack([total, -total], -1)

    likeliest = np.asarray(model(x, lambda name, value: value)).argmax(-1)
    np.testing.assert_allclose(METHODS[name](model, x), METHODS[name](model, x, likeliest), rtol=1e-5, atol=1e-7)


@table
def test_perturbation_is_compiled_once(name, x):
    from jaxcnn.interpret import _forward

    METHODS[name](Net(), x, 1)
    before = _forward._compiled._cache_size()
    METHODS[name](Net(), 2 * x, 2)
    assert _forward._compiled._cache_size() == before


@table
def test_perturbation_refuses_what_is_not_sound(name, x):
    with pytest.raises(ValueError, match=r"target=4 is no class of a model with 4; use 0 to 3"):
        METHODS[name](Net(), x, 4)
    with pytest.raises(ValueError, match="image 1 is not finite"):
        METHODS[name](Net(), x.at[1, 2, 2, 0].set(jnp.nan), 0)
    with pytest.raises(ValueError, match="batch=0 must be a whole number from 1"):
        METHODS[name](Net(), x, 0, batch=0)


@pytest.mark.parametrize(("call", "message"), [
    (lambda x: I.occlusion(Net(), x, window=10), r"occlusion: window=\(10, 10\) is larger than the image \(9, 7\)"),
    (lambda x: I.occlusion(Net(), x, window=3, stride=0), "occlusion: stride=0 must be at least 1"),
    (lambda x: I.occlusion(Net(), x, window=3, stride=4), r"stride=\(4, 4\) leaves pixels between windows of \(3, 3\)"),
    (lambda x: I.occlusion(Net(), x, window=3, baseline=jnp.ones(2)), r"baseline has shape \[2\]"),
    (lambda x: I.feature_ablation(Net(), x, groups=np.zeros((7, 9), int)), r"groups have shape \[7, 9\]; give \[9, 7\]"),
    (lambda x: I.rise(KEY, Net(), x, share=1.0), "share=1.0 must lie between 0 and 1"),
    (lambda x: I.rise(KEY, Net(), x, grid=8), r"grid=\(8, 8\) is finer than the image \(9, 7\)"),
    (lambda x: I.rise(KEY, Net(), x, masks=0), "masks=0 must be a whole number from 1"),
    (lambda x: I.rise(KEY, lambda x: x.sum((1, 2, 3)), x), "probability=True needs one number a class"),
    (lambda x: I.score_cam(Net(), x, layer="logits"), r"layer='logits' is \[2, 4\], which has no space"),
    (lambda x: I.score_cam(Net(), x, layer="conv9"), "is no activation of the model; nearest: conv1"),
])  # fmt: skip
def test_perturbation_names_what_is_wrong(call, message, x):
    with pytest.raises(ValueError, match=message) as error:
        call(x)
    assert "\n" not in str(error.value)


def test_feature_ablation_needs_groups_before_it_is_traced(x):
    with pytest.raises(TypeError, match="groups are traced; give them as NumPy integers"):
        jax.jit(lambda groups: I.feature_ablation(Net(), x, 0, groups=groups))(GROUPS)
    with pytest.raises(TypeError, match="groups are float64; give integers"):
        I.feature_ablation(Net(), x, 0, groups=GROUPS / 2)


def test_score_cam_of_the_channels_that_vary_most_equals_a_loop(x):
    model, most = Twins(), 3
    activation, _ = I.after(model, x, "conv1")
    order = np.argsort(-np.asarray(activation).var((1, 2)), 1)[:, :most]
    found = I.score_cam(model, x, TARGETS, layer="conv1", resize=None, most=most)
    all_of_them = I.score_cam(model, x, TARGETS, layer="conv1", resize=None, most=activation.shape[-1])
    np.testing.assert_array_equal(all_of_them, I.score_cam(model, x, TARGETS, layer="conv1", resize=None))
    maps = F.resize(activation, x.shape[1:-1])
    low, high = maps.min((1, 2), keepdims=True), maps.max((1, 2), keepdims=True)
    scaled = np.asarray((maps - low) / (high - low))
    for i, chosen in enumerate(order):
        score = np.array([model(x[i : i + 1] * scaled[i : i + 1, ..., k : k + 1])[0, TARGETS[i]] for k in chosen])
        weight = np.exp(score - score.max()) / np.exp(score - score.max()).sum()
        expected = np.maximum((np.asarray(activation)[i][..., chosen] * weight).sum(-1), 0)
        np.testing.assert_allclose(found[i], expected, rtol=1e-3, atol=1e-5)
