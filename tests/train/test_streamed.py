"""`fit` on a `StreamedSet`: the steps of the stream's own batches, and the same bits after any stop."""

import os
import signal

import jax
import numpy as np
import optax
import pytest

from jaxcnn.data import Split, Stream, StreamedSet
from jaxcnn.train import (
    CheckpointError,
    Checkpoints,
    Stopped,
    fit,
    graph_of,
    initialise,
    make_batch_step,
    make_step,
)

from .toy import DATA, build, prepare

STREAMED = StreamedSet("toy", DATA.train, DATA.test, DATA.class_names)
OPTIMISER = optax.sgd(0.05, 0.9)


def noise(key, x):
    return x + 0.1 * jax.random.normal(key, x.shape)


def test_fit_on_a_stream_does_the_steps_of_its_batches():
    fitted = fit(build, STREAMED, prepare, OPTIMISER, epochs=2, batch_size=7, seeds=2, seed=3, augment=noise)
    step = jax.jit(make_batch_step(make_step(graph_of(build), OPTIMISER), prepare, augment=noise))
    for member, seed in enumerate((3, 4)):
        state, found = initialise(build, OPTIMISER, jax.random.key(seed)), []
        for batch in Stream(DATA.train, 7, seed=3, epochs=2):
            state, metrics = step(state, *batch)
            found.append(float(metrics.loss))
        assert len(found) == 6
        epochs = np.reshape(found, (2, 3)).mean(1)
        np.testing.assert_allclose([record.loss[member] for record in fitted.records], epochs, rtol=1e-4)


def test_fit_on_a_stream_gives_every_step_its_own_key():
    seen = []

    def look(key, images, labels):
        jax.debug.callback(lambda bits: seen.append(tuple(bits.tolist())), jax.random.key_data(key))
        return images, labels

    fit(build, STREAMED, prepare, OPTIMISER, epochs=2, batch_size=8, mix=look)
    jax.effects_barrier()
    assert len(set(seen)) == len(seen) == 6


def test_fit_on_a_stream_that_was_stopped_goes_on_to_the_same_bits(tmp_path):
    def train(folder, at=None):
        def interrupt(done, total):
            if done == at:
                os.kill(os.getpid(), signal.SIGTERM)

        options = {"epochs": 4, "batch_size": 4, "seeds": 2, "steps_per_call": 2, "augment": noise}
        with Checkpoints(tmp_path / folder) as checkpoints:
            return fit(build, STREAMED, prepare, OPTIMISER, **options, checkpoints=checkpoints, on_steps=interrupt)

    whole = train("whole")
    for at in (2, 10, 18):
        with pytest.raises(Stopped, match=f"fit: SIGTERM at step {at} "):
            train("parts", at)
    parts = train("parts")
    np.testing.assert_array_equal(parts.test_logits, whole.test_logits)
    assert [r.loss for r in parts.records] == [r.loss for r in whole.records]


def test_fit_on_a_stream_refuses_the_checkpoint_of_a_set_on_the_device(tmp_path):
    options = {"epochs": 1, "batch_size": 8}
    with Checkpoints(tmp_path) as checkpoints:
        fit(build, DATA, prepare, OPTIMISER, **options, checkpoints=checkpoints)
        with pytest.raises(CheckpointError, match="its streamed is None, this run's True"):
            fit(build, STREAMED, prepare, OPTIMISER, **options, checkpoints=checkpoints)


def test_streamed_set_has_the_statistics_of_its_images():
    for mine, theirs in zip(STREAMED.statistics(), DATA.statistics()):
        np.testing.assert_array_equal(mine, theirs)
    few = StreamedSet("toy", DATA.train, DATA.test, DATA.class_names, sampled=2)
    pixels = DATA.train.images[[0, 23]] / 255
    np.testing.assert_allclose(few.statistics()[0], [pixels.mean()], rtol=1e-6)
    np.testing.assert_allclose(few.statistics()[1], [pixels.std()], rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"train": Split(DATA.train.images[:, :3], DATA.train.labels)},
            r"train images are \(3, 4, 1\), test images \(4",
        ),
        ({"train": Split(DATA.train.images[:0], DATA.train.labels[:0])}, "train has no image"),
        ({"class_names": ("a", "b")}, "test labels run from 0 to 2; there are 2 classes"),
        ({"sampled": 0}, "StreamedSet: sampled=0 must be at least 1"),
    ],
)
def test_streamed_set_refuses(change, message):
    values = {"name": "toy", "train": DATA.train, "test": DATA.test, "class_names": DATA.class_names}
    with pytest.raises(ValueError, match=message):
        StreamedSet(**(values | change))


class Wrong:
    """Images whose labels are not known before they are read, one of them wrong."""

    def __len__(self):
        return len(DATA.train)

    def __getitem__(self, index):
        return DATA.train.images[index], 7 if index == 3 else int(DATA.train.labels[index])


def test_a_stream_refuses_a_label_that_there_is_not():
    data = StreamedSet("toy", Wrong(), DATA.test, DATA.class_names)
    with pytest.raises(ValueError, match="Stream: a batch has the labels 0 to 7; there are 3 classes"):
        fit(build, data, prepare, optax.sgd(0.1), epochs=1, batch_size=4)


def test_a_streamed_set_refuses_floats():
    class Floats(Wrong):
        def __getitem__(self, index):
            return DATA.train.images[index] / 255, 0

    with pytest.raises(ValueError, match="StreamedSet toy: train images are float64; they must be uint8"):
        StreamedSet("toy", Floats(), DATA.test, DATA.class_names)
