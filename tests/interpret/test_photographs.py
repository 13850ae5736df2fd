"""On photographs with the weights of real networks: Grad-CAM tells a cat from a dog, integrated gradients add up."""

from functools import cache
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn import interpret, models, weights
from jaxcnn.data import decode

SHARED = Path(__file__).parents[2].parent / "shared/data"
FILES = {
    "squeezenet1_1.iandola": "weights/squeezenet_v1.1/squeezenet_v1.1_fp16.npz",
    "tflite_mobilenet_v2.google_coral": "weights/mobilenet_quant/mobilenet_v2_1.0_224.npz",
}
SQUEEZENET, MOBILENET = FILES
DOG, CAT = (14.0, 78.0, 148.0, 165.0), (119.0, 44.0, 224.0, 200.0)  # y0, x0, y1, x1 on both photographs of 224 × 224
TABBY, BULL_MASTIFF = 281, 243
pytestmark = pytest.mark.skipif(
    not (SHARED / FILES[MOBILENET]).exists(), reason="the weights of real networks are not here"
)
photographs = pytest.mark.parametrize("photo", ["grad_cam__cat_dog.png", "cnn_visualizations__cat_dog.png"])


@cache
def network(name):
    return weights.load(models.create(weights.card(name).model, rngs=nnx.Rngs(0)), SHARED / FILES[name])


def prepared(name, photo):
    return weights.normalise(weights.card(name), jnp.asarray(decode(SHARED / "photos" / photo))[None])


@photographs
@pytest.mark.parametrize(
    ("name", "layer", "target", "own", "other"),
    [
        (MOBILENET, None, TABBY + 1, CAT, DOG),  # its first class is the background
        (MOBILENET, None, BULL_MASTIFF + 1, DOG, CAT),
        (SQUEEZENET, "fire9", BULL_MASTIFF, DOG, CAT),
    ],
    ids=["mobilenet-cat", "mobilenet-dog", "squeezenet-dog"],
)
def test_grad_cam_separates_cat_and_dog(photo, name, layer, target, own, other):
    values = interpret.grad_cam(network(name), prepared(name, photo), target, layer=layer)
    energy = [float(interpret.energy_in_box(values, box)[0]) for box in (own, other)]
    assert energy[0] >= 2 * energy[1]
    assert bool(interpret.pointing_game(values, own, tolerance=0)[0])


def test_integrated_gradients_of_a_photograph_add_up():
    model, x = network(SQUEEZENET), prepared(SQUEEZENET, "grad_cam__cat_dog.png")
    found = interpret.integrated_gradients(model, x, BULL_MASTIFF)
    np.testing.assert_array_less(interpret.completeness_error(model, x, found, BULL_MASTIFF), 0.01)
