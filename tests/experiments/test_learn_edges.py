"""`learn_edges`: the convention of angles, the Hessian, and that every method finds a hidden kernel."""

import re

import jax
import numpy as np
import pytest

pytest.importorskip("tyro")
pytest.importorskip("sklearn")


def noise(seeds=1, side=9):
    x = np.random.default_rng(0).normal(size=(seeds, 8, side, side, 1))
    return (x - x.mean((1, 2, 3, 4), keepdims=True)) / x.std((1, 2, 3, 4), keepdims=True)


def test_targets_are_derivatives_across_the_edge():
    from experiments.learn_edges import TARGETS

    right = np.array([[-1, 0, 1]] * 3)  # grows to the right
    up = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])  # grows upwards
    for angle in (22, 45, 70):
        across = np.deg2rad(angle + 90)
        np.testing.assert_allclose(TARGETS[f"edge_{angle}"], np.cos(across) * right + np.sin(across) * up, atol=1e-12)
    assert TARGETS["sobel"].tolist() == [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
    assert TARGETS["scharr"].tolist() == [[3, 0, -3], [10, 0, -10], [3, 0, -3]]


def test_eigenvalues_are_the_hessians():
    from experiments.learn_edges import eigenvalues
    from jaxcnn import functional as F

    x = noise()
    with jax.enable_x64(True):
        loss = lambda w: (F.conv2d(x[0], w[:, :, None, None], padding="valid") ** 2).mean() / 2
        hessian = jax.hessian(loss)(np.ones((3, 3))).reshape(9, 9)
    np.testing.assert_allclose(eigenvalues(x)[0], np.linalg.eigvalsh(hessian), rtol=1e-10)


@pytest.mark.parametrize(("method", "steps"), [("descent", 40), ("accelerated", 40), ("conjugate", 10)])
def test_learn_recovers_sobel(method, steps):
    from experiments.learn_edges import TARGETS, eigenvalues, learn

    x = noise()
    low, high = eigenvalues(x)[0, [0, -1]]
    with jax.enable_x64(True):
        start = np.random.default_rng(1).normal(size=(3, 3))
        found = jax.jit(lambda *given: learn(*given, method, steps))(x[0], TARGETS["sobel"], start, low, high)
    assert found.shape == (steps + 1, 3, 3)
    np.testing.assert_array_equal(found[0], start)
    np.testing.assert_allclose(found[-1], TARGETS["sobel"], atol=1e-5)


def test_errors_count_from_what_the_precision_holds():
    from experiments.learn_edges import TARGETS, errors

    hidden = np.stack(list(TARGETS.values()))
    path = np.broadcast_to(hidden.astype(np.float32).astype(float), (2, 3, *hidden.shape)).copy()
    path[1, 2, 0, 1, 1] += 0.5
    assert errors(path, "float32").max() == errors(path, "float32")[1, 2, 0] == 0.5
    assert 0 < errors(path, "float64")[0].max() < 1e-7  # the cosine of 22 degrees in float32


def test_pictures_are_drawn_anew_and_standardised():
    from experiments.learn_edges import Config, pictures

    for config in (Config(images=6, crop=11), Config(dataset="digits", images=6)):
        whole, x = pictures(config)
        assert x.shape == (3, 6, *((11, 11) if config.dataset is None else (8, 8)), 1)
        np.testing.assert_allclose(x.mean((1, 2, 3, 4)), 0, atol=1e-9)
        np.testing.assert_allclose(x.std((1, 2, 3, 4)), 1)
        assert not np.array_equal(x[0], x[1])
        assert whole.ndim == 4
    with pytest.raises(ValueError, match="images=5000 is more than the 1438 of digits"):
        pictures(Config(dataset="digits", images=5000))
    with pytest.raises(ValueError, match="images=64, steps=12000, seeds=0 must be 1 at least"):
        pictures(Config(seeds=0))
    with pytest.raises(ValueError, match="crop=2 must be from 3 to the 214 pixels"):
        pictures(Config(crop=2))


def test_learn_edges_says_its_lines(tmp_path, capsys):
    from experiments import learn_edges

    learn_edges.main(learn_edges.Config(dataset="digits", images=20, steps=150, seeds=2, runs=tmp_path))
    printed = capsys.readouterr().out
    for name in learn_edges.TARGETS:
        line = rf"learn_edges/{name}_conjugate max .* (\S+) in float32, (\S+) in float64 after 60 steps; 1e-05 of .* after (\d+) "
        single, double, steps = map(float, re.search(line, printed).groups())
        assert (single < 1e-3, double < 1e-9, steps <= 20) == (True, True, True)
    (folder,) = (tmp_path / "learn_edges").iterdir()
    assert (folder / "report.html").read_text().count("data:image/png") == 3
