"""Image sets: the embedded digits, TFDS sets from the shared files, and what bad input gets."""

import io
import shutil

import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import ImageSet, Split, class_weights, load, preparer, stratified

IMAGES = np.zeros((4, 6, 6, 1), np.uint8)
DIGITS = load("digits")
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
        (lambda: load(3), "load: there is no data set of type int; give"),
        (
            lambda: load([IMAGES, GOOD.labels]),
            "load: there is no data set of type list; give .* or a tuple of two arrays$",
        ),
        (lambda: load("./nowhere"), "load: the folder 'nowhere' does not exist"),
        (lambda: load("digits", split="val"), "load: digits has no split 'val'; it has train and test"),
        (lambda: load("digits", resize="fit"), "load: resize='fit', channels=3; use"),
        (lambda: load("digits", image_size=9), "load: image_size is for folders and TFDS sets"),
        (lambda: load("digits", class_names=["a"]), "load: class_names name the classes of arrays"),
        (lambda: load((IMAGES,)), "load: the source is a tuple of 1"),
        (lambda: load((IMAGES / 255, GOOD.labels)), "load: the images are float64.*np.round"),
        (lambda: load((IMAGES, GOOD.labels - 1)), "load: the labels run from -1 to 0; the first class is 0"),
        (lambda: load((IMAGES, GOOD.labels.astype(np.int64) + 2**32)), "load: the labels run from 4294967296 to"),
        (
            lambda: load((IMAGES, GOOD.labels + 1)),
            "load: no image has the label 0, though they run to 2; number the classes",
        ),
        (
            lambda: load((IMAGES.astype(int) + 300, GOOD.labels)),
            r"where they are .*; they are from 0 to [3-5]\d\d",
        ),
        (lambda: load((IMAGES, GOOD.labels * 0)), "load: there is 1 class .'0'.; a classifier needs two"),
        (lambda: load((IMAGES, GOOD.labels / 1)), "load: the labels are float64.*must be integers"),
        (lambda: load((IMAGES, GOOD.labels[:3])), "arrays: images has 4 images and 3 labels"),
        (lambda: load((IMAGES, GOOD.labels), class_names=["a"]), "load: there is 1 class"),
        (lambda: load((IMAGES, GOOD.labels * 2), class_names="ab"), "labels run from 0 to 2; there are 2 classes"),
        (lambda: load(([IMAGES[0], IMAGES[0].repeat(3, -1)], [0, 1])), "load: the images have .1, 3. channels"),
        (lambda: load(([IMAGES[0], IMAGES[0, 1:]], [0, 1])), "load: the images have 2 sizes"),
        (lambda: load(([], [])), "load: the labels are float64.0."),
        (lambda: class_weights(np.array([0, 2]), 3), "class_weights: class 1 has no label"),
        (lambda: class_weights(np.array([0, 2]), 2), "class_weights: 2 labels .0 2.; they must lie in 0 … 1"),
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


def test_load_takes_arrays():
    images = np.arange(10 * 4 * 3, dtype=np.uint8).reshape(10, 4, 3)
    labels = np.array([0, 1] * 5)
    data = load((images, labels), class_names=["even", "odd"], test_share=0.4)
    assert data.image_shape == (4, 3, 1)
    assert (len(data.train), len(data.test)) == (6, 4)
    every = {
        image.tobytes(): label for part in (data.train, data.test) for image, label in zip(part.images, part.labels)
    }
    assert every == {image.tobytes(): label for image, label in zip(images, labels)}
    assert load((list(images), list(labels))).class_names == ("0", "1")


def test_class_weights_make_classes_count_alike():
    labels = np.repeat([0, 1, 2], [5, 20, 75])
    weights = class_weights(labels, 3)
    np.testing.assert_allclose(np.bincount(labels, weights[labels]), 100 / 3, rtol=1e-6)


def test_preparer_augments_pixels_in_the_unit_interval():
    prepare, seen = preparer(DIGITS, (28, 28)), []
    x = prepare(DIGITS.train.images[:3])
    y = prepare.augmenting(lambda key, pixels: (seen.append(np.asarray(pixels)), 1 - pixels)[1])(None, x)
    assert -1e-6 <= seen[0].min() < 0.01
    assert 0.99 < seen[0].max() <= 1 + 1e-6
    np.testing.assert_allclose(y, (1 - seen[0] - prepare.mean) / prepare.deviation, atol=1e-5)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A prepared TFDS set of five pictures of many sizes, made as any is made."""
    tfds = pytest.importorskip("tensorflow_datasets")
    pictures = [np.full((4 + i, 6, 3), 40 * i, np.uint8) for i in range(5)]

    class Tiny(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(None, None, 3)),
                "label": tfds.features.ClassLabel(names=["a", "b"]),
            }
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            for i, picture in enumerate(pictures):
                file = io.BytesIO()
                Image.fromarray(picture).save(file, "png")
                file.seek(0)
                yield i, {"image": file, "label": i % 2}

    folder = tmp_path_factory.mktemp("tfds")
    Tiny(data_dir=folder, file_format="array_record").download_and_prepare()
    return folder


@pytest.mark.filterwarnings("ignore")
def test_load_reads_tfds_sets_of_many_sizes(tiny):
    data = load("tiny", data_dir=tiny, image_size=(5, 3), test_share=0.3)
    assert (len(data.train), len(data.test), data.class_names) == (3, 2, ("a", "b"))
    part = load("tiny", data_dir=tiny, image_size=3, split="train[:60%]")
    assert part.images.shape == (3, 3, 3, 3)
    for image, label in zip(part.images, part.labels):
        assert len(np.unique(image)) == 1
        assert image.flat[0] // 40 % 2 == label
    with pytest.raises(ValueError, match=r"load: the images of tiny/1.0.0 are .*many sizes; give image_size"):
        load("tiny", data_dir=tiny)
    with pytest.raises(ValueError, match="load: tiny/1.0.0 has no split 'test'; it has train"):
        load("tiny", data_dir=tiny, split="test", image_size=3)


@pytest.mark.filterwarnings("ignore")
def test_load_reads_tfds_sets_without_a_part_to_train_on(tiny, tmp_path):
    facts = altered(tiny, tmp_path, '"name": "train"', '"name": "test"')
    for file in facts.parent.glob("*-train.*"):
        file.rename(file.with_name(file.name.replace("-train.", "-test.")))
    assert len(load("tiny", data_dir=tmp_path, split="test", image_size=3)) == 5
    with pytest.raises(ValueError, match="load: tiny has the splits test and no train; name one"):
        load("tiny", data_dir=tmp_path, image_size=3)


@pytest.mark.filterwarnings("ignore")
def test_load_says_that_tfrecords_need_tensorflow(tiny, tmp_path):
    altered(tiny, tmp_path, '"array_record"', '"tfrecord"')
    with pytest.raises(ValueError, match=r"load: tiny is prepared in a file format .*file_format='array_record'"):
        load("tiny", data_dir=tmp_path, image_size=3)


def altered(tiny, to, before, after):
    """A copy of the set, one thing in its facts replaced."""
    shutil.copytree(tiny / "tiny", to / "tiny")
    (facts,) = (to / "tiny").rglob("dataset_info.json")
    text = facts.read_text()
    assert before in text
    facts.write_text(text.replace(before, after))
    return facts


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
