"""Image sets: the embedded digits, TFDS sets from the shared files, and what bad input gets."""

import numpy as np
import pytest

from jaxcnn.data import ImageSet, Split, load, preparer, stratified

IMAGES = np.zeros((4, 6, 6, 1), np.uint8)
GOOD = Split(IMAGES, np.array([0, 1, 0, 1], np.int32))


def test_digits_are_split_by_class():
    digits = load("digits")
    total = np.bincount(digits.train.labels) + np.bincount(digits.test.labels)
    assert total.sum() == 1797
    np.testing.assert_allclose(np.bincount(digits.test.labels), total / 5, atol=0.6)
    assert digits.train.images.max() == 255
    assert digits.image_shape == (8, 8, 1)


def test_stratified_parts_are_disjoint_and_whole():
    labels = np.repeat(np.arange(5), (10, 3, 20, 2, 7))
    kept, held = stratified(labels, 0.2)
    np.testing.assert_array_equal(np.sort(np.concatenate([kept, held])), np.arange(len(labels)))
    np.testing.assert_array_equal(np.bincount(labels[held]), [2, 1, 4, 1, 1])
    assert not np.array_equal(held, stratified(labels, 0.2, seed=1)[1])


def test_statistics_are_those_of_the_pixels():
    digits = load("digits")
    mean, deviation = digits.statistics()
    pixels = digits.train.images / 255
    np.testing.assert_allclose(mean, pixels.mean((0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(deviation, pixels.std((0, 1, 2)), rtol=1e-6)


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (32, 32), (9, 20)])
def test_preparer_normalises_to_the_size(size):
    digits = load("digits")
    x = np.asarray(preparer(digits, size)(digits.train.images[:50]))
    assert x.shape == (50, *size, 1)
    mean, deviation = digits.statistics()
    black = float((0 - mean[0]) / deviation[0])
    assert x.min() >= black - 1e-5
    assert x.max() <= float((1 - mean[0]) / deviation[0]) + 1e-5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load("mnits"), "load: there is no data set 'mnits'; nearest: mnist"),
        (lambda: load("mnist", data_dir="/nowhere"), "load: the data directory '/nowhere' does not exist"),
        (lambda: load(""), "load: there is no data set ''"),
        (lambda: load("a b"), "load: there is no data set 'a b'"),
        (lambda: load("digits", seed=-1), "load: seed=-1 must not be negative"),
        (
            lambda: ImageSet("x", Split(IMAGES, [0, 1, 0, 1]), GOOD, ("a", "b"), ""),
            "x: train is made of ndarray and list",
        ),
        (lambda: ImageSet("x", Split(IMAGES, GOOD.labels / 2), GOOD, ("a", "b"), ""), "x: train labels are float64"),
        (lambda: stratified(np.array([0, 0, 1]), 0.5), "stratified: class 1 has one image"),
        (lambda: stratified(np.array([0, 0]), 1.5), "stratified: share=1.5"),
        (lambda: preparer(load("digits"), (4, 4)), "preparer: digits has images of 8×8 pixels; the model takes 4×4"),
        (lambda: ImageSet("x", Split(IMAGES / 2, GOOD.labels), GOOD, ("a", "b"), ""), "x: train images are float64"),
        (lambda: ImageSet("x", Split(IMAGES, GOOD.labels[:3]), GOOD, ("a", "b"), ""), "x: train has 4 images and 3"),
        (lambda: ImageSet("x", GOOD, GOOD, ("a",), ""), "x: train labels run from 0 to 1; there are 1 classes"),
        (lambda: ImageSet("x", GOOD, Split(IMAGES[:, 1:], GOOD.labels), ("a", "b"), ""), "x: train images are"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_data_refuses(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_load_says_how_to_prepare(tmp_path):
    with pytest.raises(ValueError, match=r"load: mnist is not prepared in .*download_and_prepare"):
        load("mnist", data_dir=tmp_path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_load_reads_tfds_mnist(shared, tmp_path):
    import gzip
    import subprocess
    import sys

    command = [sys.executable, str(shared / "data" / "prepare.py"), str(tmp_path), "mnist"]
    subprocess.run(command, check=True, capture_output=True)
    mnist = load("mnist", data_dir=tmp_path)
    assert len(mnist.train) == 60_000
    raw = np.frombuffer(gzip.open(shared / "data/mnist/t10k-labels-idx1-ubyte.gz").read(), np.uint8, offset=8)
    np.testing.assert_array_equal(np.bincount(mnist.test.labels), np.bincount(raw))
    assert mnist.class_names == tuple("0123456789")
