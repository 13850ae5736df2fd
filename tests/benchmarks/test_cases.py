"""The benchmark cases are layers that exist: shapes fit, names are unique, counts are those of the definition."""

import numpy as np
import pytest

from benchmarks.cases import DIRECTIONS, FAMILIES, HELD_OUT, NETWORKS, QUICK, SEEN, layer, select
from jaxcnn.geometry import Window

EVERY = (*NETWORKS, *SEEN, *HELD_OUT)


@pytest.mark.parametrize("case", EVERY, ids=lambda case: case.name)
def test_case_shapes_fit(case):
    groups, narrow, wide = case.groups, case.kernel[-2], case.kernel[-1]
    assert case.x[-1] == (wide if case.transposed else narrow * groups)
    assert case.y[-1] == (narrow * groups if case.transposed else wide)
    assert wide % groups == 0
    assert len(case.kernel) == len(case.x) == len(case.y) == case.rank + 2
    assert min(case.y) > 0
    small = (case.x if case.transposed else case.y)[1:-1]
    assert case.window.output_size(case.large) == small
    assert Window.resolve(
        case.kernel[:-2], case.large, stride=case.stride, padding=case.padding, dilation=case.dilation
    )


def test_case_names_are_unique():
    names = [case.name for case in EVERY]
    assert len(names) == len(set(names))


def test_case_tables_share_no_problem():
    problem = lambda case: (case.x, case.kernel, case.stride, case.padding, case.dilation, case.groups, case.transposed)
    assert len(set(map(problem, EVERY))) == len(EVERY)
    assert not {case.network for case in HELD_OUT} & {case.network for case in (*NETWORKS, *SEEN)}


@pytest.mark.parametrize("table", [NETWORKS, SEEN, HELD_OUT, select(quick=True), select(quick=True, table="held_out")])
def test_case_tables_hold_every_family(table):
    assert {case.family for case in table} == set(FAMILIES)


def test_case_quick_names_exist():
    assert set(QUICK) <= {case.name for case in NETWORKS}
    assert len(select(quick=True)) == len(QUICK)


@pytest.mark.parametrize("table", [NETWORKS, SEEN, HELD_OUT])
def test_case_families_say_what_the_layer_is(table):
    for case in table:
        assert (case.family == "depthwise") == (case.groups > 1 and case.kernel[-2] == 1)
        assert (case.family in ("depthwise", "grouped")) == (case.groups > 1)
        assert case.family != "pointwise" or set(case.kernel[:-2]) == {1}
        assert case.family not in ("1d", "3d") or case.family == f"{case.rank}d"


def test_case_multiply_adds_of_known_layers():
    giga = {case.name: case.multiply_adds / 1e9 for case in EVERY}
    assert giga["resnet50/conv1/b1"] == pytest.approx(0.118, abs=5e-4)  # 112² · 49 · 3 · 64
    assert giga["vgg16/conv1_2/b1"] == pytest.approx(1.850, abs=5e-4)
    assert giga["dcgan/g.2/b1"] == pytest.approx(16 * 4 * 4 * 1024 * 512 / 1e9)


def test_case_transposed_sizes_are_pytorch_formula():
    one, batch = layer("n", "up", "transposed", (5,), (4, 3, 7), stride=3, padding=1, output_padding=2, batch=2)
    assert (one.x, one.y) == ((1, 5, 7), (1, (5 - 1) * 3 - 2 * 1 + 3 + 2 + 1, 3))
    assert (batch.x, batch.y) == ((2, 5, 7), (2, 16, 3))


@pytest.mark.parametrize(
    ("family", "kernel", "options", "sums"),
    [
        ("dense", (3, 4, 10), {"padding": 1}, (3 * 4, 3 * 10, 2 * 5)),
        ("grouped", (3, 4, 10), {"groups": 2}, (3 * 4, 3 * 5, 2 * 3)),
        ("transposed", (3, 4, 10), {}, (3 * 10, 3 * 4, 2 * 5)),
    ],
)
def test_case_contraction_counts_products_of_a_sum(family, kernel, options, sums):
    case = layer("n", "l", family, (5,), kernel, batch=2, **options)[1]
    assert tuple(case.contraction(direction) for direction in DIRECTIONS) == sums


def test_case_prints_what_is_not_default():
    case = layer("n", "l", "grouped", (9, 7), (3, 5, 2, 8), stride=2, groups=4, dilation=(1, 1), batch=1)[0]
    assert str(case) == "1×9×7×8 · 3×5→8 /2 g4"


def test_select_filters_by_family_and_pattern():
    chosen = select(families=("depthwise",), pattern="convnext*/b1")
    assert [case.name for case in chosen] == ["convnext_t/stages.0.dw/b1", "convnext_t/stages.2.dw/b1"]


def test_select_refuses_an_empty_choice():
    with pytest.raises(ValueError, match=r"select: no case matches 'nothing\*' in the families 3d"):
        select(families=("3d",), pattern="nothing*")


def test_case_elements_are_every_operand():
    case = NETWORKS[0]
    assert case.elements == sum(int(np.prod(shape)) for shape in (case.x, case.kernel, case.y))
