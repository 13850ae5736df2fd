"""Run folders: what they hold, and that a failed run never looks finished."""

import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxcnn.train import EpochRecord, run_folder
from jaxcnn.train.progress import progress


def test_run_folder_holds_the_record(tmp_path):
    with run_folder(tmp_path, "demo", config={"epochs": 2, "folder": tmp_path}, source=__file__) as run:
        assert run.path.name.endswith(".unfinished")
        run.log(EpochRecord(1, [0.5], [0.9], [0.8], 2.0, 100.0))
        run.log({"epoch": 2})
        run.write_parameters({"conv1": {"kernel": jnp.ones((3, 3, 1, 2)), "bias": jnp.zeros(2)}})
    assert json.loads((run.path / "config.json").read_text())["epochs"] == 2
    lines = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [1, 2]
    assert (run.path / "test_run.py").exists()
    assert set(json.loads((run.path / "versions.json").read_text())) >= {"python", "jax", "jaxlib", "device"}
    load_file = pytest.importorskip("safetensors.numpy").load_file
    parameters = load_file(run.path / "parameters.safetensors")
    assert {name: v.shape for name, v in parameters.items()} == {"conv1.kernel": (3, 3, 1, 2), "conv1.bias": (2,)}
    np.testing.assert_array_equal(parameters["conv1.kernel"], 1)


def test_run_folder_names_every_parameter(tmp_path):
    class Net(nnx.Module):
        def __init__(self):
            self.value, self.scale = nnx.Param(jnp.ones(2)), nnx.Param(jnp.array(3.0))
            self.layers = nnx.List([nnx.Param(jnp.zeros(1))])

    with run_folder(tmp_path, "demo", config={}, source=__file__) as run:
        run.write_parameters(nnx.state(Net(), nnx.Param))
    parameters = pytest.importorskip("safetensors.numpy").load_file(run.path / "parameters.safetensors")
    assert {name: v.shape for name, v in parameters.items()} == {"value": (2,), "scale": (), "layers.0": (1,)}


def test_run_folder_of_a_failed_run_looks_unfinished(tmp_path):
    with pytest.raises(ArithmeticError), run_folder(tmp_path, "demo", config={}, source=__file__):
        raise ArithmeticError("the loss is nan at step 3")
    (folder,) = (tmp_path / "demo").iterdir()
    assert folder.name.endswith(".unfinished")
    assert "the loss is nan at step 3" in (folder / "error.txt").read_text()


def test_run_folder_is_resumed_with_the_same_options_alone(tmp_path):
    config = {"epochs": 40, "rate": 0.1, "runs": tmp_path, "resume": None}
    with pytest.raises(KeyboardInterrupt), run_folder(tmp_path, "demo", config=config, source=__file__) as run:
        raise KeyboardInterrupt
    again = lambda **changed: run_folder(
        tmp_path, "demo", config=config | {"resume": run.path} | changed, source=__file__, resume=run.path
    )
    with pytest.raises(ValueError, match="was begun with epochs=40, not with epochs=10; give the same options$"):
        again(epochs=10).__enter__()
    assert json.loads((run.path / "config.json").read_text())["epochs"] == 40
    with again(runs="elsewhere") as resumed:
        pass
    assert resumed.path.suffix == ""


def test_run_folders_of_one_second_are_distinct(tmp_path):
    paths = []
    for _ in range(3):
        with run_folder(tmp_path, "demo", config={}, source=__file__) as run:
            pass
        paths.append(run.path)
    assert len(set(paths)) == 3
    assert all(path.is_dir() for path in paths)


def test_run_folder_refuses_what_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="run_folder: cannot write to .*file/demo: Not a directory; give another folder"):
        run_folder(tmp_path / "file", "demo", config={}, source=__file__).__enter__()


def test_progress_prints_lines_where_there_is_no_terminal():
    import io

    from rich.console import Console

    console = Console(file=io.StringIO(), width=120)
    with progress(20, console) as (show, move):
        for epoch in range(1, 21):
            show(EpochRecord(epoch, [1 / epoch], [0.5], [0.25], 1.0, 1000.0))
    lines = console.file.getvalue().strip().splitlines()
    assert len(lines) == 10
    assert lines[-1] == "epoch 20/20  loss 0.0500  train 0.500  test 0.250  1,000 images/s"
