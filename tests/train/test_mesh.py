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

from .toy import DATA, build, prepare

ROOT = Path(__file__).parents[2]


def start(devices: int, *arguments: str) -> subprocess.Popen:
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, "-m", "tests.train._meshed", *arguments], cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
    )  # fmt: skip


def result(process: subprocess.Popen) -> dict:
    out, err = process.communicate(timeout=400)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1])


@pytest.fixture(scope="module")
def eight() -> dict:
    return result(start(8))


@pytest.mark.parametrize("mesh", ["data", "both", "rows"])
def test_eight_devices_have_the_losses_of_one(eight, mesh):
    one, shared = (np.array(eight["losses"][name]) for name in ("one", mesh))
    assert one.shape == (2, 2)
    assert np.ptp(one) > 1e-3
    np.testing.assert_allclose(shared, one, rtol=2e-4)


def test_eight_devices_do_not_gather_the_batch(eight):
    assert eight["gathered"] == []


def test_two_processes_have_the_losses_of_one_device(eight):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    both = [start(4, str(process), port) for process in range(2)]
    found = [result(process) for process in both]
    assert [answer["devices"] for answer in found] == [8, 8]
    assert found[0]["losses"] == found[1]["losses"]
    np.testing.assert_allclose(found[0]["losses"], eight["losses"]["one"], rtol=2e-4)


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
