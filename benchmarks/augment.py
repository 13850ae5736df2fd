"""Random augmentation of a batch: ours beside dm_pix and augmax, where these have the operation.

    python -m benchmarks.augment [--size 224 --batch 16]

Each rival is what its user writes: one jitted call, a key and an image each under `vmap`. Where the definitions are the same,
fixed amounts are compared first. Others differ (dm_pix adds to the brightness, augmax draws contrast as a curve): then the
images must only be finite, of the right shape and changed. The rivals are no packages of the project: pip install dm_pix augmax.
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jax import Array

from jaxcnn import augment as A

from .machine import Disturbance, describe
from .measure import Effort, Program, Timing, WrongResult, agree, build, interleave

Random = Callable[[Array, Array], Array]
Fixed = Callable[[Array], Array]
RIVALS = ("dm_pix", "augmax")
ROUNDING = 2e-5  # of the largest value


@dataclass(frozen=True)
class Options:
    """How many images, how large."""

    batch: int = 128
    """Images a call."""
    size: int = 32
    """Height and width, in pixels."""
    policies: bool = False
    """Time RandAugment and TrivialAugment too, which no rival has, and a real switch, an image at a time."""


@dataclass(frozen=True)
class Row:
    """One operation: random functions of a key and a batch, by rival, and the same with fixed amounts where these agree."""

    name: str
    random: dict[str, Random]
    fixed: dict[str, Fixed] = field(default_factory=dict)


def rows(size: int, pix: Any, augmax: Any) -> Iterator[Row]:
    """Every operation that a rival has too; absent rivals are None."""
    yield from _places(size, pix, augmax)
    yield from _lights(pix, augmax)
    yield from _colours(pix, augmax)


def _places(size: int, pix: Any, augmax: Any) -> Iterator[Row]:
    """Which pixel goes where."""
    inner = size * 7 // 8
    yield Row(
        "flip",
        _with(A.random_flip_left_right, pix and pix.random_flip_left_right, augmax and augmax.HorizontalFlip()),
        {"ours": A.flip_left_right, **_also(pix, lambda x: pix.flip_left_right(x))},
    )
    yield Row(
        "crop",
        _with(
            lambda key, x: A.random_crop(key, x, inner),
            pix and (lambda key, x: pix.random_crop(key, x, (inner, inner, x.shape[-1]))),
            augmax and augmax.RandomCrop(inner, inner),
        ),
    )
    yield Row("resized crop", _with(
        lambda key, x: A.random_resized_crop(key, x, size), None, augmax and augmax.RandomSizedCrop(size, size)
    ))  # fmt: skip
    angle = lambda key: jax.random.uniform(key, (), minval=-jnp.pi / 6, maxval=jnp.pi / 6)
    yield Row(
        "rotate",
        _with(
            lambda key, x: A.random_rotate(key, x, 30.0),
            pix and (lambda key, x: pix.rotate(x, angle(key), order=1, mode="constant")),
            augmax and augmax.Rotate((-30, 30), p=1.0),
        ),
    )


def _lights(pix: Any, augmax: Any) -> Iterator[Row]:
    yield Row(
        "blur",
        _with(
            lambda key, x: A.random_blur(key, x, sigma=(0.1, 2.0), size=9),
            pix and (lambda key, x: pix.gaussian_blur(x, jax.random.uniform(key, minval=0.1, maxval=2.0), 9)),
            augmax and augmax.GaussianBlur(2, p=1.0),
        ),
        {
            "ours": lambda x: A.blur(x, 1.5, 9)[:, 4:-4, 4:-4],
            **_also(pix, lambda x: pix.gaussian_blur(x, 1.5, 9)[:, 4:-4, 4:-4]),
        },
    )
    yield Row(
        "brightness",
        _with(
            lambda key, x: A.random_brightness(key, x, 0.4),
            pix and (lambda key, x: pix.random_brightness(key, x, 0.4)),
            augmax and augmax.RandomBrightness((-0.4, 0.4), p=1.0),
        ),
    )
    yield Row(
        "contrast",
        _with(
            lambda key, x: A.random_contrast(key, x, 0.4),
            pix and (lambda key, x: pix.random_contrast(key, x, 0.6, 1.4)),
            augmax and augmax.RandomContrast((-0.4, 0.4), p=1.0),
        ),
    )


def _colours(pix: Any, augmax: Any) -> Iterator[Row]:
    jitter = {"brightness": 0.4, "contrast": 0.4, "saturation": 0.4, "hue": 0.1}
    yield Row(
        "saturation",
        _with(
            lambda key, x: A.random_saturation(key, x, 0.4),
            pix and (lambda key, x: pix.random_saturation(key, x, 0.6, 1.4)),
        ),
    )
    yield Row(
        "hue",
        _with(lambda key, x: A.random_hue(key, x, 0.1), pix and (lambda key, x: pix.random_hue(key, x, 0.1))),
        {"ours": lambda x: A.hue(x, 0.3), **_also(pix, lambda x: pix.adjust_hue(x, 0.3))},
    )
    yield Row(
        "colour jitter",
        _with(
            lambda key, x: A.random_colour_jitter(key, x, **jitter),
            pix and _chain(pix, jitter),
            augmax and augmax.ColorJitter(**jitter, p=1.0),
        ),
    )
    yield Row("greyscale", _with(A.random_greyscale, None, augmax and augmax.RandomGrayscale(p=0.1)))


def policies() -> Iterator[Row]:
    """The policies beside a switch that computes only the operation drawn, for one image after the other."""
    alone = lambda policy: (
        lambda key, x: jax.lax.map(lambda each: policy(each[0], each[1][None])[0], (jax.random.split(key, len(x)), x))
    )
    for policy in (A.trivial_augment, A.rand_augment):
        yield Row(policy.__name__, {"ours": policy, "image by image": alone(policy)})


def programs(row: Row, key: Array, x: Array) -> dict[str, Program]:
    """The random functions, compiled; what they and the fixed ones return is checked first.

    Raises: WrongResult.
    """
    values = {name: np.asarray(jax.jit(function)(x)) for name, function in row.fixed.items()}
    for name, value in values.items():
        agree(f"{row.name}, {name}", value, values["ours"], ROUNDING)
    found = {name: build(function, key, x) for name, function in row.random.items()}
    shape = np.shape(found["ours"].run())
    for name, program in found.items():
        y = np.asarray(program.run())
        if y.shape != shape or not np.isfinite(y).all() or np.array_equal(y, x):
            raise WrongResult(f"{row.name}, {name}: {y.dtype}{y.shape}, the others make {shape}, finite and changed")
    return found


def line(name: str, timings: dict[str, Timing]) -> str:
    """Milliseconds of ours, and of each rival with how many times longer it takes."""
    ours = timings["ours"].least_ms
    others = [
        f"{rival} {t.least_ms:8.2f} ({t.least_ms / ours:5.2f} ×)" for rival, t in timings.items() if rival != "ours"
    ]
    return f"{name:<16} {ours:8.2f}   " + "   ".join(others)


def main(options: Options) -> None:
    """Measure and print every row; fastest of interleaved runs."""
    found = {name: import_module(name) if find_spec(name) else None for name in RIVALS}
    missing = [name for name, module in found.items() if module is None]
    if len(missing) == len(RIVALS) and not options.policies:
        sys.exit("augment: neither dm_pix nor augmax is installed; pip install dm_pix augmax")
    print(describe(torch=False), f"{options.batch} images of {options.size} × {options.size} × 3", sep="\n")
    key, x = jax.random.key(0), jax.random.uniform(jax.random.key(1), (options.batch, options.size, options.size, 3))
    disturbance = Disturbance()
    for row in policies() if options.policies else rows(options.size, found["dm_pix"], found["augmax"]):
        runs = {name: program.run for name, program in programs(row, key, x).items()}
        print(line(row.name, interleave(runs, Effort(budget_s=0.6, rounds=6))), flush=True)
    print(f"others took {disturbance.share():.0%} of the machine")


def _with(ours: Random, pix: Random | None = None, augmax: Any = None) -> dict[str, Random]:
    """Ours takes a batch; the others an image and a key each, augmax's as a chain of one."""
    if augmax is not None:
        augmax = import_module("augmax").Chain(augmax)
    each = lambda function: lambda key, x: jax.vmap(function)(jax.random.split(key, len(x)), x)
    return {"ours": ours, **_also(pix, each(pix)), **({} if augmax is None else {"augmax": each(augmax)})}


def _also(pix: Any, function: Any) -> dict[str, Any]:
    return {} if pix is None else {"dm_pix": function}


def _chain(pix: Any, jitter: dict[str, float]) -> Random:
    """dm_pix has no jitter of all four: one after the other."""

    def steps(key: Array, x: Array) -> Array:
        keys = jax.random.split(key, 4)
        x = pix.random_brightness(keys[0], x, jitter["brightness"])
        x = pix.random_contrast(keys[1], x, 1 - jitter["contrast"], 1 + jitter["contrast"])
        x = pix.random_saturation(keys[2], x, 1 - jitter["saturation"], 1 + jitter["saturation"])
        return pix.random_hue(keys[3], x, jitter["hue"])

    return steps


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
