"""Streams: every image once an epoch, seeded orders, a position that can be restored, shares of processes, workers."""

import json
import pickle

import jax
import numpy as np
import pytest
from PIL import Image

from jaxcnn.data import Split, Stream, StreamedSet, UnreadableImage, load, records
from jaxcnn.data._stream import _batches

N = 23
NUMBERED = Split(np.arange(N, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 3, 1), np.uint8), np.arange(N) % 5)


def numbers(batches):
    """Which images came, batch by batch; labels must go with them."""
    found = []
    for images, labels in batches:
        ids = np.asarray(images)[:, 0, 0, 0]
        np.testing.assert_array_equal(labels, ids % 5)
        found.append(ids.tolist())
    return found


def test_stream_has_every_image_at_most_once_an_epoch():
    stream = Stream(NUMBERED, 5, epochs=2)
    found = numbers(stream)
    assert len(stream) == len(found) == 8
    first, second = sum(found[:4], []), sum(found[4:], [])
    assert len(set(first)) == len(set(second)) == 20
    assert first != second
    assert numbers(Stream(NUMBERED, 5, epochs=2)) == found
    assert numbers(Stream(NUMBERED, 5, epochs=2, seed=1)) != found


@pytest.mark.parametrize("ahead", [1, 3])
def test_stream_is_restored_behind_the_last_batch(ahead):
    stream = Stream(NUMBERED, 5, epochs=2, ahead=ahead)
    start, found = stream.state(), numbers(Stream(NUMBERED, 5, epochs=2))
    numbers(next(stream) for _ in range(3))
    state = json.loads(json.dumps(stream.state()))
    assert numbers(stream) == found[3:]
    again = Stream(NUMBERED, 5, epochs=2)
    again.restore(state)
    assert numbers(again) == found[3:]
    again.restore(start)
    assert numbers(again) == found


def test_stream_gives_each_process_its_own_images():
    parts = [
        [b[1].tolist() for b in _batches(Split(NUMBERED.images, np.arange(N)), 6, 0, 2, 0, r, 3)] for r in range(3)
    ]
    assert [len(part) for part in parts] == [6, 6, 6]
    for epoch in (slice(0, 3), slice(3, 6)):
        seen = [i for part in parts for batch in part[epoch] for i in batch]
        assert len(set(seen)) == len(seen) == 18


def test_stream_places_batches_by_the_sharding():
    mesh = jax.make_mesh((1,), ("data",), axis_types=(jax.sharding.AxisType.Auto,))
    sharding = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    images, labels = next(Stream(NUMBERED, 5, sharding=sharding))
    assert images.sharding == labels.sharding == sharding
    assert (images.dtype, labels.dtype) == (np.uint8, np.int32)


@pytest.fixture
def pets(tmp_path):
    """Seven pictures of two classes; red says which picture it is, green which class."""
    for i in range(7):
        folder = tmp_path / "train" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (5 + i, 9), (30 * i, 200 * (i % 2), 0)).save(folder / f"{i}.png")
    return tmp_path


def test_stream_decodes_in_workers(pets):
    source = records(pets, image_size=(4, 6))
    one, two = (Stream(source, 3, epochs=2, workers=workers) for workers in (0, 1))
    batches = list(two)
    two.close()
    assert [images.shape for images, _ in batches] == [(3, 4, 6, 3)] * 4
    for (images, labels), (other, _) in zip(batches, one):
        np.testing.assert_array_equal(images, other)
        np.testing.assert_array_equal(np.asarray(images)[:, 0, 0, 1], 200 * np.asarray(labels))


def test_records_leave_out_what_cannot_be_read(pets):
    (pets / "train/a/cut.png").write_bytes((pets / "train/a/0.png").read_bytes()[:43])
    with pytest.warns(UserWarning, match="load: 1 of 8 images cannot be read: .*cut.png"):
        source = records(pets, image_size=4)
    assert (len(source), len(source.skipped), source.class_names) == (7, 1, ("a", "b"))
    assert pickle.loads(pickle.dumps(source))[6][1] == 1
    with pytest.raises(ValueError, match="load: 1 of 8 images cannot be read"):
        records(pets, image_size=4, strict=True)
    with pytest.raises(UnreadableImage, match="cut.png"):
        list(Stream(records(pets, image_size=4, check=False), 8, epochs=1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Stream(NUMBERED, 24), "Stream: batch_size=24 of 23 images in 1 processes; it must not be larger"),
        (lambda: Stream(NUMBERED, 0), "Stream: batch_size=0 must be at least 1"),
        (lambda: Stream(NUMBERED, 5, workers=-1), "Stream: workers=-1 must be at least 0"),
        (lambda: Stream(NUMBERED, 5).restore(Stream(NUMBERED, 4).state()), "Stream: the state has batch_size=4, this"),
        (lambda: records("digits"), "records: 'digits' is small"),
        (lambda: records(".", image_size=3, resize="fit"), "records: resize='fit'"),
    ],
)
def test_stream_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_records_need_a_size_and_a_split(pets):
    with pytest.raises(ValueError, match="records: split='train', image_size=None; .* has train, and a size is needed"):
        records(pets)
    with pytest.raises(ValueError, match="records: split='test', image_size=3"):
        records(pets, split="test", image_size=3)


def test_stream_without_end_has_no_length():
    with pytest.raises(TypeError, match="Stream: epochs=None goes on for ever"):
        len(Stream(NUMBERED, 5))


def test_streamed_set_checks_and_weighs_the_labels_of_files(pets):
    digits = load("digits")
    with pytest.raises(ValueError, match="StreamedSet wrong: train labels are 0 to 9; there are 2 classes"):
        StreamedSet("wrong", digits.train, Split(digits.test.images[:2], np.arange(2, dtype=np.int32)), ("a", "b"))
    streamed = StreamedSet("digits", digits.train, digits.test, digits.class_names)
    np.testing.assert_array_equal(streamed.class_weights(), digits.class_weights())
    numbered = [(image, label) for image, label in zip(digits.train.images[:9], digits.train.labels[:9])]
    with pytest.raises(ValueError, match="StreamedSet unknown: count its labels and give class_weights"):
        StreamedSet("unknown", numbered, digits.test, digits.class_names).class_weights()
