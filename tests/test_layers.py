"""The house keeps its shape: dependencies point down, files and functions stay short, no room without a name."""

import ast
import fnmatch
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# from the ground up, `design.md` section 2; rooms of one floor do not import each other
FLOORS = [
    {"geometry"},
    {"functional"},
    {"augment", "detection", "style"},
    {"nn"},
    {"models"},
    {"weights"},
    {"interpret"},
    {"report"},
    {"data"},
    {"train"},
    {"commands"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
BLIND = {(room, "models") for room in ("train", "weights", "interpret")}  # they receive a model, they know none by name
OUTSIDE = {"experiments", "tests", "benchmarks"}
FORBIDDEN = {room: {"flax", "optax", "orbax", "grain", "matplotlib"} for room in set().union(*FLOORS[:3])}
TOP_LEVEL = {"jaxcnn", "experiments", "tests", "benchmarks"}
NAMELESS = {"utils", "util", "common", "helpers", "helper", "misc"}
LONG_FILES = {"jaxcnn": 400, "experiments": 400, "benchmarks": 400, "tests": 500}
LONG_BODY, LONG_BODIES = 40, set()  # functions that may be longer, as "path::function"


def room_of(parts):
    """The room of a module inside the package, None for the package itself."""
    return parts[1] if len(parts) > 1 else None


def targets(path, root):
    """Absolute dotted names that a file imports, relative imports resolved."""
    package = path.relative_to(root).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        if isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def refusal(room, target):
    """Why a file of `room` may not import `target`; None if it may."""
    parts = target.split(".")
    top, other = parts[0], room_of(parts)
    if top in OUTSIDE:
        return "the package knows nothing outside it"
    if top in FORBIDDEN.get(room, ()):
        return "not in this room"
    if room == "geometry" and top != "jaxcnn" and top not in sys.stdlib_module_names:
        return "geometry uses the standard library only"
    if top != "jaxcnn" or other in (room, "__version__"):
        return None
    if other not in FLOOR or (room, other) in BLIND or FLOOR[other] >= FLOOR[room]:
        return "not a floor below"
    return None


def upward_imports(root):
    """One line for each import of the package under `root` that does not point down."""
    problems = []
    for path in sorted((root / "jaxcnn").glob("*/**/*.py")) + sorted((root / "jaxcnn").glob("[!_]*.py")):
        room = room_of(path.relative_to(root).with_suffix("").parts)
        if room not in FLOOR:
            problems.append(f"{path.relative_to(root)}: {room} is no room")
            continue
        refused = ((target, refusal(room, target)) for target in targets(path, root))
        problems += [f"{path.relative_to(root)}: {target}: {why}" for target, why in refused if why]
    return problems


def sources(root):
    return [path for top in sorted(TOP_LEVEL) for path in sorted((root / top).rglob("*.py"))]


def nameless_files(root):
    """Files and folders called utils, common or helpers."""
    return [str(p.relative_to(root)) for p in sources(root) if NAMELESS & {*p.relative_to(root).parts, p.stem}]


def long_files(root):
    """Files over the limit of their folder."""
    limit = {path: LONG_FILES[path.relative_to(root).parts[0]] for path in sources(root)}
    return [str(path.relative_to(root)) for path in limit if len(path.read_text().splitlines()) > limit[path]]


def body_lines(function):
    """Lines of a function below its docstring."""
    first = function.body[min(ast.get_docstring(function) is not None, len(function.body) - 1)]
    return function.end_lineno - first.lineno + 1


def long_functions(root):
    """Functions whose body is over the limit and that are not named as exceptions."""
    kinds, found = (ast.FunctionDef, ast.AsyncFunctionDef), []
    for path in sources(root):
        functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]
        found += [f"{path.relative_to(root)}::{f.name}" for f in functions if body_lines(f) > LONG_BODY]
    return sorted(set(found) - LONG_BODIES)


def stray_folders(root):
    """Top-level folders that nobody allowed, git-ignored ones left out."""
    ignored = [line.rstrip("/") for line in (root / ".gitignore").read_text().split() if line.endswith("/")]
    names = [path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return [name for name in names if name not in TOP_LEVEL and not any(fnmatch.fnmatch(name, i) for i in ignored)]


@pytest.mark.parametrize("check", [upward_imports, nameless_files, long_files, long_functions, stray_folders])
def test_layers_hold(check):
    assert check(ROOT) == []


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("jaxcnn/geometry/a.py", "import jax"),
        ("jaxcnn/geometry/a.py", "from jaxcnn.functional import conv"),
        ("jaxcnn/functional/a.py", "from jaxcnn import nn"),
        ("jaxcnn/functional/lowering/a.py", "from ...models import lenet"),
        ("jaxcnn/functional/a.py", "def f():\n    import flax.nnx"),
        ("jaxcnn/functional/__init__.py", "from ..nn import Conv"),
        ("jaxcnn/augment/a.py", "from jaxcnn.detection import boxes"),
        ("jaxcnn/style.py", "from .train import step"),
        ("jaxcnn/models/a.py", "from jaxcnn.interpret.summary import table"),
        ("jaxcnn/models/a.py", "import jaxcnn.weights as w"),
        ("jaxcnn/models/a.py", "from .. import train"),
        ("jaxcnn/train/a.py", "from jaxcnn.models import lenet"),
        ("jaxcnn/nn/a.py", "from tests.reference import conv"),
        ("jaxcnn/nn/a.py", "import jaxcnn"),
        ("jaxcnn/tools/a.py", "import math"),
    ],
)
def test_upward_imports_finds(tmp_path, path, text):
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_text(text)
    assert len(upward_imports(tmp_path)) == 1


def test_upward_imports_lets_downward_pass(tmp_path):
    file = tmp_path / "jaxcnn/train/a.py"
    file.parent.mkdir(parents=True)
    file.write_text(
        "import optax\nfrom jaxcnn import __version__, functional as F\nfrom ..nn import Conv\nfrom . import b\n"
    )
    assert upward_imports(tmp_path) == []


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (nameless_files, "jaxcnn/nn/utils.py", ""),
        (nameless_files, "experiments/common/plots.py", ""),
        (long_files, "jaxcnn/nn/a.py", "x = 1\n" * 401),
        (long_files, "tests/a.py", "x = 1\n" * 501),
        (long_functions, "jaxcnn/nn/a.py", 'def f():\n    """Text."""\n' + "    x = 1\n" * 41),
        (long_functions, "benchmarks/a.py", "class A:\n    async def f(self):\n" + "        x = 1\n" * 41),
        (stray_folders, "tools/a.py", ""),
    ],
)
def test_checks_find(tmp_path, check, path, text):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    (tmp_path / ".gitignore").write_text("build/\n")
    assert len(check(tmp_path)) == 1


@pytest.mark.parametrize(
    ("check", "path", "text"),
    [
        (long_files, "jaxcnn/nn/a.py", "x = 1\n" * 400),
        (long_functions, "jaxcnn/nn/a.py", 'def f():\n    """Text\n' + "\n" * 50 + '    """\n' + "    x = 1\n" * 40),
        (long_functions, "jaxcnn/nn/a.py", 'def f():\n    """Only text."""\n'),
        (stray_folders, "build/a.py", ""),
    ],
)
def test_checks_let_pass(tmp_path, check, path, text):
    (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / path).write_text(text)
    (tmp_path / ".gitignore").write_text("build/\n")
    assert check(tmp_path) == []
