"""Mistakes: which images are shown, what is written below them, long names, file names."""

import numpy as np
import pytest

from jaxcnn.report import mistakes

from .drawn import assert_fits_a_page, pictures, places, words

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (9, 6, 7, 3), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])
READ = np.array([0, 2, 1, 2, 1, 0, 1, 0, 0])


def test_the_wrong_ones_are_shown_in_order():
    figure = mistakes(IMAGES, LABELS, READ, columns=4, most=6)
    for found, i in zip(pictures(figure.axes[0]), [1, 2, 3, 5, 6, 7], strict=True):
        np.testing.assert_allclose(found, IMAGES[i] / 255, atol=1e-6)
    assert words(figure)[:3] == ["7 of 9 images are read wrongly; the first 6", "true: 1", "read: 2"]
    assert len(np.unique(places(figure.axes[0])[:, 1].round(6))) == 2
    assert_fits_a_page(figure)


def test_names_confidence_and_files_are_written():
    files = [f"folder/{i}.png" for i in range(9)]
    figure = mistakes(IMAGES, LABELS, READ, class_names="abc", confidence=np.arange(9) / 10, files=files)
    assert_fits_a_page(mistakes(IMAGES, LABELS, READ, files=["\udcff.png", "a\tb\n.png", *files[2:]]))
    assert words(figure)[1:7] == [
        "true: b",
        "read (10 %): c",
        "folder/1.png",
        "true: c",
        "read (20 %): b",
        "folder/2.png",
    ]


def test_long_names_stay_apart_and_files_keep_their_end():
    names = ["price_$5_vs_$10 " * 9, "W" * 200, "a, b, c, " * 40]
    files = [f"/home/somebody/a/very/long/path/of/folders/{'x' * 50}/picture_{i}.jpg" for i in range(9)]
    figure = mistakes(IMAGES, LABELS, READ, class_names=names, confidence=np.full(9, 0.5), files=files, title="W" * 500)
    found = [text.replace("\n", "") for text in words(figure)]
    assert [text[-14:] for text in found if text.endswith(".jpg")] == [
        f"/picture_{i}.jpg"[-14:] for i in (1, 2, 3, 5, 6, 7, 8)
    ]
    assert any(text.startswith("true: price_$5_vs_$10") for text in found)
    assert_fits_a_page(figure)


def test_images_may_have_any_size_and_be_floats():
    images = [RNG.random((4 + i, 30 - 3 * i, 1)) for i in range(9)]
    figure = mistakes(images, LABELS.tolist(), READ.tolist())
    for found, i in zip(pictures(figure.axes[0]), [1, 2, 3, 5, 6, 7, 8], strict=True):
        np.testing.assert_allclose(found, images[i][..., 0], atol=1e-6)
    assert_fits_a_page(figure)


def test_none_is_wrong():
    figure = mistakes(IMAGES, LABELS, LABELS)
    assert words(figure) == ["0 of 9 images are read wrongly"]
    assert not figure.axes[0].images
    assert_fits_a_page(figure)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"labels": LABELS[:5]}, ValueError, "mistakes: 9 images, 5 labels, 9 predicted; give as many, and some"),
        ({"files": ["a"]}, ValueError, "mistakes: 9 images, 9 labels, 9 predicted, 1 files; give as many"),
        ({"confidence": [0.5]}, ValueError, "1 confidence; give as many"),
        ({"images": [], "labels": np.zeros(0, int), "predicted": np.zeros(0, int)}, ValueError, "mistakes: 0 images"),
        ({"class_names": "ab"}, ValueError, "mistakes: labels go from 0 to 2, class_names has 2; name every class"),
        ({"labels": LABELS - 1, "class_names": "abc"}, ValueError, "labels go from -1 to 1, class_names has 3"),
        ({"labels": LABELS + 0.5}, TypeError, r"mistakes: labels is float64\[9\]; give integers \(n,\)"),
        ({"predicted": np.eye(9, dtype=int)}, ValueError, r"mistakes: predicted is int64\[9,9\]; give integers \(n,\)"),
        ({"confidence": np.full(9, 93)}, ValueError, r"mistakes: confidence lies in \[93, 93\]; give probabilities in \[0, 1\]"),
        ({"columns": 0}, ValueError, "mistakes: columns=0 must be at least 1"),
        ({"images": np.full((9, 4, 4), 2.0)}, ValueError, r"mistakes: images\[1\] lies in \[2, 2\]; give floats"),
        ({"images": IMAGES[..., :2]}, ValueError, r"mistakes: images\[1\] is uint8\[6,7,2\]; give \(h, w\)"),
    ],
)  # fmt: skip
def test_mistakes_refuses(change, error, message):
    given = {"images": IMAGES, "labels": LABELS, "predicted": READ} | change
    with pytest.raises(error, match=message):
        mistakes(given.pop("images"), given.pop("labels"), given.pop("predicted"), **given)
