"""Which lowering runs: a literal table of them, and a short static rule.

The rule sees a `Case` and nothing else, so every host of a job chooses alike. `CPU` is read from the top: the first row whose
condition holds and whose lowering supports the case runs; `direct` is last and supports everything. On GPU and TPU it is
`direct`, except for what XLA is known to do badly there (`ELSEWHERE`).
"""

from collections.abc import Callable
from math import prod
from types import ModuleType
from typing import NamedTuple

import jax
from jax import Array

from . import (
    _winograd,
    blocks,
    border,
    depth_sum,
    direct,
    fft,
    fold,
    images,
    patches,
    phases,
    planes,
    row_loop,
    rows,
    shifted,
    subpixel,
    tap_sum,
    winograd,
    winograd4,
)
from ._case import Case

LOWERINGS: dict[str, ModuleType] = {
    "direct": direct,
    "patches": patches,
    "tap_sum": tap_sum,
    "border": border,
    "row_loop": row_loop,
    "blocks": blocks,
    "shifted": shifted,
    "images": images,
    "planes": planes,
    "phases": phases,
    "subpixel": subpixel,
    "fold": fold,
    "rows": rows,
    "depth_sum": depth_sum,
    "fft": fft,
    "winograd": winograd,
    "winograd4": winograd4,
}


STREAMS = jax.__version_info__ >= (
    0,
    12,
)  # XLA:CPU reads a large 1×1 convolution faster than a product; 0.10.2 at half the rate


class Rule(NamedTuple):
    """One row: the lowering, when it is the choice, and why."""

    lowering: str
    when: Callable[[Case], bool]
    reason: str


def contracted(case: Case) -> int:
    """Channels that one output channel sums over: of the adjoint for an input gradient."""
    return case.c_out_of_group if case.direction == "input_grad" else case.c_in_of_group


def _strided_gradient(case: Case) -> bool:
    return case.direction == "input_grad" and not case.unit_stride


def depthwise(case: Case) -> bool:
    """Whether every channel is convolved alone."""
    return case.groups > 1 and case.c_in_of_group == 1 and case.c_out_of_group == 1


def _narrow(case: Case) -> bool:
    return contracted(case) <= (8 if case.unit_stride else 4) and contracted(case) * case.taps <= 72


def _few_channels(case: Case) -> bool:
    """First layers. Measured up to 27 terms on planes (5 × 5 of one channel too), 81 in volumes."""
    if case.direction == "kernel_grad" or not (case.unit_stride or case.rank == 2):
        return False
    terms = case.taps * contracted(case)
    if case.direction == "input_grad":
        return case.c_in == 1 and terms <= 150 and case.c_out <= 8
    if case.rank == 2 and terms > 25 and case.c_out > 32:
        return False  # VGG's first layer: faster on neither version with one image, on one of the two with eight
    return case.c_in <= 3 and terms <= {1: 25, 2: 27}.get(case.rank, 81)


def _large(case: Case) -> bool:
    """Whether transforms are estimated at two thirds of the direct sum's time; rates measured on two AVX-512 cores."""
    if case.taps < 100:
        return False
    if case.groups > 1:
        direct_rate = 10e9
    else:
        direct_rate = 100e9 * min(1, case.c_in * case.c_out / 256)
    return 1.5 * fft.operations(case) / 20e9 < 2 * case.multiply_adds / direct_rate


def _tiny(case: Case) -> bool:
    """So few output pixels that a convolution is one small matrix product; its patches are cheap."""
    return case.groups == 1 and (prod(case.outputs) <= 16 or case.positions <= 98)


def _bytes_of_g(case: Case) -> int:
    """In float32. Written as a convolution, a kernel gradient has g where a convolution has its kernel, read for each tap."""
    return 4 * case.positions * case.c_out


def _filtered(case: Case) -> bool:
    """3 × 3 windows with enough channels and work, and a bound within that of the direct sum.

    From 64 channels the tiles take more from memory than they save, but for kernel gradients of several images.
    """
    if winograd.supports(case) is not None or not _wide_map(case):
        return False
    channels, least = min(case.c_in, case.c_out), {"conv": 1 << 31, "input_grad": 1 << 29, "kernel_grad": 1 << 28}
    if channels < 64 or channels < 128 and (case.direction != "kernel_grad" or case.n < 4):
        return False
    return case.multiply_adds >= least[case.direction] and _winograd.within_direct(case, winograd.TRANSFORM)


def _wide_map(case: Case) -> bool:
    """Planes of 28 × 28 outputs and more."""
    return prod(case.outputs[-2:]) >= 784


def _short_rows(case: Case) -> bool:
    """A banded matrix of at most three times the numbers, where XLA:CPU gathers large patches of few channels."""
    short = case.space[-1] <= 3 * case.window.size[-1]
    return case.rank == 2 and case.unit_stride and short and case.taps >= 25 and 2 <= case.c_in <= 16 and case.n >= 8


def _narrow_gradient(case: Case) -> bool:
    """The product stays in the cache."""
    held = 4 * case.positions * case.taps * case.c_in
    narrow = 2 <= case.c_in <= 8 <= case.c_out and case.rank == 2 and case.unit_stride
    return narrow and case.taps > 1 and case.n >= 4 and held <= 8 << 20


def _streamed(case: Case) -> bool:
    """1×1 to fewer channels, whose operand leaves the cache: bound by reading it."""
    fewer = contracted(case) > (case.c_in if case.direction == "input_grad" else case.c_out)
    large = 4 * case.positions * contracted(case) >= 32 << 20
    return STREAMS and case.direction != "kernel_grad" and case.taps == 1 and case.groups == 1 and fewer and large


CPU: tuple[Rule, ...] = (
    Rule("direct", _streamed, "1×1 to fewer channels from memory: XLA:CPU reads ahead (jax 0.12 and later)"),
    Rule(
        "patches",
        lambda case: case.taps == 1 and case.groups == 1 and (case.unit_stride or case.direction != "conv"),
        "1×1: one matrix product",
    ),
    Rule(
        "patches",
        lambda case: patches.tiles(case) and case.direction == "kernel_grad" and _bytes_of_g(case) >= 2 << 20,
        "windows side by side: one matrix product, where XLA:CPU runs a window as large as the image",
    ),
    Rule(
        "patches",
        lambda case: patches.tiles(case) and case.direction == "input_grad" and (case.taps >= 16 or case.n == 1),
        "windows side by side: one matrix product put back by a reshape",
    ),
    Rule(
        "fold",
        lambda case: case.groups == 1 and case.positions <= 4 * case.c_out and case.taps > 1,
        "a kernel larger than the images: one matrix product that reads it once, shifted and added",
    ),
    Rule("patches", _tiny, "a few output pixels: one matrix product"),
    Rule("fft", _large, "a large kernel: the transforms' cost does not depend on its size"),
    Rule(
        "phases",
        lambda case: _strided_gradient(case) and case.groups > 1 and contracted(case) <= 4,
        "XLA:CPU multiplies the zeros between strided outputs, one group at a time",
    ),
    Rule(
        "row_loop",
        lambda case: case.groups > 1 and case.c_out_of_group <= 8,
        "kernel gradient of narrow groups: accumulated in cache, row by row",
    ),
    Rule("border", depthwise, "depthwise: nothing to contract but the window; no padded copy of the image"),
    Rule("tap_sum", depthwise, "depthwise: nothing to contract but the window"),
    Rule(
        "tap_sum",
        lambda case: case.groups > 1 and case.direction != "kernel_grad" and _narrow(case),
        "a few channels a group: a matrix product would be too narrow",
    ),
    Rule(
        "shifted",
        lambda case: case.taps > 1 and contracted(case) >= 32 and case.positions <= case.c_out,
        "groups whose kernel is larger than the images: one batched product, shifted and added",
    ),
    Rule(
        "blocks",
        lambda case: case.groups > 1,
        "groups merged into dense blocks: XLA:CPU runs one narrow product a group",
    ),
    Rule(
        "fold",
        lambda case: case.rank == 3 and case.c_in <= 4 or case.taps * case.c_in <= 32 and _wide_map(case),
        "a gradient to few channels: one matrix product, shifted and added",
    ),
    Rule(
        "rows", _short_rows, "a gradient to few channels of narrow images: rows of them as channels of one wide product"
    ),
    Rule("fold", _narrow_gradient, "a gradient to few channels: one matrix product, shifted and added in the cache"),
    Rule("tap_sum", _few_channels, "few channels: little to contract but the window"),
    Rule(
        "subpixel",
        lambda case: case.rank == 2 and case.c_in <= 4 and case.taps >= 25 and case.n >= 4 and _wide_map(case),
        "a strided gradient to few channels: more of them on a smaller image",
    ),
    Rule(
        "phases",
        lambda case: _strided_gradient(case) and case.c_in > 4 and case.n >= 4 and _wide_map(case),
        "XLA:CPU multiplies the zeros between strided outputs",
    ),
    Rule("winograd", _filtered, "3×3 windows: 16 products for 36, within the bound of the direct sum"),
    Rule(
        "depth_sum",
        lambda case: _wide_map(case) and (prod(case.window.size[1:]) > 1 or case.direction == "kernel_grad"),
        "XLA:CPU has no tuned convolution of volumes: planes, a tap of the depth at a time",
    ),
    Rule(
        "planes",
        lambda case: case.taps * case.c_in <= 150 and 4 * case.positions * case.taps * case.c_in >= 4 << 20,
        "the kernel gradient of a first layer: a product of patches that lie channel by channel",
    ),
    Rule(
        "images",
        lambda case: case.n >= 4 and _bytes_of_g(case) >= 20 << 20,
        "a large kernel gradient: what is read for each tap leaves the cache",
    ),
)

ELSEWHERE: tuple[Rule, ...] = (
    Rule(
        "tap_sum",
        lambda case: depthwise(case) and set(case.window.dilation) != {1} and case.direction != "kernel_grad",
        "dilated depthwise convolutions are slower than dense ones there (jax#26266)",
    ),
    Rule(
        "patches",
        lambda case: case.direction == "input_grad" and patches.tiles(case) and case.taps > 1,
        "XLA widens the window of a patchify convolution's gradient to its image (jax#23085)",
    ),
)


def rank(case: Case, forced: str = "auto") -> tuple[tuple[str, bool, str], ...]:
    """Every lowering as `(name, whether it can run, why)`, the one that runs first."""
    rules = CPU if case.platform == "cpu" else ELSEWHERE
    able = {name: LOWERINGS[name].supports(case) for name in LOWERINGS}
    held = [rule for rule in rules if able[rule.lowering] is None and rule.when(case)]
    rows = {rule.lowering: rule.reason for rule in reversed(held)}
    order = [*dict.fromkeys(rule.lowering for rule in held), *(name for name in LOWERINGS if name not in rows)]
    if forced != "auto" and able[forced] is None:
        order.sort(key=lambda name: name != forced)
        rows[forced] = "forced"
    rows.setdefault("direct", "XLA's own: no other is faster here")
    why = lambda name: rows.get(name, "can run, is not faster here")
    can = [(name, True, why(name)) for name in order if able[name] is None]
    return (*can, *((name, False, able[name]) for name in order if able[name] is not None))


def choose(case: Case, forced: str = "auto") -> str:
    """The name of the lowering that runs: the forced one in the directions where it can, else the rule's."""
    return rank(case, forced)[0][0]


def evaluate(a: Array, b: Array, case: Case, lowering: str = "auto") -> Array:
    """The case by the lowering chosen for it."""
    return getattr(LOWERINGS[choose(case, lowering)], case.direction)(a, b, case)
