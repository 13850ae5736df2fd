"""The mutants that are made, which tests they are held to, and that a copy alone is changed."""

import pytest

from tests import mutants as m
from tests.mutants import Mutant, draw, fate, mutants, nearest, report

SOURCE = """def mean(x, *, axis: int = 0):
    \"\"\"The mean — of 2 numbers.\"\"\"
    if not x:
        raise ValueError("1 is too few" + str(1))
    return divide(sum(x, start=0.5), len(x)) if axis < 1 else None
"""


def applied(mutant, source=SOURCE):
    content = source.encode()
    return (content[: mutant.start] + mutant.after.encode() + content[mutant.end :]).decode()


def test_mutants_change_one_expression_and_no_word():
    made = [(mutant.before, mutant.after) for mutant in mutants("m.py", SOURCE)]
    whole = "divide(sum(x, start=0.5), len(x))"
    assert made == [
        ("not x", "x"),
        (f"{whole} if axis < 1 else None", f"None if axis < 1 else {whole}"),
        ("axis < 1", "axis <= 1"),
        ("1", "2"),
        ("1", "0"),
        (whole, "divide(len(x), sum(x, start=0.5))"),
        ("sum(x, start=0.5)", "sum(x)"),
        ("len(x)", "x"),
    ]


@pytest.mark.parametrize("number", range(8))
def test_mutants_lie_where_their_bytes_say(number):
    mutant = mutants("m.py", SOURCE)[number]
    assert SOURCE.encode()[mutant.start : mutant.end].decode() == mutant.before
    compile(applied(mutant), "m.py", "exec")
    assert mutant.text == SOURCE.splitlines()[mutant.line - 1].strip()


def test_draw_is_the_same_for_a_seed():
    drawn = draw(20, seed=1)
    assert drawn == draw(20, seed=1) != draw(20, seed=2)
    assert len(set(drawn)) == 20
    assert {mutant.module for mutant in draw(5, 0, "jaxcnn/nn/_dense.py")} == {"jaxcnn/nn/_dense.py"}


@pytest.mark.parametrize("pattern", m.NEAREST)
def test_nearest_tests_are_there(pattern):
    modules = {mutant.module for mutant in draw(10**6, 0, pattern)}
    assert modules
    assert all((m.ROOT / test).exists() for module in modules for test in nearest(module))


def test_nearest_tests_begin_with_examples_and_those_of_the_name():
    assert nearest("jaxcnn/functional/_pool.py")[:2] == ["jaxcnn/functional/_pool.py", "tests/functional/test_pool.py"]


def test_fate_is_that_of_the_tests_and_leaves_the_copy_as_it_was(tmp_path):
    source = "def f(x):\n    return x + 1\n"
    (tmp_path / "m.py").write_text(source)
    (tmp_path / "test_m.py").write_text("from m import f\n\n\ndef test_f():\n    assert f(2) > 2\n")
    fates = {mutant.after: fate(mutant, ["test_m.py"], tmp_path, 60) for mutant in mutants("m.py", source)}
    assert fates == {"x - 1": "killed", "2": "survived", "0": "killed"}
    assert (tmp_path / "m.py").read_text() == source


def test_report_keeps_the_reason_of_a_survivor_that_moved():
    one, two, dead = (
        Mutant("a.py", line, 4, 0, 1, "1", after, "x + 1") for line, after in ((7, "2"), (9, "0"), (9, "3"))
    )
    text = report(
        {two: "survived", one: "survived", dead: "killed"}, "*, seed 5", "old\na.py:3:4: 1 → 2 in x + 1  # x is 0\n"
    )
    assert text.splitlines() == [
        "3 mutants of *, seed 5: 1 killed, 0 timed out, 2 survived",
        "a.py:7:4: 1 → 2 in x + 1  # x is 0",
        "a.py:9:4: 1 → 0 in x + 1",
    ]


def test_nearest_tests_are_those_that_call_the_functions_of_a_module_without_tests_of_its_name():
    assert "tests/functional/test_group_norm.py" in nearest("jaxcnn/functional/_local_response.py")
    assert "tests/functional/test_max_pool_rules.py" in nearest("jaxcnn/functional/_max_unpool.py")
