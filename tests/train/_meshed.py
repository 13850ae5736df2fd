"""Training shared among devices: `python -m tests.train._meshed [PROCESS PORT]` prints JSON, losses and collectives of a mesh.

With a process number it is one of two processes that share the eight devices between them, over loopback.
"""

import json
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxcnn import functional as F
from jaxcnn import nn
from jaxcnn.data import ImageSet, Split
from jaxcnn.train import device_mesh, fit
from jaxcnn.train._programs import Programs, members_of
from jaxcnn.train._step import cross_entropy, graph_of

RNG = np.random.default_rng(1)
LABELS = np.arange(48, dtype=np.int32) % 3
IMAGES = (RNG.random((48, 16, 8, 1)) * 60 + 90 * LABELS[:, None, None, None]).astype(np.uint8)
DATA = ImageSet("toy", Split(IMAGES, LABELS), Split(IMAGES[:8], LABELS[:8]), ("a", "b", "c"), "made here")
BATCH = 16


class Net(nnx.Module):
    """Convolution, batch statistics, pooling, dense."""

    def __init__(self, rngs):
        self.conv, self.norm = nn.Conv(1, 4, (3, 3), rngs=rngs), nn.BatchNorm(4, rngs=rngs)
        self.dense = nn.Dense(4, 3, rngs=rngs)

    def __call__(self, x, *, train):
        x = jax.nn.relu(self.norm(self.conv(x), train=train))
        return self.dense(F.max_pool2d(x, 2).mean((1, 2)))


def prepare(images):
    return images.astype(jnp.float32) / 255 - 0.5


def losses(mesh) -> list:
    """Mean loss of every epoch and member."""
    fitted = fit(Net, DATA, prepare, optax.sgd(0.1, 0.9), epochs=2, batch_size=BATCH, seeds=2, mesh=mesh)
    return [record.loss for record in fitted.records]


def gathered(mesh) -> list[str]:
    """The all-gathers of the compiled epoch of one member."""
    options = {"loss": cross_entropy, "compute_dtype": None, "ema": None, "augment": None, "mix": None, "views": None}
    programs = Programs(graph_of(Net), optax.sgd(0.1, 0.9), prepare, BATCH, **options, mesh=mesh)
    state = programs.initialise(Net, *members_of(1, 0, None))
    text = programs.compiled(3, state, *programs.place(DATA)[0]).as_text()
    return [line.strip()[:120] for line in text.splitlines() if " all-gather" in line]


def main(process: str | None = None, port: str | None = None) -> None:
    if process is not None:
        jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process))
        print(json.dumps({"devices": len(jax.devices()), "losses": losses(device_mesh())}))
        return
    meshes = {"one": None, "data": device_mesh(), "both": device_mesh(space=2), "rows": device_mesh(space=8)}
    found = {name: losses(mesh) for name, mesh in meshes.items()}
    print(json.dumps({"losses": found, "gathered": gathered(meshes["data"])}))


if __name__ == "__main__":
    main(*sys.argv[1:])
