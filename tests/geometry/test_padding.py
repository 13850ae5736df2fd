"""Padding rules against what they promise, and the published settings of the convolution arithmetic guide."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxcnn.geometry import Window, causal, full, same, symmetric_same, valid
from tests.reference import windows

SIZES = (st.integers(1, 17), st.integers(1, 7), st.integers(1, 5))
FIGURES = 19


def count(n, k, s, pair):
    return len(windows.starts(n, k, s, *pair))


@given(*SIZES)
def test_valid_adds_nothing(n, k, s):
    assert valid(n, k, s) == (0, 0)


@given(*SIZES)
def test_same_gives_one_output_a_step(n, k, s):
    assert count(n, k, s, same(n, k, s)) == len(range(0, n, s))


@given(*SIZES)
def test_same_adds_no_pixel_too_many(n, k, s):
    low, high = same(n, k, s)
    last = windows.starts(n, k, s, low, high)[-1]
    assert high - low in (0, 1)
    assert last + k == n + high or (low, high) == (0, 0)


@given(*SIZES)
def test_symmetric_same_gives_one_output_a_step(n, k, s):
    low, high = symmetric_same(n, k, s)
    assert count(n, k, s, (low, high)) == len(range(0, n, s))
    assert (low + high, high - low) == (k - 1, 1 - k % 2)


@given(*SIZES)
def test_full_visits_every_shared_pixel(n, k, s):
    touching = [p for p in range(-50, 50) if p < n and p + k > 0]
    assert windows.starts(n, k, 1, *full(n, k, 1)) == touching
    assert full(n, k, s) == full(n, k, 1)


@given(*SIZES)
def test_causal_ends_at_its_own_pixel(n, k, s):
    seen = windows.pixels(n, k, s, *causal(n, k, s))
    assert [taps[-1] for taps in seen] == list(range(0, n, s))


@pytest.mark.parametrize(
    ("word", "rule"), [("valid", valid), ("same", same), ("SAME", same), ("full", full), ("Causal", causal)]
)
@given(*SIZES, st.integers(1, 3))
def test_resolve_applies_the_rule_to_the_span(word, rule, n, k, s, d):
    pair = rule(n + 20, (k - 1) * d + 1, s)
    assert Window.resolve(k, (n + 20,), stride=s, dilation=d, padding=word).padding == (pair,)


@pytest.mark.parametrize(
    ("padding", "pairs"),
    [
        (0, ((0, 0), (0, 0))),
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        ([(1, 2), (3, 0)], ((1, 2), (3, 0))),
        (("same", 2), ((1, 1), (2, 2))),
        (("causal", (0, 1)), ((2, 0), (0, 1))),
        ("full", ((2, 2), (4, 4))),
    ],
)
def test_resolve_reads_every_form_of_padding(padding, pairs):
    assert Window.resolve((3, 5), (11, 13), padding=padding).padding == pairs


@pytest.mark.parametrize("number", range(FIGURES))
def test_output_size_of_published_figure(shared, number):
    with open(shared / "data/worked_examples/conv_arithmetic/figure_table.csv") as file:
        row = list(csv.DictReader(file))[number]
    n, output, p, k, s, d = (int(row[key]) for key in "input output padding kernel stride dilation".split())
    window = Window.resolve(k, (n, n), stride=s, padding=p, dilation=d)
    assert window.output_size((n, n)) == (output, output)
    assert window.transposed((n, n)).output_size((output, output)) == (n, n)


def test_published_figures_are_all_here(shared):
    with open(shared / "data/worked_examples/conv_arithmetic/figure_table.csv") as file:
        assert len(list(csv.DictReader(file))) == FIGURES
