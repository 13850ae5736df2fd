"""Mutation testing: small faults in the rooms that decide numbers, each in a copy, and which of them no test sees.

    python -m tests.mutants --sample 100          # make mutants; writes tests/mutants.txt
    python -m tests.mutants --sample 20 --only 'jaxcnn/nn/*' --list nn.txt

A mutant is one change of one expression: an operator or a comparison swapped, a whole number one larger or smaller, a condition
negated, a keyword or a call left out, two arguments exchanged. Its nearest tests run in one process until one fails. A seed draws
the same mutants of the same code. A survivor that changes nothing that can be seen gets its reason behind `#` in the list, and
keeps it; every other one is a test that is missing.
"""

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
LIST = Path(__file__).with_suffix(".txt")
SECONDS = 600  # that the tests of one mutant may take
COPIED = ("jaxcnn", "tests", "benchmarks", "experiments", "pyproject.toml", "conftest.py", "README.md")
ENGINE = "tests/functional/engine/test_engine_"
POOLS = [f"tests/functional/test_{name}.py" for name in ("max_pool_rules", "pool", "adaptive_pool", "long_lines")]
NEAREST = {  # the first pattern that fits a module; tests of its own name, where there are some, come before
    "jaxcnn/geometry/*": ["tests/geometry"],
    "jaxcnn/functional/lowering/_stacked.py": [f"{ENGINE}stacked.py", f"{ENGINE}lowerings.py"],
    "jaxcnn/functional/lowering/_c*.py": [f"{ENGINE}choice.py", f"{ENGINE}versions.py", f"{ENGINE}lowerings.py"],
    "jaxcnn/functional/lowering/*": [f"{ENGINE}lowerings.py", f"{ENGINE}versions.py", f"{ENGINE}forced.py"],
    "jaxcnn/functional/engine/_[rs]*ampl*": [
        "tests/functional/test_resize.py",
        "tests/functional/test_resize_local.py",
    ],
    "jaxcnn/functional/engine/_[dew]*": POOLS,
    "jaxcnn/functional/engine/_[lt]o[nt]*": POOLS,  # _long, _total
    "jaxcnn/functional/engine/*": ["tests/functional/engine", "tests/functional/test_max_pool_rules.py"],
    "jaxcnn/functional/_boxes.py": [f"tests/functional/test_{name}.py" for name in ("roi_align", "roi_pool")],
    "jaxcnn/functional/*": [
        *(f"tests/functional/test_{name}.py" for name in ("torch", "errors")),
        "tests/contract/test_numbers.py",
    ],
    "jaxcnn/augment/*": ["tests/augment"],
    "jaxcnn/nn/*": ["tests/nn"],
    "jaxcnn/train/_[ol]*s.py": ["tests/train/test_optimisers.py"],
    "jaxcnn/train/_step.py": ["tests/train/test_fit.py", "tests/train/test_ensemble.py"],
}
SWAPS = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.FloorDiv, ast.And: ast.Or, ast.Or: ast.And, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE},
    **{ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
}
COMMUTE = "max min maximum minimum gcd lcm add multiply".split()  # exchanged arguments change nothing
UNSEEN = (ast.Raise, ast.JoinedStr, ast.Assert, ast.arguments)  # words, and signatures
SILENT = ("annotation", "returns", "decorator_list", "bases")


KINDS = ("killed", "timed out", "survived")


class Mutant(NamedTuple):
    """The bytes of a module from `start` to `end` become `after`."""

    module: str
    line: int
    column: int
    start: int
    end: int
    before: str
    after: str
    text: str  # of the line

    @property
    def name(self) -> str:
        """What changes and where, without the number of the line, which moves as the file does."""
        return f"{self.module}: {self.before} → {self.after} in {self.text}"


def changed(node: ast.expr) -> Iterator[ast.expr]:
    """Each way in which one expression can be wrong."""
    match node:
        case ast.BinOp(left, op, right) if type(op) in SWAPS:
            yield ast.BinOp(left, SWAPS[type(op)](), right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(SWAPS[type(op)](), values)
        case ast.Compare(left, [op], [right]) if type(op) in SWAPS:
            yield ast.Compare(left, [SWAPS[type(op)]()], [right])
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            yield operand
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.Call(func, args, keywords) if not any(isinstance(arg, ast.Starred) for arg in args):
            for i in range(len(keywords)):
                yield ast.Call(func, args, keywords[:i] + keywords[i + 1 :])
            if len(args) == 1 and not keywords:
                yield args[0]
            if len(args) > 1 and ast.unparse(func).rpartition(".")[2] not in COMMUTE:
                yield ast.Call(func, [args[1], args[0], *args[2:]], keywords)


def expressions(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that decide something: no annotation, decorator, default, message or docstring."""
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            pinned = isinstance(node, ast.ClassDef) and isinstance(child, ast.AnnAssign)  # by `test_api.py`
            if pinned or field in SILENT or not isinstance(child, ast.AST) or isinstance(child, UNSEEN):
                continue
            if isinstance(child, ast.expr):
                yield child
            yield from expressions(child)


def mutants(module: str, source: str) -> list[Mutant]:
    """All of one file.

    >>> [f"{m.before} → {m.after}" for m in mutants("m.py", "def f(n, s=1):\\n    return f(n + 1, s)")]
    ['f(n + 1, s) → f(s, n + 1)', 'n + 1 → n - 1', '1 → 2', '1 → 0']
    """
    starts, found, lines = [0], [], source.split("\n")
    for line in lines:
        starts.append(starts[-1] + len(line.encode()) + 1)
    for node in expressions(ast.parse(source)):
        before = ast.unparse(node)
        start, end = starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        texts = dict.fromkeys(ast.unparse(ast.fix_missing_locations(new)) for new in changed(node))
        at, place = (module, node.lineno, node.col_offset, start, end, before), lines[node.lineno - 1].strip()
        found += [Mutant(*at, text, place) for text in texts if text != before]
    return found


def callers(module: str, root: Path = ROOT) -> list[str]:
    """The two test modules that call the public functions of a module of `functional` most."""
    if not fnmatch(module, "jaxcnn/functional/[!/]*.py") or module.count("/") > 2:
        return []
    defined = [one.name for one in ast.parse((root / module).read_text()).body if isinstance(one, ast.FunctionDef)]
    pattern = re.compile(rf"\bF\.(?:filters\.)?(?:{'|'.join(name for name in defined if name[0] != '_')})\b")
    calls = {path: len(pattern.findall(path.read_text())) for path in sorted(root.glob("tests/functional/test_*.py"))}
    most = sorted(filter(calls.get, calls), key=calls.__getitem__, reverse=True)[:2]
    return [path.relative_to(root).as_posix() for path in most]


def nearest(module: str, root: Path = ROOT) -> list[str]:
    """The tests that run for a mutant of a module, those that are most likely to fail first.

    These are the examples in the module's docstrings, then the test file of its name, the files that call its functions most,
    and the files that `NEAREST` gives it.
    """
    own = Path("tests", *Path(module).parts[1:-1], f"test_{Path(module).stem.strip('_')}.py")
    kept = next(tests for pattern, tests in NEAREST.items() if fnmatch(module, pattern))
    named = [str(own)] if (root / own).exists() else []
    return list(dict.fromkeys([module, *named, *callers(module, root), *kept]))


def draw(count: int, seed: int, only: str = "*") -> list[Mutant]:
    """So many of all mutants, the same ones for a seed."""
    paths = [p.relative_to(ROOT).as_posix() for p in sorted(ROOT.glob("jaxcnn/**/*.py")) if p.name != "__init__.py"]
    held = [path for path in paths if fnmatch(path, only) and any(fnmatch(path, pattern) for pattern in NEAREST)]
    every = [mutant for path in held for mutant in mutants(path, (ROOT / path).read_text())]
    return random.Random(seed).sample(every, min(count, len(every)))


def fate(mutant: Mutant | None, tests: list[str], folder: Path, seconds: float | None) -> str:
    """`killed`, `survived` or `timed out`: what the tests make of a mutant in a copy of the project, which is put back."""
    path = folder / (mutant.module if mutant else "pyproject.toml")
    content = path.read_bytes()
    if mutant:
        path.write_bytes(content[: mutant.start] + f"({mutant.after})".encode() + content[mutant.end :])
    command = [sys.executable, "-m", "pytest", "-x", "-n", "0", "-q", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, timeout=seconds, env=os.environ | {"CI": "1"})
    except subprocess.TimeoutExpired:
        return "timed out"
    finally:
        path.write_bytes(content)
    if done.returncode not in (0, 1, 2):  # passed, failed, not collected
        raise RuntimeError(f"pytest {' '.join(tests)} ended with {done.returncode}: {done.stderr.decode()[-2000:]}")
    return "survived" if done.returncode == 0 else "killed"


def report(fates: dict[Mutant, str], drawn: str, old: str) -> str:
    """The list: what was drawn, how many of each fate, then each survivor; a reason that the old list gives stays."""
    count = Counter(fates.values())
    reasons = {m[1] + m[2]: m[3] for m in re.finditer(r"^(\S+):\d+:\d+(: .*?)  # (.*)$", old, re.MULTILINE)}
    lines = [f"{len(fates)} mutants of {drawn}: {', '.join(f'{count[k]} {k}' for k in KINDS)}"]
    for mutant in sorted(m for m, what in fates.items() if what == "survived"):
        reason = reasons.get(mutant.name)
        lines.append(
            mutant.name.replace(":", f":{mutant.line}:{mutant.column}:", 1) + (f"  # {reason}" if reason else "")
        )
    return "\n".join(lines) + "\n"


def tried(drawn: list[Mutant]) -> dict[Mutant, str]:
    """The fate of each; without a mutant all their tests must pass."""
    fates = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in COPIED:
            (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, Path(folder, name))
        (ROOT / ".jax_cache").mkdir(exist_ok=True)
        Path(folder, ".jax_cache").symlink_to(ROOT / ".jax_cache")
        tests = sorted({test for mutant in drawn for test in nearest(mutant.module)})
        if fate(None, tests, Path(folder), None) != "survived":
            raise SystemExit(f"mutants: without a mutant the tests fail already: {' '.join(tests)}")
        for number, mutant in enumerate(drawn, 1):
            fates[mutant] = fate(mutant, nearest(mutant.module), Path(folder), SECONDS)
            print(f"{number}/{len(drawn)} {fates[mutant]}: {mutant.name}", flush=True)
    return fates


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--sample", type=int, default=100)
    options.add_argument("--seed", type=int, default=0)
    options.add_argument("--only", default="*", help="modules whose path fits this shell pattern")
    options.add_argument("--list", type=Path, default=LIST, help="the file of survivors")
    chosen = options.parse_args()
    fates = tried(draw(chosen.sample, chosen.seed, chosen.only))
    old = chosen.list.read_text() if chosen.list.exists() else ""
    chosen.list.write_text(report(fates, f"{chosen.only}, seed {chosen.seed}", old))


if __name__ == "__main__":
    main()
