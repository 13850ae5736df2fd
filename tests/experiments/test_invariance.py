"""`invariance`: the transformations by hand, classifiers whose consistency is known, the convolutions, the run of it all."""

import json
import math
import re
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

pytest.importorskip("matplotlib")
pytest.importorskip("tyro")

from experiments import equivariance, invariance
from experiments.invariance import Config, Network, agreement, consistency, respond
from experiments.transformations import CAMERA, TRANSFORMATIONS, scaled, tilted, turned, warp
from jaxcnn.data import Split


def pixels(h=8, w=8, c=3, n=2):
    return np.random.default_rng(0).integers(0, 256, (n, h, w, c), np.uint8)


@pytest.mark.parametrize("name", TRANSFORMATIONS)
@pytest.mark.parametrize("method", ["linear", "cubic"])
def test_identity_leaves_every_pixel(name, method):
    change = TRANSFORMATIONS[name]
    assert change.identity in change.amounts
    for images in (pixels(7, 11), pixels(9, 6, 1)):
        np.testing.assert_array_equal(change.apply(images, change.identity, method), images)


@pytest.mark.parametrize("method", ["linear", "cubic"])
@pytest.mark.parametrize("by", [-4, -1, 1, 3])
def test_translation_by_whole_pixels_moves_them_right(by, method):
    images = pixels(5, 8)
    padded = np.pad(images, ((0, 0), (0, 0), (4, 4), (0, 0)), "symmetric")
    found = TRANSFORMATIONS["translation"].apply(images, by, method)
    np.testing.assert_array_equal(found, padded[:, :, 4 - by : 12 - by])
    inner = slice(4, -4) if abs(by) == 4 else slice(3, -3)
    np.testing.assert_array_equal(found[:, :, inner], np.roll(images, by, 2)[:, :, inner])


def test_translation_by_half_a_pixel_is_the_mean_of_two_or_keys_cubic_of_four():
    images = pixels(4, 9)
    before = images[:, :, 1:-3].astype(float), images[:, :, 2:-2].astype(float)
    mean = TRANSFORMATIONS["translation"].apply(images, 0.5, "linear")
    np.testing.assert_allclose(mean[:, :, 2:-2], (before[0] + before[1]) / 2, atol=0.5001)
    far = images[:, :, :-4].astype(float) + images[:, :, 3:-1]
    cubic = np.clip(0.59375 * (before[0] + before[1]) - 0.09375 * far, 0, 255)
    np.testing.assert_allclose(
        TRANSFORMATIONS["translation"].apply(images, 0.5, "cubic")[:, :, 2:-2], cubic, atol=0.501
    )


@pytest.mark.parametrize("degrees", [-180, -90, 90, 180])
def test_rotation_by_right_angles_is_rot90(degrees):
    images = pixels(7, 7)
    found = TRANSFORMATIONS["rotation"].apply(images, degrees, "cubic")
    np.testing.assert_array_equal(found, np.rot90(images, degrees // 90, (1, 2)))
    np.testing.assert_allclose(turned(30, 7) @ turned(-30, 7), np.eye(3), atol=1e-15)


def test_scale_by_three_repeats_the_middle_third():
    images = pixels(9, 9)
    found = np.asarray(warp(jnp.asarray(images), jnp.asarray(scaled(3, 9)), "nearest"))
    np.testing.assert_array_equal(found, images[:, 3:6, 3:6].repeat(3, 1).repeat(3, 2))


@pytest.mark.parametrize("degrees", [-60, 0, 25, 60])
def test_viewpoint_is_that_of_a_camera(degrees):
    """A point of the turned picture, projected, is taken back by the homography; the right side, further away, is smaller."""
    angle, distance = math.radians(degrees), CAMERA * 32
    for y, x in ((0, 0), (5, -7), (-16, 16), (11, 3.5)):
        depth = distance + x * math.sin(angle)
        back = tilted(degrees, 32) @ (distance * y / depth, distance * x * math.cos(angle) / depth, 1)
        np.testing.assert_allclose(back[:2] / back[2], (y, x), atol=1e-12)
    np.testing.assert_array_equal(tilted(0, 32), np.eye(3))


def test_light_by_hand():
    images = np.array([51, 102, 153], np.uint8).reshape(1, 1, 3, 1)
    values = {("brightness", 2): [102, 204, 255], ("gamma", 2): [10, 41, 92], ("contrast", 0.5): [77, 102, 128]}
    for (name, amount), expected in values.items():
        found = TRANSFORMATIONS[name].apply(images, amount, "cubic")
        np.testing.assert_allclose(found.ravel(), expected, atol=1, err_msg=name)  # a half may be rounded either way


def of_answers(answer):
    """A network of one member whose class `answer(images)` has the probability 0.9, of five."""

    def probabilities(model, images):
        return np.where(np.arange(5) == answer(images)[:, None], 0.9, 0.025)

    return Network([None], probabilities, np.zeros(1))


def test_agreement_of_pairs():
    assert agreement(np.array([1, 1, 2, 2])) == pytest.approx(2 / 6)
    np.testing.assert_array_equal(agreement(np.array([[0, 1, 2], [0, 2, 2]])), [1, 0, 1])


def test_consistency_of_known_classifiers():
    """A constant classifier always agrees with itself.

    The other one answers with its first pixel. A random shift brings one of five columns there, each as often as the others.
    """
    columns = np.array([0, 1, 2, *[3] * 11, 3, 4], np.uint8)
    images = np.broadcast_to(columns[None, None, :, None], (400, 16, 16, 1))
    constant, first = of_answers(lambda x: np.zeros(len(x), int)), of_answers(lambda x: x[:, 0, 0, 0])
    for mode, expected in (("circular", 1 / 5), ("reflect", 1 / 25 + 2 * 4 / 25)):  # a reflected one sees 2 1 0 1 2
        assert consistency(constant, images, mode, shifts=4).tolist() == [1.0]
        (found,) = consistency(first, images, mode, shifts=8)
        assert found == pytest.approx(expected, abs=0.03), mode


def test_responses_of_a_classifier_of_light():
    """Two grey pictures of 0.4 and 0.8, told apart at 0.5: twice the light makes both bright, half of it both dark."""
    images = np.stack([np.full((4, 4, 1), 102, np.uint8), np.full((4, 4, 1), 204, np.uint8)])
    bright = of_answers(lambda x: (x.mean((1, 2, 3)) > 127).astype(int))
    found = respond({"light": bright}, Split(images, np.array([0, 1], np.int32)), "brightness", "cubic")
    by = {amount: i for i, amount in enumerate(TRANSFORMATIONS["brightness"].amounts)}
    for amount, right in ((0.5, 0.5), (1.0, 1.0), (2.0, 0.5), (4.0, 0.5)):
        assert found["same"]["light"][by[amount]] == found["accuracy"]["light"][by[amount]] == [right]
        assert found["probability"]["light"][by[amount]] == pytest.approx(0.9 * right + 0.025 * (1 - right))
    still = respond({"light": bright}, Split(images, np.array([1, 1], np.int32)), "rotation", "cubic")
    assert (still["same"]["light"] == 1).all()
    assert (still["accuracy"]["light"] == 0.5).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["line, 5 taps", "1×1", "3×3 of one channel", "3×3 of 64 channels"])
def test_equivariance_is_exact_but_for_borders_and_strides(name, dtype):
    found = equivariance.equivariance(name, equivariance.LAYERS[name], dtype, shifts=(1, 2, 3))
    rounding = 16 * np.finfo(dtype).eps  # of the largest output, of which each of the two has a few
    assert max(found.circular, found.inside, found.even) <= rounding
    assert found.odd > 0.5
    assert (found.border == 0) if name == "1×1" else (found.border > 0.2)
    assert found.dtype == dtype
    assert found.line.startswith(f"{name} {dtype} ({found.lowering}): circular ")


def test_network_without_strides_is_invariant_with_circular_padding_alone():
    assert equivariance.invariance_of("none", "circular", depth=1) < 1e-6
    assert equivariance.invariance_of("none", "zeros", depth=1) > 1e-3
    assert equivariance.invariance_of("max", "circular", depth=1) > 1e-3


def test_max_blur_pool_blurs_the_maximum_of_every_pixel():
    x = np.random.default_rng(0).normal(size=(2, 6, 6, 3))
    padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), constant_values=-np.inf)
    largest = np.max([padded[:, i : i + 6, j : j + 6] for i in (0, 1) for j in (0, 1)], 0)
    wide = np.pad(largest, ((0, 0), (1, 1), (1, 1), (0, 0)), "reflect")
    weights = np.outer([1, 2, 1], [1, 2, 1]) / 16
    blurred = np.sum([weights[i, j] * wide[:, i : i + 6, j : j + 6] for i in range(3) for j in range(3)], 0)
    found = invariance.MaxBlurPool()(jnp.asarray(x, jnp.float32))
    np.testing.assert_allclose(found, blurred[:, ::2, ::2], rtol=1e-5, atol=1e-6)
    model: Any = invariance._build(nnx.Rngs(0), pooling="max_blur", widths=(4, 4, 4), in_features=1)
    assert [type(pool).__name__ for pool in model.pools] == ["MaxBlurPool", "MaxBlurPool", "NoneType"]


SHORT = {"dataset": "digits", "train_images": 60, "test_images": 20, "epochs": 1, "seeds": 2, "batch_size": 20}


def test_invariance_says_a_line_a_variant_and_writes_its_page(tmp_path, capsys, monkeypatch):
    line = "line, 5 taps"
    monkeypatch.setattr(invariance, "LAYERS", {line: equivariance.LAYERS[line]})
    monkeypatch.setattr(invariance, "invariance_of", lambda downsample, padding_mode: 0.125)
    invariance.main(Config(**SHORT, widths=(4, 4), only=("max_blur_augmented",), runs=tmp_path))
    printed = capsys.readouterr().out
    share = r"[01]\.\d{3} ± 0\.\d{3} \(2 seeds\)"
    last = rf"invariance/max_blur_augmented test accuracy {share}, consistency {share} .*circle, {share} with a reflected border"
    assert re.fullmatch(last, printed.splitlines()[-1])
    assert re.search(r"invariance/equivariance of line, 5 taps float64 \(\w+\): circular \S+, ", printed)
    assert "invariance/logits of max pooling, circular padding move by 0.12 of the largest" in printed
    (folder,) = (tmp_path / "invariance").iterdir()
    page = (folder / "report.html").read_text()
    assert page.count("<img") == 6
    assert "max blur augmented: " in page
    curves = json.loads((folder / "responses.json").read_text())["curves"]
    assert curves.keys() == TRANSFORMATIONS.keys()
    same = np.array(curves["rotation"]["same"]["max_blur_augmented"])
    assert same.shape == (len(TRANSFORMATIONS["rotation"].amounts), 2)
    assert same[TRANSFORMATIONS["rotation"].amounts.index(0)].tolist() == [1, 1]


def test_invariance_refuses_weights_that_do_not_fit(tmp_path, shared):
    unknown = tmp_path / "a.npz"
    np.savez(unknown, weight=np.zeros(3))
    with pytest.raises(ValueError, match="no card is known for"):
        invariance.main(Config(**SHORT, weights=unknown, runs=tmp_path))
    file = shared / "data/weights/resnet_cifar10/resnet20-12fca82f.npz"
    with pytest.raises(ValueError, match="idelbayev is for cifar10 of 32×32 pixels; the data are digits of 8×8"):
        invariance.main(Config(**SHORT, weights=file, runs=tmp_path))


@pytest.mark.parametrize(("option", "least"), [({"shifts": 1}, 2), ({"test_images": 9}, 10)])
def test_invariance_refuses_too_few_before_it_trains(option, least, tmp_path):
    ((what, value),) = option.items()
    with pytest.raises(ValueError, match=f"{what}={value} must be at least {least}"):
        invariance.main(Config(**{**SHORT, **option}, runs=tmp_path))
    assert not list(tmp_path.iterdir())
