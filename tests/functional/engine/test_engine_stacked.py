"""`vmap` stacks independent problems. On a CPU some run as one program, the others one after the other."""

import jax
import jax.numpy as jnp
import pytest

from jaxcnn.functional.lowering import evaluate, evaluate_stacked

from . import oracle
from .cases import CASES

TILES = ("point", "point-strided", "patchify")
TOGETHER = [  # the loop or the sum of one is that of all
    ("depthwise", "conv", "border"),
    ("depthwise", "input_grad", "border"),
    ("depthwise", "kernel_grad", "row_loop"),
    ("depthwise-strided", "input_grad", "phases"),
    ("strided", "kernel_grad", "planes"),
    *((name, direction, "patches") for name in TILES for direction in ("conv", "input_grad", "kernel_grad")),
]
ONE_BY_ONE = [  # a map of all of them would leave the cache, or XLA:CPU's fast convolution is for one
    ("dense", "conv", "direct"),
    ("dense", "kernel_grad", "patches"),
    ("dilated", "conv", "tap_sum"),
    ("grouped", "conv", "shifted"),
    ("grouped", "kernel_grad", "row_loop"),
    ("strided", "input_grad", "phases"),
    ("depthwise", "conv", "tap_sum"),
    ("depthwise", "kernel_grad", "direct"),
]
RUNS = [(*run, True) for run in TOGETHER] + [(*run, False) for run in ONE_BY_ONE]


def loops(case, lowering):
    """How many loops the program of three stacked problems has more than that of one."""
    count = lambda text: text.count("while[") + text.count("scan[")
    shapes = [jax.ShapeDtypeStruct((3, *v.shape), jnp.float32) for v in oracle.operands(case)]
    stacked = jax.make_jaxpr(lambda a, b: evaluate_stacked(a, b, case, lowering))(*shapes)
    one = jax.make_jaxpr(jax.vmap(lambda a, b: evaluate(a, b, case, lowering)))(*shapes)
    return count(str(stacked)) - count(str(one))


@pytest.mark.parametrize(("name", "direction", "lowering", "together"), RUNS)
def test_stacked_problems_are_one_program_or_a_loop(name, direction, lowering, together):
    case = CASES[name].replace(direction=direction, platform="cpu")
    assert loops(case, lowering) == (0 if together else 1)


@pytest.mark.parametrize(("c_out", "together"), [(15, False), (16, True)])
def test_sum_over_taps_fills_its_vectors_from_16_channels(c_out, together):
    case = CASES["dense"].replace(c_out=c_out, platform="cpu")
    assert loops(case, "tap_sum") == (0 if together else 1)


@pytest.mark.parametrize("changes", [{"platform": "cuda"}, {"partitioned": True}])
def test_stacked_problems_are_one_program_on_other_devices_and_on_several(changes):
    assert loops(CASES["dense"].replace(**{"platform": "cpu"} | changes), "direct") == 0
