"""The oracles are independent, and right where the answer is known without them."""

import ast
from pathlib import Path

import numpy as np
import pytest

from tests.reference import padding, windows

FILES = sorted((Path(__file__).parent / "reference").glob("*.py"))
NUMPY_MODE = {
    "zeros": "constant",
    "reflect": "reflect",
    "replicate": "edge",
    "circular": "wrap",
    "symmetric": "symmetric",
}


def imported(path):
    """Top-level names of the absolute imports of a file."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0}
    return {name.partition(".")[0] for name in plain | named}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_reference_imports_only_numpy(path):
    assert imported(path) <= {"numpy", "itertools", "math"}


def test_imported_sees_every_form(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text("import jaxcnn.geometry as g\ndef f():\n    from jax import numpy\n")
    assert imported(path) == {"jaxcnn", "jax"}


@pytest.mark.parametrize("mode", NUMPY_MODE)
def test_reference_pad_matches_numpy(mode):
    x = np.random.default_rng(1).normal(size=(2, 5, 7, 3))
    expected = np.pad(x, ((0, 0), (2, 4), (3, 1), (0, 0)), mode=NUMPY_MODE[mode])
    np.testing.assert_array_equal(padding.pad(x, [(2, 4), (3, 1)], mode), expected)


def test_reference_starts_known():
    assert windows.starts(7, 3, 2, low=1, high=1) == [-1, 1, 3, 5]
    assert windows.starts(7, 2, 2) == [0, 2, 4]
    assert windows.starts(7, 2, 2, ceil=True) == [0, 2, 4, 6]
    assert windows.starts(4, 2, 2, ceil=True) == [0, 2]
    assert windows.starts(3, 2, 3, high=1, ceil=True) == [0]  # the next one would start in the padding
    assert windows.starts(2, 3) == []
