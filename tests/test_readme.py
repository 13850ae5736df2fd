"""The README's example runs as it stands, and its last line fails with the message printed beside it."""

import re
from pathlib import Path

import pytest

README = Path(__file__).parent.parent / "README.md"


def test_readme_example_runs():
    (example,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    *lines, last = example.strip().splitlines()
    names: dict = {}
    exec("\n".join(lines), names)
    assert names["features"].shape == (8, 16)
    assert names["gradient"].shape == names["kernel"].shape
    assert float(names["residual"]) < 1e-6
    call, message = last.split("  # ValueError: ")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        exec(call, names)
