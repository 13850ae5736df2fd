"""`features`: each kind of features by hand on images that are easily told, and the run of all of them."""

import re

import numpy as np
import pytest

from tests.experiments.test_transfer import toy

pytest.importorskip("skimage")
pytest.importorskip("tyro")


def test_pixels_and_colours_by_hand():
    from experiments.features import colours, grey, pixels

    images = np.zeros((1, 33, 32, 3), np.uint8)
    images[0, :16, :, 0] = 255
    assert pixels(images).shape == (1, 16 * 16 * 3)
    np.testing.assert_array_equal(pixels(images).reshape(16, 16, 3)[:, 0, 0], [1] * 8 + [0] * 8)
    red = colours(images).reshape(3, 8)[0]
    np.testing.assert_allclose(red, [17 / 33, 0, 0, 0, 0, 0, 0, 16 / 33])
    assert colours(images).sum() == pytest.approx(3)
    assert grey(images)[0, 0, 0] == 76  # 0.299 · 255


def test_hand_made_features_have_one_row_an_image():
    from experiments.features import HAND_MADE

    images = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    found = {name: kind(images) for name, kind in HAND_MADE.items()}
    assert {name: rows.shape for name, rows in found.items()} == {
        "pixels": (3, 768), "colours": (3, 24), "lbp": (3, 40), "hog": (3, 3 * 3 * 4 * 9),
    }  # fmt: skip
    assert all(np.isfinite(rows).all() for rows in found.values())
    np.testing.assert_allclose(found["lbp"].sum(1), 4)


def test_features_says_a_line_of_each(tmp_path, capsys, monkeypatch):
    from experiments import features

    monkeypatch.setattr(features, "load", lambda *arguments, **options: toy())
    config = features.Config(tmp_path, count=20, seeds=2, only=("pixels", "colours"), runs=tmp_path)
    features.main(config)
    printed = capsys.readouterr().out
    for name in config.only:
        assert float(re.search(rf"features/{name} test accuracy (\d\.\d+) ± \d\.\d+ \(2 seeds\)", printed)[1]) > 0.8
    (folder,) = (tmp_path / "features").iterdir()
    assert "data:image/png" in (folder / "report.html").read_text()
