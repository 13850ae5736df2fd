"""The README's examples run as they stand; the last line of the first fails with the message printed beside it."""

import re
from pathlib import Path

import jax
import pytest

from jaxcnn import functional

README = Path(__file__).parent.parent / "README.md"
EXAMPLES = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def test_readme_functions_run():
    *lines, last = EXAMPLES[0].strip().splitlines()
    names: dict = {}
    exec("\n".join(lines), names)
    assert names["features"].shape == (8, 16)
    assert names["gradient"].shape == names["kernel"].shape
    assert float(names["residual"]) < 1e-6
    call, message = last.split("  # ValueError: ")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        exec(call, names)


def test_readme_augmentation_runs():
    names: dict = {}
    exec(EXAMPLES[1], names)
    assert names["x"].shape == (128, 32, 32, 3)
    assert names["labels"].shape == (128, 10)


def test_readme_models_run():
    names: dict = {}

    def run():  # traced alone: nothing is compiled
        exec(EXAMPLES[2], names)
        return names["logits"], names["maps"]

    logits, maps = jax.eval_shape(run)
    assert logits.shape == (1, 10)
    assert sorted(y.shape[1] for y in maps.values()) == [2, 4, 8, 16, 32]
    assert names["models"].list("resnet*") == ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]


def test_readme_interpret_runs():
    names: dict = {}
    exec(EXAMPLES[3], names)
    assert names["unit"](names["x"]).shape == (1, 10, 10, 16)
    assert names["values"].shape == (1, 5, 5, 16)
    captum = [row for row in INSPECTION.splitlines() if row[:2] == "| "][1:]
    ours = {name for row in captum for name in re.findall(r"`(\w+)", row.split("|")[2])}
    assert len(ours) > 15
    assert [name for name in ours if not hasattr(names["interpret"], name)] == []


INSPECTION = re.search(r"## What a network sees\n.*?\n## ", README.read_text(), re.DOTALL)[0]
# conv_tbc to upsample: what `torch.nn.functional` calls convolution, pooling, vision, folding, normalisation, dropout of channels
GROUPS = r"conv|pool|pad$|fold$|shuffle|interpolate|upsample|grid|_norm$|dropout\dd$"
PARITY = re.search(r"### From PyTorch\n.*?\n## ", README.read_text(), re.DOTALL)
ROWS = [
    re.findall(r"`([\w.]+)`", cell)
    for line in PARITY[0].splitlines()
    if line[:2] == "| "
    for cell in line.split("|")[1:3]
]


def test_parity_table_names_what_exists():
    ours = {name for cell in ROWS[1::2] for name in cell}
    assert len(ours) > 20
    assert {name for name in ours if not callable(getattr(functional, name, None))} == set()
    assert all(ROWS[2:])  # no row is empty on either side


def test_parity_table_names_every_function_of_torch():
    torch = pytest.importorskip("torch")
    theirs = {name for cell in ROWS[::2] for name in cell if not name.startswith("torchvision.")}
    found = {name for name in vars(torch.nn.functional) if re.search(GROUPS, name) and not name.startswith("_")}
    assert theirs == {name for name in found if callable(getattr(torch.nn.functional, name))}
