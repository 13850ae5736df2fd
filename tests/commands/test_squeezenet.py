"""SqueezeNet 1.1 with its published weights: PyTorch's answers for real photographs, by the command line."""

import jax
import numpy as np
import pytest
from flax import nnx
from safetensors.numpy import load_file

from jaxcnn import models, weights
from jaxcnn.commands import main

pytest.importorskip("PIL.Image")


def test_classify_photographs_from_jpeg_files(shared, capsys):
    folder = shared / "data/imagenet_sample"
    file = shared / "data/weights/squeezenet_v1.1/squeezenet_v1.1_fp16.npz"
    main(["classify", str(folder), "--weights", str(file), "--truth", str(folder / "labels.csv"), "--top", "2"])
    printed = capsys.readouterr().out
    assert "top-1 26 of 36 (0.7222)" in printed


def test_weights_of_caffe_are_saved_with_pytorchs_names(shared, tmp_path):
    file = shared / "data/weights/squeezenet_v1.1/squeezenet_v1.1_fp16.npz"
    model = jax.jit(lambda: models.create("squeezenet1_1", rngs=nnx.Rngs(0)))()
    with pytest.raises(ValueError, match="does not fit SqueezeNet: 52 missing, 52 unexpected"):
        weights.load(model, file, names="pytorch")
    weights.save(weights.load(model, file), tmp_path / "a.safetensors", names="pytorch")
    ours, theirs = load_file(tmp_path / "a.safetensors"), np.load(file)
    pairs = {"features.0.weight": "conv1.weight", "features.9.expand3x3.weight": "fire6__expand3x3.weight",
             "features.4.squeeze.bias": "fire3__squeeze1x1.bias", "classifier.1.weight": "conv10.weight"}  # fmt: skip
    assert len(ours) == len(theirs.files) == 52
    for name, other in pairs.items():
        np.testing.assert_array_equal(ours[name], theirs[other].astype(np.float32))
