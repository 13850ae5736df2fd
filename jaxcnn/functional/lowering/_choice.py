"""Which lowering runs: a literal table of them, and a short static rule.

The rule sees a `Case` and nothing else, so every host of a job chooses alike. `CPU` is read from the top: the first row whose
condition holds and whose lowering supports the case runs; `direct` is last and supports everything. On GPU and TPU it is
`direct`, except for what XLA is known to do badly there (`ELSEWHERE`).
"""

from collections.abc import Callable
from math import prod
from types import ModuleType
from typing import NamedTuple

from jax import Array

from . import (
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
from ._conditions import (
    apart,
    beyond,
    bundled,
    by_planes,
    bytes_of_g,
    bytes_of_windows,
    cached_fold,
    contracted,
    deep,
    depthwise,
    few_channels,
    filtered,
    first_layer,
    large,
    larger_than_image,
    many_channels,
    narrow,
    narrow_gradient,
    scattered,
    short_rows,
    side_by_side,
    small_patches,
    spilling,
    streamed,
    strided_gradient,
    strided_product,
    tiled,
    tiny,
    wide_map,
)
from ._finite import kept_finite

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


UNITS = {"direct", "patches"}  # on GPU and TPU these add 16-bit floats in float32 by themselves
WRITTEN_OUT = {"patches", "fold", "phases", "subpixel", "rows", "shifted", "planes", "tap_sum", "border", "row_loop"}
TAPS, DEPTHWISE_TAPS, RESIDUES = 128, 256, 64  # the most that compile in about half a second


class Rule(NamedTuple):
    """One row: the lowering, when it is the choice, and why."""

    lowering: str
    when: Callable[[Case], bool]
    reason: str


CPU: tuple[Rule, ...] = (
    Rule("direct", streamed, "1×1 to fewer channels from memory: XLA:CPU reads ahead (jax 0.12 and later)"),
    Rule(
        "patches",
        lambda case: case.taps == 1 and case.groups == 1 and (case.unit_stride or case.direction != "conv"),
        "1×1: one matrix product",
    ),
    Rule(
        "patches",
        lambda case: patches.tiles(case) and case.direction == "kernel_grad" and bytes_of_g(case) >= 2 << 20,
        "windows side by side: one matrix product, where XLA:CPU runs a window as large as the image",
    ),
    Rule(
        "patches",
        lambda case: (
            patches.tiles(case)
            and case.direction == "input_grad"
            and (case.taps >= 16 or case.n == 1 or case.c_in >= 96)
        ),
        "windows side by side: one matrix product put back by a reshape",
    ),
    Rule("winograd", deep, "3×3 windows over many channels: 16 products for 36, within the bound of the direct sum"),
    Rule(
        "fold",
        lambda case: case.groups == 1 and case.positions <= 4 * case.c_out and case.taps > 1,
        "a kernel larger than the images: one matrix product that reads it once, shifted and added",
    ),
    Rule("patches", tiny, "a few output pixels: one matrix product"),
    Rule("fft", large, "a large kernel: the transforms' cost does not depend on its size"),
    Rule(
        "phases",
        lambda case: strided_gradient(case) and case.groups > 1 and (contracted(case) <= 4 or scattered(case)),
        "XLA:CPU multiplies the zeros between strided outputs, one group at a time",
    ),
    Rule(
        "row_loop",
        lambda case: case.groups > 1 and case.c_out_of_group <= 8 and (case.rank > 1 or case.c_in_of_group < 4),
        "kernel gradient of narrow groups: accumulated in cache, row by row",
    ),
    Rule("border", depthwise, "depthwise: nothing to contract but the window; no padded copy of the image"),
    Rule("tap_sum", depthwise, "depthwise: nothing to contract but the window"),
    Rule(
        "tap_sum",
        lambda case: case.groups > 1 and case.direction != "kernel_grad" and narrow(case),
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
        lambda case: case.rank == 3 and case.c_in <= 4 or case.taps * case.c_in <= 32 and wide_map(case),
        "a gradient to few channels: one matrix product, shifted and added",
    ),
    Rule(
        "rows", short_rows, "a gradient to few channels of narrow images: rows of them as channels of one wide product"
    ),
    Rule("fold", narrow_gradient, "a gradient to few channels: one matrix product, shifted and added in the cache"),
    Rule(
        "fold",
        lambda case: beyond(case) and bytes_of_windows(case) <= 64 << 20,
        "a window larger than the image, a gradient: one matrix product, shifted and added",
    ),
    Rule(
        "patches",
        lambda case: beyond(case) and case.direction != "kernel_grad",
        "a window larger than the image: one matrix product, where XLA:CPU has no fast convolution",
    ),
    Rule("tap_sum", few_channels, "few channels: little to contract but the window"),
    Rule("patches", side_by_side, "windows side by side: one matrix product, on every core"),
    Rule(
        "fold",
        lambda case: bundled(case) and bytes_of_windows(case) <= 64 << 20,
        "a volume's gradient, strided or by depth alone: one matrix product, shifted and added",
    ),
    Rule(
        "patches",
        lambda case: case.rank == 3 and case.direction == "kernel_grad" and prod(case.window.size[1:]) == 1,
        "a kernel gradient by depth alone: one matrix product",
    ),
    Rule(
        "depth_sum",
        by_planes,
        "XLA:CPU has no tuned convolution of volumes: planes, a tap of the depth at a time",
    ),
    Rule(
        "subpixel",
        lambda case: case.rank == 2 and case.c_in <= 4 and case.taps >= 25 and case.n >= 4 and wide_map(case),
        "a strided gradient to few channels: more of them on a smaller image",
    ),
    Rule(
        "fold",
        lambda case: strided_gradient(case) and cached_fold(case),
        "a strided gradient: one matrix product, shifted and added in the cache",
    ),
    Rule("phases", apart, "XLA:CPU multiplies the zeros between strided outputs"),
    Rule("patches", strided_product, "a strided kernel gradient of many channels: one matrix product"),
    Rule(
        "images",
        lambda case: case.c_in >= 32 and max(case.c_in, case.c_out) <= 64 and spilling(case) and not tiled(case),
        "a kernel gradient to few channels: what is read for each tap leaves the cache",
    ),
    Rule("winograd", filtered, "3×3 windows: 16 products for 36, within the bound of the direct sum"),
    Rule("patches", many_channels, "many channels: one matrix product"),
    Rule(
        "planes",
        first_layer,
        "the kernel gradient of a first layer: a product of patches that lie channel by channel",
    ),
    Rule("patches", larger_than_image, "a kernel gradient whose g is larger than the image: XLA:CPU has no fast one"),
    Rule("images", spilling, "a large kernel gradient: what is read for each tap leaves the cache"),
    Rule("patches", small_patches, "a kernel gradient from few patches: one matrix product"),
    Rule("fold", cached_fold, "a gradient: one matrix product, shifted and added in the cache"),
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


def _long(lowering: str, case: Case) -> bool:
    """Whether the program would be too long: taps and residues of the stride are written out one by one."""
    if lowering not in WRITTEN_OUT or lowering == "patches" and patches.tiles(case):
        return False
    residues = prod(case.window.stride) if case.direction == "input_grad" else 1
    most = DEPTHWISE_TAPS if depthwise(case) else TAPS
    if lowering == "phases" and case.rank == 3:
        most *= 4  # a phase of a volume has an eighth of the taps at stride 2
    return case.taps > most or residues > RESIDUES


def can_run(case: Case, name: str) -> bool:
    """Whether a lowering of that name, or "auto", runs the case."""
    return name == "auto" or LOWERINGS[name].supports(case) is None


def refusal(case: Case, name: str, what: str) -> str | None:
    """Why a forced lowering cannot run `what`, and which ones can."""
    if can_run(case, name):
        return None
    able = ", ".join(f'"{word}"' for word in LOWERINGS if can_run(case, word))
    return f'lowering "{name}" cannot run {what}: {LOWERINGS[name].supports(case)}; {able} can'


def rank(case: Case, forced: str = "auto") -> tuple[tuple[str, bool, str], ...]:
    """Every lowering as `(name, whether it can run, why)`, the one that runs first.

    Raises: ValueError for a forced one that cannot run.
    """
    if reason := refusal(case, forced, f"this {case.direction}"):
        raise ValueError(f"conv: {reason}")
    rules = CPU if case.platform == "cpu" else ELSEWHERE
    able = {name: LOWERINGS[name].supports(case) for name in LOWERINGS}
    held = [
        rule for rule in rules if able[rule.lowering] is None and not _long(rule.lowering, case) and rule.when(case)
    ]
    rows = {rule.lowering: rule.reason for rule in reversed(held)}
    order = [*dict.fromkeys(rule.lowering for rule in held), *(name for name in LOWERINGS if name not in rows)]
    if forced != "auto":
        order.sort(key=lambda name: name != forced)
        rows[forced] = "forced"
    rows.setdefault("direct", "XLA's own: no other is faster here")
    why = lambda name: rows.get(name, "can run, is not faster here")
    can = [(name, True, why(name)) for name in order if able[name] is None]
    return (*can, *((name, False, able[name]) for name in order if able[name] is not None))


def choose(case: Case, forced: str = "auto") -> str:
    """The name of the lowering that runs: the forced one or the rule's."""
    return rank(case, forced)[0][0]


def evaluate(a: Array, b: Array, case: Case, lowering: str = "auto") -> Array:
    """The case by the lowering chosen for it; what does not add within a convolution or product adds in float32.

    NaN and infinity reach the results whose windows see them, whatever the lowering multiplies (`_finite`).
    """
    chosen, dtype = choose(case, lowering), case.result_dtype
    if chosen not in UNITS and case.adds_in != case.dtype:
        a, b, case = a.astype(case.adds_in), b.astype(case.adds_in), case.replace(dtype=case.adds_in)
    y = getattr(LOWERINGS[chosen], case.direction)(a, b, case)
    if getattr(LOWERINGS[chosen], "spreads", lambda case: False)(case):
        y = kept_finite(y, a, b, case)
    return y.astype(dtype)
