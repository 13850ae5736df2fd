"""The methods that `inspect` shows, what they are given, and how their programs are compiled and judged."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from rich.console import Console

from jaxcnn import interpret
from jaxcnn.interpret._attribute import finite
from jaxcnn.interpret._forward import PLAIN, run

STEPS = 20  # of the curves that judge a map
SAMPLES, PATH, MASKS, CHANNELS, CELLS = 6, 16, 112, 64, 6  # copies, steps, masks, channels, windows along a side
THREADS = 2


@dataclass(frozen=True)
class Asked:
    """What the methods are given: key, model, images, one class an image, the layer of class activation maps."""

    key: Array
    model: Any
    x: Array
    target: Array
    layer: str | None

    @property
    def plain(self) -> tuple[Any, Array, Array]:
        """Model, images and classes."""
        return self.model, self.x, self.target

    @property
    def window(self) -> int:
        """Pixels of a side of what occlusion covers."""
        return max(1, min(self.x.shape[1:-1]) // CELLS)


class Method(NamedTuple):
    """A method, and whether it runs the network often. One that does has its own program; the others share one."""

    maps: Callable[[Asked], Array]
    often: bool = False


METHODS: dict[str, Method] = {
    "gradient": Method(lambda a: interpret.gradient(*a.plain)),
    "input_x_gradient": Method(lambda a: interpret.input_x_gradient(*a.plain)),
    "smooth_grad": Method(lambda a: interpret.smooth_grad(a.key, *a.plain, samples=SAMPLES)),
    "integrated_gradients": Method(lambda a: interpret.integrated_gradients(*a.plain, steps=PATH), often=True),
    "guided_backprop": Method(lambda a: interpret.guided_backprop(*a.plain)),
    "deconvnet": Method(lambda a: interpret.deconvnet(*a.plain)),
    "deep_lift": Method(lambda a: interpret.deep_lift(*a.plain)),
    "lrp": Method(lambda a: interpret.lrp(*a.plain, rule=interpret.alpha_beta_rule(0.0))),
    "grad_cam": Method(lambda a: interpret.grad_cam(*a.plain, layer=a.layer)),
    "grad_cam_plus_plus": Method(lambda a: interpret.grad_cam_plus_plus(*a.plain, layer=a.layer)),
    "guided_grad_cam": Method(lambda a: interpret.guided_grad_cam(*a.plain, layer=a.layer)),
    "score_cam": Method(lambda a: interpret.score_cam(*a.plain, layer=a.layer, most=CHANNELS), often=True),
    "eigen_cam": Method(lambda a: interpret.eigen_cam(a.model, a.x, layer=a.layer)),
    "occlusion": Method(lambda a: interpret.occlusion(*a.plain, window=a.window), often=True),
    "rise": Method(lambda a: interpret.rise(a.key, *a.plain, masks=MASKS), often=True),
}
COMPLETE = ("input_x_gradient", "integrated_gradients", "deep_lift", "lrp")  # those that are to add up to the output


class Found(NamedTuple):
    """The maps of each method `(n, h, w)`, and why a method has none."""

    maps: dict[str, np.ndarray]
    refused: dict[str, str]


def computed(asked: Asked, methods: Sequence[str], console: Console) -> Found:
    """The maps of all methods; two programs at a time, because what takes longest is to compile them.

    Raises: ValueError if no method is left.
    """
    once = [name for name in methods if not METHODS[name].often]
    with console.status("compiling and running the methods"), ThreadPoolExecutor(THREADS) as pool:
        shared = pool.submit(_together, once, asked)
        alone = {name: pool.submit(_alone, name, asked) for name in methods if METHODS[name].often}
        found, refused = shared.result()
        for name, waiting in alone.items():
            try:
                found[name] = waiting.result()
            except ValueError as error:
                refused[name] = str(error).partition("\n")[0]
        maps = {name: found[name] for name in methods if name in found}
        if not maps:
            raise ValueError("; ".join(refused.values()))
        return Found({name: np.asarray(values) for name, values in maps.items()}, refused)


def _alone(name: str, asked: Asked) -> Array:
    with interpret.compiled_quickly(often=True):
        return _summed(METHODS[name].maps(asked), asked)


def _together(names: Sequence[str], asked: Asked) -> tuple[dict[str, Array], dict[str, str]]:
    """The maps of the methods that run the network once or twice, and why others have none.

    They are one program, because the forward pass is then compiled once for all of them.
    """
    refused: dict[str, str] = {}

    def every(forward, key: Array, x: Array, target: Array) -> dict[str, Array]:
        maps = {}
        for name in names:
            inside = Asked(key, lambda x, tap=PLAIN: forward(x, tap), x, target, asked.layer)
            try:
                maps[name] = _summed(METHODS[name].maps(inside), inside)
            except ValueError as error:
                refused[name] = str(error).partition("\n")[0]
        return maps

    with interpret.compiled_quickly():
        maps = run(every, asked.model, asked.key, asked.x, asked.target) if names else {}
    found = {}
    for name, values in maps.items():
        try:
            found[name] = finite(name, values)
        except ValueError as error:
            refused[name] = str(error)
    return found, refused


def _summed(values: Array, asked: Asked) -> Array:
    """The map of each picture, `(n, h, w)`."""
    return values if values.ndim == asked.x.ndim - 1 else values.sum(-1)


def judged(asked: Asked, maps: dict[str, np.ndarray]) -> list[tuple[str, ...]]:
    """Areas below the curves of deletion and insertion, and how far the sum is from the output, means over the pictures.

    Insertion is the deletion of the picture from a blurred one, so that both are one program.
    """
    count, n = len(maps), len(asked.x)
    several = lambda v, times: jnp.tile(v, (times, *(1,) * (v.ndim - 1)))  # every picture for every method
    x, soft, values = asked.x, interpret.blurred(asked.x), jnp.concatenate([jnp.asarray(one) for one in maps.values()])
    first, second = (jnp.concatenate([several(v, count) for v in pair]) for pair in ((x, soft), (0 * x, x)))
    with interpret.compiled_quickly(often=True):
        target = several(asked.target, 2 * count)
        areas = interpret.deletion(asked.model, first, several(values, 2), target, baseline=second, steps=STEPS).area
    gone, come = np.asarray(areas).reshape(2, count, n).mean(2)
    errors = _errors(asked, {name: maps[name] for name in COMPLETE if name in maps})
    return [(name, f"{a:.3f}", f"{b:.3f}", errors.get(name, "")) for name, a, b in zip(maps, gone, come)]


def _errors(asked: Asked, maps: dict[str, np.ndarray]) -> dict[str, str]:
    """How far the sum of a map is from what the score gains over a picture of zeros."""
    with interpret.compiled_quickly():
        errors = {
            name: interpret.completeness_error(*asked.plain[:2], jnp.asarray(v), asked.target)
            for name, v in maps.items()
        }
    return {name: f"{float(error.mean()):.1%}" for name, error in errors.items()}
