"""The report page: self-contained, escaped, with every part; the numbers behind its pictures."""

import re

import numpy as np
import pytest

from jaxcnn.report import Page, Result, classification_page, confusion_counts, worst

from .drawn import pictures, words

RNG = np.random.default_rng(0)


def result(**changed) -> Result:
    logits = np.zeros((2, 6, 3))
    logits[:, np.arange(6), [0, 1, 2, 0, 1, 0]] = 5.0
    fields = {
        "title": "demo <run>",
        "lead": "test accuracy 0.833 ± 0.000 (2 seeds)",
        "notes": ("a note",),
        "columns": ("layer", "output"),
        "summary": [("conv1", "4×4×2"), ("total", "")],
        "loss": np.array([[1.0, 2.0], [0.5, 0.6]]),
        "train_accuracy": np.array([[0.5, 0.6], [0.8, 0.9]]),
        "test_accuracy": np.array([[0.5, 0.5], [0.8, 0.8]]),
        "test_images": RNG.integers(0, 255, (6, 4, 4, 1)).astype(np.uint8),
        "test_labels": np.array([0, 1, 2, 0, 1, 2]),
        "test_logits": logits,
        "class_names": ("zero", "one", "two"),
        "kernel": RNG.normal(size=(3, 3, 1, 4)),
        "activations": {"conv1": RNG.random((4, 4, 2)), "dense": RNG.random(7)},
        "shown": 2,
    }
    return Result(**(fields | changed))


def test_page_is_self_contained():
    html = classification_page(result()).html()
    assert len(re.findall(r'<img alt="[^"]+" src="data:image/png;base64,[A-Za-z0-9+/=]{500,}">', html)) == 5
    assert not re.findall(r"(?:src|href)=\"(?!data:)", html)
    assert "<script" not in html
    assert html.startswith("<!doctype html>")


def test_page_escapes_and_shows_every_part():
    html = classification_page(result()).html()
    assert "<h1>demo &lt;run&gt;</h1>" in html
    for part in ("Layers", "Learning curves", "Confusion matrix", "Filters", "Activations", "Worst mistakes"):
        assert f"<h2>{part}" in html
    assert "test image 2, two" in html
    assert "<td>4×4×2</td>" in html


def test_page_without_filters_and_mistakes():
    perfect = np.eye(3)[None, [0, 1, 2, 0, 1, 2]] * 5
    html = classification_page(result(kernel=None, test_logits=perfect)).html()
    assert "Filters" not in html
    assert "every test image is read rightly" in html


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_page_draws_images_of_any_channels(channels):
    images = RNG.integers(0, 255, (6, 4, 4, channels)).astype(np.uint8)
    html = classification_page(result(test_images=images, kernel=RNG.normal(size=(3, 3, channels, 4)))).html()
    assert html.count("data:image/png") == 5


def test_confusion_counts_are_means_over_seeds():
    logits = np.array([[[1, 0], [0, 1], [0, 1]], [[1, 0], [1, 0], [0, 1]]])
    np.testing.assert_allclose(confusion_counts(np.array([0, 1, 0]), logits, 2), [[1, 1], [0.5, 0.5]])


def test_worst_orders_by_probability_of_the_truth():
    logits = np.array([[[0.0, 1.0], [0.0, 3.0], [0.0, 2.0], [2.0, 0.0]]])
    chosen, probability = worst(np.zeros(4, int), logits)
    assert chosen.tolist() == [1, 2, 0]
    np.testing.assert_allclose(probability[0], np.exp([0, 1]) / np.exp([0, 1]).sum())


def test_page_writes_utf8(tmp_path):
    page = Page("±")
    page.text("5 × 5")
    page.write(tmp_path / "page.html")
    assert "5 × 5" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_page_names_classes_and_counts_mistakes(monkeypatch):
    drawn = []
    monkeypatch.setattr(Page, "figure", lambda self, figure, description: drawn.append((description, figure)))
    classification_page(result(activations={"dense": RNG.random(7), "logits": RNG.random(3)}))
    texts = {description: words(figure) for description, figure in drawn}
    assert texts["activations"][:2] == ["input, 4×4", "dense, 7 numbers"]
    assert [text for text in texts["activations"] if text in ("zero", "one", "two")] == ["zero", "one", "two"]
    assert texts["wrongly read test images"] == ["1 of 6 test images", "true: two", "read (99 %): zero"]
    for _, figure in drawn:
        assert figure.get_size_inches()[0] <= 9.5


def test_page_shows_the_worst_of_many_mistakes(monkeypatch):
    drawn = []
    monkeypatch.setattr(Page, "figure", lambda self, figure, description: drawn.append(figure))
    logits = np.zeros((1, 60, 3))
    logits[0, np.arange(60), 1] = np.arange(1, 61)
    images = np.arange(60, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 1), np.uint8)
    classification_page(result(test_images=images, test_labels=np.zeros(60, int), test_logits=logits))
    assert words(drawn[-1])[0] == "60 of 60 test images, the worst 24"
    shown = [255 * picture[0, 0] for picture in pictures(drawn[-1].axes[0])]
    np.testing.assert_allclose(shown, np.arange(59, 35, -1), rtol=1e-6)
