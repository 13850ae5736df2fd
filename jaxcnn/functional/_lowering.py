"""What a user may know of the lowerings: `explain`, and the errors of a forced one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from . import engine
from .lowering import DIRECTIONS, LOWERINGS, Case, Forced, can_run, rank, refusal

LARGEST = 2**31 - 1  # XLA counts pixels of an axis in 32 bits
MOST_BYTES = 1 << 40
PLATFORMS = ("cpu", "gpu", "cuda", "rocm", "tpu")
Lowering = str | Mapping[str, str]  # what a user may say: a name, or one a direction


def check_lowering(name: str, case: Case, lowering: Lowering) -> Forced:
    """What is forced in each direction: by a mapping what it names, by a plain name this case and what else that can run.

    Raises: ValueError for an unknown word, and for a forced one that cannot run: why, and which ones can.
    """
    if not isinstance(lowering, Mapping):
        _check_word(name, f"lowering={lowering!r}", lowering)
        if reason := refusal(case, lowering, "this"):
            raise ValueError(f"{name}: {reason}")
        able = {d: can_run(case.replace(direction=d), lowering) for d in DIRECTIONS}
        return Forced(*(lowering if able[d] else "auto" for d in DIRECTIONS))
    for direction, word in lowering.items():
        if direction not in DIRECTIONS:
            words = ", ".join(f'"{d}"' for d in DIRECTIONS)
            raise ValueError(f"{name}: lowering names the direction {direction!r}, which is unknown; use {words}")
        _check_word(name, f"lowering[{direction!r}]={word!r}", word)
        if reason := refusal(case.replace(direction=direction), word, f"this {direction}"):
            raise ValueError(f"{name}: {reason}")
    return Forced(**lowering)


def _check_word(name: str, what: str, word: Any) -> None:
    if not isinstance(word, str) or word not in ("auto", *LOWERINGS):
        words = ", ".join(f'"{known}"' for known in ("auto", *LOWERINGS))
        raise ValueError(f"{name}: {what} is unknown; use {words}")


def check_size(name: str, case: Case) -> None:
    """Refuse what no device can index or hold.

    Raises: ValueError.
    """
    longest = max(*case.space, *case.outputs, *case.window.span, *case.window.stride)
    if longest > LARGEST:
        raise ValueError(f"{name}: an axis of {longest} pixels overflows 32 bits; use a smaller window or padding")
    around = tuple(n + low + high for n, (low, high) in zip(case.space, case.window.padding))
    padded = (case.n, *(max(n, size) for n, size in zip(case.space, around)), case.c_in)
    for what, shape in (("padded input", padded), ("result", case.y_shape)):
        count = jnp.dtype(case.dtype).itemsize
        for size in shape:
            count *= size
        if count > MOST_BYTES:
            raise ValueError(f"{name}: the {what} {shape} of {case.dtype} takes {count >> 30} GiB; use smaller arrays")


@dataclass(frozen=True)
class Explanation:
    """What runs and why: for each convolution and direction, the lowerings from first choice to last.

    `rankings` maps `(convolution, direction)` to rows `(lowering, reason)`; a row that cannot run has the reason why not.
    """

    rankings: dict[tuple[int, str], tuple[tuple[str, bool, str], ...]]
    cases: tuple[Case, ...]

    def chosen(self, direction: str = "conv", convolution: int = 0) -> str:
        """The lowering that runs.

        Raises: ValueError for a direction or a convolution that there is not.
        """
        if (convolution, direction) not in self.rankings:
            there = f"{len(self.cases)} convolutions, each with {', '.join(DIRECTIONS)}"
            raise ValueError(
                f"explain: there is no direction {direction!r} of convolution {convolution}; there are {there}"
            )
        return self.rankings[convolution, direction][0][0]

    def __str__(self) -> str:
        lines = []
        for (index, direction), rows in self.rankings.items():
            case = self.cases[index]
            if direction == DIRECTIONS[0]:
                lines.append(
                    f"x {case.x_shape}, kernel {case.kernel_shape}, y {case.y_shape}, groups {case.groups}, "
                    f"stride {case.window.stride}, {case.dtype} on {case.platform}"
                )
            lines.append(f"  {direction}")
            lines += [f"    {'' if runs else 'not '}{name}: {reason}" for name, runs, reason in rows]
        return "\n".join(lines)

    __repr__ = __str__


def explain(
    function: Callable[..., Any],
    x_shape: Sequence[int],
    *parameter_shapes: Sequence[int],
    dtype: Any = "float32",
    platform: str | None = None,
    **options: Any,
) -> Explanation:
    """Which lowering runs `function(x, kernel, **options)` in each direction, why, and what else could.

    Nothing is computed: the function is traced with arrays of these shapes and every convolution in it is listed.

    Args:
        function: `conv2d`, `depthwise_conv`, `separable_conv`, `conv_transpose2d`, or your own of the same kind of arguments.
        parameter_shapes: the kernel's shape, or several.
        platform: "cpu", "gpu" or "tpu"; the default backend's where None.

    A transposed convolution is listed as the convolution whose adjoint it is: what runs forward is its "input_grad".

    Raises: as `function` for arguments that do not fit; ValueError for another platform.

    >>> from jaxcnn import functional as F
    >>> F.explain(F.conv2d, (8, 56, 56, 64), (1, 1, 64, 256), platform="cpu").chosen("kernel_grad")
    'patches'
    """
    platform = platform or jax.default_backend()
    if platform not in PLATFORMS:
        raise ValueError(f"explain: platform={platform!r} is unknown; use {', '.join(PLATFORMS)}")
    arrays = [jax.ShapeDtypeStruct(tuple(shape), jnp.dtype(dtype)) for shape in (x_shape, *parameter_shapes)]
    program = jax.make_jaxpr(lambda *arrays: function(*arrays, **options))(*arrays)
    found = list(engine.convolutions(program.jaxpr))
    cases = tuple(case.replace(platform="gpu" if platform in ("cuda", "rocm") else platform) for case, _ in found)
    rankings = {}
    for index, (case, (_, forced)) in enumerate(zip(cases, found)):
        for direction in DIRECTIONS:
            rankings[index, direction] = rank(case.replace(direction=direction), forced.of(direction))
    return Explanation(rankings, cases)
