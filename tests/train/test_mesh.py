"""Eight simulated devices, and two processes over loopback, train to the losses of one device."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import optax
import pytest

from jaxcnn.train import device_mesh, fit
from tests.compilation import PATIENCE_S, environment

from ._meshed import GATHERED
from .toy import DATA, build, prepare

ROOT = Path(__file__).parents[2]


def start(devices: int, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train._meshed", *arguments], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=os.environ | environment(devices),
    )  # fmt: skip


def results(*processes: subprocess.Popen) -> list[dict]:
    """What they print; none outlives this call."""
    try:
        said = [process.communicate(timeout=PATIENCE_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [process.returncode for process in processes] == [0] * len(said), said[0][1][-3000:]
    return [json.loads(out.splitlines()[-1]) for out, _ in said]


@pytest.fixture(scope="module")
def eight() -> dict:
    return results(start(8))[0]


@pytest.fixture(scope="module")
def two(tmp_path_factory) -> list[dict]:
    """What two processes say, on a port that stays this test's own: gRPC shares it (SO_REUSEPORT), nobody else can take it."""
    folder = str(tmp_path_factory.mktemp("two"))
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        return results(*(start(4, str(process), str(held.getsockname()[1]), folder) for process in range(2)))


@pytest.mark.parametrize("mesh", ["data", "both", "rows"])
def test_eight_devices_have_the_losses_of_one(eight, mesh):
    one, shared = (np.array(eight["losses"][name]) for name in ("one", mesh))
    assert one.shape == (2, 2)
    assert np.ptp(one) > 1e-3
    np.testing.assert_allclose(shared, one, rtol=2e-4)


@pytest.mark.parametrize("mesh", ["data", "both"])
def test_eight_devices_have_the_losses_of_one_on_a_stream(eight, mesh):
    one, shared = (np.array(eight["streamed"][name]) for name in ("one", mesh))
    assert np.ptp(one) > 1e-3
    np.testing.assert_allclose(shared, one, rtol=2e-4)


@pytest.mark.parametrize(("mesh", "members"), GATHERED)
def test_eight_devices_do_not_gather_the_batch(eight, mesh, members):
    assert eight["gathered"][f"{mesh}, {members}"] == []


def test_two_processes_stop_together_where_one_is_asked_to(two):
    assert [said["stopped"] for said in two] == [["fit: SIGTERM at step 3 (epoch 0)", [3]]] * 2


@pytest.mark.parametrize("way", ["losses", "streamed"])
def test_two_processes_have_the_losses_of_one_device(eight, two, way):
    assert [answer["devices"] for answer in two] == [8, 8]
    assert two[0][way] == two[1][way]
    np.testing.assert_allclose(two[0][way], eight[way]["one"], rtol=2e-4)


def test_two_processes_resume_a_stream_to_the_same_bits(two):
    assert [answer["resumed"] for answer in two] == [answer["streamed"] for answer in two]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: device_mesh(devices=99), "device_mesh: devices=99; there are "),
        (lambda: device_mesh(space=3, devices=1), "device_mesh: space=3 must divide the 1 devices"),
    ],
)
def test_mesh_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_fit_refuses_a_mesh_without_data():
    mesh = jax.sharding.Mesh(np.array(jax.devices()[:1]), ("rows",))
    with pytest.raises(ValueError, match=r"fit: the mesh has the axes \('rows',\); it must have 'data'"):
        fit(build, DATA, prepare, optax.sgd(0.1), epochs=1, batch_size=8, mesh=mesh)
