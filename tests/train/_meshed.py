"""Training shared among devices: `python -m tests.train._meshed [PROCESS PORT FOLDER]` prints JSON, losses and collectives.

With a process number it is one of two processes that share the eight devices between them, over loopback; they save in FOLDER.
"""

import json
import os
import re
import signal
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from jaxcnn import functional as F
from jaxcnn import nn
from jaxcnn.data import ImageSet, Split, StreamedSet
from jaxcnn.train import Checkpoints, Stopped, device_mesh, fit
from jaxcnn.train._programs import Programs, members_of
from jaxcnn.train._step import cross_entropy, graph_of
from tests.compilation import PATIENCE_S

RNG = np.random.default_rng(1)
LABELS = np.arange(48, dtype=np.int32) % 3
IMAGES = (RNG.random((48, 16, 8, 1)) * 60 + 90 * LABELS[:, None, None, None]).astype(np.uint8)
DATA = ImageSet("toy", Split(IMAGES, LABELS), Split(IMAGES[:8], LABELS[:8]), ("a", "b", "c"), "made here")
STREAMED = StreamedSet("toy", DATA.train, DATA.test, DATA.class_names)
GATHERED = [("data", 1), ("data", 3), ("both", 1), ("rows", 1)]
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


def losses(mesh, data=DATA, epochs=2, checkpoints=None) -> list:
    """Mean loss of every epoch and member."""
    options = {"epochs": epochs, "batch_size": BATCH, "seeds": 2, "mesh": mesh, "checkpoints": checkpoints}
    return [record.loss for record in fit(Net, data, prepare, optax.sgd(0.1, 0.9), **options).records]


def resumed(mesh, folder: str) -> list:
    """The losses on the stream of a run that ends after the first epoch and is taken up again."""
    for epochs in (1, 2):
        with Checkpoints(folder) as checkpoints:
            found = losses(mesh, STREAMED, epochs, checkpoints)
    return found


def stopped(mesh, folder: str, process: str) -> list:
    """What is said, and the saved steps, where the first process alone is asked to stop after step 3."""

    def hear(done: int, total: int) -> None:
        if done == 3 and process == "0":
            os.kill(os.getpid(), signal.SIGTERM)

    options = {"epochs": 2, "batch_size": BATCH // 2, "steps_per_call": 1, "mesh": mesh, "on_steps": hear}
    with Checkpoints(folder) as checkpoints:
        try:
            fit(Net, DATA, prepare, optax.sgd(0.1, 0.9), checkpoints=checkpoints, **options)
        except Stopped as said:
            return [str(said).partition(";")[0], checkpoints.steps]
    return []


def gathered(mesh, members: int) -> list[str]:
    """What brings together pixels of a batch, in the compiled epoch and in the program of a streamed batch."""
    options = {"loss": cross_entropy, "compute_dtype": None, "ema": None, "augment": None, "mix": None, "views": None}
    programs = Programs(graph_of(Net), optax.sgd(0.1, 0.9), prepare, BATCH, **options, mesh=mesh)
    state = programs.initialise(Net, *members_of(members, 0, None))
    train = programs.place(DATA.train.images), programs.place(DATA.train.labels)
    test = programs.evaluate.lower(state, programs.place(DATA.test.images)).compile()
    compiled = programs.compiled(3, state, *train), programs.compiled_batch(state, DATA.image_shape), test
    assert f"f32[{len(DATA.test) // len(jax.devices())},16,8," in test.as_text() or mesh.shape.get("space", 1) > 1
    lines = [line.strip()[:300] for program in compiled for line in program.as_text().splitlines()]
    found = [line for line in lines if re.search(r" (all-gather|all-to-all)(-start)?\(", line)]
    found = [line for line in found if not re.search(r" = f32\[\d+,8,3\]", line)]  # but the logits of the test images
    # nor rows on a mesh of two axes: XLA would add a kernel gradient of split rows over both
    return found if min(mesh.shape.values()) == 1 else [line for line in found if "dimensions={1}" not in line]


def main(process: str | None = None, port: str | None = None, folder: str = "") -> None:
    if process is not None:
        waits = {"initialization_timeout": PATIENCE_S, "heartbeat_timeout_seconds": PATIENCE_S}
        jax.distributed.initialize(f"127.0.0.1:{port}", 2, int(process), **waits)
        mesh = device_mesh()
        found = {"losses": losses(mesh), "streamed": losses(mesh, STREAMED), "resumed": resumed(mesh, folder)}
        found["stopped"] = stopped(mesh, f"{folder}/stopped", process)
        print(json.dumps({"devices": len(jax.devices()), **found}))
        return
    meshes = {"one": None, "data": device_mesh(), "both": device_mesh(space=2), "rows": device_mesh(space=8)}
    found = {
        "losses": {name: losses(mesh) for name, mesh in meshes.items()},
        "streamed": {name: losses(meshes[name], STREAMED) for name in ("one", "data", "both")},
        "gathered": {f"{name}, {members}": gathered(meshes[name], members) for name, members in GATHERED},
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
